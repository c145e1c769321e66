"""Specs of optimizers."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, at_least_zero, decay_rates


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101)."""

    lr: float = 3e-3
    """Peak learning rate."""
    embedding_lr: float | None = None
    """Learning rate of embeddings, and of a head tied to one. [default: lr]"""
    head_lr: float | None = None
    """Learning rate of an untied head. [default: lr]"""
    weight_decay: float = 0.1
    """Decay of the weights of linear layers; embeddings, scales and biases do not decay."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates of the first and second moment of the gradient."""
    eps: float = 1e-8
    """Added to the square root of the second moment."""
    lora_plus: float = 1.0
    """LoRA+: learning rate of the second matrix of each adapter, and of DoRA's magnitudes, as a
    multiple of lr (Hayou 2024, arXiv:2402.12354, advise 16)."""

    def __post_init__(self) -> None:
        above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr, eps=self.eps)
        above_zero(lora_plus=self.lora_plus)
        at_least_zero(weight_decay=self.weight_decay)
        decay_rates(self.betas)


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Orthogonalized momentum for the matrices of blocks, AdamW for other weights (Jordan 2024).

    https://kellerjordan.github.io/posts/muon. AdamW has a learning rate for each kind of weight,
    as in modded-nanogpt.
    """

    lr: float = 0.015
    """Peak learning rate of the matrices: about the norm of their change in one step."""
    momentum: float = 0.9
    """Decay rate of the moving average of gradients (Nesterov momentum)."""
    iterations: int = 5
    """Newton-Schulz iterations toward the orthogonal matrix."""
    weight_decay: float = 0.0
    """Weight decay of the matrices."""
    embedding_lr: float = 0.03
    """Learning rate of embeddings, and of a head tied to one (AdamW)."""
    head_lr: float = 0.01
    """Learning rate of an untied head (AdamW)."""
    scale_lr: float = 0.01
    """Learning rate of scales and biases (AdamW)."""
    betas: tuple[float, float] = (0.8, 0.95)
    """Decay rates of the first and second moment of the gradient (AdamW)."""
    eps: float = 1e-10
    """Added to the square root of the second moment (AdamW)."""

    def __post_init__(self) -> None:
        above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr)
        above_zero(scale_lr=self.scale_lr, eps=self.eps)
        at_least_zero(weight_decay=self.weight_decay)
        decay_rates(self.betas)
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1; got {self.momentum}")
        if self.iterations < 1:
            raise ConfigError(f"iterations must be at least 1; got {self.iterations}")
