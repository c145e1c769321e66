"""Conversations as rows to learn from: several in a row, each read as if it were alone.

A conversation is rendered to ids and a mask of those that are learnt (`pytok.chat.template`); what
is not learnt is only read. One that is longer than a row is cut into windows, of which the first
half, but for the first window's, is only read again, so that no token is learnt twice, and none
from less than half a row. Windows are packed into rows, the longest first, each where it leaves the
least room (best-fit decreasing); the rest of a row is padding.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, Batch
from pytok.chat.template import Template, TrainOn, read_conversations
from pytok.definition import END_OF_TEXT

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


class Window(NamedTuple):
    """Part of a conversation, by positions among all ids."""

    start: int
    """The first place read."""
    stop: int
    """The place after the last one read; it is the last one predicted."""
    fresh: int
    """Places up to this one are read only."""


@dataclass(frozen=True, kw_only=True)
class RenderedConversations:
    """The ids of a file of conversations, one conversation after another."""

    ids: NDArray[np.int64]
    is_target: NDArray[np.bool_]
    """Which of *ids* count in the loss."""
    sizes: tuple[int, ...]
    """Tokens of each conversation."""
    bytes: int
    """UTF-8 bytes of the text of the targets; special tokens have none."""
    padding: int
    """The id that fills rows."""

    @classmethod
    def read(
        cls, path: Path, template: Template, tokenizer: Tokenizer, *, train_on: TrainOn
    ) -> RenderedConversations:
        """Render the conversations of *path*; without such a file there are none.

        Raises ChatError for what cannot be read or rendered.
        """
        ids: list[int] = []
        mask: list[bool] = []
        sizes = []
        for conversation in read_conversations(path) if path.exists() else ():
            rendered = template.render(conversation, tokenizer, train_on=train_on)
            ids += rendered.ids
            mask += rendered.loss_mask
            sizes.append(len(rendered.ids))
        array, is_target = np.array(ids, np.int64), np.array(mask, bool)
        return cls(
            ids=array,
            is_target=is_target,
            sizes=tuple(sizes),
            bytes=_bytes(array[is_target], tokenizer),
            padding=tokenizer.special_tokens[END_OF_TEXT],
        )


class Conversations:
    """Conversations packed into rows of *length* tokens."""

    def __init__(self, rendered: RenderedConversations, length: int) -> None:
        self.length = length
        self.sizes = rendered.sizes
        self.bytes = rendered.bytes
        self.num_targets = int(rendered.is_target.sum())
        """Tokens that count in the loss."""
        self._ids, self._is_target = rendered.ids, rendered.is_target
        self._padding = rendered.padding
        windows: list[Window] = []
        start = 0
        for size in rendered.sizes:
            windows += _windows(start, start + size, length)
            start += size
        taught = [window for window in windows if self._targets(window).any()]
        self.rows = _packed(taught, length)
        """The windows of each row; those without targets are omitted."""

    def __len__(self) -> int:
        """How many tokens there are, learnt or not."""
        return len(self._ids)

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows of these numbers, (B, length) each."""
        shape = (len(rows), self.length)
        inputs = np.full(shape, self._padding)
        targets, documents = np.full(shape, IGNORED), np.zeros(shape, np.int64)
        for place, row in enumerate(rows):
            end = 0
            for number, window in enumerate(self.rows[row]):
                begin, end = end, end + window.stop - window.start
                inputs[place, begin:end] = self._ids[window.start : window.stop]
                following = self._ids[window.start + 1 : window.stop + 1]
                targets[place, begin:end] = np.where(self._targets(window), following, IGNORED)
                documents[place, begin:end] = number
            documents[place, end:] = len(self.rows[row])
        return Batch(*map(torch.from_numpy, (inputs, targets, documents)))

    def batches(self, rows: int) -> Iterator[Batch]:
        """All once, at most *rows* rows at a time."""
        numbers = range(len(self.rows))
        return (self.batch(numbers[first : first + rows]) for first in numbers[::rows])

    def _targets(self, window: Window) -> NDArray[np.bool_]:
        """Which of the ids after those of *window* are learnt there."""
        positions = np.arange(window.start + 1, window.stop + 1)
        return self._is_target[positions] & (positions > window.fresh)


class ConversationRows:
    """The endless sequence of the rows of *conversations*, in a new order every epoch.

    A pure function of (seed, row), as `gpt.data.shards.TrainingRows` is.
    """

    def __init__(self, conversations: Conversations, seed: int) -> None:
        self._conversations = conversations
        self._seed = seed
        self._epoch = -1
        self._order: NDArray[Any] = np.array([], np.int64)

    def batch(self, first: int, count: int) -> Batch:
        """Rows *first* to *first* + *count* - 1."""
        return self._conversations.batch([self._number(row) for row in range(first, first + count)])

    def _number(self, row: int) -> int:
        count = len(self._conversations.rows)
        epoch, place = divmod(row, count)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(count)
            self._epoch = epoch
        return int(self._order[place])


def _windows(begin: int, end: int, length: int) -> Iterator[Window]:
    """Cut the conversation at positions *begin* to *end* - 1, all of which but the first are targets.

    Each window after the first reads half a row that was learnt before, the last one more.
    """
    start, fresh, last = begin, begin, end - 1
    while fresh < last:
        stop = min(start + length, last)
        yield Window(start, stop, fresh)
        start, fresh = min(stop - length // 2, last - length), stop


def _packed(windows: Sequence[Window], length: int) -> list[list[Window]]:
    """Put *windows* into as few rows of *length* as best-fit decreasing needs."""
    rows: list[list[Window]] = []
    room: dict[int, list[list[Window]]] = {}
    """Rows by the positions left in them."""
    sizes: list[int] = []
    """The keys of `room` that have rows, rising."""
    for window in sorted(windows, key=lambda each: (each.start - each.stop, each.start)):
        size = window.stop - window.start
        found = bisect_left(sizes, size)
        if found < len(sizes):
            left = sizes[found]
            row = room[left].pop()
            if not room[left]:
                sizes.pop(found)
        else:
            left, row = length, []
            rows.append(row)
        row.append(window)
        kept = room.setdefault(left - size, [])
        if not kept:
            insort(sizes, left - size)
        kept.append(row)
    return rows


def _bytes(ids: NDArray[Any], tokenizer: Tokenizer) -> int:
    special = set(tokenizer.special_tokens.values())
    each, counts = np.unique(ids, return_counts=True)
    return sum(
        len(tokenizer.decode_single_token_bytes(id)) * count
        for id, count in zip(each.tolist(), counts.tolist(), strict=True)
        if id not in special
    )
