"""Time and memory of training a vocabulary on all cores.

The complete call is timed: reading the file, splitting, counting, merging. The learned tokens are
first compared with those of Hugging Face's trainer on the same text; a trainer with other tokens
gets no figures. Corpora larger than memory and other patterns are not measured.
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
"""The sizes of vocabularies to train, by the bytes of text."""

QUICK_PLAN = {1_000_000: (1_024,), 3_000_000: (8_192,)}

VOCABULARIES = (8_192, 50_257, 131_072)
"""The sizes of vocabularies for texts of the size that the user chose."""

READABLE_BYTES = 200_000
"""Bytes of text for the trainers written for readability: minbpe takes half a minute."""

READABLE_VOCABULARY = 1_024

TIMEOUT = 180
"""Maximum seconds of one training."""

MAX_SECONDS = 20
"""Total seconds after which a trainer gets no further round."""


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for every trainer and task."""
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
    """Return English, as much text of many scripts, and code up to *size* bytes."""
    english = texts.english()
    scripts = texts.many_scripts(min(size // 3, len(english)))
    code = "".join(texts.leading(texts.code(), size - 2 * len(english)))
    return texts.interleave(english, scripts, code)


def _write(path: Path, text: str, size: int) -> None:
    """Write *size* bytes of *text*, repeated if it is shorter."""
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
    task = f"train, {vocab_size:,} ids, {path.name}, {megabytes:,.1f} MB"
    failures: dict[str, tuple[str, str]] = {}
    results: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for row in rows:
            taken = sum(result["seconds"] for result in results.get(row.name, ()))
            if row.name in failures or taken > MAX_SECONDS:
                continue
            try:
                result = _train(row, path, vocab_size, settings.minbpe)
                results.setdefault(row.name, []).append(result)
            except LookupError:
                failures[row.name] = ("absent", "not installed")
            except RuntimeError as error:
                failures[row.name] = ("failed", str(error))
    tokens = {name: found[0]["tokens"] for name, found in results.items()}
    records: list[Record] = []
    for row in rows:
        record: Record = {"question": task, "vocab_size": vocab_size, "name": row.name}
        if row.name in failures:
            state, reason = failures[row.name]
            records.append(record | {"state": state, "reason": reason})
        else:
            records.append(record | _figures(row, results[row.name], tokens))
    _show(task, rows, records)
    return records


def _train(row: Trainer, path: Path, vocab_size: int, minbpe: Path | None) -> dict[str, Any]:
    """Return the result of the process of `trainers`. Raises LookupError if *row* is absent."""
    if not row.distribution and minbpe is None:
        raise LookupError(row.name)
    if row.distribution and report.version(row.distribution) is None:
        raise LookupError(row.name)
    arguments = {"name": row.name, "path": str(path), "vocab_size": vocab_size}
    environment = {"PYTHONPATH": str(minbpe)} if minbpe else {}
    result: dict[str, Any] = process.call("benches.trainers", arguments, environment, TIMEOUT)
    return result


def _figures(
    row: Trainer, results: Sequence[dict[str, Any]], tokens: dict[str, list[str]]
) -> Record:
    learned = tokens[row.name]
    different = _first_difference(row, learned, tokens)
    if different is not None:
        return {"state": "DIFFERS", "reason": f"from {row.equals} at token {different}"}
    timing = Timing(tuple(result["seconds"] for result in results))
    return {
        "state": "timed",
        "reason": row.rule,
        "equals": _equals(row, tokens),
        "tokens": len(learned),
        "in_common": len(set(learned) & set(tokens.get(OWN, ()))),
        "seconds": timing.seconds,
        "best": timing.best,
        "spread": timing.spread,
        "cpu_seconds": min(result["cpu_seconds"] for result in results),
        "peak_bytes": max(result["peak_bytes"] for result in results),
    }


def _first_difference(row: Trainer, learned: list[str], tokens: dict[str, list[str]]) -> int | None:
    """Return the index of the first token that differs from those expected, ``None`` if none do."""
    expected = tokens.get(row.equals or "", learned)
    pairs = enumerate(zip_longest(learned, expected))
    return next((index for index, (token, wanted) in pairs if token != wanted), None)


def _equals(row: Trainer, tokens: dict[str, list[str]]) -> str:
    """Describe what the tokens of *row* were compared with."""
    if row.equals is None or row.equals not in tokens:
        return "not compared"
    return "the oracle" if row.equals == row.name else f"= {row.equals}"


def _show(task: str, rows: Sequence[Trainer], records: Sequence[Record]) -> None:
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
    columns = ["trainer", "seconds", "CPU seconds", "peak MB", "tokens learned", "compared"]
    note = (
        "The best of several fresh processes, and in parentheses the ratio to pytok; in brackets "
        "the number of processes, and the time of the median beyond the best. Peak memory is the "
        "maximum."
    )
    report.show(task[0].upper() + task[1:], columns, lines, note)
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
    """Format the ratio to pytok's *figure*; empty if pytok has none or it is 0."""
    return f" ({record[figure] / own[figure]:.2f}×)" if own.get(figure) else ""


if __name__ == "__main__":
    command(run)()
