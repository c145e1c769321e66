"""The process that checks the libraries' results and times those whose results are right.

``python -m benches.contest`` times the contestants in turns, on texts that each has encoded before,
for the check. Ids must equal tiktoken's, and decoded texts those that were encoded.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benches import process, report, texts, workloads
from benches.encoders import OPERATIONS, Contestant, Operation, Sample
from benches.libraries import TIKTOKEN, Library
from benches.report import Record
from benches.timing import Timing, take_turns


def contest(arguments: dict[str, Any]) -> list[Record]:
    """Return a record for every task and every contestant.

    *arguments* has the *encoding*, the path of its *ranks*, the *tasks* (each an *operation*, the
    name of a *workload* and the path of its *texts*), the *broken* libraries and why, the number of
    *rounds*, and *max_seconds*.
    """
    libraries = Libraries(arguments["encoding"], Path(arguments["ranks"]), arguments["broken"])
    rounds, max_seconds = arguments["rounds"], arguments["max_seconds"]
    records: list[Record] = []
    for task in arguments["tasks"]:
        operation = OPERATIONS[task["operation"]]
        sample = workloads.read(Path(task["texts"]))
        about = describe_task(operation.name, arguments["encoding"], task["workload"])
        with tempfile.TemporaryDirectory() as folder:
            found = compare(operation, sample, libraries, Path(folder), rounds, max_seconds)
        records += [about | record for record in found]
    return records


class Libraries:
    """The libraries, each opened at its first use; *broken* ones are known to fail, and why."""

    def __init__(self, encoding: str, ranks: Path, broken: dict[str, str]) -> None:
        self._encoding = encoding
        self._ranks = ranks
        self._opened: dict[str, Any] = {}
        self._failed = dict(broken)

    def failure(self, library: Library) -> tuple[str, str] | None:
        """Return why *library* cannot be used, as a state and a reason; ``None`` if it can."""
        absent = library.why_absent(self._encoding)
        if absent:
            return "absent", absent
        if library.name not in self._opened.keys() | self._failed.keys():
            try:
                self._opened[library.name] = library.load(self._encoding, self._ranks)
            except BaseException as error:
                self._failed[library.name] = message_of(error)
        failed = self._failed.get(library.name)
        return ("failed", failed) if failed else None

    def __getitem__(self, library: Library) -> Any:
        """Return the encoding that *library* opened. Raises RuntimeError if it failed."""
        failure = self.failure(library)
        if failure:
            raise RuntimeError(f"{library.name} is required, but {': '.join(failure)}")
        return self._opened[library.name]


def compare(
    operation: Operation,
    sample: list[str],
    libraries: Libraries,
    folder: Path,
    rounds: int,
    max_seconds: float,
) -> list[Record]:
    """Check the results of every contestant, then time those whose results are right."""
    samples: dict[int, Sample] = {}
    size = workloads.size(sample)
    ready: list[tuple[Contestant, int]] = []
    calls: list[Callable[[], object]] = []
    records: list[Record] = []
    for contestant in operation.contestants:
        failure = libraries.failure(contestant.library)
        if failure:
            records.append(record(contestant, *failure))
            continue
        part = min(size, contestant.library.max_bytes)
        if part not in samples:
            samples[part] = _sample(texts.leading(sample, part), libraries[TIKTOKEN], folder)
        try:
            function = contestant.function(libraries[contestant.library])
            items = [contestant.prepare(item) for item in operation.inputs(samples[part])]
            wrong = _first_wrong(operation, contestant, function, items, samples[part])
        except BaseException as error:
            records.append(record(contestant, "failed", message_of(error)))
            continue
        if wrong is None:
            ready.append((contestant, part))
            calls.append(partial(call_all, function, items))
        else:
            records.append(record(contestant, "DIFFERS", f"on {wrong[:40]!r}"))
    clock = time.perf_counter if operation.batch else time.process_time
    for (contestant, part), timing in zip(
        ready, take_turns(calls, rounds, max_seconds, clock), strict=True
    ):
        records.append(timed(contestant, samples[part].texts, size, timing))
    return records


def _sample(part: list[str], oracle: Any, folder: Path) -> Sample:
    ids = [oracle.encode_to_numpy(text, disallowed_special=()) for text in part]
    return Sample(part, ids, folder)


def _first_wrong(
    operation: Operation,
    contestant: Contestant,
    function: Callable[[Any], Any],
    items: list[Any],
    sample: Sample,
) -> str | None:
    """Return the first text with a wrong result, ``None`` if there is none."""
    if operation.batch:
        results: Sequence[Any] = contestant.read(function(items[0]))
    else:
        results = [contestant.read(function(item)) for item in items]
    expected = operation.expected(sample)
    if len(results) != len(expected):
        return f"{len(expected)} texts, for which it returns {len(results)} results"
    matches = map(equal, results, expected)
    return next(
        (text for text, match in zip(sample.texts, matches, strict=True) if not match), None
    )


def equal(result: Any, expected: Any) -> bool:
    """Return whether *result*, any kind of sequence of ids or a plain value, is *expected*."""
    if isinstance(expected, np.ndarray):
        return np.array_equal(np.asarray(result), expected)
    return bool(result == expected)


def call_all(function: Callable[[Any], Any], items: Sequence[Any]) -> None:
    """Call *function* with each of *items*: this is what is timed."""
    for item in items:
        function(item)


def describe_task(operation: str, encoding: str, workload: str) -> Record:
    """Return the fields of a record that describe the task."""
    return {
        "question": f"{operation}, {encoding}, {workload}",
        "verb": operation,
        "encoding": encoding,
        "workload": workload,
    }


def timed(contestant: Contestant, part: list[str], total: int, timing: Timing) -> Record:
    """Return the record of a contestant that was timed on *part* of a workload of *total* bytes."""
    size = workloads.size(part)
    return record(contestant, "timed") | {
        "texts": len(part),
        "bytes": size,
        "whole": size == total,
        "seconds": timing.seconds,
        "mb_per_s": size / timing.best / 1e6,
        "median_mb_per_s": size / timing.median / 1e6,
        "spread": timing.spread,
    }


def record(contestant: Contestant, state: str, reason: str = "") -> Record:
    """Return the fields of a record that describe the contestant and its state."""
    name, form = contestant.library.name, contestant.form
    return {"name": name, "form": form, "state": state, "reason": reason}


def message_of(error: BaseException) -> str:
    """Return the message of a caught *error*, or raise it again if it is an interruption.

    The panic of a Rust extension is a BaseException, so callers catch all of these.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return report.reason(error)


if __name__ == "__main__":
    process.serve(contest)
