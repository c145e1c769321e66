"""Specs of dropout: what is zeroed at random while training, and how probable that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gpt.spec.checks import below_one
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class Dropout(Part):
    """Probabilities of zeroing while training (Srivastava 2014, JMLR 15)."""

    ALONE: ClassVar[str] = "rate"
    rate: float = 0.0
    """Dropout probability. Each output of the embedding, attention and MLP is zeroed with it while
    training."""
    embedding: float | None = None
    """The same for the outputs of the embedding alone. [default: rate]"""
    branch: float | None = None
    """The same for the outputs of attention and MLP alone. [default: rate]"""
    attention: float = 0.0
    """Probability of zeroing each weight of attention, after it is normalized. Linear attention has
    no weights."""
    hidden: float = 0.0
    """Probability of zeroing each hidden unit of an MLP, after the activation."""
    path: float = 0.0
    """Stochastic depth: probability of omitting a branch for a whole row (Huang 2016,
    arXiv:1603.09382)."""
    path_grows: bool = True
    """Let that probability grow linearly with depth, from 0 in the first block."""

    def __post_init__(self) -> None:
        below_one(
            rate=self.rate,
            embedding=self.of_embedding,
            branch=self.of_branches,
            attention=self.attention,
            hidden=self.hidden,
            path=self.path,
        )

    @property
    def of_embedding(self) -> float:
        """Probability of zeroing each output of the embedding."""
        return self.rate if self.embedding is None else self.embedding

    @property
    def of_branches(self) -> float:
        """Probability of zeroing each output of a branch."""
        return self.rate if self.branch is None else self.branch

    def of_path(self, layer: int, layers: int) -> float:
        """Probability of omitting a branch of *layer* (from 0) of *layers* for a row."""
        return self.path * layer / max(1, layers - 1) if self.path_grows else self.path
