"""Exports that are cut at 40,000 messages, and what several of them give together."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from gpt.lab.apparatus.chats import android_export, imported, repetitive_chat
from gpt.lab.checks import Above, Equal
from gpt.lab.experiment import Experiment, Figures, Grid, Part, Setting, Source
from pytok.chat.example import example_export
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message


def by_content(paths: Sequence[Path]) -> list[Message]:
    """Keep one message of each time, sender and text."""
    found = {line(message): message for message in joined(paths)}
    return sorted(found.values(), key=lambda message: message.time)


def joined(paths: Sequence[Path]) -> list[Message]:
    """Keep all messages of all files."""
    return [message for path in paths for message in imported(path)]


ARMS: dict[
    str, tuple[Callable[[Sequence[Message]], str], Callable[[Sequence[Path]], list[Message]]]
] = {
    "merged, iPhone": (example_export, lambda paths: imported(*paths)),
    "merged, Android": (android_export, lambda paths: imported(*paths)),
    "by content": (android_export, by_content),
    "joined": (android_export, joined),
    "last export": (android_export, lambda paths: imported(max(paths))),
}
MERGED = ("merged, iPhone", "merged, Android")
FILES = {
    "40,000": (40_000, "hello", True),
    "39,000": (39_000, "hello", False),
    "10,000": (10_000, "hello", False),
    "10,000, media": (10_000, "IMG-20240101-WA0000.jpg (file attached)", True),
}
"""Messages of a file, the text of each, and whether older ones are probably missing."""
ERRORS = (
    ("by content", "lost", "one message of each time, sender and text loses more than 50 of 1,000"),
    ("joined", "doubled", "all messages of all files have more than 50 of 1,000 twice"),
    ("merged, Android", "sent again", "more than 50 of 1,000 repeat one of the same minute"),
)
"""Arms, their figures, and what is claimed of them."""


def line(message: Message) -> tuple[datetime, str, str]:
    """Return what two equal messages have in common."""
    return message.time, str(message.sender), message.text


def merging(setting: Setting) -> Figures:
    """Merge exports of a chat, each with the newest messages of its day, in any order."""
    write, merge = ARMS[setting.arm]
    size = setting.size
    chat = repetitive_chat(size["messages"], setting.seed)
    step = size["limit"] - size["overlap"]
    ends = [*range(size["limit"], len(chat), step), len(chat)]
    random.Random(setting.seed).shuffle(ends)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{end:09}.txt" for end in ends]
        for path, end in zip(paths, ends, strict=True):
            path.write_text(write(chat[max(0, end - size["limit"]) : end]), encoding="utf-8")
        found = [line(message) for message in merge(paths)]
    if write is android_export:  # it has no seconds
        chat = [replace(message, time=message.time.replace(second=0)) for message in chat]
    said = [line(message) for message in chat]
    ours, theirs = Counter(found), Counter(said)
    again = sum(count - 1 for count in theirs.values())
    return {
        "lost": 1000 * (theirs - ours).total() / len(said),
        "doubled": 1000 * (ours - theirs).total() / len(said),
        "moved": float(ours == theirs and found != said),
        "sent again": 1000 * again / len(said),
    }


def warned(setting: Setting) -> Figures:
    """Return whether an import warns that messages are missing."""
    count, text, _ = FILES[setting.arm]
    first = datetime(2024, 1, 31, 12)
    chat = [
        Message(time=first + timedelta(minutes=n), sender="AB"[n % 2], text=text)
        for n in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.txt"
        path.write_text(android_export(chat), encoding="utf-8")
        warnings = import_chats([path], ImportOptions()).summary.warnings
    return {"warnings": float(sum("only the newest" in warning for warning in warnings))}


EXPERIMENT = Experiment(
    id="merge",
    question="Do exports that are cut give the whole chat together?",
    source=Source(
        paper="r/DataHoarder, Full WhatsApp chat export, 40000+ messages",
        link="https://www.reddit.com/r/DataHoarder/comments/a7c0yq/",
        where="the thread: 40,000 messages without media, 10,000 with",
    ),
    claim="WhatsApp exports the newest 40,000 messages of a chat, or 10,000 with their media, "
    "without a notice. Several exports that overlap have them all.",
    parts=[
        Part(
            name="merging",
            kind="EXACT",
            arms=list(ARMS),
            measure=merging,
            sizes={
                "smoke": {"messages": 1000, "limit": 400, "overlap": 50},
                "cpu": {"messages": 100_000, "limit": 40_000, "overlap": 5000},
                "gpu": {"messages": 100_000, "limit": 40_000, "overlap": 5000},
            },
            checks=[
                *(
                    Equal(claim=f"{arm}: no message is {figure}", arm=arm, figure=figure, value=0)
                    for arm in MERGED
                    for figure in ("lost", "doubled", "moved")
                ),
                *(
                    Above(claim=claim, arm=arm, figure=figure, bound=50)
                    for arm, figure, claim in ERRORS
                ),
                Equal(
                    claim="the last export alone has lost 60%",
                    arm="last export",
                    figure="lost",
                    value=600,
                ),
            ],
        ),
        Part(
            name="limit",
            kind="EXACT",
            arms=list(FILES),
            measure=warned,
            sizes={name: {} for name in ("smoke", "cpu", "gpu")},
            checks=[
                Equal(
                    claim=f"{file}: the import {'warns' if warns else 'does not warn'}",
                    arm=file,
                    figure="warnings",
                    value=warns,
                )
                for file, (_, _, warns) in FILES.items()
            ],
        ),
    ],
    panels=[
        Grid(
            part="merging",
            figures={"lost": "lost", "twice": "doubled"},
            label="messages of 1,000",
        )
    ],
    bounds="The chat is generated, and its exports are written as WhatsApp writes them. If two "
    "exports overlap by less than a minute, no program can say how often a message was sent in it. "
    "The thread's limits are what people have seen; WhatsApp does not document them.",
    expects="Alignment loses nothing. One message of each time, sender and text loses what was "
    "sent twice, some 100 of 1,000.",
)
