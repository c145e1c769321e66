"""Conversations in the formats of other trainers: ShareGPT and OpenAI.

Trainers of both formats train on the assistant's turns, which are those of one speaker. Their chat
templates require that a conversation begins with the user and that roles alternate. In a group, the
name of each other speaker precedes the text, since neither format has a role for each (OpenAI's
`name` allows letters, digits, - and _ only).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pytok.chat.template import Conversation


class _Line(NamedTuple):
    role: str
    text: str


class Exported(NamedTuple):
    """Conversations in another format, and the number of turns that are not in them."""

    conversations: list[dict[str, Any]]
    unasked: int
    """Turns of the assistant before the first one of a user."""
    unanswered: int
    """Turns of users after the last one of the assistant."""
    short: int
    """Turns of conversations with too few turns."""


def export(
    conversations: Sequence[Conversation], me: str, to: str, *, min_turns: int = 2
) -> Exported:
    """Convert *conversations* to the format *to*, one of `FORMATS`.

    The turns of *me* become the assistant's. A conversation begins with the first turn of somebody
    else and ends with the last one of *me*; consecutive turns of one role are joined by newlines.
    What then has fewer than *min_turns* turns is omitted.
    """
    others = {turn.speaker for each in conversations for turn in each.turns} - {me}
    exported = []
    unasked = unanswered = short = 0
    for conversation in conversations:
        lines = list(_lines(conversation, me, named=len(others) > 1))
        begin = next((n for n, line in enumerate(lines) if line.role == "user"), len(lines))
        answers = [n for n, line in enumerate(lines) if line.role == "assistant" and n > begin]
        end = answers[-1] + 1 if answers else begin
        unasked += begin
        unanswered += len(lines) - end
        kept = [
            _Line(role, "\n".join(line.text for line in run))
            for role, run in groupby(lines[begin:end], key=lambda line: line.role)
        ]
        if len(kept) < max(min_turns, 1):
            short += end - begin
            continue
        if conversation.system is not None:
            kept.insert(0, _Line("system", conversation.system))
        exported.append(FORMATS[to](kept))
    return Exported(exported, unasked, unanswered, short)


def _lines(conversation: Conversation, me: str, *, named: bool) -> Iterator[_Line]:
    for turn in conversation.turns:
        if turn.speaker == me:
            yield _Line("assistant", turn.text)
        else:
            yield _Line("user", f"{turn.speaker}: {turn.text}" if named else turn.text)


def _sharegpt(lines: Iterable[_Line]) -> dict[str, Any]:
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    return {"conversations": [{"from": speakers[line.role], "value": line.text} for line in lines]}


def _openai(lines: Iterable[_Line]) -> dict[str, Any]:
    return {"messages": [{"role": line.role, "content": line.text} for line in lines]}


FORMATS: dict[str, Callable[[Iterable[_Line]], dict[str, Any]]] = {
    "sharegpt": _sharegpt,
    "openai": _openai,
}
