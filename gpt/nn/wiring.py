"""Wirings: how the branches of a block, attention and an MLP, join the residual stream.

A block of the decoder of an encoder-decoder has a third branch between them, cross attention.

A wiring is the block itself. A branch is norm, convolution, mixer, output norm, dropout, stochastic
depth and scale; the norm before is the subclass's to apply. Shapes: (B, T, width) in and out.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.cross import CrossAttention
from gpt.nn.context import Context, Memory
from gpt.nn.convolution import convolution_at
from gpt.nn.dropout import Dropout, DropPath
from gpt.nn.mechanism import Mechanism, Mixed, kind_of
from gpt.nn.norm import Norm
from gpt.nn.site import Site
from gpt.nn.state_group import StateGroup
from gpt.spec import wiring


class Block(Mechanism):
    """The branches of one layer, each with its norms. What joins them is the subclass."""

    normalizes_outputs: ClassVar[bool] = False
    """Whether each branch ends in a norm."""
    last_norm: ClassVar[bool] = True
    """Whether the stream is normalized once more after the last block."""

    def __init__(self, spec: Any, site: Site) -> None:
        super().__init__()
        architecture, dropout = site.architecture, site.architecture.dropout
        self.attention_norm = _norm(site)
        self.attention_convolution = convolution_at("A", site)
        self.attention = site.build(architecture.attention)
        self.cross_attention: CrossAttention | None = None
        if site.cross:
            self.cross_norm = _norm(site)
            self.cross_attention = CrossAttention(architecture.attention_in(site.layer), site)
            self.cross_output_norm = _norm(site) if self.normalizes_outputs else nn.Identity()
            self.cross_scale = site.build(architecture.branch_scale)
        self.mlp_norm = _norm(site)
        self.mlp_convolution = convolution_at("C", site)
        self.mlp = site.build(architecture.mlp)
        self.attention_output_norm, self.mlp_output_norm = (
            _norm(site) if self.normalizes_outputs else nn.Identity() for _ in range(2)
        )
        self.dropout = Dropout(dropout.of_branches)
        self.path = DropPath(dropout.of_path(site.layer, architecture.layers))
        self.attention_scale = site.build(architecture.branch_scale)
        self.mlp_scale = site.build(architecture.branch_scale)

    def forward(self, x: Tensor, context: Context, state: StateGroup | None = None) -> Mixed:
        """Apply the block to x; return that, and the sum of its auxiliary losses or None."""
        raise NotImplementedError

    def attend(self, x: Tensor, context: Context, state: StateGroup | None) -> Mixed:
        """Return the branch of attention for x, which is normalized if the wiring does so."""
        parts = {} if state is None else state.parts
        if self.attention_convolution is not None:
            kept = parts.get("attention_convolution")
            x = self.attention_convolution(x, kept, context.document_ids)
        y, loss = self.attention(x, context, parts.get("attention"))
        return self._end(self.attention_output_norm(y), self.attention_scale), loss

    def consult(self, x: Tensor, context: Context, state: StateGroup | None) -> Tensor:
        """Return the branch of cross attention for x, which is normalized if the wiring does so."""
        assert self.cross_attention is not None
        kept = None if state is None else state.parts["cross_attention"]
        y = self.cross_attention(x, context, kept)
        return self._end(self.cross_output_norm(y), self.cross_scale)

    def transform(self, x: Tensor, context: Context, state: StateGroup | None) -> Mixed:
        """Return the branch of the MLP for x, which is normalized if the wiring does so."""
        parts = {} if state is None else state.parts
        if self.mlp_convolution is not None:
            x = self.mlp_convolution(x, parts.get("mlp_convolution"), context.document_ids)
        kept = parts.get("mlp")
        y, loss = self.mlp(x, context) if kept is None else self.mlp(x, context, kept)
        return self._end(self.mlp_output_norm(y), self.mlp_scale), loss

    def new_state(self, batch: int, dtype: torch.dtype, memory: Memory | None = None) -> StateGroup:
        """Create what *batch* rows keep while decoding; *memory* is what they attend to, too."""
        group = StateGroup.of(self, batch, dtype)
        if self.cross_attention is not None and memory is not None:
            group.parts["cross_attention"] = self.cross_attention.project(memory)
        return group

    def initialize(self, generator: torch.Generator) -> None:
        """With output norms, begin as the identity by their scales instead of the last weights.

        The derivative of a norm at zero would multiply the first gradients by 1 / √eps.
        """
        if not self.normalizes_outputs:
            return
        names = ("attention_output_norm", "cross_output_norm", "mlp_output_norm")
        for norm in (getattr(self, name, None) for name in names):
            scale = getattr(norm, "weight", None)
            if scale is not None:
                nn.init.zeros_(scale)
        for module in self.modules():
            if isinstance(module, Mechanism):
                module.randomize_output(generator)

    def _end(self, y: Tensor, scale: nn.Module | None) -> Tensor:
        y = self.path(self.dropout(y))
        return y if scale is None else scale(y)


class PreNorm(Block):
    """x → x + attention(norm(x)) → x + mlp(norm(x)). Radford 2019 (GPT-2)."""

    def forward(self, x: Tensor, context: Context, state: StateGroup | None = None) -> Mixed:
        """Apply the block to x."""
        y, first = self.attend(self.attention_norm(x), context, state)
        x = x + y
        if self.cross_attention is not None:
            x = x + self.consult(self.cross_norm(x), context, state)
        y, second = self.transform(self.mlp_norm(x), context, state)
        return x + y, total(first, second)


class SandwichNorm(PreNorm):
    """x → x + norm(attention(norm(x))) → x + norm(mlp(norm(x))). Ding 2021, arXiv:2105.13290."""

    normalizes_outputs = True


class OutputNorm(PreNorm):
    """x → x + norm(attention(x)) → x + norm(mlp(x)). OLMo 2 2024, arXiv:2501.00656."""

    normalizes_outputs = True

    def __init__(self, spec: wiring.OutputNorm, site: Site) -> None:
        super().__init__(spec, site)
        self.attention_norm = self.cross_norm = self.mlp_norm = nn.Identity()


class PostNorm(Block):
    """x → norm(x + attention(x)) → norm(x + mlp(x)). Vaswani 2017, arXiv:1706.03762."""

    last_norm = False

    def forward(self, x: Tensor, context: Context, state: StateGroup | None = None) -> Mixed:
        """Apply the block to x."""
        y, first = self.attend(x, context, state)
        x = self.attention_norm(self.join(x, y))
        if self.cross_attention is not None:
            x = self.cross_norm(self.join(x, self.consult(x, context, state)))
        y, second = self.transform(x, context, state)
        return self.mlp_norm(self.join(x, y)), total(first, second)

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the branch y to the stream x."""
        return x + y


class DeepNorm(PostNorm):
    """x → norm(α x + attention(x)) → norm(α x + mlp(x)). Wang 2022, arXiv:2203.00555.

    Weights are normal with standard deviation √(2 / (inputs + outputs)), as Glorot 2010 has it;
    times β, unless they only decide the scores of attention.
    """

    def __init__(self, spec: wiring.DeepNorm, site: Site) -> None:
        super().__init__(spec, site)
        self.alpha, self.beta = spec.factors(site.architecture.layers)

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the branch y to the stream x, which is scaled."""
        return torch.add(y, x, alpha=self.alpha)

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize all matrices; none is zero, so a new block is not the identity."""
        scoring = {
            getattr(module, name)
            for module in self.modules()
            if isinstance(module, Mechanism)
            for name in module.SCORING
        }
        for module in self.modules():
            gain = 1.0 if module in scoring else self.beta
            for name, parameter in module.named_parameters(recurse=False):
                if kind_of(module, name, parameter) == "matrix":
                    std = gain * math.sqrt(2 / sum(parameter.shape[-2:]))
                    nn.init.normal_(parameter, std=std, generator=generator)


class Parallel(Block):
    """x → x + attention(norm(x)) + mlp(norm(x)). Wang 2021 (GPT-J)."""

    def __init__(self, spec: wiring.Parallel, site: Site) -> None:
        super().__init__(spec, site)
        self.shared_norm = spec.shared_norm
        if spec.shared_norm:
            self.mlp_norm = nn.Identity()

    def forward(self, x: Tensor, context: Context, state: StateGroup | None = None) -> Mixed:
        """Apply the block to x."""
        normalized = self.attention_norm(x)
        y, first = self.attend(normalized, context, state)
        if not self.shared_norm:
            normalized = self.mlp_norm(x)
        z, second = self.transform(normalized, context, state)
        return x + y + z, total(first, second)


def _norm(site: Site) -> Norm | nn.Identity:
    """Build the norm of the architecture; the identity without one."""
    return site.build(site.architecture.norm) or nn.Identity()


def total(*losses: Tensor | None) -> Tensor | None:
    """Return the sum of those *losses* that are not None; None if all are."""
    given = [loss for loss in losses if loss is not None]
    return sum(given[1:], given[0]) if given else None
