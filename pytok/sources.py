"""What is given as a corpus: files, or texts themselves."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from pytok import corpus
from pytok.errors import CorpusError
from pytok.text import quoted, repair

Source: TypeAlias = str | os.PathLike[str] | Iterable[str] | Sequence[os.PathLike[str]]
"""One or more paths, or texts, each a document."""

Given = TypeVar("Given")

_MAX_NAMES = 10_000
"""Texts at most of which it is checked whether they are names of files."""


def given_source(source: Given | None, files: corpus.Source | None) -> Given | list[Path]:
    """Return *source*, or the *files*, of which a list of str is names and not texts.

    Raises TypeError unless exactly one of them is given.
    """
    if source is not None and files is not None:
        raise TypeError("pass a source or files, not both")
    if files is not None:
        return corpus.resolve(files)
    if source is None:
        raise TypeError("pass a source: a path, an iterable of texts, or files=names")
    return source


def paths_of(source: Source) -> list[Path] | None:
    """Return the files of *source*, or ``None`` if it is text."""
    if isinstance(source, str):
        try:
            return corpus.resolve(source)
        except CorpusError as error:
            raise CorpusError(f"{error.message}; if it is the text itself, pass [text]") from None
    if isinstance(source, os.PathLike):
        return corpus.resolve(source)
    if isinstance(source, Collection) and source:
        if isinstance(next(iter(source)), os.PathLike):
            return corpus.resolve([*source])
        _refuse_names(source)
    return None


def _refuse_names(texts: Collection[object]) -> None:
    """Raise CorpusError if all *texts* are names of files, which somebody wants to be read."""
    try:
        are_names = len(texts) <= _MAX_NAMES and all(
            isinstance(text, str) and Path(text).is_file() for text in texts
        )
    except (OSError, ValueError):  # too long for a name, or not possible in one
        return
    if are_names:
        raise CorpusError(
            f"the texts are names of files, such as {quoted(next(iter(texts)))}: to read these "
            "files, pass files=names, or a list of Paths"
        )


def texts_of(source: object) -> Iterator[str]:
    """Yield the documents of *source*, repaired; raises TypeError for what is no text."""
    if not isinstance(source, Iterable):
        raise TypeError(f"a corpus is a path or an iterable of str, not {source!r}")
    for number, text in enumerate(source):
        if not isinstance(text, str):
            raise TypeError(
                f"document {number} is {type(text).__name__}, not str; pass a file as a str or a "
                "Path, several files as a list of Paths"
            )
        yield repair(text)
