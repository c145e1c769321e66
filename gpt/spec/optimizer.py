"""Optimizers."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, at_least_zero, decay_rates


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled decay, on all weights (Loshchilov and Hutter 2017, arXiv:1711.05101)."""

    lr: float = 3e-3
    """Learning rate at its peak."""
    embedding_lr: float | None = None
    """That of embeddings, and of a head tied to one; None: lr."""
    head_lr: float | None = None
    """That of a head of its own; None: lr."""
    weight_decay: float = 0.1
    """Of the linears' matrices; embeddings, scales and biases do not decay."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Memories: of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the root of the squares' memory."""

    def __post_init__(self) -> None:
        above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr, eps=self.eps)
        at_least_zero(weight_decay=self.weight_decay)
        decay_rates(self.betas)


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Orthogonalized momentum on the blocks' matrices, AdamW on all else (Jordan 2024, Muon).

    https://kellerjordan.github.io/posts/muon; the rates of AdamW's part are by kind of weight, as
    in modded-nanogpt.
    """

    lr: float = 0.015
    """Learning rate of the matrices at its peak: about the change of a matrix's norm in a step."""
    momentum: float = 0.9
    """Memory of the gradient; with Nesterov's look ahead."""
    iterations: int = 5
    """Newton-Schulz steps towards the orthogonal matrix."""
    weight_decay: float = 0.0
    """Of the matrices that are orthogonalized."""
    embedding_lr: float = 0.03
    """AdamW's rate of embeddings, and of a head tied to one."""
    head_lr: float = 0.01
    """AdamW's rate of a head of its own."""
    scale_lr: float = 0.01
    """AdamW's rate of scales and biases."""
    betas: tuple[float, float] = (0.8, 0.95)
    """AdamW's memories: of the gradient and of its square."""
    eps: float = 1e-10
    """AdamW's: added to the root of the squares' memory."""

    def __post_init__(self) -> None:
        above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr)
        above_zero(scale_lr=self.scale_lr, eps=self.eps)
        at_least_zero(weight_decay=self.weight_decay)
        decay_rates(self.betas)
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1; got {self.momentum}")
        if self.iterations < 1:
            raise ConfigError(f"iterations must be at least 1; got {self.iterations}")
