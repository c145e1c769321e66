"""Specs of the patterns of attention: which tokens a token attends to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class Causal(Part):
    """Each token attends to itself and to all tokens before it."""

    causal: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Window(Part):
    """Each token attends to the latest tokens only (Beltagy 2020, Longformer, arXiv:2004.05150)."""

    causal: ClassVar[bool] = True
    size: int
    """Number of tokens, the token itself included."""
    long_every: int | None = None
    """Every n-th layer, and the last, attends to the full context (as in Gemma 2,
    arXiv:2408.00118). [default: no layer]"""

    def __post_init__(self) -> None:
        above_zero(size=self.size, long_every=self.long_every)

    def in_layer(self, layer: int, layers: int) -> int | None:
        """Return the window of *layer* (from 0) of *layers*; None for the full context."""
        every = self.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == layers):
            return None
        return self.size


@dataclass(frozen=True, kw_only=True)
class Full(Part):
    """Each token attends to all tokens, later ones included (Devlin 2018, BERT, arXiv:1810.04805).

    Such a model cannot predict the next token, which it sees.
    """

    causal: ClassVar[bool] = False
