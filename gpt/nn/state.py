"""What a model keeps of the tokens that it has read while it decodes.

`State` is what one mechanism keeps, `Cache` what a model keeps: a state for each mechanism that has
one, and, once for all of them, the lengths of the rows. Rows may have started at different times.
B: batch size, H: heads, T: new tokens, S: kept tokens.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

FIRST_SLOTS = 256
"""Slots of an empty ring. It doubles up to its capacity, so memory follows the tokens read."""

AnyState = TypeVar("AnyState", bound="State")
AnyConstant = TypeVar("AnyConstant", bound="Constant")


class State(Protocol):
    """What a mechanism keeps of each row of a batch. It does not know the rows' lengths."""

    def empty(self: AnyState, rows: int) -> AnyState:
        """Return a new state for *rows* rows without tokens."""

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*, of the same kind, which has *length* tokens.

        Its last token becomes the latest.
        """

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order; a row can be repeated."""

    def truncate(self, removed: int) -> bool:
        """Remove the last *removed* tokens of every row.

        Returns False, and changes nothing, if what is needed of earlier tokens was not kept.
        """

    @property
    def nbytes(self) -> int:
        """Size of its tensors in bytes."""

    def bytes_at(self, tokens: int) -> int:
        """Return how many bytes it needs for *tokens* tokens of each row, without free slots."""


class Ring:
    """The last *capacity* tokens of each row, in ring buffers: keys and values, or other vectors.

    New tokens overwrite the oldest, so a layer with a window keeps no more than the window. All
    rows write to the same slot.
    """

    def __init__(self, *like: Tensor, capacity: int) -> None:
        """Create an empty ring for vectors like those of each tensor of *like*, (B, H, 0, D)."""
        slots = min(capacity, FIRST_SLOTS)
        self.tensors = [each.new_zeros((*each.shape[:2], slots, each.shape[3])) for each in like]
        self.capacity = capacity
        self._written = 0
        """Number of slots written, overwritten ones included."""

    def append(self, *new: Tensor, starts: Sequence[int]) -> list[Tensor]:
        """Store *new*, each (B, H, T, D); return those to attend to, (B, H, S, D).

        *starts* are the lengths of the rows before, or one length for all, as it must be if T > 1.
        `positions` are those of the result.
        """
        tokens, length = new[0].shape[2], starts[0]
        self._grow(self._written + tokens)
        if tokens == 1:
            slot = self._written % self._slots
            for tensor, vectors in zip(self.tensors, new, strict=True):
                tensor[:, :, slot : slot + 1] = vectors
            self._written += 1
            return [tensor[:, :, : self._filled] for tensor in self.tensors]
        # The new tokens attend to all of these, also to those that no longer fit in the ring.
        kept = [
            torch.cat((past, vectors.to(past.dtype)), dim=2) if length else vectors.to(past.dtype)
            for past, vectors in zip(self._in_order(length), new, strict=True)
        ]
        self._written += tokens
        count = min(kept[0].shape[2], self._slots)
        slots = self._last_slots(count)
        for tensor, vectors in zip(self.tensors, kept, strict=True):
            tensor[:, :, slots] = vectors[:, :, -count:]
        return kept

    def holds_all(self, starts: Sequence[int]) -> bool:
        """Return whether every filled slot holds a token of every row, of *starts* tokens."""
        return min(starts) >= self._filled

    def positions(self, latest: Tensor, tokens: int, keys: int) -> Tensor:
        """Return the positions of the *keys* vectors that `append` has returned, (B or 1, keys).

        It stored *tokens* tokens of each row, the last at *latest*, int64 (B or 1, 1). Negative for
        what is no token of the row.
        """
        if tokens > 1:
            return latest - torch.arange(keys - 1, -1, -1, device=latest.device)
        slots = torch.arange(self._filled, device=latest.device)
        return latest - (self._written - 1 - slots) % self._slots

    def empty(self, rows: int) -> Ring:
        """Return a new ring for *rows* rows without tokens."""
        like = (each[:1, :, :0].expand(rows, -1, -1, -1) for each in self.tensors)
        return Ring(*like, capacity=self.capacity)

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*; see `State`."""
        assert isinstance(other, Ring)
        count = min(length, other._slots)
        if self._written < length:  # the other rows are shorter, or there are none
            self._grow(length)
            self._written = length
        slots = self._last_slots(count)
        for tensor, vectors in zip(self.tensors, other._in_order(length), strict=True):
            tensor[row][:, slots] = vectors[0]

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order."""
        self.tensors = [tensor[list(rows)] for tensor in self.tensors]

    def truncate(self, removed: int) -> bool:
        """Remove the last *removed* tokens, unless they have overwritten others."""
        if removed and self._written > self._slots:
            return False
        self._written -= removed
        return True

    @property
    def nbytes(self) -> int:
        """Size of the buffers in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of *tokens* tokens of each row, at most the capacity."""
        return sum(tensor[:, :, 0].nbytes for tensor in self.tensors) * min(tokens, self.capacity)

    @property
    def _slots(self) -> int:
        return self.tensors[0].shape[2]

    @property
    def _filled(self) -> int:
        return min(self._written, self._slots)

    def _grow(self, tokens: int) -> None:
        """Make room for *tokens* tokens, up to the capacity. A ring that has wrapped has it."""
        if self._slots >= min(tokens, self.capacity):
            return
        slots = self._slots
        while slots < tokens:
            slots *= 2
        slots = min(slots, self.capacity)
        for index, tensor in enumerate(self.tensors):
            grown = tensor.new_zeros((*tensor.shape[:2], slots, tensor.shape[3]))
            grown[:, :, : self._filled] = tensor[:, :, : self._filled]
            self.tensors[index] = grown

    def _last_slots(self, count: int) -> Tensor:
        """Return the indices of the last *count* slots, oldest first."""
        return torch.arange(self._written - count, self._written) % self._slots

    def _in_order(self, length: int) -> list[Tensor]:
        """Return the vectors of rows of *length* tokens, (B, H, S, D), oldest first."""
        slots = self._last_slots(min(length, self._slots))
        return [tensor[:, :, slots] for tensor in self.tensors]


class Constant:
    """Tensors of each row whose size is constant, such as sums over all tokens.

    No token can be removed from them.
    """

    def __init__(self, *tensors: Tensor) -> None:
        """Keep *tensors*, each (B, ...): zeros if there are no tokens."""
        self.tensors = list(tensors)

    def empty(self: AnyConstant, rows: int) -> AnyConstant:
        """Return the state of *rows* rows without tokens."""
        return type(self)(*(each.new_zeros((rows, *each.shape[1:])) for each in self.tensors))

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*; see `State`."""
        assert isinstance(other, Constant)
        for tensor, new in zip(self.tensors, other.tensors, strict=True):
            tensor[row] = new[0]

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order."""
        self.tensors = [tensor[list(rows)] for tensor in self.tensors]

    def truncate(self, removed: int) -> bool:
        """Return whether no token is to be removed."""
        return not removed

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def bytes_at(self, tokens: int) -> int:
        """Return the same, however many tokens there are."""
        return self.nbytes


class Pinned(Constant):
    """The tokens of each row at given positions, such as the first ones."""

    def __init__(self, *like: Tensor, at: Sequence[int]) -> None:
        """Create an empty state for vectors like those of each tensor of *like*, (B, H, 0, D).

        *at* are the positions, ascending.
        """
        super().__init__(
            *(each.new_zeros((*each.shape[:2], len(at), each.shape[3])) for each in like)
        )
        self.at = tuple(at)

    def append(self, *new: Tensor, starts: Sequence[int]) -> list[Tensor]:
        """Store those of *new*, each (B, H, T, D), that are at the positions; return all slots.

        *starts* as in `Ring.append`. The slots of later positions hold anything.
        """
        tokens = new[0].shape[2]
        for row, start in enumerate(starts):
            rows = slice(None) if len(starts) == 1 else slice(row, row + 1)
            slots = slice(bisect_left(self.at, start), bisect_left(self.at, start + tokens))
            taken = [position - start for position in self.at[slots]]
            if taken:
                for tensor, vectors in zip(self.tensors, new, strict=True):
                    tensor[rows, :, slots] = vectors[rows][:, :, taken].to(tensor.dtype)
        return list(self.tensors)

    def empty(self, rows: int) -> Pinned:
        """Return a new state for *rows* rows without tokens."""
        like = (each[:1, :, :0].expand(rows, -1, -1, -1) for each in self.tensors)
        return Pinned(*like, at=self.at)

    def truncate(self, removed: int) -> bool:
        """Remove the last *removed* tokens: their slots are written again before they are read."""
        return True

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of those of the first *tokens* tokens that are at the positions."""
        return self.nbytes * bisect_left(self.at, tokens) // len(self.at)


class PinnedRing(Ring):
    """The last *capacity* tokens of each row, and those at given positions.

    So a window can be combined with tokens that all attend to (Beltagy 2020, Longformer,
    arXiv:2004.05150; Xiao 2023, StreamingLLM, arXiv:2309.17453).
    """

    def __init__(self, *like: Tensor, capacity: int, at: Sequence[int]) -> None:
        """Create an empty state for vectors like those of each tensor of *like*, (B, H, 0, D).

        *at* are the positions, ascending.
        """
        super().__init__(*like, capacity=capacity)
        self.pinned = Pinned(*like, at=at)
        self._returned = 0
        """Number of pinned vectors that `append` returned before those of the ring."""

    def append(self, *new: Tensor, starts: Sequence[int]) -> list[Tensor]:
        """Store *new*; return the pinned vectors that the ring may have lost, and the ring's."""
        pinned, oldest = self.pinned.append(*new, starts=starts), starts[0] - self._slots
        kept = super().append(*new, starts=starts)
        self._returned = count = bisect_left(self.pinned.at, max(oldest, 0))
        if new[0].shape[2] == 1:  # rows can differ in what the ring has lost
            self._returned = count = bisect_left(self.pinned.at, max(starts) + 1 - self._filled)
        pairs = zip(pinned, kept, strict=True)
        return [
            torch.cat((first[:, :, :count].to(last.dtype), last), 2) if count else last
            for first, last in pairs
        ]

    def positions(self, latest: Tensor, tokens: int, keys: int) -> Tensor:
        """Return the positions of what `append` has returned; see `Ring.positions`."""
        last = super().positions(latest, tokens, keys - self._returned)
        if not self._returned:
            return last
        pinned = torch.tensor(self.pinned.at[: self._returned], device=latest.device)
        lost = pinned <= latest - last.shape[1]  # what the ring still holds is not counted twice
        return torch.cat((torch.where(lost, pinned, -1), last), dim=1)

    def empty(self, rows: int) -> PinnedRing:
        """Return a new state for *rows* rows without tokens."""
        like = (each[:1, :, :0].expand(rows, -1, -1, -1) for each in self.tensors)
        return PinnedRing(*like, capacity=self.capacity, at=self.pinned.at)

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*; see `State`."""
        assert isinstance(other, PinnedRing)
        super().restart(row, other, length)
        self.pinned.restart(row, other.pinned, length)

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order."""
        super().select(rows)
        self.pinned.select(rows)

    @property
    def nbytes(self) -> int:
        """Size of the buffers in bytes."""
        return super().nbytes + self.pinned.nbytes

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of both for *tokens* tokens of each row."""
        return super().bytes_at(tokens) + self.pinned.bytes_at(tokens)


class Cache:
    """What a model keeps of the rows that it has read.

    A cache is a `State`, too: that of an ensemble has the caches of its members.
    """

    def __init__(self, states: Sequence[State], rows: int) -> None:
        """Create a cache of the empty *states* of *rows* rows."""
        self.states = list(states)
        self.lengths = [0] * rows
        """Number of tokens that each row has had: the position of its next one."""

    @staticmethod
    def join(caches: Sequence[Cache]) -> Cache:
        """Join caches of single rows, which may differ in length, into one."""
        rows = len(caches)
        joined = caches[0].empty(rows)
        # The longest first, so that slots are aligned to its last token.
        for row in sorted(range(rows), key=lambda row: -caches[row].lengths[0]):
            joined.restart(row, caches[row])
        return joined

    def empty(self, rows: int) -> Cache:
        """Return a new cache for *rows* rows without tokens."""
        return Cache([state.empty(rows) for state in self.states], rows)

    def restart(self, row: int, other: State, length: int | None = None) -> None:
        """Replace *row* by the single row of *other*, a cache of *length* tokens."""
        assert isinstance(other, Cache)
        (length,) = other.lengths
        for state, new in zip(self.states, other.states, strict=True):
            state.restart(row, new, length)
        self.lengths[row] = length

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order; a row can be repeated."""
        for state in self.states:
            state.select(rows)
        self.lengths = [self.lengths[row] for row in rows]

    def truncate(self, removed: int) -> bool:
        """Remove the last *removed* tokens of every row, if all states allow it.

        Returns False if some do not; the cache is then to be discarded.
        """
        self.lengths = [length - removed for length in self.lengths]
        return all(state.truncate(removed) for state in self.states)

    def advance(self, tokens: int) -> None:
        """Count *tokens* more tokens of each row, which all states have."""
        self.lengths = [length + tokens for length in self.lengths]

    @property
    def nbytes(self) -> int:
        """Size of the states in bytes."""
        return sum(state.nbytes for state in self.states)

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of the states for *tokens* tokens of each row, without free slots."""
        return sum(state.bytes_at(tokens) for state in self.states)
