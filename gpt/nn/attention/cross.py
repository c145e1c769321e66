"""Cross attention: the tokens of a decoder attend to the outputs of an encoder.

B: batch size, T: tokens of the decoder, S: tokens of the encoder, H: query heads, K: key and value
heads, D: head_width.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from gpt.nn.attention.kernels import split_heads
from gpt.nn.attention.pairwise import Pairs, PairwiseAttention
from gpt.nn.attention.qk_norm import normalized_heads, qk_norm
from gpt.nn.context import Context, Memory
from gpt.nn.mechanism import BranchOutput, Mechanism
from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.nn.state import Constant, State
from gpt.spec.attention import GroupedQuery
from gpt.spec.attention_base import Attention


class CrossAttention(Mechanism):
    """softmax(q kᵀ / √D) v, q from the decoder, k and v from the encoder's outputs.

    Vaswani 2017, arXiv:1706.03762, section 3.2.3. Heads, score, normalizer and norms are those of
    *own*, the decoder's own attention.
    """

    SCORING: ClassVar[tuple[str, ...]] = ("query", "key")

    def __init__(self, own: Attention, site: Site) -> None:
        super().__init__()
        spec = cast(GroupedQuery, own.to_memory(site.width))
        bias, output_bias = spec.biases(default=site.architecture.bias)
        self.head_width = spec.query_width(site.width)
        width, kv_width = spec.heads * self.head_width, spec.kv_heads * self.head_width
        self.pairwise = PairwiseAttention(spec, site)
        self.query = nn.Linear(site.width, width, bias=bias)
        self.key = nn.Linear(site.width, kv_width, bias=bias)
        self.value = nn.Linear(site.width, kv_width, bias=bias)
        self.output = BranchOutput(width, site.width, bias=output_bias)
        self.together = spec.normalizes_together
        self.query_norm = qk_norm(spec, spec.heads, site)
        self.key_norm = qk_norm(spec, spec.kv_heads, site)
        self.position = PositionEncoding()

    def forward(self, x: Tensor, context: Context, state: MemoryState | None = None) -> Tensor:
        """Attend from x (B, T, width) to *state*, or else to the memory of *context*."""
        if state is None:
            assert context.memory is not None
            state = self.project(context.memory)
        keys, values, mask = state.tensors
        queries = self._normalized(self.query_norm, self.query(x))  # (B, H, T, D)
        start, tokens = context.starts[0], x.shape[1]
        index = (
            torch.arange(start, start + tokens, device=x.device)[None, :, None],
            torch.arange(keys.shape[2], device=x.device)[None, None],
        )
        allowed = mask[:, None, None].expand(-1, -1, tokens, -1)  # (B, 1, T, S)
        pairs = Pairs(rows=index, documents=index)
        mixed = self.pairwise.over(queries, keys, values, self.position, pairs, allowed)
        y: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return y

    def project(self, memory: Memory) -> MemoryState:
        """Project *memory* to keys and values, once for all tokens of the decoder."""
        values = split_heads(self.value(memory.hidden), self.head_width)
        keys = self._normalized(self.key_norm, self.key(memory.hidden))
        return MemoryState(keys, values, memory.mask)

    def _normalized(self, norm: nn.Module, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, heads, T, D)."""
        return normalized_heads(norm, x, self.head_width, together=self.together)


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
