"""One conversation as texts, databases and encrypted backups: the same messages from each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

from gpt.lab.apparatus.chats import android_export, imported, repetitive_chat
from gpt.lab.apparatus.phones import IV, backup, msgstore
from gpt.lab.checks import Equal
from gpt.lab.experiment import Bars, Experiment, Figures, Part, Setting, Source
from pytok.chat.example import example_export
from pytok.chat.record import Message
from pytok.errors import ChatError

ZONE = "Europe/Vienna"
HARD = (
    "two\nlines: and [a bracket]",
    "12:30 - no: this is no header",
    "\u202bשלום: עולם\u202c",
    "👩\u200d🍳 and 🙌🏽",
    "re: \u200cمی\u200cخواهم",
)
"""Texts that readers of lines get wrong."""
Numbered = Sequence[tuple[int, Message]]


def text_of(write: Callable[[Sequence[Message]], str]) -> Callable[[Path, Numbered], Path]:
    """Return what writes an export, which has the times of the phone."""

    def written(folder: Path, numbered: Numbered) -> Path:
        local = [replace(m, time=m.time.astimezone(ZoneInfo(ZONE))) for _, m in numbered]
        (folder / "chat.txt").write_text(write(local), encoding="utf-8", newline="")
        return folder / "chat.txt"

    return written


def both(folder: Path, numbered: Numbered) -> Path:
    """Write a database that an app is migrating: the middle third is in both tables."""
    third = len(numbered) // 3
    msgstore(folder, numbered[third:], numbered[: 2 * third])
    return folder


def crypt(version: int) -> Callable[[Path, Numbered], Path]:
    """Return what writes an encrypted backup with its key."""

    def written(folder: Path, numbered: Numbered) -> Path:
        backup(msgstore(folder, numbered, ()), version)
        return folder

    return written


ARMS: dict[str, Callable[[Path, Numbered], Path]] = {
    "Android text": text_of(android_export),
    "iPhone text": text_of(example_export),
    "messages": lambda folder, numbered: msgstore(folder, (), numbered).parent,
    "message": lambda folder, numbered: msgstore(folder, numbered, ()).parent,
    "both tables": both,
    "crypt14": crypt(14),
    "crypt15": crypt(15),
}
"""What writes a conversation to a folder, and returns what to import."""
CLAIMS = (
    (tuple(ARMS), "minute, author and text of each message, in order", "differing", 0),
    (("crypt14",), "the IV has the offset that it has in backups of phones", "offset", 67),
    (("crypt15",), "the IV has the offset that it has in backups of phones", "offset", 8),
    (("crypt14", "crypt15"), "another key, a changed byte, a cut file are errors", "refused", 3),
)
"""Arms, what is claimed of them, and the figure and its value."""


def conversation(setting: Setting) -> list[Message]:
    """Return a group's messages in UTC, each tenth with a text that is hard to read."""
    chat = repetitive_chat(setting.size["messages"], setting.seed, authors=4)
    return [
        replace(
            message,
            time=message.time.replace(tzinfo=timezone.utc),
            text=message.text if number % 10 else HARD[number // 10 % len(HARD)],
        )
        for number, message in enumerate(chat)
    ]


def line(message: Message) -> tuple[datetime, str | None, str]:
    """Return what all formats have: the minute, the author and the text."""
    minute = message.time.astimezone(timezone.utc).replace(second=0, microsecond=0)
    return minute, message.author, message.text


def measure(setting: Setting) -> Figures:
    """Import what is written of a conversation, and compare it with the original."""
    chat = conversation(setting)
    with tempfile.TemporaryDirectory() as name:
        path = ARMS[setting.arm](Path(name), list(enumerate(chat, 1)))
        files = [path] if path.is_file() else list(path.iterdir())
        found = imported(path, timezone=ZONE)
        figures = {
            "differing": float(
                sum(a != b for a, b in zip_longest(map(line, found), map(line, chat)))
            ),
            "bytes": sum(file.stat().st_size for file in files) / len(chat),
        }
        for encrypted in Path(name).glob("*.crypt*"):
            figures["offset"] = float(encrypted.read_bytes().index(IV))
            figures["refused"] = refused(encrypted)
    return figures


def refused(encrypted: Path) -> float:
    """Return how many imports fail of three: another key, a changed byte, a file cut short."""
    data = encrypted.read_bytes()
    (key,) = (path for path in encrypted.parent.iterdir() if path.suffix in ("", ".key"))
    secret, middle = key.read_bytes(), len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    count = 0
    for ours, theirs in ((data, secret[:-1] + b"!"), (changed, secret), (data[:-40], secret)):
        encrypted.write_bytes(ours)
        key.write_bytes(theirs)
        try:
            imported(encrypted.parent, timezone=ZONE)
        except ChatError:
            count += 1
    return float(count)


EXPERIMENT = Experiment(
    id="msgstore",
    question="Do texts, databases and backups of one conversation give the same messages?",
    source=Source(
        paper="Raghuvanshi 2023, WhatsApp-Key-Database-Extractor",
        link="https://github.com/YuvrajRaghuvanshiS/WhatsApp-Key-Database-Extractor",
        where="README: the key and the databases of a phone, for any Android from 4.0",
    ),
    claim="What the extractor takes from a phone (msgstore.db, wa.db, the key of its backups) has "
    "the conversation that the app itself exports as text.",
    parts=[
        Part(
            name="formats",
            kind="EXACT",
            arms=list(ARMS),
            measure=measure,
            sizes={
                "smoke": {"messages": 200},
                "cpu": {"messages": 20_000},
                "gpu": {"messages": 20_000},
            },
            checks=[
                Equal(claim=f"{arm}: {claim}", arm=arm, figure=figure, value=value)
                for arms, claim, figure, value in CLAIMS
                for arm in arms
            ],
        )
    ],
    panels=[Bars(part="formats", figure="bytes", label="bytes per message, all files")],
    bounds="No phone is read: the files are written here, with the tables and columns that readers "
    "need, and backups with the layout of WhatsApp's. Only texts are compared; pictures, calls and "
    "reactions are not in all formats. Texts have no zone, so the import is given one.",
    expects="All equal.",
)
