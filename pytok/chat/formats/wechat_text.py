"""The texts of WechatExporter, from the backup of an iPhone: ``Ann (2024-01-05 20:10:00):hi``."""

import re
from datetime import datetime
from typing import Literal

from pytok.chat.formats.times import read_time
from pytok.chat.formats.transcript import (
    MAX_NAME,
    Entry,
    Start,
    first_lines,
    read_entries,
    split_lines,
)
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError

_TITLE = re.compile(r"(?P<chat>.{1,200}?)\s-\s(?:WeChat Chat History|微信聊天记录)\s*$")
_HEAD = re.compile(
    rf"(?P<name>.{{0,{MAX_NAME}}}?)\s?"
    r"\((?P<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})\):"
)
_SYSTEM = re.compile(r"(?:System Message|系统消息)[:：]\s?")
_QUOTE = re.compile(r"「.{0,2000}?」\n(?:- ){5,40}-\n", re.S)

_MEDIA = {
    **dict.fromkeys(("[Photo]", "[图片]"), "image"),
    **dict.fromkeys(("[Video]", "[视频]", "(Video Missed)", "（视频丢失）"), "video"),
    **dict.fromkeys(("[Emoji]", "[表情]"), "sticker"),
    **dict.fromkeys(("[Audio]", "[语音]"), "audio"),
    **dict.fromkeys(("[Link]", "[链接]", "[Mini Program]", "[小程序]"), "link"),
    **dict.fromkeys(("[File]", "[文件]"), "file"),
}
_CALLS = frozenset(("[Video/Audio Call]", "[视频/语音通话]"))


def is_wechat_text(text: str) -> bool:
    """Return whether *text* starts as a text of WechatExporter does."""
    first = first_lines(text, 3)
    if not first:
        return False
    title = _TITLE.match(first[0].lstrip("\ufeff"))
    return any(_HEAD.match(line) for line in first) or (
        title is not None and any(_SYSTEM.match(line) for line in first)
    )


def read_wechat_text(text: str, name: str) -> Source:
    """Read the text of an export; *name* is the name of its file. Raises ChatError."""
    lines = split_lines(text.lstrip("\ufeff"))
    title = next((match for line in lines[:3] if (match := _TITLE.match(line))), None)
    last: datetime | None = None

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal last
        if match := _HEAD.match(line):
            try:
                last = read_time(match["time"])
            except ValueError:
                return None
            return Start(last, match["name"], line[match.end() :])
        if system := _SYSTEM.match(line):
            return "layout" if last is None else Start(last, None, line[system.end() :])
        return "layout" if last is None and _TITLE.match(line) else None

    entries, unread = read_entries(lines, read)
    if not entries:
        raise ChatError(f"{name}: a text of WechatExporter without a message")
    return Source(
        name=name,
        format="WeChat text (WechatExporter)",
        messages=[_message(entry, name) for entry in entries],
        unread=unread,
        chats=[Chat(title["chat"], len(entries))] if title else [],
    )


def _message(entry: Entry, source: str) -> Message:
    quoted = _QUOTE.match(entry.text)
    text = entry.text[quoted.end() :] if quoted else entry.text
    media = _MEDIA.get(text.strip())
    kind: Kind = "media" if media else "call" if text.strip() in _CALLS else "text"
    if entry.sender is None:
        kind, media = "system", None
    return Message(
        time=entry.time,
        sender=None if entry.sender is None else entry.sender or "unknown",
        kind=kind,
        text="" if media else text,
        media=media,
        source=source,
        line=entry.number,
    )
