"""What people read of experiments: a page each in Markdown, the table of all, and one HTML page."""

from __future__ import annotations

import itertools
import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gpt.errors import DataError
from gpt.lab import statistics
from gpt.lab.checks import Below, Equal
from gpt.lab.experiment import Experiment, Part
from gpt.lab.picture import picture
from gpt.lab.results import Results
from gpt.lab.running import Outcome
from pytok.atomic import replace_file
from pytok.counted import counted

WIDTH = 140
"""Columns of the text of a page."""
KINDS = ("QUALITY", "SPEED", "EXACT")
"""Kinds of checks, in the order in which a page has them."""


def write_pages(outcome: Outcome) -> list[Path]:
    """Write ``ID.svg`` and ``ID.md`` beside the results of *outcome*; return their paths."""
    experiment, document = outcome.experiment, read_results(outcome.path)
    pages = {
        ".svg": picture(experiment, outcome.results),
        ".md": page(experiment, document, outcome.results),
    }
    paths = [outcome.path.with_suffix(suffix) for suffix in pages]
    for path, text in zip(paths, pages.values(), strict=True):
        replace_file(path, text.encode())
    return paths


def read_results(path: Path) -> dict[str, Any]:
    """Read the results in the file *path*; raises DataError if it holds none."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no results of an experiment: {error}") from error
    if not isinstance(document, dict) or "verdict" not in document:
        raise DataError(f"{path}: no results of an experiment; `gpt lab run` writes them")
    return document


def page(experiment: Experiment, document: Mapping[str, Any], results: Results) -> str:
    """Return the page of *experiment*, in Markdown."""
    source = experiment.source
    claim = f"{experiment.claim} ({source.paper}, {source.link}: {source.where}.)"
    parts = [
        f"# {experiment.question}",
        _wrapped(f"**{tally(document)}.** {claim}"),
        f"![{experiment.question}]({experiment.id}.svg)",
        _table(
            ("kind", "claim", "verdict", "measured here"),
            [
                (each["kind"], each["claim"], each["verdict"], each["ours"])
                for each in by_kind(document)
            ],
        ),
        *(
            _arms_table(results, part.name, document)
            for part in experiment.parts
            if part.kind == "QUALITY"
        ),
        *(
            _wrapped(
                f"Two sets of seeds of {experiment.part(part).arms[0]} differ in "
                f"{experiment.part(part).noise_of} by {_interval(noise)}: that is noise."
            )
            for part, noise in document["noise"].items()
        ),
        f"## What bounds it\n\n{_wrapped(experiment.bounds)}",
        _wrapped(f"Expected before it was run: {experiment.expects}") if experiment.expects else "",
        _origin(experiment, document),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def index(folder: Path, experiments: Iterable[Experiment]) -> str:
    """Return the table of the results in *folder*, in Markdown."""
    rows = []
    for experiment in experiments:
        path = folder / f"{experiment.id}.json"
        if path.exists():
            document = read_results(path)
            name = f"[{experiment.id}]({experiment.id}.md)"
            found = [headline(document), tally(document)]
        else:
            name, found = experiment.id, ["", "not run"]
        rows.append((name, experiment.claim, *found))
    return _table(("experiment", "claim", "measured here", "verdict"), rows) + "\n"


def headline(document: Mapping[str, Any]) -> str:
    """Return what decided the verdict: the first finding that has it."""
    findings: Sequence[Mapping[str, str]] = document["findings"]
    decisive = next(each for each in findings if each["verdict"] == document["verdict"])
    return f"{decisive['claim']}: {decisive['ours']}"


def by_kind(document: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Return the findings, those of `KINDS` in order."""
    return sorted(document["findings"], key=lambda each: KINDS.index(each["kind"]))


def tally(document: Mapping[str, Any]) -> str:
    """Return the verdict, and how many of the checks have it."""
    verdicts = [each["verdict"] for each in document["findings"]]
    count = verdicts.count(document["verdict"])
    return f"{document['verdict']}, {count} of {counted(len(verdicts), 'check')}"


def whole_page(folder: Path, experiments: Iterable[Experiment]) -> str:
    """Return one HTML page of all results in *folder*, which needs no other file."""
    entries = []
    for experiment in experiments:
        path = folder / f"{experiment.id}.json"
        if path.exists():
            document = read_results(path)
            svg = path.with_suffix(".svg").read_text(encoding="utf-8")
            entries.append(
                {
                    "experiment": experiment,
                    "tally": tally(document),
                    "findings": by_kind(document),
                    "svg": svg[svg.index("<svg") :],
                }
            )
    environment = Environment(
        loader=PackageLoader("gpt.lab", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(entries=entries)


def _arms_table(results: Results, name: str, document: Mapping[str, Any]) -> str:
    """Return the figures of the arms of a part: means with their intervals."""
    part = results[name]
    rates = document["rates"].get(name, {})
    exact = {check.figure for check in part.part.checks if isinstance(check, Below | Equal)}
    found = {arm: part.numbers(arm) for arm in part.part.arms}
    figures = [
        name for name in dict.fromkeys(itertools.chain(*found.values())) if name not in exact
    ]
    if not figures:
        return ""
    rows = []
    for arm, numbers in found.items():
        cells = [
            _interval(vars(statistics.mean(numbers[figure]))) if figure in numbers else ""
            for figure in figures
        ]
        chosen = [_rate(rates[arm], part.part)] if rates else []
        rows.append((arm, *chosen, *cells))
    return _table(("arm", *(["best rate"] if rates else []), *figures), rows)


def _rate(rate: float, part: Part) -> str:
    """Return the best learning rate of an arm, and whether a better one may be out of the grid."""
    at_end = part.chooses and rate in (min(part.rates), max(part.rates))
    return f"{rate:g}, at the end of the grid" if at_end else f"{rate:g}"


def _origin(experiment: Experiment, document: Mapping[str, Any]) -> str:
    """Return how the results were made, and how they are made again."""
    machine = document["environment"]
    sizes = "; ".join(
        f"{part}: {', '.join(f'{name} {value}' for name, value in size.items())}"
        for part, size in document["sizes"].items()
        if size
    )
    made = (
        f"[All figures of all seeds]({experiment.id}.json): {document['seeds']} seeds from "
        f"{document['first_seed']}, one thread each, on {machine['processor']}, torch "
        f"{machine['torch']}. {sizes}"
    )
    command = f"gpt lab run {experiment.id} --size {document['size']}"
    if document["first_seed"]:
        command += f" --first-seed {document['first_seed']}"
    return f"## Run it\n\n`{command}` makes this page.\n\n{_wrapped(made)}"


def _interval(estimate: Mapping[str, float]) -> str:
    """Return an estimate and its interval, to two digits of half the interval."""
    value, low, high = (float(estimate[name]) for name in ("value", "low", "high"))
    half = (high - low) / 2
    if not 0 < half < math.inf:
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
