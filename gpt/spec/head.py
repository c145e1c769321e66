"""The head: what bounds its logits."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class NoCap:
    """Logits are what the head makes of the stream."""


@dataclass(frozen=True, kw_only=True)
class SoftCap:
    """Logits stay within a limit, by a tanh (Gemma Team 2024, Gemma 2, arXiv:2408.00118)."""

    limit: float = 15.0
    """What no logit reaches."""

    def __post_init__(self) -> None:
        above_zero(limit=self.limit)
