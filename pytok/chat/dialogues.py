"""Conversations without times, as models are trained on: ShareGPT's and OpenAI's JSON.

One object is one conversation: ``{"conversations": [{"from": "human", "value": ...}]}``, or
``{"messages": [{"role": "user", "content": ...}]}``. Roles become senders. The times are made up: a
minute between messages, a day between conversations, so that they part where they did.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.errors import ChatError

BEGIN = datetime(2000, 1, 1)
"""When the first conversation is said to begin."""

_SPELLINGS = (("messages", "role", "content"), ("conversations", "from", "value"))
"""Names of the fields: the turns of a conversation, and the sender and the words of a turn."""


def is_dialogue(plain: Any) -> bool:
    """Whether *plain*, an object of a JSON file, is a conversation in one of the two spellings."""
    return isinstance(plain, Mapping) and any(
        isinstance(turns := plain.get(field), list)
        and all(isinstance(turn, Mapping) and role in turn for turn in turns)
        for field, role, _ in _SPELLINGS
    )


def read_dialogues(conversations: Iterable[tuple[int, Any]], name: str) -> Source:
    """The turns of *conversations*, each with the line that it stands in, as messages.

    *name* is the file's. A turn without words, such as a call of a tool, is counted as unread, by
    its line. Raises ChatError where there is no turn at all.
    """
    messages: list[Message] = []
    unread: list[int] = []
    begin = BEGIN
    for line, plain in conversations:
        turns, role, content = _turns(plain)
        time = begin
        for turn in turns:
            said = _words(turn.get(content)) if isinstance(turn, Mapping) else None
            if said is None:
                unread.append(line)
                continue
            sender = str(turn.get("name") or turn.get(role))
            system = sender == "system"
            messages.append(
                Message(
                    time=time,
                    sender=None if system else sender,
                    kind="system" if system else "text",
                    text=said,
                    source=name,
                    line=line,
                )
            )
            time += timedelta(minutes=1)
        begin = datetime.combine(time, begin.time()) + timedelta(days=1)
        if not turns:
            unread.append(line)
    if not messages:
        raise ChatError(f"{name}: no conversation in it has a turn with words")
    return Source(
        name=name,
        format="conversations of ShareGPT or OpenAI",
        messages=messages,
        unread=unread,
        timeless=True,
    )


def _turns(plain: Any) -> tuple[Sequence[Any], str, str]:
    for field, role, content in _SPELLINGS:
        if isinstance(plain, Mapping) and isinstance(turns := plain.get(field), list):
            return turns, role, content
    return (), "", ""


def _words(content: Any) -> str | None:
    """A turn's words, which OpenAI also writes as a list of parts; None where there are none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        words = [text for text in texts if isinstance(text, str)]
        return "".join(words) if words else None
    return None
