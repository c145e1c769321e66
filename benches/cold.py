"""How fast an encoder is on texts that it has never seen, each time in a fresh process.

Libraries keep the ids of the pieces that they have met, so the first pass says what a program pays
that reads each text once; `contest` times later passes. Opening the encoding is not timed, nor is
one short text beforehand, since some build their tables on the first call. ``python -m
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
from benches.contest import asked, call_all, caught, record, timed
from benches.encoders import ENCODE, Contestant, Ids
from benches.report import Record
from benches.timing import Timing, time_once
from benches.workloads import Workload

FIRST_PASS = "first pass"

PATIENCE = 300
"""Seconds that one process may take."""

GREETING = "Hello, world! Zdrqvlkw 31415926 déjà-vu 漢字 🦀\n"
"""What every encoder has seen before the clock starts; some of its words need merging."""


def first_passes(
    encoding: str, ranks: Path, workload: Workload, path: str, processes: int
) -> list[Record]:
    """A record for every encoder, on *workload*, whose texts are in the file *path*.

    The contestants take turns *processes* times. Their ids are checked after the clock stops.
    """
    parts: dict[int, tuple[list[str], Ids]] = {}
    seconds: dict[Contestant, list[float]] = {}
    refused: dict[Contestant, Record] = {}
    for _ in range(processes):
        for contestant in ENCODE.contestants:
            library = contestant.library
            reason = library.absent(encoding)
            if reason:
                refused[contestant] = record(contestant, "absent", reason)
            if contestant in refused:
                continue
            if library.most not in parts:
                part = texts.leading(workload.texts, min(workload.size, library.most))
                parts[library.most] = part, _right_ids(encoding, part)
            try:
                once, ids = _ask(encoding, ranks, contestant, path)
            except RuntimeError as error:
                refused[contestant] = record(contestant, "failed", str(error))
                continue
            if np.array_equal(ids, parts[library.most][1]):
                seconds.setdefault(contestant, []).append(once)
            else:
                refused[contestant] = record(contestant, "DIFFERS", "from tiktoken")
    records = list(refused.values())
    for contestant, taken in seconds.items():
        if contestant not in refused:
            part, _ = parts[contestant.library.most]
            records.append(timed(contestant, part, workload.size, Timing(tuple(taken))))
    return [asked(FIRST_PASS, encoding, workload.name) | found for found in records]


def _right_ids(encoding: str, part: Sequence[str]) -> Ids:
    """What tiktoken makes of all texts, run together."""
    try:
        import tiktoken

        oracle = tiktoken.get_encoding(encoding)
        ids = [oracle.encode_to_numpy(text, disallowed_special=()) for text in part]
    except BaseException as error:
        raise click.ClickException(f"tiktoken, the oracle, fails: {caught(error)}") from None
    return np.concatenate(ids)


def _ask(encoding: str, ranks: Path, contestant: Contestant, path: str) -> tuple[float, Ids]:
    """What a fresh process answers: the seconds, and the ids of all texts run together."""
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder, "ids.npy")
        order = {
            "encoding": encoding,
            "ranks": str(ranks),
            "name": contestant.library.name,
            "form": contestant.form,
            "texts": path,
            "ids": str(ids),
        }
        seconds: float = process.ask("benches.cold", order, process.ONE_THREAD, PATIENCE)
        return seconds, np.load(ids)


def _first_pass(order: dict[str, Any]) -> float:
    """Seconds of processor time; the ids go to a file."""
    contestant = next(
        row
        for row in ENCODE.contestants
        if (row.library.name, row.form) == (order["name"], order["form"])
    )
    library = contestant.library
    encode = contestant.function(library.load(order["encoding"], Path(order["ranks"])))
    part = texts.leading(workloads.read(Path(order["texts"])), library.most)
    encode(GREETING)
    seconds = time_once(partial(call_all, encode, part))
    ids = [np.asarray(encode(text), np.uint32) for text in part]
    np.save(order["ids"], np.concatenate(ids))
    return seconds


if __name__ == "__main__":
    process.answer(_first_pass)
