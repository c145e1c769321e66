"""`Architecture`, the specs of a model's mechanisms, and `GPTConfig`, one with a vocabulary size.

A spec is a frozen dataclass with the fields of one mechanism. It is checked when it is created, so
a config that exists can be built. `gpt.nn.build` maps each type of spec to its module. Notation:
*width* is the size of the residual stream, *head_width* that of one attention head, *context* the
number of tokens that a prediction can attend to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.attention import GroupedQuery
from gpt.spec.checks import above_zero, below_one
from gpt.spec.embedding import NoShift, NoValueEmbedding, TokenShift, ValueEmbedding
from gpt.spec.head import NoCap, SoftCap
from gpt.spec.mlp import Gelu, Relu2, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, NoPosition, Rope
from gpt.spec.serialize import from_dict, to_dict
from gpt.spec.wiring import Lambdas, PlainResidual


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything of a model but its vocabulary size, which the data determines."""

    context: int = 128
    """Context length: number of tokens that a prediction can attend to."""
    layers: int = 4
    """Number of blocks, each of attention and an MLP."""
    width: int = 256
    """Width of the residual stream."""
    attention: GroupedQuery = field(
        default_factory=lambda: GroupedQuery(heads=4, kv_heads=4, qk_norm=True)
    )
    """Attention."""
    position: Learned | Rope | NoPosition = field(default_factory=Rope)
    """Position encoding."""
    shift: NoShift | TokenShift = field(default_factory=NoShift)
    """Token shift: a fraction of the previous token's embedding, added to each."""
    mlp: Gelu | Relu2 | SwiGLU = field(default_factory=Relu2)
    """MLP."""
    norm: LayerNorm | RMSNorm = field(default_factory=RMSNorm)
    """Normalization: before each attention and MLP, and before the head."""
    residual: PlainResidual | Lambdas = field(default_factory=PlainResidual)
    """Residual stream: what each block takes as its input."""
    value_embedding: NoValueEmbedding | ValueEmbedding = field(default_factory=NoValueEmbedding)
    """Value embeddings: learned vectors of tokens, added to the values of attention."""
    cap: NoCap | SoftCap = field(default_factory=NoCap)
    """Logit cap."""
    tie: bool = True
    """Share the weights of the token embedding and the head (Press and Wolf 2017,
    arXiv:1608.05859)."""
    bias: bool = False
    """Add biases to the linear layers of attention and MLP."""
    dropout: float = 0.0
    """Probability of zeroing each output of the embedding, attention and MLP while training."""

    def __post_init__(self) -> None:
        above_zero(context=self.context, layers=self.layers, width=self.width)
        below_one(dropout=self.dropout)
        if self.attention.head_width is None and self.width % self.attention.heads:
            raise ConfigError(
                f"width {self.width} does not divide into {self.attention.heads} heads; "
                f"set attention.head_width, or width to a multiple of {self.attention.heads}"
            )
        if isinstance(self.position, Rope) and (self.rotary_width < 2 or self.rotary_width % 2):
            raise ConfigError(
                f"position.fraction {self.position.fraction} of head_width {self.head_width} is "
                f"{self.rotary_width}, and rotation needs pairs of features; choose another "
                "fraction or head width"
            )

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.attention.head_width or self.width // self.attention.heads

    def window(self, layer: int) -> int | None:
        """Return the attention window of *layer* (from 0), or None for the full context."""
        every = self.attention.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == self.layers):
            return None
        return self.attention.window

    @property
    def hidden(self) -> int:
        """Width of the hidden layer of the MLP."""
        if self.mlp.hidden is not None:
            return self.mlp.hidden
        if isinstance(self.mlp, SwiGLU):
            return 64 * math.ceil(self.width * 8 / 3 / 64)
        return 4 * self.width

    @property
    def rotary_width(self) -> int:
        """Number of leading features of a head that `Rope` rotates; 0 for other encodings."""
        if not isinstance(self.position, Rope):
            return 0
        return round(self.head_width * self.position.fraction)


@dataclass(frozen=True, kw_only=True)
class GPTConfig(Architecture):
    """A complete model: an architecture and the size of its vocabulary."""

    vocab_size: int
    """Vocabulary size: token ids are from 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(vocab_size=self.vocab_size)

    @classmethod
    def over(cls, architecture: Architecture, vocab_size: int) -> GPTConfig:
        """Return the config of *architecture* with *vocab_size* token ids."""
        values = {each.name: getattr(architecture, each.name) for each in fields(Architecture)}
        return cls(vocab_size=vocab_size, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values; the specs of mechanisms are tagged with ``kind``.

        >>> GPTConfig(vocab_size=512).to_dict()["norm"]
        {'kind': 'RMSNorm', 'eps': 1e-06, 'weight': True}
        """
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> GPTConfig:
        """Invert `to_dict`; raises ConfigError naming the field, prefixed with *where*."""
        return from_dict(cls, plain, where)
