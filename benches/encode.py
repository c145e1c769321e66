"""How fast text becomes ids and ids become text, on one thread and on all.

Every answer is checked before it is timed: ids against tiktoken's on the very text that is timed.
Here is what is asked of whom, in fresh processes (`contest`, `cold`), and how it is shown. Not
measured here: the time to open an encoding, memory, special tokens.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from benches import cold, process, report, texts, workloads
from benches.command import Settings, command
from benches.encoders import BATCH, COUNT, DECODE, DECODE_BATCH, ENCODE, FILE, VERBS
from benches.libraries import LIBRARIES, PYTOK
from benches.ranks import lay_out
from benches.report import Record
from benches.workloads import Sizes, Workloads
from pytok.errors import FormatError

ENCODINGS = ("r50k_base", "cl100k_base", "o200k_base")

SIZES = Sizes(kind=1_000_000, batch=10_000_000, long=100_000_000)

QUICK_SIZES = Sizes(kind=200_000, batch=1_000_000, long=5_000_000)

PATIENCE = 1_800
"""Seconds that one process may take, which puts all questions on one thread, or on all."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds for each contestant, and processes for a first pass.

    After *enough* seconds the contestant gets no further round: it is the rounds of milliseconds
    that need company.
    """

    rounds: int
    enough: float
    processes: int


EFFORT, QUICK_EFFORT = Effort(7, 1.0, 2), Effort(3, 0.1, 1)


@dataclass(frozen=True, slots=True)
class Question:
    """*verb* is a name of `VERBS`, *texts* the file of the workload."""

    verb: str
    workload: str
    texts: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: the columns are pairs of a verb and a workload."""

    title: str
    columns: Mapping[tuple[str, str], str]
    unit: str


def run(settings: Settings) -> list[Record]:
    """Measure and show; a record for every contestant, encoding and question."""
    sizes = QUICK_SIZES if settings.quick else SIZES
    if settings.sizes:
        sizes = replace(sizes, kind=max(settings.sizes))
    made = workloads.make(settings.files, sizes)
    effort = QUICK_EFFORT if settings.quick else EFFORT
    click.echo(f"\n{_about(made)}")
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as name, _rank_files(Path(name)):
        questions = list(_questions(made, Path(name)))
        for encoding in settings.encodings or ENCODINGS:
            try:
                ranks = lay_out(encoding, Path(name))
            except FormatError as error:
                click.echo(f"\n{encoding}: left out, {error}")
                continue
            found = _measure(encoding, ranks, made, questions, effort)
            for sheet in _sheets(made):
                _show(encoding, sheet, found)
            _complain(found)
            records += found
    return records


def _about(made: Workloads) -> str:
    """What to know about the texts before reading a figure."""
    long, distinct = workloads.readable(made.long.size), workloads.readable(made.distinct)
    lengths = (
        f"Documents have about {texts.DOCUMENT_CHARACTERS:,} characters, messages at most "
        f"{texts.MESSAGE_CHARACTERS}."
    )
    if made.distinct == made.long.size:
        return f"{lengths} The one document has {long}, none of it repeated."
    return (
        f"{lengths} The one document of {long} is {distinct} again and again, which flatters "
        "those that remember pieces."
    )


def _questions(made: Workloads, folder: Path) -> Iterator[Question]:
    """Everything that is asked; the workloads are written into *folder*."""
    paths: dict[str, str] = {}
    for number, workload in enumerate((*made.short, made.batch, made.long)):
        path = folder / f"workload-{number}.json"
        workloads.write(workload, path)
        paths[workload.name] = str(path)
    for sheet in _sheets(made):
        for verb, name in sheet.columns:
            if verb in VERBS:
                yield Question(verb, name, paths[name])


def _sheets(made: Workloads) -> list[Sheet]:
    """The tables, in the order in which they are shown."""
    short = {load.name: load.heading for load in made.short}
    long = {made.long.name: made.long.heading}
    first = {(cold.FIRST_PASS, made.kinds[0].name): f"{made.kinds[0].name}, first pass"}
    batches = {load.name: load.heading for load in (made.batch, made.messages)}
    one = "of processor time"
    many = f"by the clock, on {process.cores()} threads"
    return [
        Sheet("Encode, one thread", _columns(ENCODE.name, short | long) | first, one),
        Sheet(
            "Encode, all threads",
            _columns(BATCH.name, batches)
            | {(FILE.name, made.long.name): f"a file ({workloads.readable(made.long.size)})"},
            many,
        ),
        Sheet("Count, one thread", _columns(COUNT.name, short), one),
        Sheet("Decode, one thread", _columns(DECODE.name, short), one),
        Sheet("Decode, all threads", _columns(DECODE_BATCH.name, batches), many),
    ]


def _columns(verb: str, headings: Mapping[str, str]) -> dict[tuple[str, str], str]:
    return {(verb, name): heading for name, heading in headings.items()}


def _measure(
    encoding: str, ranks: Path, made: Workloads, questions: Sequence[Question], effort: Effort
) -> list[Record]:
    first = made.kinds[0]
    path = next(question.texts for question in questions if question.workload == first.name)
    with report.waiting(f"{encoding}: first passes"), process.one_core():
        records = cold.first_passes(encoding, ranks, first, path, effort.processes)
    # One that breaks where it is alone would break the process that it shares with the others.
    broken = {found["name"]: found["reason"] for found in records if found["state"] == "failed"}
    order = {
        "encoding": encoding,
        "ranks": str(ranks),
        "without": broken,
        "rounds": effort.rounds,
        "enough": effort.enough,
    }
    alone = [asdict(question) for question in questions if not VERBS[question.verb].whole]
    whole = [asdict(question) for question in questions if VERBS[question.verb].whole]
    with report.waiting(f"{encoding}: one thread"), process.one_core():
        records += _contest(order | {"questions": alone}, process.ONE_THREAD)
    with report.waiting(f"{encoding}: all threads"):
        records += _contest(order | {"questions": whole}, process.all_threads())
    return records


def _contest(order: Mapping[str, Any], environment: Mapping[str, str]) -> list[Record]:
    try:
        found: list[Record] = process.ask("benches.contest", order, environment, PATIENCE)
    except RuntimeError as error:
        raise click.ClickException(f"the encoders, {order['encoding']}: {error}") from None
    return found


def _show(encoding: str, sheet: Sheet, records: Sequence[Record]) -> None:
    cells = {
        (found["name"], found["form"], found["verb"], found["workload"]): found
        for found in records
        if (found["verb"], found["workload"]) in sheet.columns
    }
    rows: list[list[str]] = []
    for name, form in _rows(sheet):
        asked_of = [cells.get((name, form, *column)) for column in sheet.columns]
        if any(cell and cell["state"] != "absent" for cell in asked_of):
            own = [_own(cells, form, column) for column in sheet.columns]
            rows.append([name, form, *map(_cell, asked_of, own)])
    timed = [found for found in cells.values() if found["state"] == "timed"]
    if not timed:
        return
    spreads = [found["spread"] for found in timed if len(found["seconds"]) > 1]
    note = (
        f"MB for each second {sheet.unit}, the best round. In brackets how many times as fast as "
        f"that {PYTOK.name}'s row of the same kind is: above 1, {PYTOK.name} is faster."
    )
    if spreads:
        note += (
            f" The median round took longer than the best by {median(spreads):.0%} in the middle "
            f"of all cells, by {max(spreads):.0%} at most."
        )
    short = dict.fromkeys(found["name"] for found in timed if not found["whole"])
    if short:
        limits = {library.name: workloads.readable(library.most) for library in LIBRARIES}
        slow = ", ".join(f"{name} the first {limits[name]}" for name in short)
        note += f" Of a longer text gets {slow}."
    columns = ["library", "form", *sheet.columns.values()]
    report.show(f"{sheet.title}, {encoding}", columns, rows, note, names=2)


def _rows(sheet: Sheet) -> list[tuple[str, str]]:
    """Library and form of every contestant of the sheet's verbs, each once."""
    verbs = [VERBS[verb] for verb, _ in sheet.columns if verb in VERBS]
    rows = ((row.library.name, row.form) for verb in verbs for row in verb.contestants)
    return list(dict.fromkeys(rows))


def _own(
    cells: Mapping[tuple[str, str, str, str], Record], form: str, column: tuple[str, str]
) -> Record | None:
    """The cell of pytok in the same form; in another if it answers in one form only."""
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


def _complain(records: Sequence[Record]) -> None:
    """Say what went wrong, a line for each reason, with the question where it was seen first."""
    reasons: dict[tuple[str, ...], list[str]] = {}
    for found in records:
        if found["state"] in ("DIFFERS", "failed"):
            key = (found["name"], found["state"], found["reason"])
            reasons.setdefault(key, []).append(f"{found['question']}, {found['form']}")
    for (name, state, reason), (first, *others) in reasons.items():
        more = f", and {len(others)} more" if others else ""
        click.echo(f"{name}: {state}: {reason} ({first}{more})")


@contextmanager
def _rank_files(folder: Path) -> Iterator[None]:
    """Point tiktoken and pytok, here and in processes started from here, to those in *folder*."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


if __name__ == "__main__":
    command(run)()
