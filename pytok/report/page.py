"""Render figures as one HTML page: no scripts, no external resources, everything escaped.

The text is in page.html and the style in style.css; this module selects and formats the figures.
Equal figures give equal pages: there is no date.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytok import distribution
from pytok.patterns import pattern_name
from pytok.report import charts
from pytok.report.excerpts import units
from pytok.report.figures import Figures, Usage
from pytok.report.frequencies import decades, tokens_for
from pytok.report.glyphs import Glyph, glyphs
from pytok.report.merging import BYTES
from pytok.usage import Counts

TOKENS_PER_LIST = 16

LONG = 16
"""Length in bytes from which all tokens are one category."""

LENGTH_NAMES = [*map(str, range(1, LONG)), f"{LONG}+"]
"""Names of the categories, in bytes."""

CURVE_POINTS = 160
"""Points on the curve: less than four pixels apart."""

COVERED = (0.5, 0.9, 0.99)
"""Fractions of the corpus for which the number of tokens is stated."""

SMALL_FRACTION = 0.0005
"""Fraction of the text below which scripts are combined in one row."""


class _ListedToken(NamedTuple):
    """A token in a list."""

    id: int
    glyphs: tuple[Glyph, ...]
    value: int


class _List(NamedTuple):
    title: str
    unit: str
    tokens: Sequence[_ListedToken]


class _ScriptRow(NamedTuple):
    """A script, or several combined, in the table of scripts."""

    name: str
    fraction: float
    bytes_per_token: float
    tokens_per_character: float
    tokens_per_word: float | None


def render(figures: Figures, *, text: str | None = None) -> str:
    """Return a self-contained HTML page that shows *figures*, with *text* instead of excerpts.

    It follows the reader's light or dark mode, and can be printed.
    """
    usage = figures.usage if figures.usage is not None and figures.usage.tokens else None
    excerpts = [text] if text is not None else list(usage.excerpts) if usage else []
    lengths = _lengths(figures, usage)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html")
        .render(
            tokenizer=figures.tokenizer,
            pattern_name=pattern_name(figures.tokenizer.pattern),
            figures=figures,
            merged=sum(len(token) > 1 for token in figures.tokens),
            usage=usage,
            empty=figures.usage is not None and usage is None,
            excerpts=[units(figures.tokenizer, excerpt) for excerpt in excerpts],
            curve=_curve(figures, usage),
            unmerged=[glyphs(token) for token in figures.unmerged[:3]],
            length_names=LENGTH_NAMES,
            lengths=lengths,
            length_bars=Markup(charts.bars(LENGTH_NAMES, lengths, x_title="bytes in a token")),
            decades=decades(usage.uses) if usage else [],
            tokens_for=[tokens_for(usage.uses, part) for part in COVERED] if usage else [],
            frequencies=_frequencies(usage),
            scripts=_scripts(usage) if usage else [],
            lists=_lists(figures, usage),
            style=Markup(style),
            version=distribution.version(),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pytok", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": "{:,}".format, "percent": _percent, "size": _size}
    return environment


def _percent(fraction: float) -> str:
    """Format *fraction* with one decimal, or two below 1%."""
    return f"{fraction:.1%}" if fraction >= 0.01 or fraction == 0 else f"{fraction:.2%}"


def _size(count: int) -> str:
    """Format a number of bytes in the largest unit that it fills."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:,} bytes"


def _curve(figures: Figures, usage: Usage | None) -> Markup | None:
    if usage is None or usage.tokens_by_size is None:
        return None
    full, marked = len(figures.tokens), figures.sizes()
    spaced = np.geomspace(BYTES, full, CURVE_POINTS).round().astype(int).tolist()
    sizes = sorted({*spaced, *marked})
    points = [(size, usage.bytes / usage.tokens_at(size)) for size in sizes]
    return Markup(charts.curve(points, marked))


def _frequencies(usage: Usage | None) -> Markup | None:
    if usage is None or not usage.uses.any():
        return None
    uses = np.sort(usage.uses[usage.uses > 0])[::-1]
    spaced = np.geomspace(1, len(uses), CURVE_POINTS).round().astype(int).tolist()
    powers = [10**exponent for exponent in range(len(str(len(uses))))]
    positions = sorted({*spaced, *powers})
    points = [(position, int(uses[position - 1])) for position in positions]
    return Markup(charts.frequencies(points, usage.tokens))


def _lengths(figures: Figures, usage: Usage | None) -> list[charts.Series]:
    def fractions(counts: Sequence[int]) -> list[float]:
        short = [*counts[1:LONG], *[0] * (LONG - len(counts))]
        total = sum(counts) or 1  # all tokens can be added ones, which have no length
        return [count / total for count in (*short, sum(counts[LONG:]))]

    series = [charts.Series("percent of the vocabulary", fractions(figures.tokens_by_length))]
    if usage:
        uses = fractions(figures.uses_by_length)
        series.append(charts.Series("percent of the tokens in the corpus", uses))
    return series


def _scripts(usage: Usage) -> list[_ScriptRow]:
    """Return a row per script, small ones combined; no rows if there is only one large script."""
    large = [row for row in usage.scripts if row.bytes >= SMALL_FRACTION * usage.bytes]
    if len(large) < 2:
        return []
    small = usage.scripts[len(large) :]
    rows = [
        _ScriptRow(
            row.script,
            row.bytes / usage.bytes,
            row.bytes_per_token,
            row.tokens_per_character,
            row.tokens_per_word,
        )
        for row in large
    ]
    if small:
        size, tokens = sum(row.bytes for row in small), sum(row.tokens for row in small)
        name = f"{len(small)} more" if len(small) > 1 else small[0].script
        characters = sum(row.characters for row in small)
        rows.append(_ScriptRow(name, size / usage.bytes, size / tokens, tokens / characters, None))
    return rows


def _lists(figures: Figures, usage: Usage | None) -> list[_List]:
    ids = list(figures.tokenizer.vocab.values())

    def listed(ranks: Counts, values: Counts) -> list[_ListedToken]:
        return [
            _ListedToken(ids[rank], glyphs(figures.tokens[rank]), int(values[rank]))
            for rank in ranks[:TOKENS_PER_LIST].tolist()
        ]

    lengths = figures.lengths
    longest = listed(np.argsort(-lengths, kind="stable"), lengths)
    lists = [_List("Longest", "bytes", longest)]
    if usage:
        uses = usage.uses
        order = np.argsort(-uses, kind="stable")
        used, unused = order[uses[order] > 0], np.flatnonzero((uses == 0) & (lengths > 1))
        lists.append(_List("Most used", "uses", listed(used, uses)))
        lists.append(_List("Least used", "uses", listed(used[::-1], uses)))
        if len(unused):
            lists.append(_List("Never used", "bytes", listed(unused, lengths)))
    return lists
