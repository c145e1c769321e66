"""Conversations in the formats of other trainers: ShareGPT and OpenAI.

Trainers of both formats train on the assistant's turns, which are those of one speaker. In a group,
the name of each other speaker precedes the text, since neither format has a role for each (OpenAI's
`name` allows letters, digits, - and _ only).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pytok.chat.template import Conversation


class _Line(NamedTuple):
    role: str
    text: str


def export(
    conversations: Sequence[Conversation], me: str, to: str
) -> tuple[list[dict[str, Any]], int]:
    """Convert *conversations* to the format *to*, one of `FORMATS`; also return an omitted count.

    The turns of *me* become the assistant's. Turns after the last one of *me* are omitted, since
    they are not trained on, and so are conversations without a turn of *me*. The count is that of
    omitted turns.
    """
    others = {turn.speaker for each in conversations for turn in each.turns} - {me}
    exported, omitted = [], 0
    for conversation in conversations:
        lines = list(_lines(conversation, me, named=len(others) > 1))
        while lines and lines[-1].role != "assistant":
            omitted += lines.pop().role == "user"
        if lines:
            exported.append(FORMATS[to](lines))
    return exported, omitted


def _lines(conversation: Conversation, me: str, *, named: bool) -> Iterator[_Line]:
    if conversation.system is not None:
        yield _Line("system", conversation.system)
    for turn in conversation.turns:
        if turn.speaker == me:
            yield _Line("assistant", turn.text)
        else:
            yield _Line("user", f"{turn.speaker}: {turn.text}" if named else turn.text)


def _sharegpt(lines: Iterable[_Line]) -> dict[str, Any]:
    """Join consecutive lines of one role: FastChat and its successors expect alternating roles."""
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    return {
        "conversations": [
            {"from": speakers[role], "value": "\n".join(line.text for line in run)}
            for role, run in groupby(lines, key=lambda line: line.role)
        ]
    }


def _openai(lines: Iterable[_Line]) -> dict[str, Any]:
    return {"messages": [{"role": line.role, "content": line.text} for line in lines]}


FORMATS: dict[str, Callable[[Iterable[_Line]], dict[str, Any]]] = {
    "sharegpt": _sharegpt,
    "openai": _openai,
}
