"""Specs of attention: how tokens exchange information.

Most kinds project tokens to queries, keys and values, give each pair of a query and a key a score,
limit the pairs by a pattern, normalize the scores of each query, and average the values by them.
They differ in the projections, and share all else: `Pairwise`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.attention_base import Attention, check_divides, check_shared
from gpt.spec.checks import above_zero, at_least_zero
from gpt.spec.gate import HeadGate
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.part import Part, Sizes
from gpt.spec.pattern import BigBird, Causal, Full, Window
from gpt.spec.scoring import (
    Additive,
    Dot,
    General,
    LocalP,
    Location,
    ScaledDot,
    Softmax,
)


@dataclass(frozen=True, kw_only=True)
class Pairwise(Attention):
    """The parts of attention besides its projections."""

    pattern: Causal | Window | BigBird | Full = field(default_factory=Causal)
    """Which tokens a token attends to."""
    score: ScaledDot | Dot | General | Additive | Location = field(default_factory=ScaledDot)
    """Score of a query and a key."""
    normalizer: Softmax | LocalP = field(default_factory=Softmax)
    """From scores to weights of the values."""

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one."""
        return self.pattern.causal

    @property
    def rotatable(self) -> bool:
        """Whether rotating queries and keys changes weights by the distances of tokens only."""
        return self.score.factor(1) is not None and not self.normalizer.reads_queries

    def dot_factor(self, width: int) -> float | None:
        """Return the factor of q · k in its scores; None if they are not dot products."""
        return self.score.factor(self.query_width(width))

    def bidirectional(self) -> Pairwise:
        """Return the same attention to all tokens, later ones included."""
        return dataclasses.replace(self, pattern=Full())

    def to_memory(self, width: int) -> GroupedQuery:
        """Return attention of the same heads, score and normalizer to all outputs of an encoder."""
        return GroupedQuery(
            heads=self.heads,
            kv_heads=self.heads,
            head_width=self.output_width(width),
            pattern=Full(),
            score=self.score,
            normalizer=self.normalizer,
        )

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if a part does not fit a model of *sizes*."""
        for part in (self.pattern, self.score, self.normalizer):
            part.check(sizes)
        self.pattern.check_heads(self.heads)


@dataclass(frozen=True, kw_only=True)
class GroupedQuery(Pairwise):
    """Attention in which query heads share key and value heads (Ainslie 2023, arXiv:2305.13245).

    ``kv_heads == heads`` is multi-head attention, ``kv_heads == 1`` multi-query attention.
    """

    convolves = True

    kv_heads: int
    """Number of key and value heads; must divide heads."""
    head_width: int | None = None
    """Width of one head. [default: width / heads]"""
    clip: float | None = None
    """Limit queries, keys and values to -clip and clip (as in DBRX). [default: no limit]"""
    qk_norm: bool = False
    """Normalize queries and keys, each with its own scale, before positions are applied
    (Dehghani 2023, arXiv:2302.05442; in the order and form of Qwen3)."""
    qk_norm_over: Literal["head", "own", "heads"] = "head"
    """What QK-norm normalizes: each head, all with the same scale; each head, with a scale of its
    own (StableLM 2, Bellagente 2024, arXiv:2402.17834); or all heads of a token together (OLMo 2,
    arXiv:2501.00656)."""
    qk_norm_kind: Literal["rms", "layer"] = "rms"
    """Whether QK-norm is RMSNorm, or LayerNorm without a bias, as in Cohere's models."""
    qk_norm_eps: float = 1e-6
    """Added to the mean square by QK-norm."""
    bias: Literal["off", "qkv", "output", "all"] | None = None
    """Which linear layers have biases: qkv is queries, keys and values (Qwen2).
    [default: all if the model has biases, else off]"""
    gate: HeadGate | None = None
    """Gates of the outputs of heads. [default: none]"""

    def __post_init__(self) -> None:
        above_zero(heads=self.heads, kv_heads=self.kv_heads, head_width=self.head_width)
        above_zero(clip=self.clip, qk_norm_eps=self.qk_norm_eps)
        check_shared(self.heads, self.kv_heads)

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width does not divide into heads."""
        super().check(sizes)
        check_divides(self.heads, self.head_width, sizes)

    def resolved(self, width: int) -> GroupedQuery:
        """Return the spec with the width of a head."""
        return dataclasses.replace(self, head_width=self.query_width(width))

    def query_width(self, width: int) -> int:
        """Return the width of one head in a model of *width*."""
        return self.head_width or width // self.heads

    def output_width(self, width: int) -> int:
        """Return the width of one head in a model of *width*."""
        return self.query_width(width)

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token, all heads together."""
        return self.kv_heads * self.query_width(width)

    def to_memory(self, width: int) -> GroupedQuery:
        """Return the same to all outputs of an encoder, without clipping and gates."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(GroupedQuery)}
        return GroupedQuery(**values | {"pattern": Full(), "clip": None, "gate": None})

    @property
    def normalizes_together(self) -> bool:
        """Whether QK-norm normalizes all heads of a token together."""
        return self.qk_norm and self.qk_norm_over == "heads"

    def biases(self, *, default: bool) -> tuple[bool, bool]:
        """Return whether queries, keys and values have biases, and whether outputs have.

        *default* is whether the model has biases.
        """
        chosen = self.bias or ("all" if default else "off")
        return chosen in ("qkv", "all"), chosen in ("output", "all")

    def with_kv_heads(self, kv_heads: int) -> GroupedQuery:
        """Return the spec with *kv_heads* key and value heads, each instead of several."""
        check_shared(self.kv_heads, kv_heads)
        return dataclasses.replace(self, kv_heads=kv_heads)


@dataclass(frozen=True, kw_only=True)
class Longformer(GroupedQuery):
    """Attention in windows and to global tokens, which have projections of their own.

    Beltagy 2020, arXiv:2004.05150. Without those, it is the pattern Window of other attention.
    """

    pattern: Window = field(default_factory=lambda: Window(size=256, first=1))
    """The window, and its global tokens."""

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if there is no global token within the context."""
        super().check(sizes)
        if not any(token < sizes.context for token in self.pattern.global_tokens):
            raise ConfigError(
                f"Longformer needs a global token within the context of {sizes.context}; set "
                "attention.pattern.first, or another kind of attention"
            )

    def bidirectional(self) -> Longformer:
        """Return the same with windows on both sides, as in the encoder of LED."""
        return dataclasses.replace(self, pattern=self.pattern.on_both_sides())

    def with_kv_heads(self, kv_heads: int) -> Longformer:
        """Raise ConfigError: the projections of global tokens have heads, too."""
        raise ConfigError("Longformer attention cannot share its kv_heads after training")


@dataclass(frozen=True, kw_only=True)
class Latent(Pairwise):
    """Attention whose keys and values are linear in a small latent, all that decoding keeps.

    Multi-head latent attention, MLA (DeepSeek-V2, arXiv:2405.04434).
    """

    keeps_values = False

    head_width: int | None = None
    """Width of the values of a head. [default: width / heads]"""
    kv_rank: int | None = None
    """Width of the latent of keys and values. [default: 4 head_width]"""
    query_rank: int | None = None
    """Width of a latent of queries. [default: none; queries are linear in the input]"""
    nope_width: int | None = None
    """Width of the part of queries and keys that comes from latents, and has no rotary position.
    [default: head_width]"""
    rope_width: int | None = None
    """Width of their other part, which positions rotate. Its key comes from the input, and all
    heads share it. [default: head_width / 2]"""
    latent_norm: RMSNorm | LayerNorm | None = field(default_factory=RMSNorm)
    """Normalization of the latents."""
    decode: Literal["naive", "absorbed"] = "naive"
    """How single tokens are decoded: from keys and values that are made of all latents again, or
    from the latents themselves, which is the same function, and faster for long texts. The latter
    needs scores that are dot products, and positions that do not change values."""

    def __post_init__(self) -> None:
        above_zero(
            heads=self.heads,
            head_width=self.head_width,
            kv_rank=self.kv_rank,
            query_rank=self.query_rank,
            nope_width=self.nope_width,
        )
        at_least_zero(rope_width=self.rope_width or 0)

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width does not divide into heads."""
        super().check(sizes)
        check_divides(self.heads, self.head_width, sizes)

    def resolved(self, width: int) -> Latent:
        """Return the spec with all widths."""
        head_width = self.output_width(width)
        return dataclasses.replace(
            self,
            head_width=head_width,
            kv_rank=self.kv_rank or 4 * head_width,
            nope_width=self.nope_width or head_width,
            rope_width=self.rotated_width(width),
        )

    def query_width(self, width: int) -> int:
        """Return the width of both parts of a query."""
        return (self.nope_width or self.output_width(width)) + self.rotated_width(width)

    def rotated_width(self, width: int) -> int:
        """Return the width of the part that positions rotate."""
        return self.output_width(width) // 2 if self.rope_width is None else self.rope_width

    def output_width(self, width: int) -> int:
        """Return the width of the values of one head."""
        return self.head_width or width // self.heads

    def value_width(self, width: int) -> int:
        """Return the width of the values of a token, all heads together."""
        return self.heads * self.output_width(width)


AnyAttention: TypeAlias = GroupedQuery | Longformer | Latent | LinearAttention
"""All kinds of attention that a layer can have."""


@dataclass(frozen=True, kw_only=True)
class Interleaved(Part):
    """Attention that differs from layer to layer."""

    layers: tuple[AnyAttention, ...]
    """The kinds of the first layers, which the others repeat in this order."""

    def __post_init__(self) -> None:
        if not self.layers:
            raise ConfigError("layers must have at least one kind of attention")

    @property
    def heads(self) -> int:
        """Number of query heads of the first layer."""
        return self.layers[0].heads

    @property
    def causal(self) -> bool:
        """Whether no token attends to a later one in any layer."""
        return all(each.causal for each in self.layers)

    def with_kv_heads(self, kv_heads: int) -> Interleaved:
        """Return the spec with *kv_heads* key and value heads in every layer."""
        layers = (each.with_kv_heads(kv_heads) for each in self.layers)
        return dataclasses.replace(self, layers=tuple(layers))

    def bidirectional(self) -> Interleaved:
        """Return the same for an encoder, in every layer."""
        layers: tuple[Any, ...] = tuple(each.bidirectional() for each in self.layers)
        return dataclasses.replace(self, layers=layers)

    def in_layer(self, layer: int) -> AnyAttention:
        """Return the attention of *layer*, from 0."""
        return self.layers[layer % len(self.layers)]

    def resolved(self, width: int) -> Interleaved:
        """Return the spec with the sizes filled in that follow from *width*."""
        layers = (each.resolved(width) for each in self.layers)
        return dataclasses.replace(self, layers=tuple(layers))

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if one of them does not fit a model of *sizes*."""
        for each in self.layers:
            each.check(sizes)
