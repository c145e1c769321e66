"""`Problem`, a prompt with what is known of its answer, and `Problems`, a source of them.

A problem belongs to one split, which follows from its prompt alone. So no problem that is trained
on is among those that are held out, whatever the seeds and however many are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from gpt.data.contents import Content, plain

Split: TypeAlias = Literal["train", "val"]

HELD_OUT = 0.1
"""Fraction of all problems that are held out."""


class Problem(NamedTuple):
    """A prompt, and what its completions are checked by."""

    prompt: Content
    answer: str | None
    """A right completion; None if only a function can say which are right."""
    fields: Mapping[str, Any] = {}
    """Further fields of a line of the user."""
    where: str = ""
    """File and line, for errors; empty for a generated problem."""


class Problems(Protocol):
    """A source of problems, which checks completions of their prompts."""

    def problem(self, split: Split, seed: int, index: int) -> Problem:
        """Return a problem of *split*: a pure function of *seed* and *index*, from 0."""

    def rewards(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[float]:
        """Return the reward of each completion of one of *problems*, from 0 to 1.

        Raises DataError, naming the prompt, if a reward cannot be computed.
        """

    def has(self, split: Split) -> bool:
        """Return whether *split* has any problem."""

    @property
    def templated(self) -> bool:
        """Whether prompts are messages, which a chat template renders."""

    @property
    def digest(self) -> str:
        """What the problems are read from, as a digest; empty if they follow from their spec."""

    @property
    def summary(self) -> str:
        """The problems in a few words."""


def split_of(prompt: Content) -> Split:
    """Return the split that the problem of *prompt* belongs to."""
    text = prompt if isinstance(prompt, str) else json.dumps(plain(prompt))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return "val" if int.from_bytes(digest, "big") < HELD_OUT * 2**64 else "train"
