"""The benchmarks' harness: what is checked, who takes turns, how texts are cut. No timings."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from benches import contest, process, texts, workloads
from benches.encoders import VERBS, Contestant, Verb
from benches.libraries import LIBRARIES, TIKTOKEN, Library
from benches.timing import take_turns
from benches.workloads import Sizes
from pytok.encodings import ENCODINGS


class Oracle:
    """A tokenizer whose ids are the code points."""

    def encode_to_numpy(self, text: str, disallowed_special: object = ()) -> Any:
        """Of tiktoken's shape."""
        return np.array([ord(letter) for letter in text], dtype=np.uint32)


class Opened(dict[Library, Any]):
    """Libraries that are open already."""

    def refusal(self, library: Library) -> None:
        """Nothing: it takes part."""


def library(name: str, most: int = 1 << 30) -> Library:
    return Library(name, name, name, lambda module, encoding, ranks: None, most=most)


def ask(contestant: Contestant, folder: Path, given: list[str]) -> contest.Record:
    """The record of *contestant*, beside the oracle, encoding *given* one by one."""
    verb = Verb(
        "encode", lambda sample: sample.texts, lambda sample: sample.ids, (contestant,), whole=False
    )
    opened = Opened({TIKTOKEN: Oracle(), contestant.library: None})
    (record,) = contest.compare(verb, given, opened, folder, 2, 0.0)
    return record


def code_points(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def always(function: Callable[[str], object]) -> Callable[[object], Callable[[str], object]]:
    return lambda opened: function


def test_right_answer_is_timed(tmp_path: Path) -> None:
    """Ids equal to the oracle's get figures, whatever kind of sequence they come in."""
    for kind in (list, tuple, np.array):
        row = Contestant(library("a"), "list", always(lambda text, k=kind: k(code_points(text))))  # type: ignore[misc]
        assert ask(row, tmp_path, ["ab", "c"])["state"] == "timed"


def test_wrong_answer_is_not_timed(tmp_path: Path) -> None:
    """One wrong id in one text is DIFFERS, names that text, and gives no figure."""
    row = Contestant(library("a"), "list", always(lambda text: code_points(text.replace("c", "d"))))
    record = ask(row, tmp_path, ["ab", "c"])
    assert (record["state"], record["reason"]) == ("DIFFERS", "on 'c'")
    assert "mb_per_s" not in record


def test_panic_of_a_contestant_is_its_own_failure(tmp_path: Path) -> None:
    """What is no Exception, as the panic of a Rust extension, is one row that failed."""

    class Panic(BaseException):
        pass

    def break_down(text: str) -> None:
        raise Panic("index out of bounds")

    record = ask(Contestant(library("a"), "list", always(break_down)), tmp_path, ["ab"])
    assert (record["state"], record["reason"]) == ("failed", "Panic: index out of bounds")


def test_slow_library_gets_the_beginning(tmp_path: Path) -> None:
    """A library with a limit is asked on that many bytes, and the record says so."""
    row = Contestant(library("a", most=3), "list", always(code_points))
    record = ask(row, tmp_path, ["ab", "cd", "ef"])
    assert (record["bytes"], record["texts"], record["whole"]) == (3, 2, False)


def test_contestants_take_turns() -> None:
    """Every round has each contestant once, so that drift hits all alike."""
    turns: list[str] = []
    ticks = itertools.count()
    calls = [lambda: turns.append("a"), lambda: turns.append("b")]
    timings = take_turns(calls, rounds=3, enough=100, clock=lambda: float(next(ticks)))
    assert turns == ["a", "b"] * 3
    assert [timing.seconds for timing in timings] == [(1.0, 1.0, 1.0)] * 2


def test_contestant_that_took_enough_has_two_rounds() -> None:
    """A spread needs two rounds; more than enough seconds need no third."""
    ticks = itertools.count(step=10)
    (timing,) = take_turns([lambda: None], rounds=7, enough=5, clock=lambda: float(next(ticks)))
    assert len(timing.seconds) == 2


def test_failure_of_a_process_is_told() -> None:
    """A process that dies without an answer is a RuntimeError with its last words."""
    with pytest.raises(RuntimeError, match="KeyError"):
        process.ask("benches.contest", {}, {}, 60)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system ties to no core")
def test_one_core_is_one_core() -> None:
    """Within `one_core` there is one, afterwards as many as before."""
    before = process.cores()
    with process.one_core():
        assert process.cores() == 1
    assert process.cores() == before


def test_every_contestant_is_of_a_listed_library() -> None:
    """The report names the version of every library that is asked."""
    asked = {row.library for verb in VERBS.values() for row in verb.contestants}
    assert asked == set(LIBRARIES)


def test_every_contestant_is_one_row() -> None:
    """A library has no two contestants of one form for one verb: they would share a row."""
    for verb in VERBS.values():
        rows = [(row.library, row.form) for row in verb.contestants]
        assert len(rows) == len(set(rows))


@given(st.text(alphabet=".a1 \n\r/'é漢"))
def test_documents_have_the_pieces_of_the_text(text: str) -> None:
    """Wherever a text is cut into documents, every known pattern splits it anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "DOCUMENT_CHARACTERS", 1)
        documents = list(texts.documents(text))
    assert "".join(documents) == text
    for encoding in ("r50k_base", "cl100k_base", "o200k_base"):
        find = regex.compile(ENCODINGS[encoding].pattern).findall
        assert [piece for document in documents for piece in find(document)] == find(text)


def test_long_document_is_repeated_to_its_size() -> None:
    """A short text fills the long document again and again, and how much is new is known."""
    made = workloads.make({"mine.txt": "Hello, world!\n"}, Sizes(kind=10, batch=30, long=100))
    (long,) = made.long.texts
    assert (made.long.size, made.distinct) == (100, 14)
    assert long == ("Hello, world!\n" * 8)[:100]
    assert made.batch.size == 30
