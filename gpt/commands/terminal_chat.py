"""A `ChatSession` in a terminal: reads lines, streams turns, and has commands such as /undo.

Lines are edited and completed with Python's own readline module. Without it (Windows), and if stdin
is not a terminal, lines are read as they are. Nothing is saved except by /save.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from gpt.commands.chat_adapters import ChatAdapters
from gpt.commands.interruption import Interruption
from gpt.generation.conversation import ChatSession, TextDelta
from pytok.chat.speakers import listed
from pytok.chat.template import read_conversations, write_conversations
from pytok.counted import counted
from pytok.errors import ChatError, PytokError
from pytok.terminal import escaped

COMMANDS = {
    "/undo": "remove your last turn and the answers to it",
    "/retry": "generate the last answers again",
    "/save": "FILE: write the conversation as JSON lines",
    "/load": "FILE: continue the last conversation in a file",
    "/system": "TEXT: set the instructions before the first turn",
    "/adapter": "NAME: continue with another adapter; without a name, list them",
    "/who": "show who plays whom, and how to address one person",
    "/help": "show this list",
    "/quit": "leave, as Ctrl-D does",
}
_COLORS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def converse(session: ChatSession, adapters: ChatAdapters | None = None) -> int:
    """Read lines from stdin and print the answers, until the input ends or /quit.

    *adapters* are those that /adapter can choose.

    Ctrl-C stops an answer, whose text so far is kept; at the prompt it leaves, as Ctrl-D does.
    Returns 0, or 143 if SIGTERM stopped an answer.
    """
    return _TerminalChat(session, adapters).run()


def completions(line: str, session: ChatSession) -> list[str]:
    """Return the completions of *line*: commands, files for /save and /load, names of speakers."""
    command, space, rest = line.partition(" ")
    if space and command in ("/save", "/load"):
        folder, _, start = rest.rpartition("/")
        parent = Path(folder or ("/" if "/" in rest else "."))
        found = sorted(parent.glob("*")) if parent.is_dir() else []
        before = rest.removesuffix(start)
        return [
            f"{command} {before}{path.name}{'/' if path.is_dir() else ''}"
            for path in found
            if path.name.startswith(start)
        ]
    if line.startswith("/"):
        return [each for each in COMMANDS if each.startswith(line)]
    # At the start of a line a name addresses that speaker; elsewhere it is a word.
    head, space, word = line.rpartition(" ")
    after = "" if space else ": "
    names = [escaped(name) for name in session.roles.played]
    return [
        f"{head}{space}{name}{after}"
        for name in names
        if name.casefold().startswith(word.casefold())
    ]


class _TerminalChat:
    """The loop over lines, and the commands."""

    def __init__(self, session: ChatSession, adapters: ChatAdapters | None) -> None:
        self._session, self._adapters = session, adapters
        self._interactive = sys.stdin.isatty()
        console = Console()
        self._colored = console.is_terminal and not console.no_color
        self._saved: set[Path] = set()
        """Files that /save has written, which it can replace."""

    def run(self) -> int:
        """Answer all lines; return the exit code."""
        if self._interactive:
            self._who()
            print("/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves")
        for line in self._lines():
            if not line.strip():
                continue
            if line.strip().lower() == "/quit":
                break
            try:
                deltas = self._answer(line)
                stopped = None if deltas is None else self._show(deltas)
            except PytokError as error:
                print(escaped(error.message), file=sys.stderr)
                continue
            except OSError as error:
                print(f"{error.filename}: {error.strerror}", file=sys.stderr)
                continue
            if stopped == signal.SIGTERM:
                return 128 + stopped
        return 0

    def _lines(self) -> Iterator[str]:
        """Yield the lines of stdin, with a prompt for each if it is a terminal."""
        if not self._interactive:
            for line in sys.stdin:
                yield line.rstrip("\r\n")
            return
        prompt = _set_up_readline(self._session, self._named(self._session.roles.you) + ": ")
        while True:
            try:
                line = input(prompt if sys.stdout.isatty() else "")
            except (EOFError, KeyboardInterrupt):
                print()
                return
            yield line

    def _answer(self, line: str) -> Iterator[TextDelta] | None:
        """Run *line*, a command or a turn; return the stream of the answers, if there are any."""
        command, _, rest = line.strip().partition(" ")
        if command.startswith("/"):
            return self._run_command(command.lower(), rest.strip())
        name, colon, text = line.partition(":")
        wanted = name.strip().casefold()
        addressed = [each for each in self._session.roles.played if each.casefold() == wanted]
        if colon and len(addressed) == 1:
            return self._session.reply(text.strip(), addressed[0])
        return self._session.reply(line)

    def _show(self, deltas: Iterator[TextDelta]) -> int | None:
        """Print *deltas* as they come; return the signal that stopped them, if one did."""
        last = None
        with Interruption() as interruption, closing(deltas):  # type: ignore[type-var]
            for delta in deltas:
                if delta.turn != last:
                    print(
                        "\n" * (last is not None), self._named(delta.speaker), ": ", sep="", end=""
                    )
                    last = delta.turn
                # Lines within a turn are indented, so that none looks like a turn of its own.
                print(escaped(delta.text).replace("\n", "\n  "), end="", flush=True)
                if interruption.signal is not None:
                    break
        print(flush=True)
        return interruption.signal

    def _named(self, speaker: str) -> str:
        """Return the name of *speaker* in a color of its own."""
        name = escaped(speaker)
        if not self._colored:
            return name
        # A conversation that was loaded can also have tools and instructions.
        speakers = (*self._session.template.speakers, speaker)
        return click.style(name, fg=_COLORS[speakers.index(speaker) % len(_COLORS)], bold=True)

    def _run_command(self, command: str, rest: str) -> Iterator[TextDelta] | None:
        """Run one of `COMMANDS` except /quit; return the stream of new answers, if any."""
        match command:
            case "/undo":
                self._undo()
            case "/retry":
                return self._session.retry()
            case "/save":
                self._save(_path(command, rest))
            case "/load":
                self._load(_path(command, rest))
            case "/system":
                self._session.instruct(rest)
                print(f"instructions before the first turn: {escaped(rest) or 'none'}")
            case "/adapter":
                self._adapter(rest)
            case "/who":
                self._who()
            case "/help":
                print("\n".join(f"{name:<8} {meaning}" for name, meaning in COMMANDS.items()))
            case _:
                raise ChatError(f"unknown command {command}; /help lists the commands")
        return None

    def _undo(self) -> None:
        self._session.undo()
        turns = self._session.conversation.turns
        if turns:
            print(f"last turn now: {self._named(turns[-1].speaker)}: {escaped(turns[-1].text)}")
        else:
            print("the conversation is empty now")

    def _save(self, path: Path) -> None:
        if not self._session.conversation.turns:
            raise ChatError("nothing has been said yet that could be saved")
        if path.exists() and path.resolve() not in self._saved:
            raise ChatError(f"{path} exists; choose another file")
        write_conversations(path, [self._session.conversation])
        self._saved.add(path.resolve())
        print(f"{counted(len(self._session.conversation.turns), 'turn')} written to {path}")

    def _load(self, path: Path) -> None:
        conversations = list(read_conversations(path))
        if not conversations:
            raise ChatError(f"{path}: no conversation in it; give a file that /save has written")
        self._session.load(conversations[-1])
        if not conversations[-1].turns:
            print("that conversation is empty; write something to start it")
        for turn in conversations[-1].turns:
            print(f"{self._named(turn.speaker)}: {escaped(turn.text)}".replace("\n", "\n  "))

    def _adapter(self, name: str) -> None:
        adapters = self._adapters
        if adapters is None or len(adapters.names) == 1:
            raise ChatError("there are no adapters; start with --adapter NAME=FOLDER")
        if name:
            adapters.switch(self._session, name)
        print(
            f"{escaped(adapters.active)} answers; there are {listed(map(escaped, adapters.names))}"
        )

    def _who(self) -> None:
        roles = self._session.roles
        played = ", ".join(map(self._named, roles.played))
        print(f"you are {self._named(roles.you)}; the model is {played}")
        if others := roles.unassigned(self._session.template):
            print(f"to be someone else, start with --as NAME: {listed(map(escaped, others))}")
        if len(roles.played) > 1:
            first = escaped(roles.played[0])
            print(f"start a line with a name ({first}: ...) to address that person")


def _path(command: str, rest: str) -> Path:
    if not rest:
        raise ChatError(f"{command} needs the name of a file: {command} talk.jsonl")
    return Path(rest).expanduser()


def _set_up_readline(session: ChatSession, prompt: str) -> str:
    """Edit and complete lines with readline, if there is one; return *prompt* as it needs it."""
    try:
        import readline
    except ImportError:
        return prompt

    def complete(line: str, index: int) -> str | None:
        found = completions(line, session)
        return found[index] if index < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims("")
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    # Characters between \1 and \2 do not count in the width of the prompt.
    return re.sub(r"\x1b\[[0-9;]*m", "\x01\\g<0>\x02", prompt)
