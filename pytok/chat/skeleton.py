"""The text of a chat template around the texts of a conversation, and what a model writes of it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pytok.chat.jinja_rendering import BEGIN, END, render_source
from pytok.chat.template import ASSISTANT
from pytok.errors import ChatError

_FIRST_PLACEHOLDER = 0xF0000
"""Code point of the placeholder of the first message: private use, of which there are 65,534."""


Position = tuple[int, int]
"""The index of a literal, and an offset in it."""


class Skeleton(NamedTuple):
    """A conversation as a template renders it, without the texts of its messages."""

    literals: tuple[str, ...]
    """The text of the template before, between and after the texts of the messages."""
    messages: tuple[int, ...]
    """For each text between two literals, the index of its message."""
    ends: tuple[int, ...]
    """For each text, the end of the first special token in the literal after it; 0 without one."""
    written: Mapping[int, Sequence[tuple[Position, Position]]]
    """For each message that a model writes, the beginning and the end of each part of it."""
    unknown: Mapping[int, str]
    """For each message of which it is unknown what a model writes, the reason."""


@lru_cache(maxsize=4096)
def skeleton_of(
    source: str,
    variables: tuple[tuple[str, str], ...],
    roles: tuple[str, ...],
    fixed: tuple[tuple[int, str], ...],
    specials: str,
) -> Skeleton:
    """Return the skeleton of messages with these *roles*; *fixed* are texts that belong to it.

    Raises ChatError if the template rejects them, or leaves out the text of one.
    """
    texts = {index: chr(_FIRST_PLACEHOLDER + index) for index in range(len(roles))} | dict(fixed)
    messages = [{"role": role, "content": texts[index]} for index, role in enumerate(roles)]
    free = texts.keys() - dict(fixed).keys()
    placeholders = "".join(texts[index] for index in sorted(free))
    marked = render_source(source, variables, messages, False, marked=True)
    text = marked.replace(BEGIN, "").replace(END, "")
    literals = tuple(re.split(f"[{placeholders}]", text)) if placeholders else (text,)
    order = tuple(ord(c) - _FIRST_PLACEHOLDER for c in text if c in placeholders)
    if left_out := free - set(order):
        raise ChatError(
            f"the chat template leaves out the text of message {min(left_out) + 1}, of role "
            f"{roles[min(left_out)]!r}"
        )
    found = [re.search(specials, literal) for literal in literals[1:]]
    ends = tuple(match.end() if match else 0 for match in found)
    if BEGIN in marked:
        return Skeleton(literals, order, ends, _in_blocks(marked, roles, placeholders), {})
    # Positions of the texts in the skeleton: each is one character there.
    starts = [index for index, character in enumerate(text) if character in placeholders]
    written, unknown = {}, {}
    for message in (index for index, role in enumerate(roles) if role == ASSISTANT):
        prompt = render_source(source, variables, messages[:message], True)
        begin = len(prompt)
        at = starts[order.index(message)] if message in free else begin
        if not text.startswith(prompt) or at < begin:
            unknown[message] = _difference(text, prompt)
            continue
        after = text[at + (message in free) : next((s for s in starts if s > at), None)]
        match = re.search(specials, after)
        end = at + (message in free) + (match.end() if match else 0)
        written[message] = [(_position(starts, begin), _position(starts, end))]
    return Skeleton(literals, order, ends, written, unknown)


def _position(starts: Sequence[int], index: int) -> Position:
    """Return the position of *index* in a skeleton whose texts are at *starts*."""
    literal = bisect_left(starts, index)
    return literal, index - (starts[literal - 1] + 1 if literal else 0)


def _in_blocks(
    marked: str, roles: Sequence[str], placeholders: str
) -> dict[int, list[tuple[Position, Position]]]:
    """Return `Skeleton.written` by the marks of blocks in *marked*.

    A block is of the message whose text it has or follows; of the answer to it, if that is none.
    """
    written: dict[int, list[tuple[Position, Position]]] = {}
    message, here, begin = -1, (0, 0), (0, 0)
    for character in marked:
        if character == BEGIN:
            begin = here
        elif character == END:
            answers = message >= 0 and roles[message] == ASSISTANT
            written.setdefault(message if answers else message + 1, []).append((begin, here))
        elif character in placeholders:
            message, here = ord(character) - _FIRST_PLACEHOLDER, (here[0] + 1, 0)
        else:
            here = (here[0], here[1] + 1)
    return written


def _difference(text: str, prompt: str) -> str:
    """Say how *prompt* is not what precedes an answer in *text*."""
    pairs = enumerate(zip(text, prompt, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), None)
    if at is None:
        return "ends after it begins"
    shown = (re.sub("[\U000f0000-\U000ffffd]", "…", each[at : at + 20]) for each in (prompt, text))
    return "has {!r}, and the text has {!r}".format(*shown)


def align(
    skeleton: Skeleton, texts: Sequence[str], rendered: str
) -> tuple[list[int], list[tuple[int, int]]] | None:
    """Return where the literals of *skeleton* begin in *rendered*, and the span of each text.

    Return None if *rendered* is not the skeleton with a text in each of its gaps.
    """
    literals, position = [0], len(skeleton.literals[0])
    spans: list[tuple[int, int]] = []
    if not rendered.startswith(skeleton.literals[0]):
        return None
    for message, literal, ends in zip(
        skeleton.messages, skeleton.literals[1:], skeleton.ends, strict=True
    ):
        is_last = len(spans) == len(skeleton.messages) - 1
        candidates = [
            position + len(text)
            for text in (texts[message], texts[message].strip())
            if rendered.startswith(text, position)
        ]
        if ends:  # no text has special tokens, so the next one is that of the template
            candidates.append(rendered.find(literal, position))
        fitting = (
            end
            for end in candidates
            if end >= 0
            and rendered.startswith(literal, end)
            and (not is_last or end + len(literal) == len(rendered))
        )
        end = next(fitting, None)
        if end is None:
            return None
        spans.append((position, end))
        literals.append(end)
        position = end + len(literal)
    return literals, spans
