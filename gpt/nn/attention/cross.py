"""Cross attention: the tokens of a decoder attend to the outputs of an encoder.

B: batch size, T: tokens of the decoder, S: tokens of the encoder, H: query heads, K: key and value
heads, D: head_width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.nn.attention.kernels import (
    general,
    prefers_written_out,
    sdpa,
    split_heads,
    written_out,
)
from gpt.nn.attention.normalizers import Normalizer
from gpt.nn.attention.scores import Score
from gpt.nn.context import Context, Memory
from gpt.nn.mechanism import BranchOutput, Mechanism
from gpt.nn.norm import RMSNorm
from gpt.nn.site import Site
from gpt.nn.state import Constant, State
from gpt.spec import norm, scoring
from gpt.spec.attention_base import Attention


class CrossAttention(Mechanism):
    """softmax(q kᵀ / √D) v, q from the decoder, k and v from the encoder's outputs.

    Vaswani 2017, arXiv:1706.03762, section 3.2.3. Heads, score and normalizer are those of the
    decoder's own attention. There are no positions: those of source and target do not correspond.
    """

    def __init__(self, spec: Attention, site: Site) -> None:
        super().__init__()
        width, bias = site.width, site.architecture.bias
        self.heads: int = spec.heads
        self.head_width = spec.query_width(width)
        kv_heads: int = getattr(spec, "kv_heads", spec.heads)
        head_site = site.of_width(self.head_width)
        self.score: Score = head_site.build(getattr(spec, "score", scoring.ScaledDot()))
        self.normalizer: Normalizer = head_site.build(
            getattr(spec, "normalizer", scoring.Softmax())
        )
        self.query = nn.Linear(width, spec.heads * self.head_width, bias=bias)
        self.key = nn.Linear(width, kv_heads * self.head_width, bias=bias)
        self.value = nn.Linear(width, kv_heads * self.head_width, bias=bias)
        self.output = BranchOutput(spec.heads * self.head_width, width, bias=bias)
        self.query_norm, self.key_norm = (
            RMSNorm(norm.RMSNorm(), head_site) if getattr(spec, "qk_norm", False) else nn.Identity()
            for _ in range(2)
        )

    def forward(self, x: Tensor, context: Context, state: MemoryState | None = None) -> Tensor:
        """Attend from x (B, T, width) to *state*, or else to the memory of *context*."""
        if state is None:
            assert context.memory is not None
            state = self.project(context.memory)
        queries = self.query_norm(split_heads(self.query(x), self.head_width))  # (B, H, T, D)
        mixed = self._attend(queries, state, context.starts[0])
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y

    def _attend(self, queries: Tensor, memory: MemoryState, start: int) -> Tensor:
        """Choose the kernel; return the outputs of the heads, (B, H, T, D)."""
        keys, values, mask = memory.tensors
        mask = mask[:, None, None]  # (B, 1, 1, S)
        tokens, scale = queries.shape[2], self.score.scale
        if scale is not None and self.normalizer.fused:
            if prefers_written_out(queries):
                allowed = mask.expand(-1, -1, tokens, -1)
                return written_out(queries, keys, values, scale, allowed)
            return sdpa(queries, keys, values, scale, mask)
        positions = torch.arange(start, start + tokens, device=keys.device)[None, :, None]
        key_positions = torch.arange(keys.shape[2], device=keys.device)[None, None]
        mixed, _ = general(
            queries,
            keys,
            values,
            lambda q, k: self.score(q, k, positions, key_positions),
            lambda scores: self.normalizer(scores, queries, positions, key_positions),
            mask,
            None,
        )
        return mixed

    def project(self, memory: Memory) -> MemoryState:
        """Project *memory* to keys and values, once for all tokens of the decoder."""
        keys = self.key_norm(split_heads(self.key(memory.hidden), self.head_width))
        return MemoryState(
            keys, split_heads(self.value(memory.hidden), self.head_width), memory.mask
        )

    def mixing_flops(self, context: int) -> int:
        """Count the products of queries with keys, and of weights with values."""
        return 4 * self.heads * self.head_width * context


class MemoryState(Constant):
    """The keys and values of a memory: they stay as they are while the target grows.

    Its rows can be reordered, but not started again. The tensors are keys and values, (B, K, S, D),
    and which of them are tokens, bool (B, S).
    """

    def empty(self, rows: int) -> MemoryState:
        """Raise: what rows attend to is a part of them."""
        raise NotImplementedError("rows with a memory start with that memory: use new_state")

    def restart(self, row: int, other: State, length: int) -> None:
        """Raise, as `empty` does."""
        raise NotImplementedError("rows with a memory start with that memory: use new_state")

    def truncate(self, removed: int) -> bool:
        """Return True: nothing here is of the target's tokens."""
        return True
