"""Grouped-query attention.

B: batch size, T: new tokens, S: kept and new tokens, H: query heads, K: key and value heads,
D: head_width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.gate import HeadGate
from gpt.nn.attention.kernels import split_heads
from gpt.nn.attention.pairwise import PairwiseAttention
from gpt.nn.attention.qk_norm import normalized_heads, qk_norm
from gpt.nn.context import Context
from gpt.nn.convolution import LatestTokens, convolution_at
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, Mechanism, Mixed
from gpt.nn.positions.encoding import Positions
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.nn.state_group import StateGroup
from gpt.spec import attention


class GroupedQueryAttention(Mechanism):
    """softmax(q kᵀ / √D) v, query heads sharing kv heads. Ainslie 2023, arXiv:2305.13245.

    Query head h reads kv head h // (H / K). The position encoding rotates queries and keys.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "key", "value")
    SCORING: ClassVar[tuple[str, ...]] = ("query", "key", "gate")

    def __init__(self, spec: attention.GroupedQuery, site: Site) -> None:
        super().__init__()
        width = site.width
        bias, output_bias = spec.biases(default=site.architecture.bias)
        self.heads, self.kv_heads = spec.heads, spec.kv_heads
        self.head_width = spec.query_width(width)
        self.pairwise = PairwiseAttention(spec, site)
        self.query = nn.Linear(width, spec.heads * self.head_width, bias=bias)
        self.key = nn.Linear(width, spec.kv_heads * self.head_width, bias=bias)
        self.value = nn.Linear(width, spec.kv_heads * self.head_width, bias=bias)
        self.fused: FusedLinear | None = None
        self.output = BranchOutput(spec.heads * self.head_width, width, bias=output_bias)
        self.convolution = convolution_at(
            "B", site.of_width((spec.heads + 2 * spec.kv_heads) * self.head_width)
        )
        self.gate: HeadGate | None = site.build(spec.gate)
        self.clip = spec.clip
        self.together = spec.normalizes_together
        self.query_norm = qk_norm(spec, spec.heads, site)
        self.key_norm = qk_norm(spec, spec.kv_heads, site)

    def forward(self, x: Tensor, context: Context, state: Ring | StateGroup | None = None) -> Mixed:
        """Attend from x (B, T, width) to x and the tokens in *state*, which gets those of x."""
        queries, keys, values = apply_linears(self, x)
        ring, taps = _parts(state)
        if self.convolution is not None:
            both = torch.cat((queries, keys, values), dim=-1)
            both = self.convolution(both, taps, context.document_ids)
            queries, keys, values = both.split(
                [each.shape[-1] for each in (queries, keys, values)], -1
            )
        if self.clip is not None:
            queries, keys, values = (
                each.clamp(-self.clip, self.clip) for each in (queries, keys, values)
            )
        values = context.mixed_values(values)
        values = split_heads(values, self.head_width)
        # Keys are kept after rotation, so that each is rotated once.
        queries = self.rotated(self.query_norm, queries, context.positions, context)
        keys = self.rotated(self.key_norm, keys, context.positions, context)
        if ring is not None:
            keys, values = ring.append(keys, values, starts=context.starts)  # (B, K, S, D)
        mixed = self.mix(x, queries, keys, values, context, ring).transpose(1, 2)  # (B, T, H, D)
        if self.gate is not None:
            mixed = self.gate(mixed, x)
        y: Tensor = self.output(mixed.flatten(2))
        return y, None

    def new_state(self, batch: int, dtype: torch.dtype) -> Ring | StateGroup:
        """Create what *batch* rows keep: as many keys and values as the pattern attends to.

        With a convolution, also what it keeps.
        """
        shape = (batch, self.kv_heads, 0, self.head_width)
        like = torch.empty(shape, dtype=dtype, device=self.key.weight.device)
        ring = self.new_ring(like)
        if self.convolution is None:
            return ring
        return StateGroup({"ring": ring, "taps": self.convolution.new_state(batch, dtype)})

    def mix(
        self,
        x: Tensor,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        context: Context,
        ring: Ring | None,
    ) -> Tensor:
        """Attend from *queries* (B, H, T, D), which are of x, to *keys* and *values*: the same."""
        mixed: Tensor = self.pairwise(queries, keys, values, context, ring)
        return mixed

    def new_ring(self, like: Tensor) -> Ring:
        """Create what rows keep of keys and values like *like*, (B, K, 0, D)."""
        return self.pairwise.new_state(like, like)

    def rotated(self, norm: nn.Module, x: Tensor, positions: Positions, context: Context) -> Tensor:
        """Normalize and rotate queries or keys: (B, T, heads · D) → (B, heads, T, D)."""
        split = normalized_heads(norm, x, self.head_width, together=self.together)
        return context.position.rotate(split, positions)


def _parts(state: Ring | StateGroup | None) -> tuple[Ring | None, LatestTokens | None]:
    """Return the keys and values in *state*, and what a convolution keeps, if there is one."""
    if isinstance(state, StateGroup):
        return state.parts["ring"], state.parts["taps"]
    return state, None
