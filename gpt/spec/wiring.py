"""Specs of the residual stream: how attention and MLP join it, and what each block takes from it.

A branch is attention or an MLP, with its norms, dropout and scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part, Sizes


@dataclass(frozen=True, kw_only=True)
class PreNorm(Part):
    """Normalize the input of each branch, and the stream before the head (GPT-2, Radford 2019)."""


@dataclass(frozen=True, kw_only=True)
class PostNorm(Part):
    """Normalize the stream after each branch has been added (Vaswani 2017, arXiv:1706.03762)."""


@dataclass(frozen=True, kw_only=True)
class SandwichNorm(Part):
    """Normalize the input and the output of each branch (Ding 2021, CogView, arXiv:2105.13290).

    Gemma 2 does (arXiv:2408.00118).
    """


@dataclass(frozen=True, kw_only=True)
class OutputNorm(Part):
    """Normalize the output of each branch, and the stream before the head (OLMo 2 2024).

    arXiv:2501.00656; first in Swin v2 (Liu 2021, arXiv:2111.09883).
    """


@dataclass(frozen=True, kw_only=True)
class Parallel(Part):
    """Attention and MLP read the same stream, and both are added to it (Wang 2021, GPT-J)."""

    sequential: ClassVar[bool] = False
    """Whether one branch reads the outputs of another, so that a third can be between them."""

    shared_norm: bool = True
    """One norm for both, as in GPT-J, Phi and Falcon 7B; otherwise each has its own, as in
    GPT-NeoX (Black 2022, arXiv:2204.06745)."""


@dataclass(frozen=True, kw_only=True)
class DeepNorm(Part):
    """Post-norm for deep models, whose stream is scaled up before a branch is added (Wang 2022).

    DeepNet, arXiv:2203.00555. Branches are random at first, not zero.
    """

    alpha: float | None = None
    """Factor of the stream. [default: (2 layers)^(1/4)]"""
    beta: float | None = None
    """Factor of the initial weights of values, outputs and MLP. [default: (8 layers)^(-1/4)]"""

    def __post_init__(self) -> None:
        above_zero(alpha=self.alpha, beta=self.beta)

    def factors(self, layers: int) -> tuple[float, float]:
        """Return alpha and beta in a decoder, or an encoder alone, of *layers* layers."""
        alpha = (2 * layers) ** 0.25 if self.alpha is None else self.alpha
        beta = (8 * layers) ** -0.25 if self.beta is None else self.beta
        return alpha, beta


@dataclass(frozen=True, kw_only=True)
class Lambdas(Part):
    """A learned mix of the residual stream and the token embeddings, with two weights per block.

    Jordan 2024, modded-nanogpt.
    """

    embedded: float = 0.0
    """Initial weight of the token embeddings; that of the residual stream is 1."""


@dataclass(frozen=True, kw_only=True)
class UNet(Part):
    """Add the output of each block of the first half to the input of its mirror image.

    The last block gets that of the first; each feature map of a U-Net does so (Ronneberger 2015,
    arXiv:1505.04597; Jordan 2024, modded-nanogpt).
    """

    weight: float = 1.0
    """Initial weight of the outputs that are added; each block learns its own."""

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if there are no two halves."""
        if sizes.layers < 2:
            raise ConfigError("residual UNet needs two layers or more; set layers, or remove it")
