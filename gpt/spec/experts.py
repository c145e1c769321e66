"""Specs of experts: MLPs of which a router chooses a few for each token."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, at_least_zero
from gpt.spec.mlp import MLP
from gpt.spec.part import Part, Sizes


@dataclass(frozen=True, kw_only=True)
class BalanceLoss(Part):
    """Balance experts by an auxiliary loss (Fedus 2021, Switch, arXiv:2101.03961)."""

    weight: float = 0.01
    """Weight of the loss, which is 1 if the tokens are spread evenly. transformers' Mixtral counts
    each of the top_k experts of a token, so its loss is top_k times as large."""
    over: Literal["batch", "sequence"] = "batch"
    """Tokens among which experts are balanced: those of a batch, or of each sequence, as in
    DeepSeek-V2 (arXiv:2405.04434)."""

    def __post_init__(self) -> None:
        above_zero(weight=self.weight)


@dataclass(frozen=True, kw_only=True)
class BalanceBias(Part):
    """Balance experts by a bias of their scores, without a loss (Wang 2024, arXiv:2408.15664).

    After each step the bias of experts with more tokens than average falls, of others it rises.
    """

    rate: float = 0.001
    """Change of a bias in a step."""

    def __post_init__(self) -> None:
        above_zero(rate=self.rate)


@dataclass(frozen=True, kw_only=True)
class Groups(Part):
    """Choose among the experts of the best groups only (DeepSeek-V2, arXiv:2405.04434).

    With a group on each device, a token is sent to few devices.
    """

    count: int
    """Number of groups; must divide the number of experts."""
    top: int
    """Number of groups that a token chooses from."""
    best: int = 2
    """A group's score is the sum of its best scores: 1 in DeepSeek-V2, 2 in DeepSeek-V3."""

    def __post_init__(self) -> None:
        above_zero(count=self.count, top=self.top, best=self.best)
        if self.top > self.count:
            raise ConfigError(f"top is {self.top}, but there are {self.count} groups")


@dataclass(frozen=True, kw_only=True)
class Experts(Part):
    """MLPs of which a router chooses a few for each token (Shazeer 2017, arXiv:1701.06538).

    The defaults are Mixtral's (Jiang 2024, arXiv:2401.04088). Many narrow experts, some of them
    shared, are DeepSeekMoE (Dai 2024, arXiv:2401.06066). Every token gets all of its experts: none
    has a capacity.
    """

    expert: MLP = field(default_factory=lambda: MLP(activation="silu", gated=True))
    """One expert."""
    count: int = 8
    """Number of experts that the router chooses from."""
    top_k: int = 2
    """Number of experts that it chooses for a token."""
    shared: int = 0
    """Number of further experts, which all tokens use."""
    gate_shared: bool = False
    """Multiply the output of the shared experts by a sigmoid of the input, as Qwen2-MoE does
    (Yang 2024, arXiv:2407.10671)."""
    score: Literal["softmax", "sigmoid"] = "softmax"
    """Scores of the experts: a softmax of the router's logits, or a sigmoid of each, as in
    DeepSeek-V3 (arXiv:2412.19437)."""
    router_bias: bool = False
    """Add a learned bias to the router's logits, as gpt-oss does (arXiv:2508.10925)."""
    renormalize: bool = True
    """Divide the scores of the chosen experts by their sum."""
    scale: float = 1.0
    """Factor of the output of the chosen experts."""
    groups: Groups | None = None
    """Groups of experts, of which a token uses few. [default: none]"""
    balance: BalanceLoss | BalanceBias | None = field(default_factory=BalanceLoss)
    """What gives all experts about as many tokens."""
    z_loss: float = 0.0
    """Weight of an auxiliary loss, the mean of log(Σ exp(logits))², which keeps the router's logits
    small (Zoph 2022, ST-MoE, arXiv:2202.08906)."""
    first_dense: int = 0
    """Number of blocks, from the first, that have an MLP instead of experts, as in DeepSeekMoE."""
    dense_hidden: int | None = None
    """Width of the hidden layer of these MLPs. [default: that of all experts of a token]"""

    def __post_init__(self) -> None:
        above_zero(
            count=self.count, top_k=self.top_k, scale=self.scale, dense_hidden=self.dense_hidden
        )
        at_least_zero(shared=self.shared, z_loss=self.z_loss, first_dense=self.first_dense)
        if self.top_k > self.count:
            raise ConfigError(f"top_k is {self.top_k}, but there are {self.count} experts")
        if self.gate_shared and not self.shared:
            raise ConfigError("gate_shared is true, but there are no shared experts; set shared")
        if self.groups is None:
            return
        size, rest = divmod(self.count, self.groups.count)
        if rest:
            raise ConfigError(
                f"count: {self.count} experts are not divisible into {self.groups.count} groups"
            )
        if self.groups.best > size:
            raise ConfigError(f"groups.best is {self.groups.best}, but a group has {size} experts")
        if self.top_k > self.groups.top * size:
            raise ConfigError(
                f"top_k is {self.top_k}, but {self.groups.top} groups have "
                f"{self.groups.top * size} experts"
            )

    def check(self, sizes: Sizes) -> None:
        """Raise ConfigError if no block would have experts."""
        if self.first_dense >= sizes.layers:
            raise ConfigError(
                f"mlp.first_dense is {self.first_dense}, so none of the {sizes.layers} layers has "
                "experts; set it below layers"
            )

    def resolved(self, width: int) -> Experts:
        """Return the spec with the widths of the hidden layers in a model of *width*."""
        hidden = self.dense(width).hidden if self.first_dense else self.dense_hidden
        return dataclasses.replace(self, expert=self.expert.resolved(width), dense_hidden=hidden)

    def dense(self, width: int) -> MLP:
        """Return the MLP of the first blocks in a model of *width*."""
        return self._wide(self.dense_hidden, self.top_k + self.shared, width)

    def shared_expert(self, width: int) -> MLP | None:
        """Return the shared experts as one MLP, their hidden layers side by side; None if none."""
        return self._wide(None, self.shared, width) if self.shared else None

    def _wide(self, hidden: int | None, experts: int, width: int) -> MLP:
        hidden = hidden or experts * self.expert.hidden_width(width)
        return dataclasses.replace(self.expert, hidden=hidden)
