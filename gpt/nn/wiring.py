"""Wirings: how the branches of a block, attention and an MLP, join the residual stream.

A wiring is the block itself. Shapes: (B, T, width) in and out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.cross import CrossAttention, CrossState
from gpt.nn.context import Context, Memory
from gpt.nn.dropout import Dropout
from gpt.nn.mechanism import ExportNames, Mechanism, Mixed
from gpt.nn.site import Site
from gpt.nn.state import State


class Block(Mechanism):
    """The branches of one layer, each with its norm. What joins them is the subclass."""

    EXPORT_NAMES: ClassVar[ExportNames] = {
        "gpt2": {"ln_1": ("attention_norm",), "ln_2": ("mlp_norm",)},
        "llama": {
            "input_layernorm": ("attention_norm",),
            "post_attention_layernorm": ("mlp_norm",),
        },
        "gguf": {"attn_norm": ("attention_norm",), "ffn_norm": ("mlp_norm",)},
    }
    last_norm: ClassVar[bool] = True
    """Whether the stream is normalized once more after the last block."""

    def __init__(self, spec: Any, site: Site) -> None:
        super().__init__()
        architecture = site.architecture
        self.attention_norm = site.build(architecture.norm)
        self.attention = site.build(architecture.attention)
        self.cross_norm: nn.Module | None = None
        self.cross_attention: CrossAttention | None = None
        if site.cross:
            self.cross_norm = site.build(architecture.norm)
            self.cross_attention = CrossAttention(architecture.attention_in(site.layer), site)
        self.mlp_norm = site.build(architecture.norm)
        self.mlp = site.build(architecture.mlp)
        self.dropout = Dropout(architecture.dropout)

    def forward(self, x: Tensor, context: Context, state: State | None = None) -> Mixed:
        """Apply the block to x; return that, and the sum of its auxiliary losses or None."""
        raise NotImplementedError

    def attend(self, x: Tensor, context: Context, state: State | None) -> Mixed:
        """Apply attention and dropout to x."""
        own = state.own if isinstance(state, CrossState) else state
        y, loss = self.attention(x, context, own)
        return self.dropout(y), loss

    def consult(self, x: Tensor, context: Context, state: State | None) -> Tensor:
        """Apply cross attention and dropout to x."""
        assert self.cross_attention is not None
        kept = state.memory if isinstance(state, CrossState) else None
        y: Tensor = self.dropout(self.cross_attention(x, context, kept))
        return y

    def transform(self, x: Tensor, context: Context) -> Mixed:
        """Apply the MLP and dropout to x."""
        y, loss = self.mlp(x, context)
        return self.dropout(y), loss

    def new_state(self, batch: int, dtype: torch.dtype, memory: Memory | None = None) -> State:
        """Create what *batch* rows keep while decoding; *memory* is what they attend to."""
        own: State = self.attention.new_state(batch, dtype)
        if self.cross_attention is None or memory is None:
            return own
        return CrossState(own, self.cross_attention.new_state(memory))


class PreNorm(Block):
    """x → x + attention(norm(x)) → x + mlp(norm(x)). Radford 2019 (GPT-2)."""

    def forward(self, x: Tensor, context: Context, state: State | None = None) -> Mixed:
        """Apply the block to x."""
        y, first = self.attend(self.attention_norm(x), context, state)
        x = x + y
        if self.cross_norm is not None:
            x = x + self.consult(self.cross_norm(x), context, state)
        y, second = self.transform(self.mlp_norm(x), context)
        return x + y, total(first, second)


class PostNorm(Block):
    """x → norm(x + attention(x)) → norm(x + mlp(x)). Vaswani 2017, arXiv:1706.03762."""

    last_norm = False

    def forward(self, x: Tensor, context: Context, state: State | None = None) -> Mixed:
        """Apply the block to x."""
        y, first = self.attend(x, context, state)
        x = self.attention_norm(x + y)
        if self.cross_norm is not None:
            x = self.cross_norm(x + self.consult(x, context, state))
        y, second = self.transform(x, context)
        return self.mlp_norm(x + y), total(first, second)


def total(*losses: Tensor | None) -> Tensor | None:
    """Return the sum of those *losses* that are not None; None if all are."""
    given = [loss for loss in losses if loss is not None]
    return sum(given[1:], given[0]) if given else None
