"""Run a command on an input, in this process, and judge how it ended."""

import contextlib
import io
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn
from unittest import mock

import gpt.__main__
import pytok.__main__
from gpt.errors import GPTError
from pytok.errors import PytokError
from pytok.terminal import TRACEBACK

SECONDS = 20
"""Processor time of a command at most. Small inputs take milliseconds."""

MEMORY = 1 << 30
"""Bytes of address space that a command can add to that of the process."""

LONGEST_LINE = 1000
"""Characters of a line of an error at most."""

Call = Callable[[], object]
"""A function that reads files; if it returns a tuple, these are the words of a command to run."""


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    err: str


class _OutOfTime(BaseException):
    """Not an Exception, which a reader could catch."""


def run(command: str | Call, stdin: bytes = b"", *, limited: bool = True) -> Outcome:
    """Run a command line of pytok or gpt, or a function, whose errors are those of a command.

    The first run of a command is not *limited*: it imports what it needs.
    """
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", write_through=True)
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(err),
        contextlib.redirect_stdout(out),
        mock.patch.object(sys, "stdin", given),
        mock.patch.dict(os.environ, {TRACEBACK: "1"}),
        _limited() if limited else contextlib.nullcontext(),
    ):
        warnings.simplefilter("default")  # as outside of tests
        try:
            code = _call(command.split() if isinstance(command, str) else command)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except _OutOfTime:
            code = -signal.SIGPROF
        except Exception as error:
            code = 70
            print(f"Traceback: {type(error).__name__}: {error}"[:2000], file=err)
    return Outcome(code, err.buffer.getvalue().decode())  # type: ignore[attr-defined]


def _call(command: Sequence[str] | Call) -> int:
    if callable(command):
        try:
            words = command()
        except (PytokError, GPTError) as error:
            said = error.message if isinstance(error, PytokError) else str(error)
            print(f"pytok: {said}", file=sys.stderr)
            return 1
        if not isinstance(words, tuple):
            return 0
        command = words
    program, *arguments = command
    if program == "gpt":
        return gpt.__main__.main(arguments)
    with mock.patch.object(sys, "argv", [program, *arguments]):
        pytok.__main__.main()
    return 0


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Return a context with `SECONDS` of processor time and `MEMORY` more address space."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise _OutOfTime

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")  # of Linux only
    if pages.exists():
        used = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    before: Any = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def fault(outcome: Outcome, names: Sequence[str]) -> str | None:
    """Return what is wrong with *outcome*: anything but success, or an error of one line.

    The error names one of *names*, the files that are read.
    """
    lines = outcome.err.splitlines()
    if outcome.code == -signal.SIGPROF:
        return f"it runs for more than {SECONDS} seconds"
    if any(line.startswith("Traceback") for line in lines):
        return f"a traceback: {lines[-1][:300]}"
    if any("Warning: " in line for line in lines):
        return f"a warning of Python: {lines[0][:300]}"
    if outcome.code not in (0, 1, 2):
        return f"the exit code is {outcome.code}"
    if any(len(line) > LONGEST_LINE for line in lines):
        return f"a line of {max(map(len, lines))} characters: {lines[-1][:200]}"
    if outcome.code == 0:
        return None
    if not lines or not (outcome.code == 2 or lines[-1].startswith(("pytok: ", "gpt: "))):
        return f"the last line is no error: {lines[-1:]}"
    if not any(name in lines[-1] for name in names):
        return f"the error names no file: {lines[-1][:300]}"
    return None


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Return a context with the working folder *folder*."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
