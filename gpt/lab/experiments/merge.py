"""Exports that are cut at 40,000 messages, and what several of them give together."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from gpt.lab.apparatus.chats import android_export, imported, repetitive_chat
from gpt.lab.checks import Above, Below, Equal
from gpt.lab.experiment import Experiment, Figures, Grid, Part, Setting, Source
from pytok.chat.example import example_export
from pytok.chat.importing import ImportOptions, import_chats
from pytok.chat.record import Message

IPHONE, ANDROID = "merged, iPhone", "merged, Android"
JOINED, BY_CONTENT, LAST = "joined", "by content", "last export"


def line(message: Message) -> tuple[datetime, str, str]:
    """Return what two equal messages have in common."""
    return message.time, str(message.sender), message.text


def read(arm: str, paths: Sequence[Path]) -> list[Message]:
    """Return the messages that an arm takes from exports, of which the newest has the last name."""
    if arm == LAST:
        return imported(max(paths))
    if arm in (IPHONE, ANDROID):
        return imported(*paths)
    joined = [message for path in paths for message in imported(path)]
    if arm == JOINED:
        return joined
    return sorted({line(each): each for each in joined}.values(), key=lambda each: each.time)


def merging(setting: Setting) -> Figures:
    """Merge exports of a chat, each with the newest messages of its day, in any order."""
    limit, step = setting.size["limit"], setting.size["limit"] - setting.size["overlap"]
    write = example_export if setting.arm == IPHONE else android_export
    chat = repetitive_chat(setting.size["messages"], setting.seed)
    ends = [*range(limit, len(chat), step), len(chat)]
    random.Random(setting.seed).shuffle(ends)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{end:09}.txt" for end in ends]
        for path, end in zip(paths, ends, strict=True):
            path.write_text(write(chat[max(0, end - limit) : end]), encoding="utf-8")
        found = [line(message) for message in read(setting.arm, paths)]
    if write is android_export:  # it has no seconds
        chat = [replace(message, time=message.time.replace(second=0)) for message in chat]
    said = [line(message) for message in chat]
    ours, theirs = Counter(found), Counter(said)
    return {
        "lost": 1000 * (theirs - ours).total() / len(said),
        "doubled": 1000 * (ours - theirs).total() / len(said),
        "moved": float(ours == theirs and found != said),
        "sent again": 1000 * (len(said) - len(theirs)) / len(said),
    }


FILES = {
    "40,000": (40_000, "hello", True),
    "39,000": (39_000, "hello", False),
    "10,000": (10_000, "hello", False),
    "10,000, media": (10_000, "IMG-20240101-WA0000.jpg (file attached)", True),
}
"""Messages of a file, the text of each, and whether older ones are probably missing."""


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


SMALL = {"messages": 1000, "limit": 400, "overlap": 50}
WHATSAPP = {"messages": 100_000, "limit": 40_000, "overlap": 5000}

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
            arms=[IPHONE, ANDROID, BY_CONTENT, JOINED, LAST],
            measure=merging,
            sizes={"smoke": SMALL, "cpu": WHATSAPP, "gpu": WHATSAPP},
            checks=[
                *(
                    Below(claim=f"{arm}: no message is {figure}", arm=arm, figure=figure, bound=0)
                    for arm in (IPHONE, ANDROID)
                    for figure in ("lost", "doubled", "moved")
                ),
                *(
                    Above(claim=claim, arm=arm, figure=figure, bound=50)
                    for arm, figure, claim in (
                        (ANDROID, "sent again", "over 50 of 1,000 repeat one of the same minute"),
                        (BY_CONTENT, "lost", "one of each time, sender and text loses as many"),
                        (JOINED, "doubled", "all messages of all files have as many twice"),
                    )
                ),
                Equal(claim="the last export has lost 60%", arm=LAST, figure="lost", value=600),
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
            part="merging", figures={"lost": "lost", "twice": "doubled"}, label="of 1,000 messages"
        )
    ],
    bounds="The chat is generated, and its exports are written as WhatsApp writes them. If two "
    "exports overlap by less than a minute, no program can say how often a message was sent in it. "
    "The thread's limits are what people have seen; WhatsApp does not document them.",
    expects="Alignment loses nothing. One message of each time, sender and text loses what was "
    "sent twice, some 100 of 1,000.",
)
