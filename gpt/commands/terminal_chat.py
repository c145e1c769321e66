"""A `ChatSession` in a terminal: lines in, turns out as they are written, and commands like /undo.

Lines are edited and completed by Python's own readline, which needs no further package; where
there is none (Windows), and where stdin is no terminal, they are read as they come. Nothing that
is said is kept anywhere but where /save puts it.
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

from gpt.commands.interruption import Interruption
from gpt.generation.conversation import ChatSession, TextDelta
from pytok.chat.template import read_conversations, write_conversations
from pytok.counted import counted
from pytok.errors import ChatError, PytokError
from pytok.terminal import escaped

COMMANDS = {
    "/undo": "take back what you said last, and the answers",
    "/retry": "have the last answers written anew",
    "/save": "FILE: write the conversation, as JSON lines",
    "/load": "FILE: go on with the last conversation of a file",
    "/system": "TEXT: what the model is told before the first turn",
    "/who": "who is who, and how one of them is asked",
    "/help": "this list",
    "/quit": "leave, as Ctrl-D does",
}
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


def converse(talk: ChatSession) -> int:
    """Read lines from stdin and answer them on stdout, until there are none or /quit.

    Ctrl-C stops an answer, of which stays what is there; where a line is read, it leaves, as Ctrl-D
    does. Returns 0, or 143 where SIGTERM came.
    """
    return _Conversing(talk).run()


def completions(line: str, talk: ChatSession) -> list[str]:
    """The lines that *line* may become: commands, files after them, names of those played."""
    command, space, rest = line.partition(" ")
    if space and command in ("/save", "/load"):
        folder, _, begun = rest.rpartition("/")
        there = Path(folder or ("/" if "/" in rest else "."))
        found = sorted(there.glob("*")) if there.is_dir() else []
        before = rest.removesuffix(begun)
        return [
            f"{command} {before}{path.name}{'/' if path.is_dir() else ''}"
            for path in found
            if path.name.startswith(begun)
        ]
    if line.startswith("/"):
        return [each for each in COMMANDS if each.startswith(line)]
    head, space, word = line.rpartition(" ")
    after = "" if space else ": "
    names = [escaped(name) for name in talk.roles.played]
    return [
        f"{head}{space}{name}{after}"
        for name in names
        if name.casefold().startswith(word.casefold())
    ]


class _Conversing:
    """The loop, and what each command does."""

    def __init__(self, talk: ChatSession) -> None:
        self._talk = talk
        self._typed = sys.stdin.isatty()
        console = Console()
        self._coloured = console.is_terminal and not console.no_color
        self._ours: set[Path] = set()
        """Files that hold this conversation, and so may be replaced."""

    def run(self) -> int:
        """Answer all lines."""
        if self._typed:
            self._who()
            print("/help lists what else there is; Ctrl-C stops an answer, Ctrl-D leaves")
        for line in self._lines():
            if not line.strip():
                continue
            if line.strip() == "/quit":
                break
            try:
                pieces = self._answer(line)
                stopped = None if pieces is None else self._show(pieces)
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
        """The lines of stdin, asked for where somebody types them."""
        if not self._typed:
            for line in sys.stdin:
                yield line.rstrip("\r\n")
            return
        prompt = _edited(self._talk, self._named(self._talk.roles.you)) + ": "
        while True:
            try:
                line = input(prompt if sys.stdout.isatty() else "")
            except (EOFError, KeyboardInterrupt):
                print()
                return
            yield line

    def _answer(self, line: str) -> Iterator[TextDelta] | None:
        """Do what *line* says: the answers to it, if there are any."""
        command, _, rest = line.strip().partition(" ")
        if command.startswith("/"):
            return self._obey(command, rest.strip())
        name, colon, text = line.partition(":")
        called = name.strip().casefold()
        asked = [speaker for speaker in self._talk.roles.played if speaker.casefold() == called]
        if colon and len(asked) == 1:
            return self._talk.reply(text.strip(), asked[0])
        return self._talk.reply(line)

    def _show(self, pieces: Iterator[TextDelta]) -> int | None:
        """Print *pieces* as they come; the signal that stopped them, if one did."""
        last = None
        with Interruption() as interruption, closing(pieces):  # type: ignore[type-var]
            for piece in pieces:
                if piece.turn != last:
                    print(
                        "\n" * (last is not None), self._named(piece.speaker), ": ", sep="", end=""
                    )
                    last = piece.turn
                # Lines within a turn are set off, so that none looks like another's turn.
                print(escaped(piece.text).replace("\n", "\n  "), end="", flush=True)
                if interruption.signal is not None:
                    break
        print(flush=True)
        return interruption.signal

    def _named(self, speaker: str) -> str:
        name = escaped(speaker)
        if not self._coloured:
            return name
        place = self._talk.template.speakers.index(speaker)
        return click.style(name, fg=_COLOURS[place % len(_COLOURS)], bold=True)

    def _obey(self, command: str, rest: str) -> Iterator[TextDelta] | None:
        """Do what one of `COMMANDS` but /quit says."""
        match command:
            case "/undo":
                self._undo()
            case "/retry":
                return self._talk.retry()
            case "/save":
                self._save(_path(command, rest))
            case "/load":
                self._load(_path(command, rest))
            case "/system":
                self._talk.instruct(rest)
                print(f"told before the first turn: {escaped(rest) or 'nothing'}")
            case "/who":
                self._who()
            case "/help":
                print("\n".join(f"{name:<8} {meaning}" for name, meaning in COMMANDS.items()))
            case _:
                raise ChatError(f"{command} is no command; /help lists them")
        return None

    def _undo(self) -> None:
        self._talk.undo()
        turns = self._talk.conversation.turns
        if turns:
            print(f"the last is now {self._named(turns[-1].speaker)}: {escaped(turns[-1].text)}")
        else:
            print("nothing is said now")

    def _save(self, path: Path) -> None:
        if path.exists() and path.resolve() not in self._ours:
            raise ChatError(f"{path} is there already; name another")
        write_conversations(path, [self._talk.conversation])
        self._ours.add(path.resolve())
        print(f"{counted(len(self._talk.conversation.turns), 'turn')} written to {path}")

    def _load(self, path: Path) -> None:
        conversations = list(read_conversations(path))
        if not conversations:
            raise ChatError(f"{path}: no conversation in it")
        self._talk.load(conversations[-1])
        for turn in conversations[-1].turns:
            print(f"{self._named(turn.speaker)}: {escaped(turn.text)}".replace("\n", "\n  "))

    def _who(self) -> None:
        played = [self._named(speaker) for speaker in self._talk.roles.played]
        print(f"you are {self._named(self._talk.roles.you)}; the model is {', '.join(played)}")
        if len(played) > 1:
            first = escaped(self._talk.roles.played[0])
            print(f"a line that begins with a name ({first}: ...) is answered by that one")


def _path(command: str, rest: str) -> Path:
    if not rest:
        raise ChatError(f"{command} needs the name of a file: {command} talk.jsonl")
    return Path(rest).expanduser()


def _edited(talk: ChatSession, prompt: str) -> str:
    """Have lines edited and completed, where readline is; *prompt* as it must then be given."""
    try:
        import readline
    except ImportError:
        return prompt

    def complete(line: str, number: int) -> str | None:
        found = completions(line, talk)
        return found[number] if number < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims("")
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    # readline counts the characters of a prompt but for those between \1 and \2.
    return re.sub(r"\x1b\[[0-9;]*m", "\x01\\g<0>\x02", prompt)
