"""Speed of encoding, counting and decoding, on one thread and on all threads.

Every result is checked before it is timed: ids must equal tiktoken's on the same text. This module
makes the list of tasks, which run in fresh processes (`contest`, `cold`), and prints the tables.
The time to open an encoding, memory and special tokens are not measured.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from benches import cold, process, report, texts, workloads
from benches.command import Settings, command
from benches.encoders import BATCH, COUNT, DECODE, DECODE_BATCH, ENCODE, FILE, OPERATIONS
from benches.libraries import LIBRARIES, PYTOK
from benches.ranks import in_cache, write_rank_file
from benches.report import Record
from benches.workloads import Sizes, Workloads
from pytok.errors import FormatError

ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")

SIZES = Sizes(kind=1_000_000, batch=10_000_000, long=100_000_000)

QUICK_SIZES = Sizes(kind=200_000, batch=1_000_000, long=5_000_000)

TIMEOUT = 1_800
"""Maximum seconds of one process, which runs all tasks on one thread, or on all threads."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds of each contestant, and processes for a first pass.

    A contestant that has taken *max_seconds* gets no further round: only short rounds need to be
    repeated often.
    """

    rounds: int
    max_seconds: float
    processes: int


EFFORT, QUICK_EFFORT = Effort(7, 1.0, 2), Effort(3, 0.1, 1)


@dataclass(frozen=True, slots=True)
class Task:
    """*operation* is a name of `OPERATIONS`, *texts* the file of the workload."""

    operation: str
    workload: str
    texts: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the columns are pairs of an operation and a workload, and their headings."""

    title: str
    columns: Mapping[tuple[str, str], str]
    unit: str


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for every contestant, encoding and task."""
    sizes = QUICK_SIZES if settings.quick else SIZES
    if settings.sizes:
        sizes = replace(sizes, kind=max(settings.sizes))
    loads = workloads.make(settings.files, sizes)
    effort = QUICK_EFFORT if settings.quick else EFFORT
    click.echo(f"\n{_describe(loads)}")
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as name, in_cache(Path(name)):
        tasks = list(_tasks(loads, Path(name)))
        for encoding in settings.encodings or ENCODINGS:
            try:
                ranks = write_rank_file(encoding, Path(name))
            except FormatError as error:
                click.echo(f"\n{encoding}: skipped, {error}")
                continue
            found = _measure(encoding, ranks, loads, tasks, effort)
            for table in _tables(loads):
                _show(encoding, table, found)
            _print_failures(found)
            records += found
    return records


def _describe(loads: Workloads) -> str:
    """Return a paragraph about the texts."""
    long, distinct = workloads.readable(loads.long.size), workloads.readable(loads.distinct)
    lengths = (
        f"Documents have about {texts.DOCUMENT_CHARACTERS:,} characters, messages at most "
        f"{texts.MESSAGE_CHARACTERS}."
    )
    if loads.distinct == loads.long.size:
        return f"{lengths} The one document has {long}, without repetition."
    return (
        f"{lengths} The one document of {long} repeats {distinct}, which favors libraries that "
        "cache pieces."
    )


def _tasks(loads: Workloads, folder: Path) -> Iterator[Task]:
    """Yield all tasks; write the workloads into *folder*."""
    paths: dict[str, str] = {}
    for number, workload in enumerate((*loads.short, loads.batch, loads.long)):
        path = folder / f"workload-{number}.json"
        workloads.write(workload, path)
        paths[workload.name] = str(path)
    for table in _tables(loads):
        for operation, name in table.columns:
            if operation in OPERATIONS:
                yield Task(operation, name, paths[name])


def _tables(loads: Workloads) -> list[Table]:
    """Return the tables in the order of printing."""
    short = {load.name: load.heading for load in loads.short}
    long = {loads.long.name: loads.long.heading}
    first = {(cold.FIRST_PASS, loads.kinds[0].name): f"{loads.kinds[0].name}, first pass"}
    batches = {load.name: load.heading for load in (loads.batch, loads.messages)}
    one = "of processor time"
    many = f"of wall time on {process.cores()} threads"
    return [
        Table("Encode, one thread", _columns(ENCODE.name, short | long) | first, one),
        Table(
            "Encode, all threads",
            _columns(BATCH.name, batches)
            | {(FILE.name, loads.long.name): f"a file ({workloads.readable(loads.long.size)})"},
            many,
        ),
        Table("Count, one thread", _columns(COUNT.name, short), one),
        Table("Decode, one thread", _columns(DECODE.name, short), one),
        Table("Decode, all threads", _columns(DECODE_BATCH.name, batches), many),
    ]


def _columns(operation: str, headings: Mapping[str, str]) -> dict[tuple[str, str], str]:
    return {(operation, name): heading for name, heading in headings.items()}


def _measure(
    encoding: str, ranks: Path, loads: Workloads, tasks: Sequence[Task], effort: Effort
) -> list[Record]:
    first = loads.kinds[0]
    path = next(task.texts for task in tasks if task.workload == first.name)
    with report.status(f"{encoding}: first passes"), process.one_core():
        records = cold.first_passes(encoding, ranks, first, path, effort.processes)
    # A library that crashed in its own process would crash the process of all contestants.
    broken = {found["name"]: found["reason"] for found in records if found["state"] == "failed"}
    arguments = {
        "encoding": encoding,
        "ranks": str(ranks),
        "broken": broken,
        "rounds": effort.rounds,
        "max_seconds": effort.max_seconds,
    }
    single = [asdict(task) for task in tasks if not OPERATIONS[task.operation].batch]
    batched = [asdict(task) for task in tasks if OPERATIONS[task.operation].batch]
    with report.status(f"{encoding}: one thread"), process.one_core():
        records += _contest(arguments | {"tasks": single}, process.ONE_THREAD)
    with report.status(f"{encoding}: all threads"):
        records += _contest(arguments | {"tasks": batched}, process.all_threads())
    return records


def _contest(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> list[Record]:
    try:
        found: list[Record] = process.call("benches.contest", arguments, environment, TIMEOUT)
    except RuntimeError as error:
        raise click.ClickException(f"encoding with {arguments['encoding']}: {error}") from None
    return found


def _show(encoding: str, table: Table, records: Sequence[Record]) -> None:
    cells = {
        (found["name"], found["form"], found["verb"], found["workload"]): found
        for found in records
        if (found["verb"], found["workload"]) in table.columns
    }
    rows: list[list[str]] = []
    for name, form in _rows(table):
        row = [cells.get((name, form, *column)) for column in table.columns]
        if any(cell and cell["state"] != "absent" for cell in row):
            own = [_own(cells, form, column) for column in table.columns]
            rows.append([name, form, *map(_cell, row, own)])
    timed = [found for found in cells.values() if found["state"] == "timed"]
    if not timed:
        return
    spreads = [found["spread"] for found in timed if len(found["seconds"]) > 1]
    note = (
        f"MB per second {table.unit}, best round. In parentheses: the speed of {PYTOK.name}'s row "
        f"of the same form relative to this one; above 1, {PYTOK.name} is faster."
    )
    if spreads:
        note += (
            f" The median round was slower than the best by {median(spreads):.0%} (median of all "
            f"cells), {max(spreads):.0%} (maximum)."
        )
    limited = dict.fromkeys(found["name"] for found in timed if not found["whole"])
    if limited:
        limits = {library.name: workloads.readable(library.max_bytes) for library in LIBRARIES}
        slow = ", ".join(f"{name} (the first {limits[name]})" for name in limited)
        note += f" Slow libraries are timed on a part of the text: {slow}."
    columns = ["library", "form", *table.columns.values()]
    report.show(f"{table.title}, {encoding}", columns, rows, note, names=2)


def _rows(table: Table) -> list[tuple[str, str]]:
    """Return library and form of every contestant of the table's operations, each once."""
    operations = [OPERATIONS[name] for name, _ in table.columns if name in OPERATIONS]
    rows = ((row.library.name, row.form) for each in operations for row in each.contestants)
    return list(dict.fromkeys(rows))


def _own(
    cells: Mapping[tuple[str, str, str, str], Record], form: str, column: tuple[str, str]
) -> Record | None:
    """Return the cell of pytok in the same form, or in its only form."""
    same = cells.get((PYTOK.name, form, *column))
    others = (found for key, found in cells.items() if key[0] == PYTOK.name and key[2:] == column)
    return same or next(others, None)


def _cell(found: Record | None, own: Record | None) -> str:
    if found is None or found["state"] == "absent":
        return ""
    if found["state"] != "timed":
        return str(found["state"])
    speed = f"{found['mb_per_s']:.1f}"
    if own is None or own["state"] != "timed":
        return speed
    return f"{speed} ({own['mb_per_s'] / found['mb_per_s']:.2f}×)"


def _print_failures(records: Sequence[Record]) -> None:
    """Print a line for each reason of a failure, with the first task that it occurred in."""
    reasons: dict[tuple[str, ...], list[str]] = {}
    for found in records:
        if found["state"] in ("DIFFERS", "failed"):
            key = (found["name"], found["state"], found["reason"])
            reasons.setdefault(key, []).append(f"{found['question']}, {found['form']}")
    for (name, state, reason), (first, *others) in reasons.items():
        more = f", and {len(others)} more" if others else ""
        click.echo(f"{name}: {state}: {reason} ({first}{more})")


if __name__ == "__main__":
    command(run)()
