"""One message of a chat, whatever it was exported from; and a history of them as JSON lines.

Every reader in this package makes `Message`s; all that comes after (merging, conversations, plots)
knows nothing else.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias, get_args

from pytok.chat.jsonl import read_lines, write_lines
from pytok.errors import ChatError

Kind: TypeAlias = Literal["text", "media", "system", "deleted", "call", "poll", "location"]
"""What a message is; only those of kind "text" are sure to have words of their sender."""

_KINDS = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, as its source has it; nothing is normalised but what names say."""

    time: datetime
    """When it was sent: the sender's or exporter's local time without a zone where the source says
    no more (text exports), UTC where it does (databases)."""
    sender: str | None
    """Who sent it, by what stays the same: a number or an account where the source has one, else
    the name shown; None for system messages."""
    name: str | None = None
    """The name shown, where it is not *sender* itself."""
    kind: Kind = "text"
    text: str = ""
    """The words: of a text, a caption, a poll's question and options, a system line."""
    edited: bool = False
    media: str | None = None
    """Name of the file, or what was left out: "image", "video", "sticker" ..."""
    id: str | None = None
    """The message's own identity, where the source has one (databases)."""
    reply_to: str | None = None
    """*id* of the message that this one answers."""
    reactions: tuple[str, ...] = ()
    """Emoji, one for each who reacted."""
    chat: str | None = None
    """Which chat it is of, where the source holds several."""
    source: str = ""
    """Name of the file it was read from."""
    line: int | None = None
    """Line of *source*, from 1, or row of its table, that it begins at."""

    @property
    def author(self) -> str | None:
        """The name to show: *name*, else *sender*."""
        return self.name or self.sender


def in_order(time: datetime) -> datetime:
    """*time* as it compares with any other: one that names no zone is taken for UTC."""
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


_OPTIONAL = frozenset({"sender", "name", "media", "id", "reply_to", "chat"})
_FIELDS = {field.name: field for field in dataclasses.fields(Message)}


def to_plain(message: Message) -> dict[str, Any]:
    """*message* as what JSON can hold; fields at their defaults are left out."""
    plain: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = getattr(message, name)
        if value != field.default:
            plain[name] = value
    plain["time"] = message.time.isoformat()
    if message.reactions:
        plain["reactions"] = list(message.reactions)
    return plain


def from_plain(plain: Any) -> Message:
    """Invert `to_plain`; raises ChatError naming the field."""
    if not isinstance(plain, dict):
        raise ChatError("not an object with the fields of a message")
    unknown = plain.keys() - _FIELDS.keys()
    if unknown:
        raise ChatError(f"{min(unknown)!r} is no field of a message")
    values = dict(plain)
    try:
        values["time"] = datetime.fromisoformat(plain["time"])
    except (KeyError, TypeError, ValueError):
        raise ChatError(f"time is {plain.get('time')!r}, not like 2022-12-31T23:59:59") from None
    if values.get("kind", "text") not in _KINDS:
        raise ChatError(f"kind is {values['kind']!r}, not one of {', '.join(sorted(_KINDS))}")
    for name, value in values.items():
        if name == "reactions":
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ChatError("reactions is not a list of strings")
            values[name] = tuple(value)
        elif name == "edited":
            if not isinstance(value, bool):
                raise ChatError("edited is neither true nor false")
        elif name == "line":
            if value is not None and type(value) is not int:
                raise ChatError(f"line is {value!r}, not a whole number")
        elif name != "time" and not (
            isinstance(value, str) or (value is None and name in _OPTIONAL)
        ):
            raise ChatError(f"{name} is {value!r}, not a string")
    values.setdefault("sender", None)
    return Message(**values)


def write_history(path: str | os.PathLike[str], messages: Iterable[Message]) -> None:
    """Write *messages* to *path*, one JSON object a line; the file appears whole or not at all."""
    write_lines(path, map(to_plain, messages))


def read_history(path: str | os.PathLike[str]) -> Iterator[Message]:
    """Read what `write_history` wrote; raises ChatError naming file, line and field."""
    holds = "a history has one object a line, and `pytok chat import` makes one of an export"
    return read_lines(path, from_plain, holds)
