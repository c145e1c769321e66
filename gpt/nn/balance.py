"""What gives all experts about as many tokens. B: batch size, T: tokens, E: experts, k: chosen."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import experts


class Routing(NamedTuple):
    """The choice of experts for tokens (B, T)."""

    logits: Tensor
    """Logits of all experts, (B, T, E)."""
    scores: Tensor
    """Scores of all experts, (B, T, E)."""
    experts: Tensor
    """The experts chosen for each token, (B, T, k) int64."""
    weights: Tensor
    """Weights of their outputs, (B, T, k)."""

    def chosen(self) -> Tensor:
        """Return which experts are chosen as zeros and ones, (B, T, E), in the scores' dtype."""
        return torch.zeros_like(self.scores).scatter(-1, self.experts, 1.0)


class Balance(Mechanism):
    """Balances experts: by changing what they are chosen by, or by an auxiliary loss."""

    def preferences(self, scores: Tensor) -> Tensor:
        """Return what experts are chosen by, (B, T, E), instead of their *scores*."""
        return scores

    def forward(self, routing: Routing, counted: Tensor | None = None) -> Tensor | None:
        """Return the auxiliary loss of *routing*, or None.

        *counted*, bool (B, T), are the tokens that are not padding; None if none is.
        """
        raise NotImplementedError


class BalanceLoss(Balance):
    """α E Σ_i f_i P_i: f_i is expert i's fraction of all choices, P_i its mean score.

    Fedus 2021 (Switch), arXiv:2101.03961, equations 4 to 6; for k > 1 as in DeepSeekMoE,
    arXiv:2401.06066. Scores that are no probabilities are divided by their sum (DeepSeek-V3).
    """

    def __init__(self, spec: experts.BalanceLoss, site: Site) -> None:
        super().__init__()
        self.weight, self.per_sequence = spec.weight, spec.over == "sequence"

    def forward(self, routing: Routing, counted: Tensor | None = None) -> Tensor:
        """Return the loss."""
        chosen, scores = routing.chosen(), routing.scores
        probabilities = scores / scores.sum(-1, keepdim=True)
        ones = scores.new_ones(scores.shape[:2]) if counted is None else counted.to(scores.dtype)
        axes = 1 if self.per_sequence else (0, 1)
        tokens = ones.sum(axes).clamp(min=1)[..., None]
        fractions = (chosen * ones[..., None]).sum(axes) / (tokens * routing.experts.shape[-1])
        means = (probabilities * ones[..., None]).sum(axes) / tokens
        loss: Tensor = self.weight * scores.shape[-1] * (fractions * means).sum(-1).mean()
        return loss


class BalanceBias(Balance):
    """Choose by score_i + b_i; after each step b_i ← b_i + u sign(mean load - load_i).

    The load of an expert is the number of tokens of the step that chose it. Outputs are weighted by
    the scores without the bias. Wang 2024, arXiv:2408.15664.
    """

    bias: Tensor

    def __init__(self, spec: experts.BalanceBias, site: Site) -> None:
        super().__init__()
        self.rate = spec.rate
        self.register_buffer("bias", torch.zeros(site.width))
        self._load: Tensor | None = None
        """Load of each expert since the last step, (E,). No buffer: in DDP these are replaced by
        the main process's."""

    def preferences(self, scores: Tensor) -> Tensor:
        """Add the bias to *scores*."""
        return scores + self.bias.to(scores.dtype)

    def forward(self, routing: Routing, counted: Tensor | None = None) -> None:
        """Count the load while training."""
        if not self.training:
            return
        chosen = routing.chosen().detach()
        if counted is not None:
            chosen = chosen * counted[..., None]
        # If activations are recomputed, each load counts twice, which changes no sign.
        load = chosen.sum((0, 1)).float()
        self._load = load if self._load is None else self._load + load

    @torch.no_grad()
    def after_step(self) -> None:
        """Change the bias by the load of all processes."""
        load, self._load = self._load, None
        if load is None:
            return
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(load)
        self.bias += self.rate * (load.mean() - load).sign()
