"""Embeddings beside the table of tokens: token shift and value embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class NoShift:
    """A token enters the model alone."""


@dataclass(frozen=True, kw_only=True)
class TokenShift:
    """Each token is embedded with a share of the one before it (Peng 2023, RWKV).

    arXiv:2305.13048. Which two tokens stand side by side need not be learnt by attention first:
    what counts where there are few steps.
    """

    fraction: float = 0.4
    """Fraction of the previous token's vector that a new model adds; each feature learns its own."""


@dataclass(frozen=True, kw_only=True)
class NoValueEmbedding:
    """Values are a function of the stream alone."""


@dataclass(frozen=True, kw_only=True)
class ValueEmbedding:
    """Some layers add a vector of the token's own to its value (Jordan 2024, modded-nanogpt).

    A simpler heir of value residuals (Zhou 2024, arXiv:2410.17897). It costs parameters, and next
    to no time.
    """

    ends: int = 1
    """How many of the first layers have it, and how many of the last."""

    def __post_init__(self) -> None:
        above_zero(ends=self.ends)
