"""The types of arguments that are paths, and the rule that no output replaces an input."""

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from pytok import corpus

F = TypeVar("F", bound=Callable[..., Any])
PathLike: TypeAlias = str | os.PathLike[str]


class PathName(click.Path):
    """A path, which must not be empty: that is an unset variable, and would be the working folder.

    Arguments are those of `click.Path`.
    """

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return *value*, or a Path if that was asked for."""
        if not os.fspath(value):
            self.fail("the path is empty: name a file or folder; is a variable unset?", param, ctx)
        return super().convert(value, param, ctx)


class Input(PathName):
    """A file or folder that is read. No output of the command can replace it."""

    def reads(self, value: PathLike) -> Iterable[PathLike]:
        """Return the files and folders that are read."""
        return [value]


class Source(Input):
    """A corpus: a file, a folder, a pattern such as ``data/*.jsonl``, or ``-`` for stdin."""

    def __init__(self) -> None:
        super().__init__(readable=False)  # `pytok.corpus` says better what cannot be read

    def reads(self, value: PathLike) -> Iterable[PathLike]:
        """Return the files of the corpus, after the folder that has them."""
        return [*([] if value == "-" else [value]), *corpus.resolve(value)]


def sources_argument(command: F) -> F:
    """Give a command `sources`: one or more of `Source`, or what is piped into it."""
    return click.argument(
        "sources", type=Source(), nargs=-1, metavar="[SOURCES]...", callback=_or_stdin
    )(command)


def _or_stdin(
    context: click.Context, parameter: click.Parameter, sources: tuple[str, ...]
) -> tuple[str, ...]:
    """Return *sources*, or ``-`` if there is something on stdin."""
    if sources or context.resilient_parsing:
        return sources
    if is_piped():
        return ("-",)
    raise click.UsageError("missing argument SOURCES: name files, or pipe text into the command")


def is_piped() -> bool:
    """Return whether stdin is a pipe or a file: no terminal, and not /dev/null."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or of a test
        return not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)
    return False


class Output(PathName):
    """A file or folder that is written."""


def check_outputs(context: click.Context) -> None:
    """Refuse a command line by which an `Output` would replace an `Input`, or another output."""
    inputs: list[PathLike] = []
    outputs: list[PathLike] = []
    for parameter in context.command.params:
        values = list(_flat(context.params.get(parameter.name or "")))
        if isinstance(parameter.type, Output):
            outputs.extend(values)
        elif isinstance(parameter.type, Input):
            inputs.extend(path for value in values for path in parameter.type.reads(value))
    refuse_to_replace(inputs, *outputs)


def inputs_of(context: click.Context) -> list[str]:
    """Return the paths that a command reads, as they were given, without names of encodings."""
    given = [
        os.fspath(value)
        for parameter in context.command.params
        if isinstance(parameter.type, PathName) and not isinstance(parameter.type, Output)
        for value in _flat(context.params.get(parameter.name or ""))
    ]
    return [path for path in given if os.path.lexists(path)]


def refuse_to_replace(inputs: Iterable[PathLike | None], *outputs: PathLike | None) -> None:
    """Raise UsageError if one of *outputs* is an input, is inside one, or has one inside it.

    Two outputs must differ as well. Files are compared by what they are, not by their names: links
    are followed. An input that does not exist, such as the name of an encoding, is none.
    """
    named = [output for output in outputs if output is not None]
    read = [(source, _identity(source)) for source in inputs if source] if named else []
    for number, output in enumerate(named):
        written, above = _identity(output), _parents(output)
        is_folder = Path(output).is_dir()
        for source, identity in read:
            if identity is None:
                continue
            if identity == written:
                kind = "folder" if is_folder else "file"
                raise click.UsageError(f"{output} is an input {kind}: choose another output {kind}")
            if identity in above:
                raise click.UsageError(
                    f"{output} is inside the input folder {source}: choose an output outside"
                )
            if is_folder and written in _parents(source):
                raise click.UsageError(
                    f"the input {source} is inside the output folder {output}: choose another"
                )
        if os.path.realpath(output) in map(os.path.realpath, named[:number]):
            raise click.UsageError(f"{output} is named as two outputs: choose another for one")


def _flat(value: Any) -> Iterator[PathLike]:
    """Yield the paths of *value*: None, one, or several of an option that can be repeated."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from _flat(each)
    elif value is not None:
        yield value


def _identity(path: PathLike) -> tuple[int, int] | None:
    """Return the device and the number of a file on it; None if *path* does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116 (of any kind of path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _parents(path: PathLike) -> set[tuple[int, int] | None]:
    """Return the identities of the folders above *path*: where it is, and where its links lead."""
    paths = (Path(path).absolute(), Path(os.path.realpath(path)))
    return {_identity(parent) for each in paths for parent in each.parents} - {None}
