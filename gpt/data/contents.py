"""Contents of JSON lines: a text, or messages that a chat template renders.

A message is ``{"role": "user", "content": "2 + 2?"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from gpt.errors import DataError
from pytok.text import quoted

ASSISTANT = "assistant"
"""Role of the messages that a model writes."""


class Message(NamedTuple):
    """A message of a conversation."""

    role: str
    content: str


Content: TypeAlias = str | tuple[Message, ...]
"""A text, or messages that a chat template renders."""


def texts_of(content: Content) -> Iterator[str]:
    """Yield the texts in *content*."""
    if isinstance(content, str):
        yield content
    else:
        yield from (message.content for message in content)


def messages_of(content: Content) -> tuple[Message, ...]:
    """Return the messages of *content*, which is no text."""
    if isinstance(content, str):
        raise TypeError("the content is a text, not messages")
    return content


def plain(content: Content) -> str | list[dict[str, str]]:
    """Return *content* as JSON has it."""
    return content if isinstance(content, str) else [each._asdict() for each in content]


def are_messages(path: Path, contents: Iterable[tuple[int, Content]]) -> bool:
    """Return whether *contents* of *path*, each with its line, are messages.

    Raises DataError naming two lines, one of which is text.
    """
    forms = {isinstance(content, str): line for line, content in contents}
    if len(forms) == 2:
        raise DataError(
            f"{path}: line {forms[True]} is text, and line {forms[False]} a list of messages; "
            "write all in one form"
        )
    return False in forms


def content_of(where: str, fields: Mapping[str, Any], name: str, expected: str) -> Content:
    """Return the field *name* of *fields*, a text or messages that are not empty.

    Raises DataError, which begins with *where* and says what is *expected*.
    """
    if name not in fields:
        raise DataError(f"{where}: no field {name}; {expected}")
    value = fields[name]
    field = f"{where}: field {name}"
    if isinstance(value, list) and value:
        return tuple(_messages(field, value))
    if not isinstance(value, str) or not value:
        problem = "is empty" if value in ("", []) else f"is {quoted(value)}, not text"
        raise DataError(f"{field} {problem}; {expected}")
    return _text(field, value)


def _messages(field: str, values: list[Any]) -> Iterator[Message]:
    """Yield the messages *values*."""
    for number, value in enumerate(values, start=1):
        where = f"{field}, message {number}"
        if not isinstance(value, dict):
            raise DataError(f'{where}: {quoted(value)}; expected {{"role": ..., "content": ...}}')
        for name in ("role", "content"):
            if not isinstance(value.get(name), str):
                raise DataError(f"{where}: {name} is {quoted(value.get(name))}, not text")
        yield Message(_text(where, value["role"]), _text(where, value["content"]))


def _text(field: str, text: str) -> str:
    """Return *text* if UTF-8 can encode it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{field} has half of a surrogate pair at character {error.start}, which no text can "
            "have; fix it"
        ) from None
    return text
