"""The process that asks the libraries, and times those whose answers are right.

``python -m benches.contest`` asks many contestants in turns, each on texts that it has seen before:
its answers have just been checked. The ids must be tiktoken's, the texts the ones that were
encoded.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benches import process, report, texts, workloads
from benches.encoders import VERBS, Contestant, Sample, Verb
from benches.libraries import TIKTOKEN, Library
from benches.report import Record
from benches.timing import Timing, take_turns


def contest(order: dict[str, Any]) -> list[Record]:
    """A record for every question of *order* and every contestant.

    *order* has the *encoding*, the path of its *ranks*, the *questions* (each a *verb*, the name of
    a *workload* and the path of its *texts*), libraries to leave out *without* asking and why, how
    many *rounds*, and how many seconds are *enough*.
    """
    libraries = Libraries(order["encoding"], Path(order["ranks"]), order["without"])
    records: list[Record] = []
    for question in order["questions"]:
        verb = VERBS[question["verb"]]
        given = workloads.read(Path(question["texts"]))
        about = asked(verb.name, order["encoding"], question["workload"])
        with tempfile.TemporaryDirectory() as folder:
            found = compare(verb, given, libraries, Path(folder), order["rounds"], order["enough"])
        records += [about | record for record in found]
    return records


class Libraries:
    """The libraries, each opened when it is first needed; *without* are known to fail, and why."""

    def __init__(self, encoding: str, ranks: Path, without: dict[str, str]) -> None:
        self._encoding = encoding
        self._ranks = ranks
        self._opened: dict[str, Any] = {}
        self._failed = dict(without)

    def refusal(self, library: Library) -> tuple[str, str] | None:
        """Why *library* cannot be asked, as a record's state and reason; ``None`` if it can."""
        absent = library.absent(self._encoding)
        if absent:
            return "absent", absent
        if library.name not in self._opened.keys() | self._failed.keys():
            try:
                self._opened[library.name] = library.load(self._encoding, self._ranks)
            except BaseException as error:
                self._failed[library.name] = caught(error)
        failed = self._failed.get(library.name)
        return ("failed", failed) if failed else None

    def __getitem__(self, library: Library) -> Any:
        """What *library* opened; RuntimeError if it did not."""
        refused = self.refusal(library)
        if refused:
            raise RuntimeError(f"{library.name} is needed, but {': '.join(refused)}")
        return self._opened[library.name]


def compare(
    verb: Verb,
    given: list[str],
    libraries: Libraries,
    folder: Path,
    rounds: int,
    enough: float,
) -> list[Record]:
    """Check every contestant's answer, then time those whose answer is right."""
    samples: dict[int, Sample] = {}
    size = workloads.size(given)
    ready: list[tuple[Contestant, int]] = []
    calls: list[Callable[[], object]] = []
    records: list[Record] = []
    for contestant in verb.contestants:
        refused = libraries.refusal(contestant.library)
        if refused:
            records.append(record(contestant, *refused))
            continue
        part = min(size, contestant.library.most)
        if part not in samples:
            samples[part] = _sample(texts.leading(given, part), libraries[TIKTOKEN], folder)
        try:
            function = contestant.function(libraries[contestant.library])
            items = [contestant.take(item) for item in verb.given(samples[part])]
            wrong = _first_wrong(verb, contestant, function, items, samples[part])
        except BaseException as error:
            records.append(record(contestant, "failed", caught(error)))
            continue
        if wrong is None:
            ready.append((contestant, part))
            calls.append(partial(call_all, function, items))
        else:
            records.append(record(contestant, "DIFFERS", f"on {wrong[:40]!r}"))
    clock = time.perf_counter if verb.whole else time.process_time
    for (contestant, part), timing in zip(
        ready, take_turns(calls, rounds, enough, clock), strict=True
    ):
        records.append(timed(contestant, samples[part].texts, size, timing))
    return records


def _sample(part: list[str], oracle: Any, folder: Path) -> Sample:
    ids = [oracle.encode_to_numpy(text, disallowed_special=()) for text in part]
    return Sample(part, ids, folder)


def _first_wrong(
    verb: Verb,
    contestant: Contestant,
    function: Callable[[Any], Any],
    items: list[Any],
    sample: Sample,
) -> str | None:
    """The first text of which the answer is not right, ``None`` if all are."""
    if verb.whole:
        answers: Sequence[Any] = contestant.read(function(items[0]))
    else:
        answers = [contestant.read(function(item)) for item in items]
    right = verb.right(sample)
    if len(answers) != len(right):
        return f"{len(right)} texts, of which it answers {len(answers)}"
    matches = map(same, answers, right)
    return next(
        (text for text, match in zip(sample.texts, matches, strict=True) if not match), None
    )


def same(answer: Any, right: Any) -> bool:
    """Whether *answer*, ids in whatever kind of sequence or plain, is *right*."""
    if isinstance(right, np.ndarray):
        return np.array_equal(np.asarray(answer), right)
    return bool(answer == right)


def call_all(function: Callable[[Any], Any], items: Sequence[Any]) -> None:
    """What is timed."""
    for item in items:
        function(item)


def asked(verb: str, encoding: str, workload: str) -> Record:
    """What a record says about the question."""
    return {
        "question": f"{verb}, {encoding}, {workload}",
        "verb": verb,
        "encoding": encoding,
        "workload": workload,
    }


def timed(contestant: Contestant, part: list[str], whole: int, timing: Timing) -> Record:
    """How it went on *part* of a workload of *whole* bytes."""
    size = workloads.size(part)
    return record(contestant, "timed") | {
        "texts": len(part),
        "bytes": size,
        "whole": size == whole,
        "seconds": timing.seconds,
        "mb_per_s": size / timing.best / 1e6,
        "median_mb_per_s": size / timing.median / 1e6,
        "spread": timing.spread,
    }


def record(contestant: Contestant, state: str, reason: str = "") -> Record:
    """Who was asked, and how it went."""
    name, form = contestant.library.name, contestant.form
    return {"name": name, "form": form, "state": state, "reason": reason}


def caught(error: BaseException) -> str:
    """What *error* says; the panic of a Rust extension is no Exception, so all were caught."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return report.reason(error)


if __name__ == "__main__":
    process.answer(contest)
