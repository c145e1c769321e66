"""Specs of what is added to embeddings and values: token shift, value embeddings and residuals."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes


@dataclass(frozen=True, kw_only=True)
class TokenShift(Part):
    """Add a fraction of the previous token's embedding to each (Peng 2023, RWKV, arXiv:2305.13048).

    Attention then need not learn first which tokens are neighbors, which helps in short runs.
    """

    fraction: float = 0.4
    """Initial fraction of the previous token's embedding; each feature learns its own."""


@dataclass(frozen=True, kw_only=True)
class ValueEmbedding(Part):
    """Add a learned vector of each token to its value in some layers (modded-nanogpt, Jordan 2024).

    A simpler form of value residuals (Zhou 2024, arXiv:2410.17897). It adds parameters and almost
    no time.
    """

    ends: int = 1
    """Number of first layers, and of last layers, that have value embeddings."""

    def __post_init__(self) -> None:
        above_zero(ends=self.ends)

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the attention of a layer with value embeddings keeps no values."""
        for layer in self.layers(sizes.layers):
            if not sizes.attention_in(layer).keeps_values:
                raise ConfigError(
                    f"the attention of layer {layer} keeps no values to which a value embedding "
                    "could be added; set value_embedding to none, or choose another attention"
                )

    def layers(self, count: int) -> list[int]:
        """Return the layers of *count* that have value embeddings, from 0."""
        return sorted({*range(count)[: self.ends], *range(count)[-self.ends :]})


@dataclass(frozen=True, kw_only=True)
class ValueResidual(Part):
    """Mix the values of all layers with those of the first (Zhou 2024, arXiv:2410.17897).

    Deep layers then keep what the tokens were.
    """

    first: float = 0.5
    """Weight of the values of the first layer."""
    own: float = 0.5
    """Weight of the values of the layer itself."""
    learned: bool = True
    """Whether each layer learns its own two weights from these."""

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if the layers do not have values of one width."""
        layers = [sizes.attention_in(layer) for layer in range(sizes.layers)]
        if len(layers) < 2:
            raise ConfigError("value_residual needs two layers or more; set layers, or remove it")
        if not all(attention.keeps_values for attention in layers):
            raise ConfigError(
                "the attention of some layer keeps no values that could be mixed; set "
                "value_residual to none, or choose another attention"
            )
        widths = sorted({attention.value_width(sizes.width) for attention in layers})
        if len(widths) > 1:
            raise ConfigError(
                f"value_residual mixes values of widths {widths}; remove it, or give all layers "
                "values of the same width"
            )
