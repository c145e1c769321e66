"""How a model learns: the spec of every optimizer, schedule of the learning rate, and adapter.

What `gpt.config` is to the model: frozen specs that hold only their own fields and are checked when
they are made. `gpt.optim` and `gpt.adapt` map each to what computes it. Nothing here imports torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gpt.errors import ConfigError


def _above_zero(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0; got {value}")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ConfigError(f"{name} must be at least 0; got {value}")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is a share, from 0 to 1; got {value}")


def _memories(betas: tuple[float, float]) -> None:
    if not all(0 <= beta < 1 for beta in betas):
        raise ConfigError(f"betas must be at least 0 and below 1; got {betas}")


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
        _above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr, eps=self.eps)
        _not_negative(weight_decay=self.weight_decay)
        _memories(self.betas)


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
        _above_zero(lr=self.lr, embedding_lr=self.embedding_lr, head_lr=self.head_lr)
        _above_zero(scale_lr=self.scale_lr, eps=self.eps)
        _not_negative(weight_decay=self.weight_decay)
        _memories(self.betas)
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1; got {self.momentum}")
        if self.iterations < 1:
            raise ConfigError(f"iterations must be at least 1; got {self.iterations}")


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """A schedule whose fields are shares, and which begins with a linear rise."""

    warmup: float
    """Share of the steps over which the rate rises to its peak."""

    def __post_init__(self) -> None:
        _share(**vars(self))


@dataclass(frozen=True, kw_only=True)
class Cosine(Warmup):
    """Rise linearly, then fall along half a cosine (Loshchilov 2016, arXiv:1608.03983)."""

    warmup: float = 0.05
    floor: float = 0.0
    """Rate of the last step, as a share of the peak."""


@dataclass(frozen=True, kw_only=True)
class Trapezoid(Warmup):
    """Rise linearly, stay, then fall in one way or another."""

    decay: float
    """Share of the steps over which it falls at the end."""
    floor: float = 0.0
    """Rate of the last step, as a share of the peak."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup + self.decay > 1:
            raise ConfigError(f"warmup + decay must be at most 1; got {self.warmup + self.decay}")


@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Trapezoid):
    """Rise linearly, stay, then fall as 1 - √progress (Hägele 2024, arXiv:2405.18392)."""

    warmup: float = 0.02
    decay: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Linear(Trapezoid):
    """Rise linearly, stay, then fall linearly (Jordan 2024, modded-nanogpt's trapezoid)."""

    warmup: float = 0.0
    decay: float = 0.6


@dataclass(frozen=True, kw_only=True)
class Noam:
    """Rise linearly, then fall as 1 / √step, without an end (Vaswani 2017, arXiv:1706.03762).

    The paper's rate is had with a peak of 1 / √(width · warmup).
    """

    warmup: int = 100
    """Steps over which the rate rises to its peak."""

    def __post_init__(self) -> None:
        _above_zero(warmup=self.warmup)


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """A product of two thin matrices added to a frozen one (Hu 2021, arXiv:2106.09685)."""

    rank: int = 8
    """Width of the product: each adapter has rank x (inputs + outputs) weights."""
    alpha: float | None = None
    """How much it counts, before `scaling`. None: twice the rank."""
    scaling: Literal["rank", "root", "none"] = "rank"
    """The product is scaled by alpha / rank (the paper), alpha / √rank (rsLoRA, Kalajdzievski 2023,
    arXiv:2312.03732), or by alpha itself (Raschka 2024)."""
    init: Literal["uniform", "normal"] = "uniform"
    """Of the first matrix, the second being zero: uniform within 1/√inputs, as in Microsoft's code
    and peft, or normal with deviation 1/√rank, as Raschka has it."""
    dropout: float = 0.0
    """Share of the adapter's input set to zero while training."""
    targets: tuple[str, ...] = ("attention", "mlp")
    """Which linears: those with one of these among the parts of their dotted name."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"rank must be at least 1; got {self.rank}")
        if self.alpha is not None:
            _above_zero(alpha=self.alpha)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1; got {self.dropout}")
        if not self.targets:
            raise ConfigError(
                "targets is empty; name linears, or parts of the model that have some"
            )

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        alpha = 2.0 * self.rank if self.alpha is None else self.alpha
        return alpha / {"rank": self.rank, "root": math.sqrt(self.rank), "none": 1.0}[self.scaling]


@dataclass(frozen=True, kw_only=True)
class DoRA(LoRA):
    """LoRA on a matrix's directions, whose lengths are trained by themselves (Liu 2024).

    arXiv:2402.09353.
    """

    axis: Literal["out", "in"] = "out"
    """Whose lengths: of the weights of each output (NVIDIA's code and peft) or of each input, which
    is Raschka's norm and another model."""
