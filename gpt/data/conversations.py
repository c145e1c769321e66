"""Conversations as training rows: several to a row, each read as if it were alone.

A conversation is rendered to ids and a loss mask by a chat template (`pytok.chat.templates`). One
that is longer than a row is cut into windows. Every window except the first starts with half a row
that does not count in the loss, so each token is a target once and has at least half a row of
context. Windows are packed into rows by best-fit decreasing: longest first, each into the row where
it leaves the least space. The rest of a row is padding.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, PADDING, Batch
from pytok.chat.role_files import holds_conversations
from pytok.chat.template import (
    TEMPLATE_FILE,
    ChatTemplate,
    Conversation,
    Rendered,
    TrainOn,
    read_conversations,
)
from pytok.definition import END_OF_TEXT

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


TRAIN, VAL = "train.jsonl", "val.jsonl"
"""Files of a folder of conversations; one without a validation split has no second one."""


def is_chat(data: Path) -> bool:
    """Return whether *data* is a folder or a file of conversations."""
    return any((data / name).exists() for name in (TEMPLATE_FILE, TRAIN)) or holds_conversations(
        data
    )


class Window(NamedTuple):
    """A part of a conversation, by positions among the ids of all conversations."""

    start: int
    """First position that is read."""
    stop: int
    """Position after the last one read, which is the last one predicted."""
    fresh: int
    """Positions up to this one do not count in the loss."""


@dataclass(frozen=True, kw_only=True)
class RenderedConversations:
    """Token ids of a file of conversations, one conversation after another."""

    ids: NDArray[np.int64]
    is_target: NDArray[np.bool_]
    """Which of *ids* count in the loss."""
    sizes: tuple[int, ...]
    """Number of tokens of each conversation."""
    bytes: int
    """Length of the text of the targets in UTF-8 bytes; special tokens have none."""
    padding: int
    """Id that fills the rest of a row."""

    @classmethod
    def read(
        cls, path: Path, template: ChatTemplate, tokenizer: Tokenizer, *, train_on: TrainOn
    ) -> RenderedConversations:
        """Render the conversations in *path*, of pytok's own format; a missing file has none.

        Raises ChatError for what cannot be read or rendered.
        """
        conversations = read_conversations(path) if path.exists() else ()
        return cls.of(conversations, template, tokenizer, train_on=train_on)

    @classmethod
    def of(
        cls,
        conversations: Iterable[Conversation],
        template: ChatTemplate,
        tokenizer: Tokenizer,
        *,
        train_on: TrainOn,
    ) -> RenderedConversations:
        """Render *conversations*; raises ChatError for what cannot be rendered."""
        render = partial(template.render, tokenizer=tokenizer, train_on=train_on)
        return cls.joined(map(render, conversations), tokenizer)

    @classmethod
    def joined(cls, rendered: Iterable[Rendered], tokenizer: Tokenizer) -> RenderedConversations:
        """Join conversations that are rendered already."""
        ids: list[int] = []
        mask: list[bool] = []
        sizes = []
        for each in rendered:
            ids += each.ids
            mask += each.loss_mask
            sizes.append(len(each.ids))
        array, is_target = np.array(ids, np.int64), np.array(mask, bool)
        return cls(
            ids=array,
            is_target=is_target,
            sizes=tuple(sizes),
            bytes=_count_bytes(array[is_target], tokenizer),
            # No position attends to it, so any id serves.
            padding=tokenizer.special_tokens.get(END_OF_TEXT, 0),
        )


class Conversations:
    """Conversations packed into rows of *length* tokens."""

    def __init__(self, rendered: RenderedConversations, length: int) -> None:
        self.length = length
        self.sizes = rendered.sizes
        self.bytes = rendered.bytes
        self.num_targets = int(rendered.is_target.sum())
        """Number of tokens that count in the loss."""
        self._ids, self._is_target = rendered.ids, rendered.is_target
        self._padding = rendered.padding
        windows: list[Window] = []
        start = 0
        for size in rendered.sizes:
            windows += _windows(start, start + size, length)
            start += size
        used = [window for window in windows if self._targets(window).any()]
        self.rows = _pack(used, length)
        """The windows of each row; windows without a target are omitted."""

    def __len__(self) -> int:
        """Number of tokens, whether they count in the loss or not."""
        return len(self._ids)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return the rows with these indices: (B, length)."""
        shape = (len(rows), self.length)
        inputs = np.full(shape, self._padding)
        targets, document_ids = np.full(shape, IGNORED), np.zeros(shape, np.int64)
        for index, row in enumerate(rows):
            end = 0
            for number, window in enumerate(self.rows[row]):
                begin, end = end, end + window.stop - window.start
                inputs[index, begin:end] = self._ids[window.start : window.stop]
                following = self._ids[window.start + 1 : window.stop + 1]
                targets[index, begin:end] = np.where(self._targets(window), following, IGNORED)
                document_ids[index, begin:end] = number
            document_ids[index, end:] = PADDING
        return Batch(
            inputs=torch.from_numpy(inputs),
            targets=torch.from_numpy(targets),
            document_ids=torch.from_numpy(document_ids),
        )

    def batches(self, rows: int) -> Iterator[Batch]:
        """Yield every row once, at most *rows* at a time."""
        indices = range(len(self.rows))
        return (self.batch(indices[first : first + rows]) for first in indices[::rows])

    def _targets(self, window: Window) -> NDArray[np.bool_]:
        """Return which of the ids that follow those of *window* count in the loss."""
        positions = np.arange(window.start + 1, window.stop + 1)
        return self._is_target[positions] & (positions > window.fresh)


class ConversationRows:
    """The endless sequence of rows of *conversations*, in a new order every epoch.

    A pure function of (seed, row), like `gpt.data.shards.TrainingRows`.
    """

    def __init__(self, conversations: Conversations, seed: int) -> None:
        self._conversations = conversations
        self._seed = seed
        self._epoch = -1
        self._order: NDArray[Any] = np.array([], np.int64)

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        return self._conversations.batch([self._index(row) for row in range(first, first + count)])

    def _index(self, row: int) -> int:
        """Return the index of *row* among the rows of `Conversations`."""
        count = len(self._conversations.rows)
        epoch, index = divmod(row, count)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(count)
            self._epoch = epoch
        return int(self._order[index])


def _windows(begin: int, end: int, length: int) -> Iterator[Window]:
    """Cut the conversation at positions *begin* to *end* - 1; all but the first are targets.

    Each window after the first repeats half a row of context. The last one repeats more if that
    fills it.
    """
    start, fresh, last = begin, begin, end - 1
    while fresh < last:
        stop = min(start + length, last)
        yield Window(start, stop, fresh)
        start, fresh = min(stop - length // 2, last - length), stop


def _pack(windows: Sequence[Window], length: int) -> list[list[Window]]:
    """Pack *windows* into rows of *length* by best-fit decreasing."""
    rows: list[list[Window]] = []
    by_space: dict[int, list[list[Window]]] = {}
    """Rows by the number of positions that are still free in them."""
    spaces: list[int] = []
    """The keys of `by_space` that have rows, ascending."""
    for window in sorted(windows, key=lambda each: (each.start - each.stop, each.start)):
        size = window.stop - window.start
        found = bisect_left(spaces, size)
        if found < len(spaces):
            space = spaces[found]
            row = by_space[space].pop()
            if not by_space[space]:
                spaces.pop(found)
        else:
            space, row = length, []
            rows.append(row)
        row.append(window)
        same = by_space.setdefault(space - size, [])
        if not same:
            insort(spaces, space - size)
        same.append(row)
    return rows


def _count_bytes(ids: NDArray[Any], tokenizer: Tokenizer) -> int:
    """Return the UTF-8 bytes of the text of *ids*, special tokens excluded."""
    special = set(tokenizer.special_tokens.values())
    unique, counts = np.unique(ids, return_counts=True)
    return sum(
        len(tokenizer.decode_single_token_bytes(id)) * count
        for id, count in zip(unique.tolist(), counts.tolist(), strict=True)
        if id not in special
    )
