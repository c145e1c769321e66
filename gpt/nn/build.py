"""Tables of all mechanisms: for each axis of a model, from the type of a spec to its module.

To add a mechanism, write a spec in `gpt.spec`, a module in `gpt.nn` whose docstring has the formula
and the source, and a row in a table here. The tests are parametrized by these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gpt.nn.attention import GroupedQueryAttention
from gpt.nn.head import Cap, NoCap, SoftCap
from gpt.nn.mlp import GeluMLP, Relu2MLP, SwiGLUMLP
from gpt.nn.norm import LayerNorm, RMSNorm
from gpt.nn.position import LearnedPosition, NoPosition, PositionEncoding, RotaryPosition
from gpt.nn.residual import Lambdas, PlainResidual, Residual
from gpt.nn.token_shift import NoShift, Shift, TokenShift
from gpt.nn.value_embedding import NoValueEmbedding, ValueEmbedding, ValueEmbeddings
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
POSITIONS: dict[type, Callable[[Any, architecture.Architecture], PositionEncoding]] = {
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
VALUE_EMBEDDINGS: dict[type, Callable[[Any, architecture.Architecture, int], ValueEmbeddings]] = {
    embedding.NoValueEmbedding: NoValueEmbedding,
    embedding.ValueEmbedding: ValueEmbedding,
}

# spec
CAPS: dict[type, Callable[[Any], Cap]] = {
    head.NoCap: NoCap,
    head.SoftCap: SoftCap,
}
