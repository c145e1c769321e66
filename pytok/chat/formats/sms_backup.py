"""Android's SMS and MMS as SMS Backup & Restore writes them: one XML file with all conversations.

A message has the number of the other side, and whether it was received or sent, so the owner of the
phone is called "me".
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pytok.chat.formats.times import read_time
from pytok.chat.markup import attributes, parts
from pytok.chat.record import Message
from pytok.chat.source import Chat, Source, join

OWNER = "me"
_OWN = frozenset("23456")
"""Boxes of messages that the owner wrote: sent, drafts, outbox, failed, queued."""
_FROM = "137"
"""The type of the address of an MMS that sent it, which in a group is one of several."""
_PAIR = re.compile(r"&#(5[5-6]\d{3});&#(5[6-7]\d{3});")


class _Part(NamedTuple):
    """A message, and the number and the name of the other side."""

    number: int
    address: str
    name: str
    message: Message | None


def is_sms_backup(text: str) -> bool:
    """Return whether *text* starts as such a file."""
    return "<smses " in text[:4096]


def read_sms_backup(text: str, name: str) -> Source:
    """Return the messages of the XML *text* of the file *name*; a number is a chat."""
    unread: list[int] = []
    chats: dict[str, list[Message]] = defaultdict(list)
    names: dict[str, str] = {}
    for number, address, contact, message in _messages(_PAIR.sub(_joined, text), name):
        if message is None:
            unread.append(number)
            continue
        chats[address].append(message)
        if contact and contact != "(Unknown)":
            names[address] = contact
    sources = [
        Source(
            name=name,
            format="SMS Backup & Restore",
            messages=sorted(messages, key=lambda message: message.time),
            chats=[Chat(names.get(address, address), len(messages), address)],
        )
        for address, messages in chats.items()
    ]
    joined = join(sources, name) if sources else Source(
        name=name, format="SMS Backup & Restore", messages=[]
    )  # fmt: skip
    joined.unread = unread
    return joined


def _joined(match: re.Match[str]) -> str:
    """Return the character of a surrogate pair, which the app writes as two references."""
    pair = chr(int(match[1])) + chr(int(match[2]))
    return html.escape(pair.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _messages(text: str, name: str) -> Iterator[_Part]:
    """Yield the messages in order of the file, with their numbers."""
    number = 0
    mms: dict[str, str] | None = None
    words: list[str] = []
    media: str | None = None
    sender = ""
    for opens, closes, written in parts(text):
        values = attributes(written) if opens in ("sms", "mms", "part", "addr") else {}
        if opens == "sms":
            number += 1
            body = "" if values.get("body") == "null" else values.get("body", "")
            yield _part(number, values, values.get("type") in _OWN, body, None, name)
        elif opens == "mms":
            number, mms, words, media, sender = number + 1, values, [], None, ""
        elif opens == "addr" and values.get("type") == _FROM:
            sender = values.get("address", "")
        elif opens == "part" and values.get("ct") == "text/plain":
            words.append(values.get("text", ""))
        elif opens == "part" and values.get("ct") != "application/smil":
            kind = values.get("ct", "").partition("/")[0]
            named = values.get("cl") or values.get("name") or "null"
            media = media or (kind if named == "null" else named)
        elif closes == "mms" and mms is not None:
            sent = mms.get("msg_box") in _OWN
            yield _part(number, mms, sent, "\n".join(words), media, name, sender)
            mms = None


def _part(
    number: int,
    values: dict[str, str],
    sent: bool,
    text: str,
    media: str | None,
    source: str,
    sender: str = "",
) -> _Part:
    address, contact = values.get("address", "unknown"), values.get("contact_name", "")
    known = contact and contact not in ("null", "(Unknown)", address)
    is_group = "~" in address  # with the names of all people
    try:
        message = Message(
            time=read_time(values.get("date"), milliseconds=True),
            sender=OWNER if sent else (is_group and sender) or address,
            name=contact if known and not sent and not is_group else None,
            kind="text" if media is None else "media",
            text=text,
            media=media,
            source=source,
            line=number,
        )
    except ValueError:
        return _Part(number, address, contact, None)
    return _Part(number, address, contact if known else "", message)
