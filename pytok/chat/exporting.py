"""Conversations in the formats that other trainers read: ShareGPT and OpenAI.

Both learn from the assistant's turns, which are mine. Where there are several other people, their
names stand before what they say, since neither format has a role for each (OpenAI's `name` allows
letters, digits, - and _ only).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pytok.chat.template import Conversation


class _Line(NamedTuple):
    role: str
    text: str


def export(talks: Sequence[Conversation], me: str, to: str) -> tuple[list[dict[str, Any]], int]:
    """Each of *talks* as an object of the format *to*, one of `FORMATS`; and what is left out.

    A conversation ends with my last turn, since nothing is learnt from what follows; one without
    any is left out. Their turns are counted.
    """
    others = {turn.speaker for talk in talks for turn in talk.turns} - {me}
    kept, left_out = [], 0
    for talk in talks:
        lines = list(_lines(talk, me, named=len(others) > 1))
        while lines and lines[-1].role != "assistant":
            left_out += lines.pop().role == "user"
        if lines:
            kept.append(FORMATS[to](lines))
    return kept, left_out


def _lines(talk: Conversation, me: str, *, named: bool) -> Iterator[_Line]:
    if talk.system is not None:
        yield _Line("system", talk.system)
    for turn in talk.turns:
        if turn.speaker == me:
            yield _Line("assistant", turn.text)
        else:
            yield _Line("user", f"{turn.speaker}: {turn.text}" if named else turn.text)


def _sharegpt(lines: Iterable[_Line]) -> dict[str, Any]:
    """People in turn, as FastChat and those after it want them: what follows is joined."""
    speakers = {"system": "system", "user": "human", "assistant": "gpt"}
    return {
        "conversations": [
            {"from": speakers[role], "value": "\n".join(line.text for line in together)}
            for role, together in groupby(lines, key=lambda line: line.role)
        ]
    }


def _openai(lines: Iterable[_Line]) -> dict[str, Any]:
    return {"messages": [{"role": line.role, "content": line.text} for line in lines]}


FORMATS: dict[str, Callable[[Iterable[_Line]], dict[str, Any]]] = {
    "sharegpt": _sharegpt,
    "openai": _openai,
}
