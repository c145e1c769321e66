"""Specs of the weights of attention: scores of queries and keys, and how they are normalized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class Score(Part):
    """A score of a query and a key."""

    def factor(self, width: int) -> float | None:
        """Return c if the score is c q · k, for heads of *width*; None for other scores."""
        return None


@dataclass(frozen=True, kw_only=True)
class ScaledDot(Score):
    """Score q · k / √head_width (Vaswani 2017, arXiv:1706.03762)."""

    scale: float | None = None
    """Factor of the dot product instead. [default: 1 / √head_width]"""
    cap: float | None = None
    """Bound the scores by cap · tanh(score / cap) (Gemma 2, arXiv:2408.00118). [default: none]"""

    def __post_init__(self) -> None:
        above_zero(scale=self.scale, cap=self.cap)

    def factor(self, width: int) -> float:
        """Return the factor of q · k, before the cap, for heads of *width*."""
        return self.scale or width**-0.5


@dataclass(frozen=True, kw_only=True)
class Dot(Score):
    """Score q · k (Luong 2015, arXiv:1508.04025, "dot"; so does T5, arXiv:1910.10683)."""

    def factor(self, width: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class General(Score):
    """Score q · W k, with a matrix for each head (Luong 2015, arXiv:1508.04025, "general")."""


@dataclass(frozen=True, kw_only=True)
class Additive(Score):
    """Score v · tanh(W q + U k), with weights for each head (Bahdanau 2014, arXiv:1409.0473).

    The "concat" of Luong 2015, arXiv:1508.04025. It needs memory for each pair of tokens times the
    hidden width.
    """

    hidden: int | None = None
    """Width of W q and U k. [default: head_width]"""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class Location(Score):
    """Score (W q)_s, where s is the position of the key in its document, from 0.

    Luong 2015, arXiv:1508.04025, "location": which keys a query attends to does not depend on them.
    """

    def extended(self, trained: int) -> Location:
        """Raise ConfigError: later positions have no weights."""
        raise ConfigError(
            f"attention.score Location has weights for the {trained} positions of training only; "
            f"choose a context of at most {trained}"
        )


@dataclass(frozen=True, kw_only=True)
class Normalizer(Part):
    """From the scores of each query to weights of the values."""

    reads_queries: ClassVar[bool] = False
    """Whether the weights depend on the query besides its scores."""


@dataclass(frozen=True, kw_only=True)
class Softmax(Normalizer):
    """Normalize by the softmax of all scores of a query."""

    temperature: float | None = None
    """Divide the scores, position biases included, by this first. [default: 1]"""

    sink: Literal["learned", "zero"] | None = None
    """Score of a key without a value, with which weights can sum to less than 1: learned for each
    head (gpt-oss, arXiv:2508.10925), or 0 (softmax off by one, Miller 2023). [default: none]"""

    def __post_init__(self) -> None:
        above_zero(temperature=self.temperature)


@dataclass(frozen=True, kw_only=True)
class LocalP(Normalizer):
    """Softmax over a window around a predicted position, times a Gaussian (Luong 2015, "local-p").

    arXiv:1508.04025, section 3.2. Its "local-m", a window that ends at the token itself, is the
    pattern `Window`.
    """

    reads_queries = True
    window: int = 10
    """Keys within this distance of the predicted position have weights; half of it is the standard
    deviation of the Gaussian."""

    def __post_init__(self) -> None:
        above_zero(window=self.window)
