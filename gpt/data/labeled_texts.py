"""Texts with labels: files of them, their classes, and their splits.

A file is one of

- ``SMSSpamCollection``: lines of a label, a tab and a text, without a header (`.tsv`, `.txt`);
- a table with a header (`.csv`, `.tsv`), with a column of texts and one of labels. Only in a CSV
  can a text be in quotation marks, and then have several lines (RFC 4180);
- JSON lines (`.jsonl`) of objects with a text and a label.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpt.data.json_files import checked_text, parse_json
from gpt.errors import DataError
from pytok.text import cut, quoted

TEXT, LABEL = "text", "label"
"""Names of the columns, or fields, unless others are named; of columns in any case of letters."""
MOST_CLASSES = 0.5
"""Fraction of the texts from which on their labels are no classes, but texts themselves."""


class LabeledText(NamedTuple):
    """A text and the label of its class."""

    text: str
    label: str
    line: int = 0
    """Line of the file that it was read from, from 1."""

    def to_json(self) -> bytes:
        """Return it as a line of a file."""
        fields = {LABEL: self.label, TEXT: self.text}
        return (json.dumps(fields, ensure_ascii=False) + "\n").encode()


class Columns(NamedTuple):
    """The columns, or fields, of texts and labels."""

    text: str | None = None
    label: str | None = None

    @property
    def are_named(self) -> bool:
        """Whether one of them is named, so that a table must have a header."""
        return self.text is not None or self.label is not None

    @property
    def names(self) -> tuple[str, str]:
        """Their names."""
        return self.text or TEXT, self.label or LABEL


USUAL = Columns()
"""Columns of the usual names."""


def read_labeled(path: Path, columns: Columns = USUAL) -> list[LabeledText]:
    """Return the texts of *path*, in order.

    Raises DataError with the file and the line for what is not a text with a label, and for a file
    without a text.
    """
    try:
        read = FORMATS.get(path.suffix.lower(), _read_tabs)
        texts = list(read(path, _content(path), columns))
    except csv.Error as error:
        raise DataError(f"{path}: not a table of values between commas ({error}); fix it") from None
    if not texts:
        raise DataError(f"{path}: empty; it needs a line for each text and its label")
    return texts


def classes_of(texts: Sequence[LabeledText], where: object) -> tuple[str, ...]:
    """Return the labels of *texts*, sorted: integers by value, others by their characters.

    Raises DataError, naming *where* they are from, for fewer than two, and for so many that they
    must be something else.
    """
    counts = Counter(each.label for each in texts)
    if len(counts) < 2:
        raise DataError(
            f"{where}: all texts have the label {quoted(next(iter(counts)))}; a classifier needs "
            "two classes or more"
        )
    if len(counts) > max(2, MOST_CLASSES * len(texts)):
        raise DataError(
            f"{where}: {len(counts):,} different labels of {len(texts):,} texts, such as "
            f"{quoted(texts[0].label)}; is that the column of labels? Name it with --label-column"
        )
    if all(label.removeprefix("-").isdecimal() for label in counts):
        return tuple(sorted(counts, key=int))
    return tuple(sorted(counts))


def check_labels(
    texts: Sequence[LabeledText], classes: Sequence[str], where: object, remedy: str
) -> None:
    """Raise DataError with the line for a label of *texts* that is not among *classes*."""
    for each in texts:
        if each.label not in classes:
            unknown = sorted({other.label for other in texts} - set(classes))
            more = f" ({len(unknown):,} labels are unknown)" if len(unknown) > 1 else ""
            raise DataError(
                f"{where}, line {each.line}: unknown label {quoted(each.label)}{more}; the classes "
                f"are {', '.join(classes)}: {remedy}"
            )


def balanced(texts: Sequence[LabeledText], seed: int) -> list[LabeledText]:
    """Return as many texts of each class as the smallest has, chosen at random by *seed*, in order.

    Undersampling, as chapter 6 of Raschka 2024 does.
    """
    rng = np.random.default_rng(seed)
    members = _by_class(texts)
    least = min(map(len, members))
    kept = [rng.permutation(each)[:least] for each in members]
    return [texts[index] for index in sorted(np.concatenate(kept).tolist())]


def stratified(
    texts: Sequence[LabeledText], fractions: Sequence[float], seed: int
) -> list[list[LabeledText]]:
    """Split *texts* at random by *seed*: each part has its *fraction* of each class, in order.

    What the parts leave is the first one returned; it has at least one text of each class.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in range(len(fractions) + 1)]
    for members in _by_class(texts):
        shuffled = rng.permutation(members).tolist()
        for part, fraction in zip(parts[1:], fractions, strict=True):
            count = min(round(fraction * len(members)), len(shuffled) - 1)
            part += shuffled[:count]
            del shuffled[:count]
        parts[0] += shuffled
    return [[texts[index] for index in sorted(part)] for part in parts]


def _by_class(texts: Sequence[LabeledText]) -> list[list[int]]:
    """Return the indices of the *texts* of each class, by the order of the labels."""
    members: dict[str, list[int]] = {}
    for index, each in enumerate(texts):
        members.setdefault(each.label, []).append(index)
    return [members[label] for label in sorted(members)]


def _content(path: Path) -> str:
    """Return the text of *path*, UTF-8 with or without a byte order mark."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is not UTF-8; convert the file: "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from None


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of *content* with their numbers, without what ends them."""
    # Not splitlines(), for which some characters inside of texts end a line, too.
    for number, line in enumerate(content.removesuffix("\n").split("\n"), start=1):
        if content:
            yield number, line.removesuffix("\r")


def _read_tabs(path: Path, content: str, columns: Columns) -> Iterator[LabeledText]:
    """Yield the texts of lines with tabs: with a header, or of a label and a text each."""
    first = content.partition("\n")[0].split("\t")
    lower = [name.strip().lower() for name in first]
    if columns.are_named or {TEXT, LABEL} <= set(lower):
        rows = ((number, line.split("\t")) for number, line in _lines(content))
        yield from _rows(path, rows, columns)
        return
    for number, line in _lines(content):
        where = f"{path}, line {number}"
        label, tab, text = line.partition("\t")
        if not tab:
            problem = f"no tab in {quoted(line)}" if line.strip() else "an empty line"
            raise DataError(f"{where}: {problem}; expected a label, a tab and a text")
        yield _labeled(where, number, text, label.strip())


def _read_csv(path: Path, content: str, columns: Columns) -> Iterator[LabeledText]:
    """Yield the texts of a table with a header and values between commas."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        line = 1
        try:
            for values in reader:
                yield line, values
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path}, line {line}: {error}; a value with quotation marks, commas or line "
                'breaks stands in quotation marks, each mark in it doubled: "a ""word"", or two"'
            ) from None

    yield from _rows(path, rows(), columns)


def _rows(
    path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns
) -> Iterator[LabeledText]:
    """Yield the texts of *rows*, the first of which names the columns."""
    _, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    indices = [_column(path, names, name, option) for name, option in _asked(columns)]
    for number, values in rows:
        where = f"{path}, line {number}"
        if len(values) != len(names):
            problem = "an empty line" if not any(values) else f"{len(values)} values"
            raise DataError(f"{where}: {problem}; the header has {len(names)} columns")
        text, label = (values[index] for index in indices)
        yield _labeled(where, number, text, label.strip())


def _asked(columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the name of each column, and the option that names it."""
    return zip(columns.names, ("--text-column", "--label-column"), strict=True)


def _column(path: Path, names: Sequence[str], name: str, option: str) -> int:
    """Return the index of the column *name* among *names*; exact names come first."""
    lower = [each.lower() for each in names]
    if name in names:
        return names.index(name)
    if lower.count(name.lower()) == 1:
        return lower.index(name.lower())
    raise DataError(
        f"{path}, line 1: no column {quoted(name)}; there are {cut(', '.join(names), 200)}: name "
        f"one with {option}"
    )


def _read_json(path: Path, content: str, columns: Columns) -> Iterator[LabeledText]:
    """Yield the texts of JSON lines."""
    text_name, label_name = columns.names
    expected = f'expected {{"{text_name}": "...", "{label_name}": "..."}}'
    for number, line in _lines(content):
        where = f"{path}, line {number}"
        try:
            fields = parse_json(line.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            reason = "an empty line" if not line.strip() else f"not JSON: {error}"
            raise DataError(f"{where}: {reason}; {expected}") from None
        if not isinstance(fields, dict):
            raise DataError(f"{where}: {quoted(fields)} is no object; {expected}")
        for name, option in _asked(columns):
            if name not in fields:
                raise DataError(f"{where}: no field {name}; {expected}, or name it with {option}")
        yield _labeled(where, number, fields[text_name], _label(fields[label_name]))


def _label(value: Any) -> Any:
    """Return the label that the JSON *value* stands for: integers and booleans are written out."""
    return json.dumps(value) if isinstance(value, int) else value


def _labeled(where: str, line: int, text: Any, label: Any) -> LabeledText:
    """Return the labeled text; raises DataError, naming *where* it is, for one that is empty."""
    for name, value in ((TEXT, text), (LABEL, label)):
        try:
            checked_text(value)
        except ValueError as error:
            raise DataError(f"{where}: the {name} {error}") from None
    return LabeledText(text, label, line)


FORMATS: Mapping[str, Callable[[Path, str, Columns], Iterator[LabeledText]]] = {
    ".csv": _read_csv,
    **dict.fromkeys((".jsonl", ".json", ".ndjson"), _read_json),
}
"""What reads a file, by the end of its name; all others have lines with tabs."""
