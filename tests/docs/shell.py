"""Run the shell blocks of a document in a folder, and compare what they print with what it shows.

A block in ``sh`` is a list of commands; one in ``text`` after it is what they print, or a talk with
the model that they have trained. What a test changes to be fast, what it cannot run, and what two
runs print differently is data: a `Setting`.
"""

import contextlib
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.documents import ROOT, Block, blocks
from tests.gpt.processes import FORKSERVER

SHELL = re.compile(r"[|<>*$&;()`~]|^\w+=|^(cd|export) ")
"""What only a shell can run, outside quotation marks."""
ELISION = "..."
"""A line of shown output that stands for any number of lines."""
TALK = re.compile(r"^you are (?P<you>.+); the model is (?P<model>.+)\n")
TALK_COMMAND = re.compile(r"^[a-z ]+: (gpt chat .+)$", re.M)


def no_files(folder: Path) -> None:
    """Need no files."""


@dataclass(frozen=True)
class Setting:
    """How a test runs the shell blocks of a document.

    *files* makes the files in the folder that the reader is assumed to have. *edits* are regexes
    in command lines and what a test runs instead; *omit* are regexes of lines that it cannot run,
    and *fails* of those that end with an error, each with the reason. *varies* are regexes in
    printed lines, and the word that replaces what they match, in the document and in the test.
    *writes* are the beginnings of commands that print what a model writes, and the prompt with
    which it begins.
    """

    files: Callable[[Path], object] = no_files
    edits: Mapping[str, str] = field(default_factory=dict)
    omit: Mapping[str, str] = field(default_factory=dict)
    fails: Mapping[str, str] = field(default_factory=dict)
    varies: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False


@dataclass
class Session:
    """A folder in which the blocks of one document run, and what was used of its setting."""

    folder: Path
    setting: Setting
    commands: Path
    used: set[str] = field(default_factory=set)

    def run(self, block: Block) -> tuple[str, list[str]]:
        """Run the lines of *block*; return what they printed, and the lines as they were run.

        A line that fails is an AssertionError.
        """
        lines = list(self._prepared(block))
        return "".join(self.run_line(line) for line in lines), lines

    def run_line(self, line: str) -> str:
        """Run *line*; return what it printed."""
        failures = [each for each in self.setting.fails if re.search(each, line)]
        self.used.update(failures)
        output = self.folder.parent / "output"
        code = run_line(line, self.folder, self.environment, output)
        printed = output.read_text(encoding="utf-8", errors="replace")
        assert code == (1 if failures else 0), f"{line}\n{printed}"
        return printed

    def talk(self, shown: str, command: str) -> None:
        """Write what the reader writes in the *shown* talk; the model has to answer as often."""
        speakers = TALK.match(shown)
        assert speakers is not None
        you, model = (
            re.compile(f"^{re.escape(speakers[name])}: ", re.M) for name in TALK.groupindex
        )
        said = [line[match.end() :] for line in shown.splitlines() if (match := you.match(line))]
        answered = self.run_line(f"printf '%s\\n' {shlex.join(said)} | {command}")
        assert len(model.findall(shown)) == len(model.findall(answered)) == len(said), answered

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: these commands, one thread, no colors, no network."""
        return {
            **os.environ,
            "PATH": f"{self.commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "100",
            "TERM": "dumb",
            "PYTHONUTF8": "1",
        }

    def _prepared(self, block: Block) -> Iterator[str]:
        for line in block.lines:
            command = line.strip()
            if not command or command.startswith("#"):
                continue
            reasons = [each for each in self.setting.omit if re.search(each, command)]
            self.used.update(reasons)
            if reasons:
                continue
            for pattern, replacement in self.setting.edits.items():
                command, count = re.subn(pattern, replacement, command)
                if count:
                    self.used.add(pattern)
            yield command


def run_line(line: str, folder: Path, environment: Mapping[str, str], output: Path) -> int:
    """Run *line* in *folder*, with stdout and stderr to *output*; return its exit code.

    A plain line of gpt runs in a fork of a process that has imported torch, any other in bash.
    """
    words = shlex.split(line, comments=True)
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
    if words[0] == "gpt" and not SHELL.search(unquoted):
        process = FORKSERVER.Process(target=_gpt, args=(words, folder, dict(environment), output))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode
    with output.open("wb") as file:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def _gpt(words: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> None:
    """Become the gpt command in this process."""
    import torch

    from gpt.__main__ import main

    os.chdir(folder)
    os.environ.update(environment)
    torch.set_num_threads(1)
    with output.open("wb") as file, Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (a descriptor, kept open)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = list(words)
    code = main(words[1:])
    with contextlib.suppress(ValueError):  # a command may have closed it
        sys.stdout.flush()
    sys.exit(code)


def commands_in(folder: Path) -> Path:
    """Make a folder with the commands of this checkout, whatever is installed."""
    folder.mkdir()
    lines = {
        "pytok": '-m pytok "$@"',
        "gpt": '-m gpt "$@"',
        "python": '"$@"',
    }
    for name, rest in lines.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}\n')
        path.chmod(0o755)
    return folder


def run_document(
    path: Path, setting: Setting, folder: Path
) -> Iterator[tuple[str, str, list[str]]]:
    """Run the shell blocks of a document; yield shown output, printed output, and the commands.

    An AssertionError is raised by a line that fails, by a talk that goes differently, by output
    without a block of commands before it, and at the end by what of the setting was not used.
    """
    work = folder / "work"
    work.mkdir()
    setting.files(work)
    session = Session(work, setting, commands_in(folder / "bin"))
    previous, printed = "", ""
    lines: list[str] = []
    for block in blocks(path, "sh", "text"):
        if block.language == "sh":
            printed, lines = session.run(block)
        elif TALK.match(block.text):
            (command,) = TALK_COMMAND.findall(printed)
            session.talk(block.text, command)
        else:
            assert previous == "sh", f"line {block.line}: of which commands is this the output?"
            yield block.text, printed, lines
        previous = block.language
    stale = {*setting.edits, *setting.omit, *setting.fails} - session.used
    assert not stale, f"these lines are no longer in the document: {stale}"


def normalized(text: str, varies: Mapping[str, str]) -> list[str]:
    """Return the lines of *text* without what *varies*, empty lines and widths of spaces.

    Equal neighbors are one line, since a shorter run reports fewer steps.
    """
    for pattern, word in varies.items():
        text = re.sub(pattern, word, text, flags=re.M)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line, _ in itertools.groupby(line for line in lines if line)]


def assert_shown(shown: str, printed: str, varies: Mapping[str, str]) -> None:
    """Compare *printed* with *shown*, in which a line of three dots stands for any lines."""
    theirs, rest = normalized(shown, varies), normalized(printed, varies)
    message = "\n".join(["shown:", *theirs, "printed:", *rest])
    parts = [list(part) for dots, part in itertools.groupby(theirs, ELISION.__eq__) if not dots]
    if theirs[0] != ELISION:
        assert rest[: len(parts[0])] == parts[0], message
        rest = rest[len(parts.pop(0)) :]
    if parts and theirs[-1] != ELISION:
        last = parts.pop()
        assert rest[-len(last) :] == last, message
        rest = rest[: -len(last)]
    elif theirs[-1] != ELISION:
        assert not rest, message
    for part in parts:
        starts = [at for at in range(len(rest)) if rest[at : at + len(part)] == part]
        assert starts, message
        rest = rest[starts[0] + len(part) :]
    # What remains of *rest* is between parts, where the dots are.
