"""The whole zoo: one table an axis, from a spec's type to the module that it describes.

A new mechanism is a spec in `gpt.spec`, a module here whose docstring is its formula and its
source, and a row in a table. The tables also parametrise the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gpt.nn.attention import GroupedQueryAttention
from gpt.nn.head import Cap, NoCap, SoftCap
from gpt.nn.mlp import GeluMLP, Relu2MLP, SwiGLUMLP
from gpt.nn.norm import LayerNorm, RMSNorm
from gpt.nn.position import LearnedPosition, NoPosition, Position, RotaryPosition
from gpt.nn.residual import Lambdas, PlainResidual, Residual
from gpt.nn.token_shift import NoShift, Shift, TokenShift
from gpt.nn.value_embedding import NoValueEmbedding, ValueEmbedding, Values
from gpt.spec import architecture, attention, embedding, head, mlp, norm, position, wiring

Norm: TypeAlias = LayerNorm | RMSNorm
MLP: TypeAlias = GeluMLP | Relu2MLP | SwiGLUMLP
Attention: TypeAlias = GroupedQueryAttention

# spec, width
NORMS: dict[type, Callable[[Any, int], Norm]] = {
    norm.LayerNorm: LayerNorm,
    norm.RMSNorm: RMSNorm,
}

# spec, width, hidden, bias
MLPS: dict[type, Callable[[Any, int, int, bool], MLP]] = {
    mlp.Gelu: GeluMLP,
    mlp.Relu2: Relu2MLP,
    mlp.SwiGLU: SwiGLUMLP,
}

# spec, architecture
POSITIONS: dict[type, Callable[[Any, architecture.Architecture], Position]] = {
    position.Learned: LearnedPosition,
    position.Rope: RotaryPosition,
    position.NoPosition: NoPosition,
}

# spec, architecture, layer
ATTENTIONS: dict[type, Callable[[Any, architecture.Architecture, int], Attention]] = {
    attention.GroupedQuery: GroupedQueryAttention,
}

# spec, width
SHIFTS: dict[type, Callable[[Any, int], Shift]] = {
    embedding.NoShift: NoShift,
    embedding.TokenShift: TokenShift,
}

# spec, layers
RESIDUALS: dict[type, Callable[[Any, int], Residual]] = {
    wiring.PlainResidual: PlainResidual,
    wiring.Lambdas: Lambdas,
}

# spec, architecture, rows
VALUE_EMBEDDINGS: dict[type, Callable[[Any, architecture.Architecture, int], Values]] = {
    embedding.NoValueEmbedding: NoValueEmbedding,
    embedding.ValueEmbedding: ValueEmbedding,
}

# spec
CAPS: dict[type, Callable[[Any], Cap]] = {
    head.NoCap: NoCap,
    head.SoftCap: SoftCap,
}
