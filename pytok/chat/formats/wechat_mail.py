"""The text that WeChat itself writes when messages are selected and sent by mail.

A line has the day (``—————  2024-01-05  —————``), one the name and the time of a message (``Ann
20:10``, with two spaces between them), and the lines after it the message.
"""

import re
from datetime import date
from itertools import pairwise
from typing import Literal

from pytok.chat.formats.transcript import (
    Entry,
    Start,
    calendar_day,
    clock_time,
    first_lines,
    read_entries,
    split_lines,
)
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.errors import ChatError

_DAY = re.compile(r"[—–―-]{3,10}\s{1,4}(\d{4})-(\d{1,2})-(\d{1,2})\s{1,4}[—–―-]{3,10}\s{0,9}$")
_HEAD = re.compile(r"(?P<name>.{1,120}?)[ \u00a0]{2,4}(?P<hour>\d{1,2}):(?P<minute>\d{2})\s{0,9}$")
_MEDIA = re.compile(
    r"\[(?:(?P<image>图片|Photo|Image)|(?P<video>视频|Video)|(?P<audio>语音|Audio)"
    r"|(?P<file>文件|File)|(?P<sticker>动画表情|表情|Sticker)|(?P<link>链接|Link)"
    r"|(?P<location>位置|Location)|(?P<forwarded>聊天记录|Chat History))"
    r"(?:[:：]\s?(?P<name>[^\]\n]{1,200}?)(?:\([^()\n]{1,60}\))?)?\]"
)


def is_wechat_mail(text: str) -> bool:
    """Return whether *text* starts as WeChat's mail does: a day soon, and a head after it."""
    first = first_lines(text, 12)
    return any(_DAY.match(day) and _HEAD.match(head) for day, head in pairwise(first))


def read_wechat_mail(text: str, name: str) -> Source:
    """Read the text of a mail; *name* is the name of its file. Raises ChatError."""
    day: date | None = None

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal day
        if match := _DAY.match(line):
            day = calendar_day(*match.groups())
            return "layout"
        if day is None:  # greetings and title
            return "layout"
        head = _HEAD.match(line)
        time = clock_time(day, head["hour"], head["minute"]) if head else None
        return None if head is None or time is None else Start(time, head["name"].strip(), "")

    entries, unread = read_entries(split_lines(text), read)
    if not entries:
        raise ChatError(f"{name}: a mail of WeChat without a message")
    return Source(
        name=name,
        format="WeChat mail",
        messages=[_message(entry, name) for entry in entries],
        unread=unread,
    )


def _message(entry: Entry, source: str) -> Message:
    text = entry.text.strip("\n")
    media = _MEDIA.fullmatch(text.strip())
    kind: Kind = "text" if media is None else "media"
    shown = None
    if media is not None:
        group = next(key for key, value in media.groupdict().items() if value and key != "name")
        shown, text = media["name"] or group, ""
    return Message(
        time=entry.time,
        sender=entry.sender,
        kind=kind,
        text=text,
        media=shown,
        source=source,
        line=entry.number,
    )
