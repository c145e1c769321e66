"""Training conversations in the JSON formats of ShareGPT and OpenAI, which have no times.

One object is one conversation: ``{"conversations": [{"from": "human", "value": ...}]}``, or
``{"messages": [{"role": "user", "content": ...}]}``. Roles become senders. Times are made up: a
minute between messages and a day between conversations, which keeps conversations separate when a
history is divided by pauses.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.errors import ChatError

START = datetime(2000, 1, 1)
"""Made-up time of the first message."""

_FORMATS = (("messages", "role", "content"), ("conversations", "from", "value"))
"""Names of fields: the turns of a conversation, the sender of a turn, and the text of a turn."""


def is_dialogue(value: Any) -> bool:
    """Return whether *value*, from a JSON file, is a conversation in one of the two formats."""
    return isinstance(value, Mapping) and any(
        isinstance(turns := value.get(field), list)
        and all(isinstance(turn, Mapping) and role in turn for turn in turns)
        for field, role, _ in _FORMATS
    )


def is_dialogue_file(entries: Iterable[tuple[int, Any]]) -> bool:
    """Return whether any of *entries*, pairs of line and JSON value, is such a conversation."""
    return any(is_dialogue(value) for _, value in entries)


def read_dialogues(conversations: Iterable[tuple[int, Any]], name: str) -> Source:
    """Convert the turns of *conversations*, pairs of line and JSON value, to messages.

    *name* is the name of the file. For a turn without text, such as a tool call, the line is
    recorded as unread. Raises ChatError if no turn has text.
    """
    messages: list[Message] = []
    unread: list[int] = []
    start = START
    for line, value in conversations:
        turns, role, content = _turns(value)
        time = start
        for turn in turns:
            text = _content_text(turn.get(content)) if isinstance(turn, Mapping) else None
            if text is None:
                unread.append(line)
                continue
            sender = str(turn.get("name") or turn.get(role))
            system = sender == "system"
            messages.append(
                Message(
                    time=time,
                    sender=None if system else sender,
                    kind="system" if system else "text",
                    text=text,
                    source=name,
                    line=line,
                )
            )
            time += timedelta(minutes=1)
        start = datetime.combine(time, start.time()) + timedelta(days=1)
        if not turns:
            unread.append(line)
    if not messages:
        raise ChatError(f"{name}: no conversation in it has a turn with text")
    return Source(
        name=name,
        format="conversations in the format of ShareGPT or OpenAI",
        messages=messages,
        unread=unread,
        timeless=True,
    )


def _turns(value: Any) -> tuple[Sequence[Any], str, str]:
    for field, role, content in _FORMATS:
        if isinstance(value, Mapping) and isinstance(turns := value.get(field), list):
            return turns, role, content
    return (), "", ""


def _content_text(content: Any) -> str | None:
    """Return the text of *content*, which OpenAI also writes as a list of parts, or None."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        texts = [text for text in parts if isinstance(text, str)]
        return "".join(texts) if texts else None
    return None
