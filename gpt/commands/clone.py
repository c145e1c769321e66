"""`gpt clone`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from gpt.commands.chat import Chat
from gpt.commands.interruption import Interruption
from gpt.errors import ConfigError
from gpt.spec.adapter import LoRA
from pytok.chat.whatsapp.dates import DateOrder
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.clone.options import CloneOptions
    from gpt.clone.pipeline import CloneResult


@dataclass(frozen=True, kw_only=True)
class Clone:
    """Make a model that writes like one of a chat, out of its exports, and talk with it.

    Imports the exports, divides them into conversations, trains a tokenizer and a model on all of
    them, and tunes it on the turns of one. It takes minutes on two cores, and nothing leaves the
    machine. Ctrl-C stops it anywhere, and the same command goes on from there.
    docs/your-own-chat.md walks through it.
    """

    exports: tyro.conf.Positional[tuple[Path, ...]]
    """Exports of one chat: WhatsApp's text, zip or database, Telegram's result.json, a history that
    `pytok chat import` wrote."""
    me: str | None = None
    """Whose turns the model is to learn. None: all senders are listed, to choose from."""
    out: Path = Path("clone")
    """Folder of all that is made: chat.jsonl, data/, base/ and run/."""
    base: Path | None = None
    """A run to tune, own or of `gpt import`. None: one is trained on the chat."""
    lora: int | None = None
    """Tune LoRA adapters of this rank. With --base that is the default, with rank 8."""
    full: bool = False
    """Tune all weights. Without --base that is the default."""
    seconds: float = 600.0
    """Training time at most, about. Small chats take less."""
    preset: Literal["fast", "gpt2", "llama", "qwen3"] = "fast"
    """What a new model is like: fast learns soonest, the others load in other software."""
    date_order: DateOrder | None = None
    """How WhatsApp wrote dates like 3/4/24. None: what the file shows."""
    timezone: str | None = None
    """Where the chat was exported, as in Europe/Vienna: to merge a text with a database."""
    key: str | None = None
    """The key of an encrypted backup: its file, or 64 digits."""
    names: Path | None = None
    """A database of contacts, wa.db: names for the numbers in msgstore.db."""
    chat: str | None = None
    """Which chat of a database that has several."""
    seed: int = 0
    """Decides the first weights, the order of the data, and dropout."""
    talk: bool = True
    """Talk with the model at the end. Where there is no terminal, nobody does."""

    def __call__(self) -> int:
        """Clone, and talk; 0, or 128 + the signal that stopped it."""
        from gpt.clone.pipeline import clone
        from gpt.report.console import ConsoleReporter
        from gpt.report.events import Reporters
        from gpt.report.page import Report
        from gpt.report.sessions import Sessions

        asked = self._asked()
        with ConsoleReporter() as console, Interruption() as interruption, Bars() as bars:
            cloned = clone(
                asked,
                reporter=Reporters([console, Sessions(), Report()]),
                progress=bars.update,
                stop=lambda: interruption.signal is not None,
            )
        if interruption.signal is not None and not cloned.finished:
            say(f"stopped; what is done is kept, and to go on: gpt {shlex.join(sys.argv[1:])}")
            return 128 + interruption.signal
        return self._converse(cloned)

    def _converse(self, cloned: CloneResult) -> int:
        """Talk with the model, or say how; in a group as whoever else writes most."""
        you = cloned.template.speakers[1:2]
        where = shlex.quote(str(cloned.run))
        say(f"to talk with it again: gpt chat {where}")
        if not self.talk or not (sys.stdin.isatty() and sys.stdout.isatty()) or not you:
            return 0
        return Chat(run=cloned.run, you=you[0])()

    def _asked(self) -> CloneOptions:
        """What the options ask for."""
        from gpt.clone.options import CloneOptions
        from pytok.chat.importing import ImportOptions

        if not self.exports:
            raise ConfigError("which exports? Name the file that the app has exported")
        if self.full and self.lora is not None:
            raise ConfigError("--lora and --full are two ways; choose one")
        whole = self.full or (self.base is None and self.lora is None)
        return CloneOptions(
            exports=self.exports,
            me=self.me,
            out=self.out,
            import_options=ImportOptions(
                date_order=self.date_order,
                timezone=self.timezone,
                key=self.key,
                names=self.names,
                chat=self.chat,
            ),
            base=self.base,
            adapter=None if whole else LoRA(rank=8 if self.lora is None else self.lora),
            seconds=self.seconds,
            preset=self.preset,
            seed=self.seed,
        )
