"""Layouts: how a sparse pattern becomes small dense ones, so that it costs O(n w) instead of O(n²).

A row is cut into blocks of queries. Each block looks at few blocks of keys, which are gathered for
it, and a kernel computes all blocks as the rows of a larger batch. B: batch size, T: tokens,
H: heads, N: blocks of a row, t: tokens of a block, m: blocks of keys that a block looks at,
g: shared tokens, M = m t + g: keys of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_BLOCK, MAX_BLOCK = 16, 128
"""Bounds of the tokens of a block of queries, if the pattern does not say. PERF: forward and
backward of 4,096 tokens, 4 heads of 64, window 256, float32, on one core (Intel Xeon, AVX-512):
240 ms with blocks of 64 or 128, 270 ms with 256, and 600 ms dense."""
MIN_SAVING = 2
"""A row is cut into blocks if it has at least this many times the keys of a block."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """The keys that blocks of queries look at, in rows of *tokens* tokens from position 0.

    Rows are padded to whole blocks. What a pattern allows must be among these keys.
    """

    tokens: int
    block: int
    """t."""
    blocks: Tensor
    """Indices of the blocks of keys that each block looks at, int64 (N, m); negative for none."""
    shared: tuple[int, ...] = ()
    """Tokens that all blocks look at."""
    stride: int = 1
    """Blocks are cut from the sequences of every stride-th token, one after the other."""
    heads: range | None = None
    """Heads that it is for, next to each other; None for all."""

    @property
    def keys_per_block(self) -> int:
        """M."""
        return self.blocks.shape[1] * self.block + len(self.shared)

    def gather_queries(self, x: Tensor) -> Tensor:
        """Cut x (B, H, T, D) into blocks: (B · N, H, t, D)."""
        return self._cut(x).flatten(0, 1).transpose(1, 2)

    def gather_keys(self, x: Tensor) -> Tensor:
        """Gather from x (B, H, T, D) the keys of each block: (B · N, H, M, D)."""
        # PERF: copying whole blocks is two to three times as fast, with its backward pass, as
        # views by unfold or concatenated slices.
        batch, heads, _, width = x.shape
        index = self.blocks.clamp(min=0).flatten().to(x.device)
        found = self._cut(x).index_select(1, index)  # (B, N · m, t, H, D)
        found = found.reshape(batch, len(self.blocks), -1, heads, width)
        if self.shared:
            tokens = torch.tensor(self.shared, device=x.device)
            shared = x.transpose(1, 2).index_select(1, tokens)[:, None]
            found = torch.cat((found, shared.expand(-1, len(self.blocks), -1, -1, -1)), dim=2)
        return found.flatten(0, 1).transpose(1, 2)

    def join(self, y: Tensor) -> Tensor:
        """Invert `gather_queries`: (B · N, H, t, E) to (B, H, T, E)."""
        rows, heads, tokens, width = y.shape
        batch, length = rows // len(self.blocks), len(self.blocks) * tokens // self.stride
        y = y.transpose(1, 2).reshape(batch, self.stride, length, heads, width)
        return y.transpose(1, 2).flatten(1, 2)[:, : self.tokens].transpose(1, 2)

    @property
    def query_index(self) -> Tensor:
        """Which token each query is, int64 (N, t); negative for padding."""
        return self.gather_queries(self._numbers)[:, 0, :, 0] - 1

    @property
    def key_index(self) -> Tensor:
        """Which token each key is, int64 (N, M); negative for what a block must not look at.

        That is padding, and a token that is there twice, from the second time on.
        """
        index = self.gather_keys(self._numbers)[:, 0, :, 0] - 1
        absent = (self.blocks < 0).repeat_interleave(self.block, 1)
        index[:, : absent.shape[1]].masked_fill_(absent, -1)
        ascending, order = index.sort(dim=1, stable=True)
        repeated = ascending.diff(dim=1, prepend=ascending[:, :1] - 1) == 0
        return index.masked_fill(torch.zeros_like(repeated).scatter(1, order, repeated), -1)

    @property
    def _numbers(self) -> Tensor:
        """The tokens from 1, as padding is 0: (1, 1, T, 1)."""
        return torch.arange(1, self.tokens + 1)[None, None, :, None]

    def _cut(self, x: Tensor) -> Tensor:
        """(B, H, T, D) → (B, N, t, H, D)."""
        batch, heads, _, width = x.shape
        x = x.transpose(1, 2)
        if padding := len(self.blocks) * self.block - self.tokens:
            x = F.pad(x, (0, 0, 0, 0, 0, padding))
        x = x.reshape(batch, -1, self.stride, heads, width).transpose(1, 2)
        return x.reshape(batch, len(self.blocks), self.block, heads, width)


def banded(
    tokens: int,
    before: int,
    after: int,
    *,
    stride: int = 1,
    shared: Sequence[int] = (),
    heads: range | None = None,
) -> Layout:
    """Return the layout of a window: *before* and *after* tokens, *stride* apart, on each side."""
    span = before + after + 1
    block = min(max(1 << (span // 2).bit_length(), MIN_BLOCK), MAX_BLOCK)
    count = -(-tokens // (stride * block))  # blocks of one of the sequences
    own = torch.arange(count)[:, None]
    looks = own + torch.arange(-before // block, -(-after // block) + 1)
    looks = looks.masked_fill((looks < 0) | (looks >= count), -1)
    sequences = torch.arange(stride)[:, None, None] * count
    blocks = torch.where(looks < 0, looks, looks + sequences).flatten(0, 1)
    return Layout(
        tokens=tokens,
        block=block,
        blocks=blocks,
        shared=tuple(token for token in shared if token < tokens),
        stride=stride,
        heads=heads,
    )


def pays(layout: Layout) -> bool:
    """Return whether the row is long enough for blocks to be faster than a mask."""
    return layout.tokens >= MIN_SAVING * layout.keys_per_block
