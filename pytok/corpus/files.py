"""A source to the files that it names."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from pytok.blocks import MOST_SHOWN, STDIN, corpus_errors
from pytok.errors import CorpusError
from pytok.text import cut

Source: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file, a folder, a glob pattern such as ``data/**/*.jsonl``, a pipe, or several of them.

The str ``"-"`` is standard input.
"""


def resolve(source: Source) -> list[Path]:
    """List the files that *source* names, in reading order.

    A folder stands for the regular files below it, sorted by path. Hidden files and folders, whose
    names start with a dot, are skipped there and by the wildcards of a pattern. A pattern stands
    for its matches, sorted, without duplicates. Several sources keep their order, and a file that
    is named twice is listed twice. A pipe is listed only if it is named itself, and once.

    Raises CorpusError for a source that does not exist or has no file, and for a pipe named twice.
    """
    sources = [source] if isinstance(source, str | os.PathLike) else source
    files = [file for each in sources for file in ([STDIN] if each == "-" else _files(each))]
    if not files:
        raise CorpusError("the corpus names no file; name at least one file or folder")
    pipes = [file for file in files if is_pipe(file)]
    for pipe in pipes:
        if pipes.count(pipe) > 1:
            raise CorpusError(f"{pipe}: named twice, but a pipe can be read only once")
    return files


def is_pipe(path: Path) -> bool:
    """Return whether *path* can be read only once: a pipe, a terminal or standard input."""
    if path == STDIN:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def refuse_pipes(paths: Iterable[Path], why: str) -> None:
    """Raise CorpusError, with the sentence *why*, if any of *paths* can be read only once."""
    for path in paths:
        if is_pipe(path):
            raise CorpusError(f"{path}: a pipe can be read only once: {why}")


def size(paths: Iterable[Path]) -> int:
    """Return the total bytes on disk of *paths*: the sum of `Part.read` over their parts.

    It is 0, for unknown, if any of them is a pipe.
    """
    total = 0
    for path in paths:
        if is_pipe(path):
            return 0
        with corpus_errors(path, OSError):
            total += path.stat().st_size
    return total


def _files(named: str | os.PathLike[str]) -> list[Path]:
    source = os.fspath(named)
    shown = cut(source, MOST_SHOWN)  # it can be a text instead of a name
    with corpus_errors(shown, OSError, ValueError):
        if source and is_pipe(Path(source)):
            return [Path(source)]
        # An existing file is taken by its name, even if that looks like a pattern.
        names = [source] if source and Path(source).exists() else []
        names = names or glob.glob(source, recursive=True)  # noqa: PTH207 (it may be absolute)
        found = {path for name in names for path in _walk(Path(name)) if path.is_file()}
    if not found:
        raise CorpusError(f"{shown}: no such file, or a folder or pattern without regular files")
    return sorted(found, key=Path.as_posix)


def _walk(path: Path) -> Iterator[Path]:
    def fail(error: OSError) -> NoReturn:  # by default os.walk skips what it cannot list
        raise error

    if not path.is_dir():
        yield path
        return
    for parent, folders, names in os.walk(path, onerror=fail):
        folders[:] = (name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not name.startswith("."))
