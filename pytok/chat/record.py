"""One message of a chat, independent of the source, and histories of messages as JSON lines.

Every reader in this package produces `Message` objects. All later steps (merging, conversations,
plots) work on these alone.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias, get_args

from pytok.chat.jsonl import read_lines, write_lines
from pytok.errors import ChatError

Kind: TypeAlias = Literal["text", "media", "system", "deleted", "call", "poll", "location"]
"""Kind of a message; only "text" guarantees words of the sender."""

_KINDS = frozenset(get_args(Kind))

KIND_NAMES: Mapping[Kind, str] = {
    "text": "text",
    "media": "media file",
    "system": "app notice",
    "deleted": "deleted message",
    "call": "call",
    "poll": "poll",
    "location": "location",
}
"""What one message of each kind is called where messages are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as its source has it; only names are normalized."""

    time: datetime
    """Time of sending: UTC if the source gives it (databases), else local time of the sender or
    exporter, without a zone (text exports)."""
    sender: str | None
    """Stable identifier of the sender: a number or an account if the source has one, else the
    displayed name; None for system messages."""
    name: str | None = None
    """Displayed name, if it differs from *sender*."""
    kind: Kind = "text"
    """What was sent; only "text" guarantees words of the sender."""
    text: str = ""
    """Words of the message, caption, question and options of a poll, or system line."""
    edited: bool = False
    """Whether the sender changed it later, if the source says so."""
    media: str | None = None
    """Name of the file, or the type of omitted media: "image", "video", "sticker" ..."""
    id: str | None = None
    """Identifier of the message, if the source has one (databases)."""
    reply_to: str | None = None
    """*id* of the message that this one answers."""
    reactions: tuple[str, ...] = ()
    """Emoji, one for each person who reacted."""
    chat: str | None = None
    """Name of the chat, if the source holds several."""
    source: str = ""
    """Name of the file that the message was read from."""
    line: int | None = None
    """First line of the message in *source*, counted from 1, or row of its table."""

    @property
    def author(self) -> str | None:
        """Name to display: *name* if set, else *sender*."""
        return self.name or self.sender


def assume_utc(time: datetime) -> datetime:
    """Return *time* with a zone, UTC if it has none, so that any two times can be compared."""
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


_OPTIONAL = frozenset({"sender", "name", "media", "id", "reply_to", "chat"})
_FIELDS = {field.name: field for field in dataclasses.fields(Message)}
FIELDS = frozenset(_FIELDS)
"""Names of the fields of a message."""


def to_dict(message: Message) -> dict[str, Any]:
    """Return the fields of *message* for JSON; those with default values are omitted."""
    fields: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = getattr(message, name)
        if value != field.default:
            fields[name] = value
    fields["time"] = message.time.isoformat()
    if message.reactions:
        fields["reactions"] = list(message.reactions)
    return fields


def from_dict(fields: Any) -> Message:
    """Invert `to_dict`. Raises ChatError with the name of an invalid field."""
    if not isinstance(fields, dict):
        raise ChatError("not an object with the fields of a message")
    unknown = fields.keys() - _FIELDS.keys()
    if unknown:
        raise ChatError(f"{min(unknown)!r} is not a field of a message")
    values = dict(fields)
    try:
        values["time"] = datetime.fromisoformat(fields["time"])
    except (KeyError, TypeError, ValueError):
        raise ChatError(f"time is {fields.get('time')!r}, not like 2022-12-31T23:59:59") from None
    if not isinstance(kind := values.get("kind", "text"), str) or kind not in _KINDS:
        raise ChatError(f"kind is {kind!r}, not one of {', '.join(sorted(_KINDS))}")
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
                raise ChatError(f"line is {value!r}, not an integer")
        elif name != "time" and not (
            isinstance(value, str) or (value is None and name in _OPTIONAL)
        ):
            raise ChatError(f"{name} is {value!r}, not a string")
    values.setdefault("sender", None)
    return Message(**values)


def write_history(path: str | os.PathLike[str], messages: Iterable[Message]) -> None:
    """Write *messages* to *path*, one JSON object per line, completely or not at all."""
    write_lines(path, map(to_dict, messages))


def read_history(path: str | os.PathLike[str]) -> Iterator[Message]:
    """Read a file of `write_history`. Raises ChatError with the file, line and field."""
    expected = "this needs a history, which `pytok chat import` makes of an export"
    return read_lines(path, from_dict, expected)
