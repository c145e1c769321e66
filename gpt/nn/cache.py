"""The keys and values that one layer keeps of the tokens it has seen.

A ring: all rows write to the same slot and the oldest token makes room, so a layer that looks back
through a window keeps no more than the window. Rows may have begun at different times.
B: batch, K: key and value heads, T: new tokens, S: tokens seen, D: head_width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class KeyValueCache:
    """The last *capacity* tokens of each row, in the slots of a preallocated ring."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """Take two empty tensors (B, K, capacity, D) to fill."""
        self.keys = keys
        self.values = values
        self.lengths = [0] * len(keys)
        """Tokens that each row has seen: the place of its next one."""
        self._written = 0
        """Slots written so far, each round counted: those of the row that began first."""

    @classmethod
    def join(cls, caches: Sequence[KeyValueCache]) -> KeyValueCache:
        """Make one cache of those of single rows, which may differ in length."""
        shape = (len(caches), *caches[0].keys.shape[1:])
        joined = cls(caches[0].keys.new_zeros(shape), caches[0].values.new_zeros(shape))
        joined._written = max(cache._written for cache in caches)
        for row, cache in enumerate(caches):
            joined.restart(row, cache)
        return joined

    def restart(self, row: int, cache: KeyValueCache) -> None:
        """Put that of a single row in the place of *row*; its last token becomes the latest."""
        keys, values = cache._in_order()  # (1, K, S, D)
        slots = torch.arange(self._written - keys.shape[2], self._written) % self._capacity
        self.keys[row][:, slots] = keys[0]
        self.values[row][:, slots] = values[0]
        self.lengths[row] = cache.lengths[0]

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all but *rows*, which are counted anew in the order given."""
        self.keys, self.values = self.keys[list(rows)], self.values[list(rows)]
        self.lengths = [self.lengths[row] for row in rows]

    def truncate(self, length: int) -> bool:
        """Forget all but the first *length* tokens of a single row, as if no more had come.

        False, and nothing is forgotten, where the ring has lost tokens that they would see.
        """
        gone = self.lengths[0] - length
        if gone and self._written > self._capacity:
            return False
        self._written -= gone
        self.lengths = [length]
        return True

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store *keys* and *values* (B, K, T, D); return what to attend over, (B, K, S, D).

        More than one token at a time are for rows of one length; only then is what comes back in
        the order of positions.
        """
        tokens = keys.shape[2]
        if tokens == 1:
            slot = self._written % self._capacity
            self.keys[:, :, slot : slot + 1] = keys
            self.values[:, :, slot : slot + 1] = values
        else:
            keys, values = keys.to(self.keys.dtype), values.to(self.values.dtype)
            if self._written:
                past_keys, past_values = self._in_order()
                keys = torch.cat((past_keys, keys), dim=2)
                values = torch.cat((past_values, values), dim=2)
            last = min(keys.shape[2], self._capacity)
            end = self._written + tokens
            slots = torch.arange(end - last, end) % self._capacity
            self.keys[:, :, slots] = keys[:, :, -last:]
            self.values[:, :, slots] = values[:, :, -last:]
        self._written += tokens
        self.lengths = [length + tokens for length in self.lengths]
        if tokens > 1:
            return keys, values
        return self.keys[:, :, : self._filled], self.values[:, :, : self._filled]

    def last(self) -> tuple[Tensor, Tensor]:
        """Return keys and values of the token that came last in each row, zeros where none did.

        (B, K, 1, D) each.
        """
        slot = (self._written - 1) % self._capacity
        empty = torch.tensor([not length for length in self.lengths], device=self.keys.device)
        keys, values = (
            kept[:, :, slot : slot + 1].masked_fill(empty[:, None, None, None], 0)
            for kept in (self.keys, self.values)
        )
        return keys, values

    def seen(self) -> Tensor | None:
        """Which slots hold a token of the row: bool (B, 1, 1, S); None where all do in all rows."""
        if min(self.lengths) >= self._filled:
            return None
        slots = torch.arange(self._filled, device=self.keys.device)
        age = (self._written - 1 - slots) % self._capacity
        return (age < torch.tensor(self.lengths, device=age.device)[:, None])[:, None, None]

    @property
    def _capacity(self) -> int:
        return self.keys.shape[2]

    @property
    def _filled(self) -> int:
        return min(self._written, self._capacity)

    def _in_order(self) -> tuple[Tensor, Tensor]:
        """What is kept of rows of one length, (B, K, S, D), the oldest token first."""
        count = min(self.lengths[0], self._capacity)
        slots = torch.arange(self._written - count, self._written) % self._capacity
        return self.keys[:, :, slots], self.values[:, :, slots]
