"""Speed of the encoders on new texts, each time in a fresh process.

Libraries cache the ids of pieces, so the first pass is what a program experiences that reads each
text once; `contest` times later passes. Opening the encoding is not timed. Neither is the encoding
of a short text before, since some libraries build their tables on the first call. ``python -m
benches.cold`` is the process that `first_passes` starts.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benches import process, texts, workloads
from benches.contest import call_all, describe_task, message_of, record, timed
from benches.encoders import ENCODE, Contestant, Ids
from benches.report import Record
from benches.timing import Timing, time_once
from benches.workloads import Workload

FIRST_PASS = "first pass"

TIMEOUT = 300
"""Maximum seconds of one process."""

WARM_UP = "Hello, world! Zdrqvlkw 31415926 déjà-vu 漢字 🦀\n"
"""Text that is encoded before the clock starts; some of its words need merging."""


def first_passes(
    encoding: str, ranks: Path, workload: Workload, path: str, processes: int
) -> list[Record]:
    """Return a record for every encoder on *workload*, whose texts are in the file *path*.

    The contestants take turns *processes* times. Their ids are checked after the clock stops.
    """
    parts: dict[int, tuple[list[str], Ids]] = {}
    seconds: dict[Contestant, list[float]] = {}
    failures: dict[Contestant, Record] = {}
    for _ in range(processes):
        for contestant in ENCODE.contestants:
            library = contestant.library
            reason = library.why_absent(encoding)
            if reason:
                failures[contestant] = record(contestant, "absent", reason)
            if contestant in failures:
                continue
            if library.max_bytes not in parts:
                part = texts.leading(workload.texts, min(workload.size, library.max_bytes))
                parts[library.max_bytes] = part, _expected_ids(encoding, part)
            try:
                once, ids = _time_in_process(encoding, ranks, contestant, path)
            except RuntimeError as error:
                failures[contestant] = record(contestant, "failed", str(error))
                continue
            if np.array_equal(ids, parts[library.max_bytes][1]):
                seconds.setdefault(contestant, []).append(once)
            else:
                failures[contestant] = record(contestant, "DIFFERS", "from tiktoken")
    records = list(failures.values())
    for contestant, taken in seconds.items():
        if contestant not in failures:
            part, _ = parts[contestant.library.max_bytes]
            records.append(timed(contestant, part, workload.size, Timing(tuple(taken))))
    return [describe_task(FIRST_PASS, encoding, workload.name) | found for found in records]


def _expected_ids(encoding: str, part: Sequence[str]) -> Ids:
    """Return tiktoken's ids of all texts, concatenated."""
    try:
        import tiktoken

        oracle = tiktoken.get_encoding(encoding)
        ids = [oracle.encode_to_numpy(text, disallowed_special=()) for text in part]
    except BaseException as error:
        raise click.ClickException(f"tiktoken, the oracle, fails: {message_of(error)}") from None
    return np.concatenate(ids)


def _time_in_process(
    encoding: str, ranks: Path, contestant: Contestant, path: str
) -> tuple[float, Ids]:
    """Encode in a fresh process; return the seconds and the ids of all texts, concatenated."""
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder, "ids.npy")
        arguments = {
            "encoding": encoding,
            "ranks": str(ranks),
            "name": contestant.library.name,
            "form": contestant.form,
            "texts": path,
            "ids": str(ids),
        }
        seconds: float = process.call("benches.cold", arguments, process.ONE_THREAD, TIMEOUT)
        return seconds, np.load(ids)


def _first_pass(arguments: dict[str, Any]) -> float:
    """Return the seconds of processor time; the ids go to a file."""
    contestant = next(
        row
        for row in ENCODE.contestants
        if (row.library.name, row.form) == (arguments["name"], arguments["form"])
    )
    library = contestant.library
    encode = contestant.function(library.load(arguments["encoding"], Path(arguments["ranks"])))
    part = texts.leading(workloads.read(Path(arguments["texts"])), library.max_bytes)
    encode(WARM_UP)
    seconds = time_once(partial(call_all, encode, part))
    ids = [np.asarray(encode(text), np.uint32) for text in part]
    np.save(arguments["ids"], np.concatenate(ids))
    return seconds


if __name__ == "__main__":
    process.serve(_first_pass)
