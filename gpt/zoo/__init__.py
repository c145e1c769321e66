"""The whole zoo: one table an axis, from a spec's type to the module that it describes.

A new mechanism is a spec in `gpt.config`, a module here whose docstring is its formula and its
source, and a row in a table. The tables also parametrise the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gpt import config
from gpt.zoo.attention import GroupedQueryAttention
from gpt.zoo.caps import Cap, NoCap, SoftCap
from gpt.zoo.mlps import GeluMLP, Relu2MLP, SwiGLUMLP
from gpt.zoo.norms import LayerNorm, RMSNorm
from gpt.zoo.positions import LearnedPosition, NoPosition, Position, RotaryPosition
from gpt.zoo.residuals import Lambdas, PlainResidual, Residual
from gpt.zoo.shifts import NoShift, Shift, TokenShift
from gpt.zoo.values import NoValueEmbedding, ValueEmbedding, Values

Norm: TypeAlias = LayerNorm | RMSNorm
MLP: TypeAlias = GeluMLP | Relu2MLP | SwiGLUMLP
Attention: TypeAlias = GroupedQueryAttention

# spec, width
NORMS: dict[type, Callable[[Any, int], Norm]] = {
    config.LayerNorm: LayerNorm,
    config.RMSNorm: RMSNorm,
}

# spec, width, hidden, bias
MLPS: dict[type, Callable[[Any, int, int, bool], MLP]] = {
    config.Gelu: GeluMLP,
    config.Relu2: Relu2MLP,
    config.SwiGLU: SwiGLUMLP,
}

# spec, architecture
POSITIONS: dict[type, Callable[[Any, config.Architecture], Position]] = {
    config.Learned: LearnedPosition,
    config.Rope: RotaryPosition,
    config.NoPosition: NoPosition,
}

# spec, architecture, layer
ATTENTIONS: dict[type, Callable[[Any, config.Architecture, int], Attention]] = {
    config.GroupedQuery: GroupedQueryAttention,
}

# spec, width
SHIFTS: dict[type, Callable[[Any, int], Shift]] = {
    config.NoShift: NoShift,
    config.TokenShift: TokenShift,
}

# spec, layers
RESIDUALS: dict[type, Callable[[Any, int], Residual]] = {
    config.PlainResidual: PlainResidual,
    config.Lambdas: Lambdas,
}

# spec, architecture, rows
VALUE_EMBEDDINGS: dict[type, Callable[[Any, config.Architecture, int], Values]] = {
    config.NoValueEmbedding: NoValueEmbedding,
    config.ValueEmbedding: ValueEmbedding,
}

# spec
CAPS: dict[type, Callable[[Any], Cap]] = {
    config.NoCap: NoCap,
    config.SoftCap: SoftCap,
}
