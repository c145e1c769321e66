"""The text of a chat template around the texts of a conversation, and what a model writes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pytok.chat.jinja_rendering import BEGIN, END, render_source
from pytok.chat.template import ASSISTANT
from pytok.errors import ChatError

_FIRST_PLACEHOLDER = 0xF0000
"""Code point of the placeholder of the first message: private use, of which there are 65,534."""


class Skeleton(NamedTuple):
    """A conversation as a template renders it, without the texts of its messages."""

    literals: tuple[str, ...]
    """The text of the template before, between and after the texts of the messages."""
    messages: tuple[int, ...]
    """For each text between two literals, the index of its message."""
    written: Mapping[int, tuple[int, int]]
    """For each text that a model writes, by its index: where that begins, in the literal before,
    and ends, in the literal after."""
    ends: tuple[int, ...]
    """For each text, the end of the first special token in the literal after it; 0 without one."""


@lru_cache(maxsize=4096)
def skeleton_of(
    source: str,
    variables: tuple[tuple[str, str], ...],
    roles: tuple[str, ...],
    fixed: tuple[tuple[int, str], ...],
    specials: str,
) -> Skeleton:
    """Return the skeleton of messages with these *roles*; *fixed* are texts that belong to it.

    Raises ChatError if the template rejects them, leaves out the text of one, or writes what it
    wrote for the first messages in another way if there are more.
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
            f"{roles[min(left_out)]!r}; remove the message, or choose another --template"
        )
    ends = []
    for literal in literals[1:]:
        found = re.search(specials, literal)
        ends.append(found.end() if found else 0)
    written: dict[int, tuple[int, int]] = {}
    if BEGIN in marked:
        written = _written_in_blocks(marked, placeholders)
    else:
        # Positions of the texts in the skeleton: each is one character there.
        starts = [index for index, character in enumerate(text) if character in placeholders]
        for hole, message in enumerate(order):
            if roles[message] != ASSISTANT:
                continue
            prompt = render_source(source, variables, messages[:message], True)
            before = starts[hole] - len(prompt)
            if not text.startswith(prompt) or not 0 <= before <= len(literals[hole]):
                raise ChatError(
                    "the chat template cannot be rendered incrementally: the text before message "
                    f"{message + 1} is not the prompt for it{_difference(text, prompt)}; choose "
                    "another --template"
                )
            written[hole] = (len(literals[hole]) - before, ends[hole])
    return Skeleton(literals, order, written, tuple(ends))


def _written_in_blocks(marked: str, placeholders: str) -> dict[int, tuple[int, int]]:
    """Return `Skeleton.written` by the marks of blocks in *marked*."""
    written: dict[int, tuple[int, int]] = {}
    hole, begins, offset = 0, 0, 0  # offset: in the literal that is being read
    opened: int | None = None
    for character in marked:
        if character == BEGIN:
            opened, begins = hole, offset
        elif character == END:
            if opened is not None and hole > opened:
                written[opened] = (begins, offset)
            opened = None
        elif character in placeholders:
            hole, offset = hole + 1, 0
        else:
            offset += 1
    return written


def _difference(text: str, prompt: str) -> str:
    """Say where *prompt* is not the beginning of *text*."""
    pairs = enumerate(zip(text, prompt, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), None)
    if at is None:
        return ""
    shown = re.sub("[\U000f0000-\U000ffffd]", "…", prompt[at : at + 20])
    return f", which has {shown!r} at character {at}"


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
