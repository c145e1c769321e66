"""Attention of Longformer: windows, and global tokens with projections of their own.

B: batch size, T: new tokens, H: query heads, K: key and value heads, D: head_width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gpt.nn.attention.kernels import split_heads
from gpt.nn.attention.multihead import GroupedQueryAttention
from gpt.nn.attention.pairwise import Pairs
from gpt.nn.attention.patterns import WindowPattern
from gpt.nn.context import Context
from gpt.nn.site import Site
from gpt.nn.state import Pinned, PinnedRing, Ring, State
from gpt.spec import attention


class LongformerAttention(GroupedQueryAttention):
    """softmax(q kᵀ / √D) v in the window, and softmax(q' k'ᵀ / √D) v' for global tokens.

    q', k', v' are projections of their own. The others attend to a global token by its k and v,
    together with their window. Beltagy 2020, arXiv:2004.05150, section 3.1.
    """

    def __init__(self, spec: attention.Longformer, site: Site) -> None:
        super().__init__(spec, site)
        self.query_global, self.key_global, self.value_global = (
            nn.Linear(site.width, like.out_features, bias=like.bias is not None)
            for like in (self.query, self.key, self.value)
        )
        self.globals = cast(WindowPattern, self.pairwise.pattern).globals

    def mix(
        self,
        x: Tensor,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        context: Context,
        ring: Ring | None,
    ) -> Tensor:
        """Attend from *queries* (B, H, T, D), which are of x; global tokens by their own."""
        mixed: Tensor = self.pairwise(queries, keys, values, context, ring)
        starts, tokens, device = context.starts, x.shape[1], x.device
        if min(starts) > self.globals[-1]:
            return mixed
        keys = self.rotated(self.key_norm, self.key_global(x), context.positions, context)
        values = split_heads(self.value_global(x), self.head_width)
        key_positions = torch.arange(tokens, device=device)[None]
        if ring is not None:
            keys, values = cast(GlobalRing, ring).globals.append(keys, values, starts=starts)
            key_positions = torch.arange(keys.shape[2], device=device)[None]
        # Rows of one length have their global tokens in the same positions; then only those.
        same = context.document_ids is None and len(starts) == 1
        rows = torch.arange(tokens, device=device)
        if same:
            found = [token - starts[0] for token in self.globals]
            rows = torch.tensor([row for row in found if 0 <= row < tokens], device=device)
        if not len(rows):
            return mixed
        positions = context.positions
        if isinstance(positions, int):
            positions = torch.arange(positions, positions + tokens, device=device)[None]
        positions = positions[:, rows]
        queries = self.rotated(self.query_norm, self.query_global(x[:, rows]), positions, context)
        index = documents = positions[:, :, None], key_positions[:, None]
        if context.document_positions is not None:
            documents = context.document_positions[:, :, None], context.document_positions[:, None]
        new = self.pairwise.over(
            queries,
            keys,
            values,
            context.position,
            Pairs(rows=index, documents=documents),
            self._allowed(positions, key_positions, context),
        ).to(mixed.dtype)
        if same:
            return mixed.index_copy(2, rows, new)
        if context.document_positions is not None:
            positions = context.document_positions
        chosen = torch.isin(positions, torch.tensor(self.globals, device=device))
        return torch.where(chosen[:, None, :, None], new, mixed)

    def new_ring(self, like: Tensor) -> GlobalRing:
        """Create what rows keep: the window, global tokens, and all tokens up to the last one."""
        pattern = self.pairwise.pattern
        before = range(self.globals[-1] + 1)
        return GlobalRing(like, like, capacity=pattern.reach, at=pattern.pinned, before=before)

    def _allowed(self, positions: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the pairs of *positions* (B or 1, T) and *keys* (1, S): (B or 1, 1, T, S)."""
        found = keys[:, None] >= 0
        if self.pairwise.pattern.causal:
            found = keys[:, None] <= positions[:, :, None]
        if context.document_ids is not None:
            ids = context.document_ids
            found = found & (ids[:, :, None] == ids[:, None])
        return found[:, None]


class GlobalRing(PinnedRing):
    """The local keys and values of a row, and the global ones up to the last global token."""

    def __init__(
        self, *like: Tensor, capacity: int, at: Sequence[int], before: Sequence[int]
    ) -> None:
        """Create an empty state as `PinnedRing` does; *before* are the positions of the latter."""
        super().__init__(*like, capacity=capacity, at=at)
        self.globals = Pinned(*like, at=before)

    def empty(self, rows: int) -> GlobalRing:
        """Return a new state for *rows* rows without tokens."""
        like = (each[:1, :, :0].expand(rows, -1, -1, -1) for each in self.tensors)
        return GlobalRing(*like, capacity=self.capacity, at=self.pinned.at, before=self.globals.at)

    def restart(self, row: int, other: State, length: int) -> None:
        """Replace *row* by the single row of *other*; see `State`."""
        assert isinstance(other, GlobalRing)
        super().restart(row, other, length)
        self.globals.restart(row, other.globals, length)

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order."""
        super().select(rows)
        self.globals.select(rows)

    @property
    def nbytes(self) -> int:
        """Size of the buffers in bytes."""
        return super().nbytes + self.globals.nbytes

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of all for *tokens* tokens of each row."""
        return super().bytes_at(tokens) + self.globals.bytes_at(tokens)
