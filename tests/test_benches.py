"""The harness of the benchmarks: checks, turns, failures, cutting texts. No timings."""

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
from benches.encoders import OPERATIONS, Contestant, Operation
from benches.libraries import LIBRARIES, TIKTOKEN, Library
from benches.timing import take_turns
from benches.workloads import Sizes
from pytok.encodings import ENCODINGS


class Oracle:
    """A tokenizer whose ids are the code points."""

    def encode_to_numpy(self, text: str, disallowed_special: object = ()) -> Any:
        """Return ids as tiktoken does."""
        return np.array([ord(letter) for letter in text], dtype=np.uint32)


class Opened(dict[Library, Any]):
    """Opened libraries."""

    def failure(self, library: Library) -> None:
        """Return None: it can be used."""


def library(name: str, max_bytes: int = 1 << 30) -> Library:
    return Library(name, name, name, lambda module, encoding, ranks: None, max_bytes=max_bytes)


def record_of(contestant: Contestant, folder: Path, sample: list[str]) -> contest.Record:
    """Return the record of *contestant* for encoding the texts of *sample*."""
    operation = Operation(
        "encode", lambda sample: sample.texts, lambda sample: sample.ids, (contestant,)
    )
    opened = Opened({TIKTOKEN: Oracle(), contestant.library: None})
    (record,) = contest.compare(operation, sample, opened, folder, 2, 0.0)
    return record


def code_points(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def always(function: Callable[[str], object]) -> Callable[[object], Callable[[str], object]]:
    return lambda opened: function


def test_right_result_is_timed(tmp_path: Path) -> None:
    """Ids equal to the oracle's, in any kind of sequence, get figures."""
    for kind in (list, tuple, np.array):
        row = Contestant(library("a"), "list", always(lambda text, k=kind: k(code_points(text))))  # type: ignore[misc]
        assert record_of(row, tmp_path, ["ab", "c"])["state"] == "timed"


def test_wrong_result_is_not_timed(tmp_path: Path) -> None:
    """One wrong id gives the state DIFFERS, with the text, and no figures."""
    row = Contestant(library("a"), "list", always(lambda text: code_points(text.replace("c", "d"))))
    record = record_of(row, tmp_path, ["ab", "c"])
    assert (record["state"], record["reason"]) == ("DIFFERS", "on 'c'")
    assert "mb_per_s" not in record


def test_panic_of_a_contestant_is_a_failure_of_its_row(tmp_path: Path) -> None:
    """The panic of a Rust extension is a BaseException, but not an Exception."""

    class Panic(BaseException):
        pass

    def panic(text: str) -> None:
        raise Panic("index out of bounds")

    record = record_of(Contestant(library("a"), "list", always(panic)), tmp_path, ["ab"])
    assert (record["state"], record["reason"]) == ("failed", "Panic: index out of bounds")


def test_slow_library_is_timed_on_a_part(tmp_path: Path) -> None:
    """The record has the number of bytes and texts."""
    row = Contestant(library("a", max_bytes=3), "list", always(code_points))
    record = record_of(row, tmp_path, ["ab", "cd", "ef"])
    assert (record["bytes"], record["texts"], record["whole"]) == (3, 2, False)


def test_contestants_take_turns() -> None:
    """Each round has every contestant once, so that a drift affects all of them."""
    turns: list[str] = []
    ticks = itertools.count()
    calls = [lambda: turns.append("a"), lambda: turns.append("b")]
    timings = take_turns(calls, rounds=3, max_seconds=100, clock=lambda: float(next(ticks)))
    assert turns == ["a", "b"] * 3
    assert [timing.seconds for timing in timings] == [(1.0, 1.0, 1.0)] * 2


def test_a_slow_contestant_has_two_rounds() -> None:
    """The spread requires two."""
    ticks = itertools.count(step=10)
    (timing,) = take_turns(
        [lambda: None], rounds=7, max_seconds=5, clock=lambda: float(next(ticks))
    )
    assert len(timing.seconds) == 2


def test_failure_of_a_process_is_an_error() -> None:
    """The message is the last line of its stderr."""
    with pytest.raises(RuntimeError, match="KeyError"):
        process.call("benches.contest", {}, {}, 60)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system has no affinity of cores"
)
def test_one_core_pins_to_one_core() -> None:
    """The number of cores is restored."""
    before = process.cores()
    with process.one_core():
        assert process.cores() == 1
    assert process.cores() == before


def test_every_contestant_is_of_a_listed_library() -> None:
    """The output has the version of every library that is used."""
    used = {row.library for each in OPERATIONS.values() for row in each.contestants}
    assert used == set(LIBRARIES)


def test_every_contestant_is_one_row() -> None:
    """A library has one contestant per operation and form, since these identify the row."""
    for operation in OPERATIONS.values():
        rows = [(row.library, row.form) for row in operation.contestants]
        assert len(rows) == len(set(rows))


@given(st.text(alphabet=".a1 \n\r/'é漢"))
def test_cutting_into_documents_changes_no_piece(text: str) -> None:
    """Every known pattern splits at the points where a text is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "DOCUMENT_CHARACTERS", 1)
        documents = list(texts.documents(text))
    assert "".join(documents) == text
    for encoding in ("r50k_base", "cl100k_base", "o200k_base"):
        find = regex.compile(ENCODINGS[encoding].pattern).findall
        assert [piece for document in documents for piece in find(document)] == find(text)


def test_long_document_is_repeated_to_its_size() -> None:
    """The bytes before it repeats are recorded."""
    made = workloads.make({"mine.txt": "Hello, world!\n"}, Sizes(kind=10, batch=30, long=100))
    (long,) = made.long.texts
    assert (made.long.size, made.distinct) == (100, 14)
    assert long == ("Hello, world!\n" * 8)[:100]
    assert made.batch.size == 30
