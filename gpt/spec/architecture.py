"""`Architecture`, the specs of a model's mechanisms, and `GPTConfig`, one with a vocabulary size.

A spec is a frozen dataclass with the fields of one mechanism. It is checked when it is created, so
a config that exists can be built. `gpt.nn.build` maps each type of spec to its module. Notation:
*width* is the size of the residual stream, *head_width* that of one attention head, *context* the
number of tokens that a prediction can attend to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from gpt.spec.attention import AnyAttention, GroupedQuery, Interleaved
from gpt.spec.attention_base import Attention
from gpt.spec.checks import above_zero
from gpt.spec.convolution import Canon
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import TokenShift, ValueEmbedding, ValueResidual
from gpt.spec.experts import Experts
from gpt.spec.head import HeadTransform, SoftCap
from gpt.spec.mlp import MLP
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm
from gpt.spec.part import Part, extended_parts
from gpt.spec.position import AnyPosition, InterleavedPositions, Position, Rope
from gpt.spec.scale import LayerScale, Multiplier, RootWidth
from gpt.spec.serialize import from_dict, to_dict, values_of
from gpt.spec.wiring import (
    DeepNorm,
    Lambdas,
    OutputNorm,
    Parallel,
    PostNorm,
    PreNorm,
    SandwichNorm,
    UNet,
)

AnyArchitecture = TypeVar("AnyArchitecture", bound="Architecture")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything of a model but its vocabulary size, which the data determines."""

    reads_pairs: ClassVar[bool] = False
    """Whether it reads pairs of a source and a target, instead of texts."""
    classifies: ClassVar[bool] = False
    """Whether it predicts the class of a text, instead of tokens."""

    context: int = 128
    """Context length in tokens. A prediction can attend to as many."""
    layers: int = 4
    """Number of layers. Each is a block of attention and an MLP."""
    width: int = 256
    """Width of the model, its residual stream."""
    attention: AnyAttention | Interleaved = field(
        default_factory=lambda: GroupedQuery(heads=4, kv_heads=4, qk_norm=True)
    )
    """Attention."""
    position: AnyPosition | InterleavedPositions | None = field(default_factory=Rope)
    """Position encoding. With none, only the causal mask gives order (Kazemnejad 2023,
    arXiv:2305.19466)."""
    shift: TokenShift | None = None
    """Token shift: a fraction of the previous token's embedding, added to each. [default: none]"""
    convolution: Canon | None = None
    """Short convolutions over the tokens, in each block. [default: none]"""
    mlp: MLP | Experts = field(default_factory=MLP)
    """What follows attention in each block: an MLP, or experts."""
    norm: LayerNorm | RMSNorm | BatchNorm | None = field(default_factory=RMSNorm)
    """Normalization of the residual stream, where the wiring has it."""
    wiring: PreNorm | PostNorm | SandwichNorm | OutputNorm | Parallel | DeepNorm = field(
        default_factory=PreNorm
    )
    """Wiring: how attention and MLP join the residual stream."""
    branch_scale: LayerScale | Multiplier | None = None
    """Factor of the outputs of attention and MLP. [default: none]"""
    residual: Lambdas | UNet | None = None
    """What each block takes as its input instead of the residual stream. [default: the stream]"""
    value_embedding: ValueEmbedding | None = None
    """Value embeddings: learned vectors of tokens, added to the values of attention.
    [default: none]"""
    value_residual: ValueResidual | None = None
    """Mix of the values of attention with those of the first layer. [default: none]"""
    embedding_scale: RootWidth | Multiplier | None = None
    """Factor of the token embeddings. [default: none]"""
    embedding_norm: LayerNorm | RMSNorm | None = None
    """Normalization of the embeddings of tokens, with those of positions (Devlin 2018, BERT,
    arXiv:1810.04805; BLOOM, Le Scao 2022, arXiv:2211.05100). [default: none]"""
    head_transform: HeadTransform | None = None
    """Layer between the last block and the head. [default: none]"""
    logit_scale: Multiplier | None = None
    """Factor of the logits, before their bias and the cap. [default: none]"""
    head_bias: bool = False
    """Add a bias to the logits, as GPT-J and Phi do."""
    cap: SoftCap | None = None
    """Logit cap. [default: none]"""
    tie: bool = True
    """Share the weights of the token embedding and the head (Press and Wolf 2017,
    arXiv:1608.05859)."""
    bias: bool = False
    """Add biases to the linear layers of attention and MLP."""
    dropout: Dropout = field(default_factory=Dropout)
    """Dropout."""

    def __post_init__(self) -> None:
        above_zero(context=self.context, layers=self.layers, width=self.width)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Part):
                value.check(self)

    def attention_in(self, layer: int) -> Attention:
        """Return the attention of *layer*, from 0."""
        return self.attention.in_layer(layer)

    def position_in(self, layer: int) -> Position | None:
        """Return the position encoding of *layer*, from 0."""
        return None if self.position is None else self.position.in_layer(layer)

    def extended(self: AnyArchitecture, context: int) -> AnyArchitecture:
        """Return the same model, once trained, with at least *context* tokens of context.

        Its weights are the same. Raises ConfigError if a mechanism cannot read more than it was
        trained on.
        """
        if context <= self.context:
            return self
        return dataclasses.replace(self, context=context, **extended_parts(self, self.context))

    @property
    def head_width(self) -> int:
        """Width of a query of one head, in the first layer."""
        return self.attention_in(0).query_width(self.width)

    @property
    def rotated_widths(self) -> list[int]:
        """Widths of the queries and keys that positions rotate, each once, in any layer."""
        layers = map(self.attention_in, range(self.layers))
        return sorted({attention.rotated_width(self.width) for attention in layers})

    @property
    def causal(self) -> bool:
        """Whether no token sees a later one, which it can then predict."""
        return self.attention.causal

    def sizes(self) -> dict[str, int]:
        """Return the main sizes by name."""
        return {
            "layers": self.layers,
            "width": self.width,
            "heads": self.attention.heads,
            "context": self.context,
        }

    def with_vocabulary(self, vocab_size: int) -> GPTConfig:
        """Return the config of this model with *vocab_size* token ids."""
        return GPTConfig.over(self, vocab_size)


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
        return cls(vocab_size=vocab_size, **values_of(architecture, Architecture))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values; nested specs are tagged with ``kind``.

        >>> GPTConfig(vocab_size=512).to_dict()["norm"]
        {'kind': 'RMSNorm', 'eps': 1e-06, 'weight': True, 'fraction': 1.0, 'cast': 'torch'}
        """
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> GPTConfig:
        """Invert `to_dict`; raises ConfigError naming the field, prefixed with *where*."""
        return from_dict(cls, plain, where)
