"""Specs of the residual stream: what each block takes as its input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PlainResidual:
    """The residual stream, unchanged (He 2015, arXiv:1512.03385)."""


@dataclass(frozen=True, kw_only=True)
class Lambdas:
    """A learned mix of the residual stream and the token embeddings, with two weights per block.

    Jordan 2024, modded-nanogpt.
    """

    embedded: float = 0.0
    """Initial weight of the token embeddings; that of the residual stream is 1."""
