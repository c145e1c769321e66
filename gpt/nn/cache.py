"""Cache of the keys and values of one attention layer.

A ring buffer: new tokens overwrite the oldest, so a layer with a window caches no more than the
window. All rows write to the same slot, although they may have started at different times.
B: batch size, K: key and value heads, T: new tokens, S: cached tokens, D: head_width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class KeyValueCache:
    """The last *capacity* tokens of each row, in a preallocated ring buffer."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """Create an empty cache in the memory of *keys* and *values* (B, K, capacity, D)."""
        self.keys = keys
        self.values = values
        self.lengths = [0] * len(keys)
        """Number of tokens that each row has had: the position of its next one."""
        self._written = 0
        """Number of slots written, overwritten ones included."""

    @classmethod
    def join(cls, caches: Sequence[KeyValueCache]) -> KeyValueCache:
        """Join caches of single rows, which may differ in length, into one."""
        shape = (len(caches), *caches[0].keys.shape[1:])
        joined = cls(caches[0].keys.new_zeros(shape), caches[0].values.new_zeros(shape))
        joined._written = max(cache._written for cache in caches)
        for row, cache in enumerate(caches):
            joined.restart(row, cache)
        return joined

    def restart(self, row: int, cache: KeyValueCache) -> None:
        """Replace *row* by the single row of *cache*, whose last token becomes the latest."""
        keys, values = cache._in_order()  # (1, K, S, D)
        slots = torch.arange(self._written - keys.shape[2], self._written) % self._capacity
        self.keys[row][:, slots] = keys[0]
        self.values[row][:, slots] = values[0]
        self.lengths[row] = cache.lengths[0]

    def keep(self, rows: Sequence[int]) -> None:
        """Remove all rows except *rows*, which are renumbered in the given order."""
        self.keys, self.values = self.keys[list(rows)], self.values[list(rows)]
        self.lengths = [self.lengths[row] for row in rows]

    def truncate(self, length: int) -> bool:
        """Remove all but the first *length* tokens of a single row, if the ring allows it.

        Returns False, and changes nothing, if tokens that these would attend to were overwritten.
        """
        removed = self.lengths[0] - length
        if removed and self._written > self._capacity:
            return False
        self._written -= removed
        self.lengths = [length]
        return True

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store *keys* and *values* (B, K, T, D); return those to attend to, (B, K, S, D).

        If T > 1, all rows must have the same length, and the result is in the order of positions.
        If T = 1, it is in the order of slots.
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
            # The new tokens attend to all of these, also to those that no longer fit the ring.
            count = min(keys.shape[2], self._capacity)
            end = self._written + tokens
            slots = torch.arange(end - count, end) % self._capacity
            self.keys[:, :, slots] = keys[:, :, -count:]
            self.values[:, :, slots] = values[:, :, -count:]
        self._written += tokens
        self.lengths = [length + tokens for length in self.lengths]
        if tokens > 1:
            return keys, values
        return self.keys[:, :, : self._filled], self.values[:, :, : self._filled]

    def last(self) -> tuple[Tensor, Tensor]:
        """Return the last key and value of each row, (B, K, 1, D); zeros for an empty row."""
        slot = (self._written - 1) % self._capacity
        empty = torch.tensor([not length for length in self.lengths], device=self.keys.device)
        keys, values = (
            cached[:, :, slot : slot + 1].masked_fill(empty[:, None, None, None], 0)
            for cached in (self.keys, self.values)
        )
        return keys, values

    def mask(self) -> Tensor | None:
        """Return which slots hold a token of each row, bool (B, 1, 1, S); None if all do."""
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
        """Return the cached tokens of rows of one length, (B, K, S, D), oldest first."""
        count = min(self.lengths[0], self._capacity)
        slots = torch.arange(self._written - count, self._written) % self._capacity
        return self.keys[:, :, slots], self.values[:, :, slots]
