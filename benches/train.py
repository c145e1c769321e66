"""How long a vocabulary takes to learn, on all cores, and how much memory.

The whole call is timed: reading the file, splitting, counting, merging. The learnt tokens are first
compared with those of Hugging Face's trainer on the same text; a trainer whose tokens differ gets
no figure. Not measured here: corpora larger than memory, other patterns.
"""

import tempfile
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from benches import process, report, texts
from benches.command import Settings, command
from benches.report import Record
from benches.timing import Timing
from benches.trainers import BY_DOCUMENT, OWN, TRAINERS, Trainer

PLAN = {1_000_000: (1_024,), 20_000_000: (8_192, 50_257, 131_072)}
"""The vocabularies to learn on so many bytes."""

QUICK_PLAN = {1_000_000: (1_024,), 3_000_000: (8_192,)}

VOCABULARIES = (8_192, 50_257, 131_072)
"""Those to learn where the user says on how much."""

READABLE_BYTES = 200_000
"""What the readable trainers get: minbpe needs half a minute for it."""

READABLE_VOCABULARY = 1_024

PATIENCE = 180
"""Seconds that one training may take."""

ENOUGH = 20
"""Seconds after which a trainer gets no further round: its place is clear."""


def run(settings: Settings) -> list[Record]:
    """Measure and show; a record for every trainer and question."""
    plan = QUICK_PLAN if settings.quick else PLAN
    if settings.sizes or settings.vocabularies:
        vocabularies = tuple(settings.vocabularies) or VOCABULARIES
        plan = dict.fromkeys(settings.sizes or plan, vocabularies)
    rounds = 1 if settings.quick else 3
    fast = [row for row in TRAINERS if not row.readable]
    readable = [row for row in TRAINERS if row.readable or row.name in (OWN, BY_DOCUMENT)]
    sources = settings.files or {"mixed text": _text(max(plan))}
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources.items():
            path = Path(folder, Path(name).name)
            for size, vocabularies in plan.items():
                _write(path, text, size)
                for vocab_size in vocabularies:
                    records += _compare(fast, path, vocab_size, rounds, settings)
            _write(path, text, READABLE_BYTES)
            records += _compare(readable, path, READABLE_VOCABULARY, rounds, settings)
    return records


def _text(size: int) -> str:
    """English, code and many scripts: as much of the last as of the first, code for the rest."""
    english = texts.english()
    scripts = texts.many_scripts(min(size // 3, len(english)))
    code = "".join(texts.leading(texts.code(), size - 2 * len(english)))
    return texts.mixed(english, scripts, code)


def _write(path: Path, text: str, size: int) -> None:
    """Write *size* bytes of *text*, which is repeated if it is shorter."""
    length = len(text.encode())
    if length < size:
        click.echo(f"\n{length / 1e6:.1f} MB of text, repeated to {size / 1e6:,.1f} MB")
    with path.open("wb") as file:
        for rest in range(size, 0, -length):
            file.write("".join(texts.leading([text], rest)).encode())


def _compare(
    rows: Sequence[Trainer], path: Path, vocab_size: int, rounds: int, settings: Settings
) -> list[Record]:
    megabytes = path.stat().st_size / 1e6
    question = f"train, {vocab_size:,} ids, {path.name}, {megabytes:,.1f} MB"
    failures: dict[str, tuple[str, str]] = {}
    answers: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for row in rows:
            spent = sum(answer["seconds"] for answer in answers.get(row.name, ()))
            if row.name in failures or spent > ENOUGH:
                continue
            try:
                answer = _train(row, path, vocab_size, settings.minbpe)
                answers.setdefault(row.name, []).append(answer)
            except LookupError:
                failures[row.name] = ("absent", "not installed")
            except RuntimeError as error:
                failures[row.name] = ("failed", str(error))
    tokens = {name: found[0]["tokens"] for name, found in answers.items()}
    records: list[Record] = []
    for row in rows:
        record: Record = {"question": question, "vocab_size": vocab_size, "name": row.name}
        if row.name in failures:
            state, reason = failures[row.name]
            records.append(record | {"state": state, "reason": reason})
        else:
            records.append(record | _figures(row, answers[row.name], tokens))
    _show(question, rows, records)
    return records


def _train(row: Trainer, path: Path, vocab_size: int, minbpe: Path | None) -> dict[str, Any]:
    """What the process of `trainers` answers; LookupError if *row* is not installed."""
    if not row.distribution and minbpe is None:
        raise LookupError(row.name)
    if row.distribution and report.version(row.distribution) is None:
        raise LookupError(row.name)
    order = {"name": row.name, "path": str(path), "vocab_size": vocab_size}
    environment = {"PYTHONPATH": str(minbpe)} if minbpe else {}
    found: dict[str, Any] = process.ask("benches.trainers", order, environment, PATIENCE)
    return found


def _figures(
    row: Trainer, answers: Sequence[dict[str, Any]], tokens: dict[str, list[str]]
) -> Record:
    learnt = tokens[row.name]
    different = _first_difference(row, learnt, tokens)
    if different is not None:
        return {"state": "DIFFERS", "reason": f"from {row.equals} at token {different}"}
    timing = Timing(tuple(answer["seconds"] for answer in answers))
    return {
        "state": "timed",
        "reason": row.rule,
        "equals": _equals(row, tokens),
        "tokens": len(learnt),
        "in_common": len(set(learnt) & set(tokens.get(OWN, ()))),
        "seconds": timing.seconds,
        "best": timing.best,
        "spread": timing.spread,
        "cpu_seconds": min(answer["cpu_seconds"] for answer in answers),
        "peak_bytes": max(answer["peak_bytes"] for answer in answers),
    }


def _first_difference(row: Trainer, learnt: list[str], tokens: dict[str, list[str]]) -> int | None:
    """Where *learnt* leaves the tokens it must equal, ``None`` if nowhere or nothing to compare."""
    expected = tokens.get(row.equals or "", learnt)
    pairs = enumerate(zip_longest(learnt, expected))
    return next((place for place, (token, wanted) in pairs if token != wanted), None)


def _equals(row: Trainer, tokens: dict[str, list[str]]) -> str:
    """What the tokens of *row* were found equal to, in words."""
    if row.equals is None or row.equals not in tokens:
        return "not compared"
    return "the oracle" if row.equals == row.name else f"= {row.equals}"


def _show(question: str, rows: Sequence[Trainer], records: Sequence[Record]) -> None:
    own = next(record for record in records if record["name"] == OWN)
    lines: list[list[str]] = []
    for row, record in zip(rows, records, strict=True):
        if record["state"] == "timed":
            lines.append(
                [
                    row.name,
                    _spread(record) + _ratio(record, own, "best"),
                    f"{record['cpu_seconds']:.2f}" + _ratio(record, own, "cpu_seconds"),
                    f"{record['peak_bytes'] / 1e6:,.0f}",
                    f"{record['tokens']:,}",
                    record["equals"],
                ]
            )
        elif record["state"] != "absent":
            lines.append([row.name, record["state"], "", "", "", record["reason"]])
    columns = ["trainer", "seconds", "CPU seconds", "peak MB", "tokens learnt", "compared"]
    note = (
        "The best of some fresh processes, and the ratio to pytok; beside the seconds how many "
        "processes, and how much longer their median took. Peak memory is the largest seen."
    )
    report.show(question[0].upper() + question[1:], columns, lines, note)
    for record in records:
        if record["state"] == "timed" and record["reason"]:
            click.echo(
                f"{record['name']}: {record['reason']}; {record['in_common']:,} of its tokens are "
                "among pytok's"
            )


def _spread(record: Record) -> str:
    rounds = len(record["seconds"])
    return f"{record['best']:.2f}" + (f" [{rounds}, +{record['spread']:.0%}]" if rounds > 1 else "")


def _ratio(record: Record, own: Record, figure: str) -> str:
    """How many times pytok's *figure*, nothing if pytok has none or the clock cannot tell it."""
    return f" ({record[figure] / own[figure]:.2f}×)" if own.get(figure) else ""


if __name__ == "__main__":
    command(run)()
