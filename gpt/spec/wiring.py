"""Wiring: what each block reads from the residual stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PlainResidual:
    """The stream goes on as it is (He 2015, arXiv:1512.03385)."""


@dataclass(frozen=True, kw_only=True)
class Lambdas:
    """Each block begins from a learned mix of the stream and the embedded tokens.

    Jordan 2024, modded-nanogpt.
    """

    embedded: float = 0.0
    """Weight of the embedded tokens in a new model; the stream's is 1."""
