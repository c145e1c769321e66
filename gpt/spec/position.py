"""Specs of position encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Attends, Part, Sizes
from gpt.spec.scaling import Scaling


@dataclass(frozen=True, kw_only=True)
class Position(Part):
    """A position encoding."""

    biases_scores: ClassVar[bool] = False
    """Whether it changes the scores of pairs of tokens, or their outputs."""
    embeds: ClassVar[bool] = False
    """Whether it changes the token embeddings, which all layers share."""

    def in_layer(self, layer: int) -> Position | None:
        """Return the encoding of *layer*, from 0."""
        return self

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if it does not fit a model of *sizes*."""
        self.check_layers([sizes.attention_in(each) for each in range(sizes.layers)], sizes.width)

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if it does not fit layers with *attentions*, of a model of *width*."""
        if self.biases_scores and not all(each.compares for each in attentions):
            raise ConfigError(
                f"position {type(self).__name__} changes the scores of pairs of tokens, and "
                "linear attention has none; choose position Rope, Learned, Sinusoidal or none"
            )


@dataclass(frozen=True, kw_only=True)
class Learned(Position):
    """A learned vector for each position, added to the token embedding (Radford 2018, GPT)."""

    embeds = True

    def extended(self, trained: int) -> Learned:
        """Raise ConfigError: later positions have no vectors."""
        raise ConfigError(
            f"position Learned has vectors for the {trained} positions of training only; choose a "
            f"context of at most {trained}"
        )


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Position):
    """Sines and cosines of each position, added to the token embedding (arXiv:1706.03762)."""

    embeds = True
    theta: float = 10_000.0
    """Base of the wavelengths, which run from 2 pi to about 2 pi theta tokens."""
    scale_embedding: bool = True
    """Multiply the token embedding by √width first (section 3.4 of the paper)."""
    concatenated: bool = False
    """All sines before all cosines, as in tensor2tensor and Marian; in the paper they alternate."""

    def __post_init__(self) -> None:
        above_zero(theta=self.theta)

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the width is odd."""
        if sizes.width % 2:
            raise ConfigError(
                f"width {sizes.width} is odd, and a sine and a cosine need two features each; set "
                "an even width"
            )


@dataclass(frozen=True, kw_only=True)
class Rope(Position):
    """Rotary position embedding of queries and keys (Su 2021, RoFormer, arXiv:2104.09864)."""

    theta: float = 10_000.0
    """Base of the wavelengths, which run from 2 pi to about 2 pi theta tokens."""
    fraction: float = 1.0
    """Fraction of each head that is rotated; the rest carries no position."""
    interleaved: bool = False
    """Rotate features 2i and 2i + 1 together, as the paper, GPT-J and DeepSeek do. Otherwise the
    pairs are i and i + R/2 of the R rotated features, as in GPT-NeoX, and Llama in transformers."""
    scaling: Scaling | None = None
    """Scaling of the frequencies, for longer texts than in training. [default: none]"""

    def __post_init__(self) -> None:
        above_zero(theta=self.theta)
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1; got {self.fraction}")

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if the features to rotate are not pairs, or rotations mean nothing."""
        for head_width in sorted({each.rotated_width(width) for each in attentions}):
            rotary_width = self.rotary_width(head_width)
            if rotary_width < 2 or rotary_width % 2:
                raise ConfigError(
                    f"position.fraction {self.fraction} of head_width {head_width} is "
                    f"{rotary_width}, and rotation needs pairs of features; choose another "
                    "fraction or head width"
                )
            if self.scaling is not None:
                self.scaling.check_rotation(self.theta, rotary_width)
        if not all(each.rotatable for each in attentions):
            raise ConfigError(
                "position Rope rotates queries and keys, whose dot products then depend on "
                "distances; attention.score or attention.normalizer uses them otherwise: choose "
                "another position, or score ScaledDot and normalizer Softmax"
            )

    def rotary_width(self, head_width: int) -> int:
        """Return the number of leading features of a head that are rotated."""
        return round(head_width * self.fraction)


@dataclass(frozen=True, kw_only=True)
class ALiBi(Position):
    """Subtract from each score the distance times a slope of the head (Press 2021).

    Attention with Linear Biases, arXiv:2108.12409.
    """

    biases_scores = True


@dataclass(frozen=True, kw_only=True)
class T5(Position):
    """Add to each score a learned number for the head and the bucket of the distance.

    All layers share the numbers (Raffel 2019, arXiv:1910.10683). Short distances have buckets of
    their own; those of longer ones grow exponentially.
    """

    biases_scores = True
    buckets: int = 32
    """Number of buckets. Where tokens attend to later ones, these have half of them."""
    distance: int = 128
    """Distances from this one on share the last bucket."""

    def __post_init__(self) -> None:
        above_zero(buckets=self.buckets, distance=self.distance)

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if layers have different heads, or there are too few buckets."""
        super().check_layers(attentions, width)
        if len(counts := {each.heads for each in attentions}) > 1:
            raise ConfigError(
                f"position T5 has a number for each head, shared by all layers, and they have "
                f"{sorted(counts)} heads; give all the same number"
            )
        causal = all(each.causal for each in attentions)
        exact = self.buckets // (2 if causal else 4)
        if not 1 <= exact < self.distance:
            raise ConfigError(
                f"position T5 with {self.buckets} buckets has one for each of the {exact} shortest "
                f"distances, which must be at least 1 and fewer than distance {self.distance}"
            )


class _OfQueries(Position):
    """A position encoding that adds vectors to keys, so scores must be dot products."""

    biases_scores = True

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if scores are not dot products."""
        super().check_layers(attentions, width)
        if any(each.dot_factor(width) is None for each in attentions):
            raise ConfigError(
                f"position {type(self).__name__} adds vectors to keys in a dot product; choose "
                "attention.score ScaledDot or Dot, or another position"
            )


@dataclass(frozen=True, kw_only=True)
class Shaw(_OfQueries):
    """Add learned vectors of clipped distances to keys and values (Shaw 2018, arXiv:1803.02155).

    Each layer has its own; heads share them.
    """

    distance: int = 16
    """Distances from this one on share their vector."""
    values: bool = True
    """Add vectors to values, too. That needs the weights of attention, which fused kernels do not
    return."""

    def __post_init__(self) -> None:
        above_zero(distance=self.distance)


@dataclass(frozen=True, kw_only=True)
class Music(_OfQueries):
    """Add to each score the product of the query and a learned vector of the distance.

    Music Transformer (Huang 2018, arXiv:1809.04281). Each layer has its own vectors. Scores of
    complete rows are skewed, so that no vector is copied for a pair of tokens.
    """

    distance: int | None = None
    """Distances from this one on share their vector. [default: each of the context has its own]"""
    per_head: bool = False
    """Each head has its own vectors, as in tensor2tensor; otherwise all heads share them."""

    def __post_init__(self) -> None:
        above_zero(distance=self.distance)

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if tokens attend to later ones, whose distances have no vectors."""
        super().check_layers(attentions, width)
        if not all(each.causal for each in attentions):
            raise ConfigError(
                "position Music has vectors of earlier tokens only, and attention.pattern is not "
                "causal; choose position Shaw"
            )

    def extended(self, trained: int) -> Music:
        """Return the spec; raises ConfigError if long distances have no vectors."""
        if self.distance is None:
            raise ConfigError(
                f"position Music has vectors for distances below the context of training, "
                f"{trained}, only; choose a context of at most {trained}, or train with "
                "position.distance, from which on distances share their vector"
            )
        return self


AnyPosition: TypeAlias = Learned | Sinusoidal | Rope | ALiBi | T5 | Shaw | Music
"""All kinds of position encodings that a layer can have."""


@dataclass(frozen=True, kw_only=True)
class InterleavedPositions(Position):
    """Position encodings that differ from layer to layer.

    None in every fourth layer as in SmolLM3 and Llama 4 (NoPE, Yang 2025, arXiv:2501.18795), or two
    values of theta as in Gemma 3 (arXiv:2503.19786).
    """

    layers: tuple[AnyPosition | None, ...]
    """The encodings of the first layers, which the others repeat in this order; `none` is none."""

    def __post_init__(self) -> None:
        if not self.layers:
            raise ConfigError("layers must have at least one position encoding")
        for each in self.layers:
            if each is not None and each.embeds:
                raise ConfigError(
                    f"{type(each).__name__} changes the token embeddings, which all layers share; "
                    "use it as position itself"
                )

    def in_layer(self, layer: int) -> AnyPosition | None:
        """Return the encoding of *layer*, from 0."""
        return self.layers[layer % len(self.layers)]

    def check_layers(self, attentions: Sequence[Attends], width: int) -> None:
        """Raise ConfigError if one of them does not fit its layers."""
        for first, each in enumerate(self.layers):
            if each is not None:
                each.check_layers(attentions[first :: len(self.layers)], width)
