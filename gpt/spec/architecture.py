"""What a model is: `Architecture`, one spec an axis, and `GPTConfig`, one over a vocabulary.

A spec is frozen, holds only its own mechanism's fields, and is checked when it is made, so a model
that cannot be built cannot be written down. `gpt.nn` maps each spec's type to its module.
Nothing here imports torch. Notation: *width* is the size of the residual stream, *head_width* that
of one attention head, *context* the number of tokens a prediction may look back on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.attention import GroupedQuery
from gpt.spec.checks import above_zero
from gpt.spec.embedding import NoShift, NoValueEmbedding, TokenShift, ValueEmbedding
from gpt.spec.head import NoCap, SoftCap
from gpt.spec.mlp import Gelu, Relu2, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, NoPosition, Rope
from gpt.spec.serialize import from_dict, to_dict
from gpt.spec.wiring import Lambdas, PlainResidual


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model but for its vocabulary, which the data decides."""

    context: int = 128
    """Tokens a prediction may look back on."""
    layers: int = 4
    """Blocks of attention and MLP."""
    width: int = 256
    """Size of the residual stream."""
    attention: GroupedQuery = field(
        default_factory=lambda: GroupedQuery(heads=4, kv_heads=4, qk_norm=True)
    )
    """How tokens look at each other."""
    position: Learned | Rope | NoPosition = field(default_factory=Rope)
    """How a token knows its place."""
    shift: NoShift | TokenShift = field(default_factory=NoShift)
    """What of the token before is embedded with each token."""
    mlp: Gelu | Relu2 | SwiGLU = field(default_factory=Relu2)
    """What happens to each token by itself."""
    norm: LayerNorm | RMSNorm = field(default_factory=RMSNorm)
    """What keeps each branch's input in scale."""
    residual: PlainResidual | Lambdas = field(default_factory=PlainResidual)
    """What each block begins from."""
    value_embedding: NoValueEmbedding | ValueEmbedding = field(default_factory=NoValueEmbedding)
    """What tokens add to their values beside what the stream says."""
    cap: NoCap | SoftCap = field(default_factory=NoCap)
    """What keeps logits within bounds."""
    tie: bool = True
    """Use the token embedding as the head, too (Press and Wolf 2017, arXiv:1608.05859)."""
    bias: bool = False
    """Give the linears of attention and MLP a bias."""
    dropout: float = 0.0
    """Share of each branch's output set to zero while training."""

    def __post_init__(self) -> None:
        above_zero(context=self.context, layers=self.layers, width=self.width)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1; got {self.dropout}")
        if self.attention.head_width is None and self.width % self.attention.heads:
            raise ConfigError(
                f"width {self.width} does not divide into {self.attention.heads} heads; "
                f"set attention.head_width, or width to a multiple of {self.attention.heads}"
            )
        if isinstance(self.position, Rope) and (self.rotated < 2 or self.rotated % 2):
            raise ConfigError(
                f"position.fraction {self.position.fraction} of heads of {self.head_width} is "
                f"{self.rotated}, and rotation needs pairs; choose another fraction or head width"
            )

    @property
    def head_width(self) -> int:
        """Size of one attention head."""
        return self.attention.head_width or self.width // self.attention.heads

    def window(self, layer: int) -> int | None:
        """Tokens that a query of *layer* (from 0) sees, itself included; None: all before it."""
        every = self.attention.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == self.layers):
            return None
        return self.attention.window

    @property
    def hidden(self) -> int:
        """Size between the linears of the MLP."""
        if self.mlp.hidden is not None:
            return self.mlp.hidden
        if isinstance(self.mlp, SwiGLU):
            return 64 * math.ceil(self.width * 8 / 3 / 64)
        return 4 * self.width

    @property
    def rotated(self) -> int:
        """Leading features of a head that rotate; 0 unless positions are `Rope`."""
        if not isinstance(self.position, Rope):
            return 0
        return round(self.head_width * self.position.fraction)


@dataclass(frozen=True, kw_only=True)
class GPTConfig(Architecture):
    """A whole model: an architecture over a vocabulary."""

    vocab_size: int
    """Ids the model reads and predicts: 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(vocab_size=self.vocab_size)

    @classmethod
    def over(cls, architecture: Architecture, vocab_size: int) -> GPTConfig:
        """*architecture* with a vocabulary of *vocab_size* ids."""
        chosen = {each.name: getattr(architecture, each.name) for each in fields(Architecture)}
        return cls(vocab_size=vocab_size, **chosen)

    def to_dict(self) -> dict[str, Any]:
        """All fields as what JSON can hold; the axes are tagged by ``kind``.

        >>> GPTConfig(vocab_size=512).to_dict()["norm"]
        {'kind': 'RMSNorm', 'eps': 1e-06, 'weight': True}
        """
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> GPTConfig:
        """Invert `to_dict`; raises ConfigError naming the field, after *where*."""
        return from_dict(cls, plain, where)
