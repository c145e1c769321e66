"""Grouped-query attention.

B: batch size, T: new tokens, S: kept and new tokens, H: query heads, K: key and value heads,
D: head_width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.gate import HeadGate
from gpt.nn.attention.pairwise import PairwiseAttention
from gpt.nn.context import Context
from gpt.nn.convolution import LatestTokens, convolution_at
from gpt.nn.linear import FusedLinear, apply_linears
from gpt.nn.mechanism import BranchOutput, ExportNames, Mechanism, Mixed
from gpt.nn.norm import RMSNorm
from gpt.nn.site import Site
from gpt.nn.state import Ring
from gpt.nn.state_group import StateGroup
from gpt.spec import attention, norm


class GroupedQueryAttention(Mechanism):
    """softmax(q kᵀ / √D) v, query heads sharing kv heads. Ainslie 2023, arXiv:2305.13245.

    Query head h reads kv head h // (H / K). The position encoding rotates queries and keys.
    """

    FUSIBLE: ClassVar[tuple[str, ...]] = ("query", "key", "value")
    SCORING: ClassVar[tuple[str, ...]] = ("query", "key", "gate")
    EXPORT_NAMES: ClassVar[ExportNames] = {
        "gpt2": {"attn.c_attn": ("query", "key", "value"), "attn.c_proj": ("output",)},
        "llama": {
            "self_attn.q_proj": ("query",),
            "self_attn.k_proj": ("key",),
            "self_attn.v_proj": ("value",),
            "self_attn.o_proj": ("output",),
            "self_attn.q_norm": ("query_norm",),
            "self_attn.k_norm": ("key_norm",),
        },
        "gguf": {
            "attn_q": ("query",),
            "attn_k": ("key",),
            "attn_v": ("value",),
            "attn_output": ("output",),
            "attn_q_norm": ("query_norm",),
            "attn_k_norm": ("key_norm",),
        },
        "gguf-gpt2": {"attn_qkv": ("query", "key", "value"), "attn_output": ("output",)},
    }

    def __init__(self, spec: attention.GroupedQuery, site: Site) -> None:
        super().__init__()
        width = site.width
        biases = spec.bias or ("all" if site.architecture.bias else "off")
        bias, output_bias = biases in ("qkv", "all"), biases in ("output", "all")
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
        self.norm_heads = spec.qk_norm_over == "heads"
        self.query_norm, self.key_norm = (
            self._norm(spec, site, heads) if spec.qk_norm else nn.Identity()
            for heads in (spec.heads, spec.kv_heads)
        )

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
        if self.norm_heads:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        queries, keys, values = map(self._split_heads, (queries, keys, values))  # (B, H or K, T, D)
        if not self.norm_heads:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        # Keys are kept after rotation, so that each is rotated once.
        queries = context.position.rotate(queries, context.positions)
        keys = context.position.rotate(keys, context.positions)
        if ring is not None:
            keys, values = ring.append(keys, values, length=context.starts[0])  # (B, K, S, D)
        mixed = self.pairwise(queries, keys, values, context, ring).transpose(1, 2)  # (B, T, H, D)
        if self.gate is not None:
            mixed = self.gate(mixed, x)
        y: Tensor = self.output(mixed.flatten(2))
        return y, None

    def new_state(self, batch: int, dtype: torch.dtype) -> Ring | StateGroup:
        """Create what *batch* rows keep: as many keys and values as the pattern attends to.

        With a convolution, also what it keeps.
        """
        like = self.key.weight.new_empty((batch, self.kv_heads, 0, self.head_width), dtype=dtype)
        ring = Ring(like, like, capacity=self.pairwise.pattern.reach)
        if self.convolution is None:
            return ring
        return StateGroup({"ring": ring, "taps": self.convolution.new_state(batch, dtype)})

    def _norm(self, spec: attention.GroupedQuery, site: Site, heads: int) -> RMSNorm:
        """Return the norm of queries or keys of *heads* heads."""
        width = self.head_width * (heads if self.norm_heads else 1)
        return RMSNorm(norm.RMSNorm(eps=spec.qk_norm_eps), site.of_width(width))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads · D) → (B, heads, T, D)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, -1, self.head_width).transpose(1, 2)


def _parts(state: Ring | StateGroup | None) -> tuple[Ring | None, LatestTokens | None]:
    """Return the keys and values in *state*, and what a convolution keeps, if there is one."""
    if isinstance(state, StateGroup):
        return state.parts["ring"], state.parts["taps"]
    return state, None
