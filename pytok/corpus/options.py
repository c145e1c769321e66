"""How a corpus is read: the arguments of all functions that read one, and what they leave out."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from pytok.counted import counted
from pytok.errors import CorpusError

Format: TypeAlias = Literal["text", "jsonl", "parquet"]
"""The format of documents, which overrides what the names of files say."""

Missing: TypeAlias = Literal["error", "skip"]
"""What becomes of a row without text."""

REPLACE = "pass errors='replace' (--errors replace)"  # the advice for text that is not UTF-8
SKIP = "pass missing='skip' (--missing skip)"  # the advice for rows without text


class SkippedWarning(UserWarning):
    """Reports what was skipped, as requested or because it holds no text; `skipped` counts it."""

    def __init__(self, skipped: "Skipped") -> None:
        super().__init__(str(skipped))
        self.skipped = skipped


@dataclass(slots=True)
class Skipped:
    """Numbers of rows and of members of archives that were read, and that were skipped."""

    rows: int = 0
    """Rows that were read, including the skipped ones."""
    empty_rows: int = 0
    """Rows that were skipped: their field is null or absent."""
    empty_elements: int = 0
    """Elements without text in lists of the other rows."""
    members: Counter[str] = dataclasses.field(default_factory=Counter)
    """Skipped members of archives by kind: hidden, link or other."""

    def __bool__(self) -> bool:
        return bool(self.empty_rows or self.empty_elements or self.members)

    def add(self, other: "Skipped") -> None:
        """Add the numbers of *other*."""
        self.rows += other.rows
        self.empty_rows += other.empty_rows
        self.empty_elements += other.empty_elements
        self.members.update(other.members)

    def __str__(self) -> str:
        found = []
        if self.empty_rows:
            found.append(f"{self.empty_rows:,} of {counted(self.rows, 'row')} without text")
        if self.empty_elements:
            found.append(f"{counted(self.empty_elements, 'element')} without text in lists")
        if self.members:
            kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.members.items()))
            found.append(f"{counted(self.members.total(), 'member')} of archives ({kinds})")
        return f"skipped {', '.join(found)}"


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments of `pytok.corpus.read_parts` that readers use. Raises CorpusError."""

    field: str = "text"
    errors: str = "strict"
    separator: str | None = None
    missing: str = "error"
    format: str | None = None
    skipped: Skipped = dataclasses.field(default_factory=Skipped)

    def __post_init__(self) -> None:
        _one_of("errors", self.errors, ("strict", "replace"))
        _one_of("missing", self.missing, get_args(Missing))
        _one_of("format", self.format, (None, *get_args(Format)))
        if self.separator == "":
            raise CorpusError("the separator is empty; pass None for no separator")

    @property
    def is_verbatim(self) -> bool:
        """Whether a text file is one document, with exactly its bytes."""
        return self.errors == "strict" and self.separator is None


def _one_of(name: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        raise CorpusError(f"{name}={value!r} is unknown; pass {' or '.join(map(repr, allowed))}")
