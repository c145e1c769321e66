"""QQ's texts, and those of MemoTrace for WeChat: a line of time and sender, then the message.

``2024-01-05 20:10:00 Ann(10001)`` is what QQ's message manager writes, MemoTrace the same without a
number. QQChatExporter writes a field per line: ``Ann:``, ``时间: 2024-01-05 20:10:00``,
``内容: hi``. A text of QQ's message manager can have several chats, each after ``消息对象:``.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

from pytok.chat.formats.times import read_time
from pytok.chat.formats.transcript import (
    HEAD_SIZE,
    Entry,
    Start,
    first_lines,
    read_entries,
    split_lines,
)
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError

_HEAD = re.compile(
    r"(?P<time>\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{2}:\d{2}(?: [AP]M)?) (?P<sender>[^\n]{1,160})$"
)
_SENDER = re.compile(
    r"(?P<name>.{0,120}?)"
    r"(?:\((?P<number>\d{4,12})\)|<(?P<address>[^<>\s]{1,64}@[^<>\s]{1,64})>)?\s*"
)
_CHAT = re.compile(r"消息对象:\s?(?P<chat>.{1,200})$")
_LAYOUT = re.compile(r"={10,80}$|消息分组:|消息记录（")
_RANK = re.compile(r"(?:【[^】]{1,30}】\s?){1,3}(?=\S)")
"""The rank of a member, which QQ writes before the name."""
_SYSTEM_NUMBERS = frozenset(("10000", "1000000"))

_EXPORTER = "[QQChatExporter"
_FIELD = re.compile(r"(?P<field>时间|内容|资源|提及|回复|类型): ?")

_PLACEHOLDER = re.compile(r"\[(?P<what>[^\[\]:：\n]{1,16})(?:[:：][^\[\]\n]{0,200})?\]")
_RECALLED = re.compile(r".{0,80}撤回了一条消息[.。]?")
_MEDIA = {
    **dict.fromkeys(("图片", "照片", "image"), "image"),
    **dict.fromkeys(("表情", "动画表情", "表情消息", "face", "market_face"), "sticker"),
    **dict.fromkeys(("语音", "语音消息", "audio", "voice"), "audio"),
    **dict.fromkeys(("视频", "视频消息", "video"), "video"),
    **dict.fromkeys(("文件", "file"), "file"),
    **dict.fromkeys(("链接", "卡片消息", "分享", "音乐", "小程序", "红包", "转账"), "link"),
    **dict.fromkeys(("转发", "聊天记录", "合并转发"), "forwarded"),
}
"""What stands in brackets for something without words, and the type of media."""
_CALLS = frozenset(("语音通话", "视频通话"))


def is_qq(text: str) -> bool:
    """Return whether *text* starts as a text of QQ, QQChatExporter or MemoTrace does."""
    text = text[:HEAD_SIZE].lstrip("\ufeff")
    first = first_lines(text, 12)
    if any(_LAYOUT.match(line) or line.startswith(_EXPORTER) for line in first[:1]):
        return True
    if any(_CHAT.match(line) for line in first):
        return True
    if not first or not _HEAD.match(first[0]):
        return False
    # Without a title only the shape is left: a blank line, a head, and lines of the message.
    lines = split_lines("\n" + text.lstrip())
    heads = [number for number, line in enumerate(lines) if _HEAD.match(line)]
    alone = sum(
        not lines[number - 1].strip()
        and any(line.strip() and not _HEAD.match(line) for line in lines[number + 1 : number + 2])
        for number in heads
    )
    return 2 * alone > len(heads)


def read_qq(text: str, name: str) -> Source:
    """Read the text of an export; *name* is the name of its file.

    Raises ChatError if it has no message.
    """
    lines = split_lines(text.lstrip("\ufeff"))
    chats: list[str] = []
    titles: dict[int, str] = {}
    read = _read_fields(lines) if lines[0].startswith(_EXPORTER) else _read_line(chats, titles)
    entries, unread = read_entries(lines, read)
    if not entries:
        raise ChatError(f"{name}: an export of QQ without a message; export the chat again")
    has_several = len(set(chats)) > 1
    messages = []
    counts = dict.fromkeys(chats, 0)
    for entry in entries:
        chat = titles.get(entry.number)
        if chat is not None:
            counts[chat] += 1
        messages.append(_message(entry, name, chat if has_several else None))
    return Source(
        name=name,
        format="QQ text",
        messages=messages,
        unread=unread,
        chats=[Chat(chat, count) for chat, count in counts.items()],
    )


def _read_line(
    chats: list[str], titles: dict[int, str]
) -> Callable[[str], Start | Literal["layout"] | None]:
    """Return a reader of lines that adds to *chats*, and to *titles* the chat of each message."""
    number = 0

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal number
        number += 1
        if _LAYOUT.match(line):
            return "layout"
        if match := _CHAT.match(line):
            chats.append(match["chat"].strip())
            return "layout"
        match = _HEAD.match(line)
        if match is None:
            return None
        try:
            time = read_time(match["time"])
        except ValueError:
            return None
        if chats:
            titles[number] = chats[-1]
        return Start(time, match["sender"].strip(), "")

    return read


def _read_fields(lines: Sequence[str]) -> Callable[[str], Start | Literal["layout"] | None]:
    """Return a reader of the *lines* of QQChatExporter, which is called with each in turn."""
    position = 0
    sender: str | None = None
    time: datetime | None = None
    is_text = False

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal position, sender, time, is_text
        position += 1
        following = lines[position] if position < len(lines) else ""
        if line.endswith(":") and following.startswith("时间: "):
            sender, time, is_text = line[:-1], None, False
            return "layout"
        field = _FIELD.match(line)
        if field is None or sender is None:
            is_text = is_text and not _LAYOUT.match(line)
            return None if is_text else "layout"
        value = line[field.end() :]
        if field["field"] == "内容" and time is not None:
            start, time, is_text = Start(time, sender, value), None, True
            return start
        if field["field"] == "时间" and not is_text:
            with suppress(ValueError):
                time = read_time(value)
        is_text = False
        return "layout"

    return read


def _message(entry: Entry, source: str, chat: str | None) -> Message:
    match = _SENDER.fullmatch(entry.sender or "")
    identity = entry.sender or ""
    name = None
    if match is not None:
        name = _RANK.sub("", match["name"], count=1).strip()
        identity = match["number"] or match["address"] or name
    text = entry.text.removeprefix("\n")
    is_system = identity in _SYSTEM_NUMBERS
    kind, media, text = ("system", None, text) if is_system else _kind(text)
    return Message(
        time=entry.time,
        sender=None if is_system else identity or "unknown",
        name=None if is_system or name == identity else name,
        kind=kind,
        text=text,
        media=media,
        chat=chat,
        source=source,
        line=entry.number,
    )


def _kind(text: str) -> tuple[Kind, str | None, str]:
    """Return the kind of a message, the type of its media, and its text without placeholders."""
    if _RECALLED.fullmatch(text):
        return "deleted", None, ""
    found = [match["what"] for match in _PLACEHOLDER.finditer(text)]
    if len(found) == 1 and found[0] in _CALLS:
        return "call", None, text.strip("[]")
    types = [_MEDIA[what] for what in found if what in _MEDIA]
    if not types:
        return "text", None, text
    words = _PLACEHOLDER.sub(lambda match: "" if match["what"] in _MEDIA else match[0], text)
    media = next((each for each in types if each != "sticker"), None)
    if media is None and words.strip():
        return "text", None, words.strip()
    return "media", media or "sticker", words.strip()
