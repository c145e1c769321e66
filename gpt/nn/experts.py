"""Experts: MLPs of which a router chooses a few for each token.

B: batch size, T: tokens, N = B · T, E: experts, k: experts chosen for a token.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.nn.activation import build_activation
from gpt.nn.balance import Balance, Routing
from gpt.nn.context import Context
from gpt.nn.dropout import Dropout
from gpt.nn.expert_linear import Dispatch, ExpertLinear, ExpertOutput
from gpt.nn.mechanism import Mechanism, Mixed
from gpt.nn.mlp import GatedMLP, PlainMLP, build_mlp, gated
from gpt.nn.site import Site
from gpt.spec import experts


class Experts(Mechanism):
    """x → s Σ_(i ∈ top-k) g_i expert_i(x) + shared(x), g being the weights of the `Router`.

    Gated, it is + σ(w · x) shared(x).

    Shazeer 2017, arXiv:1701.06538; the shared experts are DeepSeekMoE's, arXiv:2401.06066. What a
    token gets depends on no other token: none is dropped, and a cache changes nothing.
    """

    SCORING: ClassVar[tuple[str, ...]] = ("router",)

    def __init__(self, spec: experts.Experts, site: Site) -> None:
        super().__init__()
        self.router = Router(spec, site)
        self.routed = RoutedMLPs(spec, site)
        shared = spec.shared_expert(site.width)
        self.shared = None if shared is None else build_mlp(shared, site)
        self.shared_gate = nn.Linear(site.width, 1, bias=False) if spec.gate_shared else None

    def forward(self, x: Tensor, context: Context | None = None) -> Mixed:
        """Apply the experts of each token to x (B, T, width)."""
        routing, loss = self.router(x, None if context is None else context.counted)
        y = self.routed(x, routing)
        if self.shared is None:
            return y, loss
        common = self.shared(x)[0]
        if self.shared_gate is not None:
            common = self.shared_gate(x).sigmoid() * common
        return y + common, loss


class Router(Mechanism):
    """score = softmax(W x + b), or σ(W x + b); g_i = score_i of the k best, divided by their sum.

    The bias and the division are optional. With the softmax it equals the softmax of the k largest
    logits, which is Mixtral's (arXiv:2401.04088). Computed in float32, also under autocast (Switch,
    arXiv:2101.03961). The auxiliary loss is that of the balance, and z · mean(log(Σ exp(logits))²).
    """

    def __init__(self, spec: experts.Experts, site: Site) -> None:
        super().__init__()
        self.spec = spec
        self.weight = nn.Parameter(torch.empty(spec.count, site.width))
        self.bias = nn.Parameter(torch.zeros(spec.count)) if spec.router_bias else None
        scores = site.of_width(spec.count)
        self.groups: GroupLimit | None = scores.build(spec.groups)
        self.balance: Balance | None = scores.build(spec.balance)

    def forward(self, x: Tensor, counted: Tensor | None = None) -> tuple[Routing, Tensor | None]:
        """Choose experts for x (B, T, width); return the choice, and its auxiliary loss or None.

        *counted*, bool (B, T), are the tokens that are not padding; None if none is.
        """
        spec = self.spec
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        scores = logits.softmax(-1) if spec.score == "softmax" else logits.sigmoid()
        preferences = scores if self.balance is None else self.balance.preferences(scores)
        if self.groups is not None:
            preferences = self.groups(preferences)
        chosen = preferences.topk(spec.top_k, sorted=False).indices
        weights = scores.gather(-1, chosen)
        if spec.renormalize:
            weights = weights / weights.sum(-1, keepdim=True)
        routing = Routing(logits, scores, chosen, spec.scale * weights)
        return routing, self._loss(routing, counted)

    def _loss(self, routing: Routing, counted: Tensor | None) -> Tensor | None:
        loss: Tensor | None = None if self.balance is None else self.balance(routing, counted)
        if not self.spec.z_loss:
            return loss
        squares = routing.logits.logsumexp(-1).square()
        ones = torch.ones_like(squares) if counted is None else counted.to(squares.dtype)
        z_loss = self.spec.z_loss * (squares * ones).sum() / ones.sum().clamp(min=1)
        return z_loss if loss is None else loss + z_loss

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as a linear layer."""
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5, generator=generator)

    def weight_flops(self) -> int:
        """Return two operations per weight."""
        return 2 * self.weight.numel()


class GroupLimit(Mechanism):
    """Exclude experts that are in none of the best groups, those with the largest sum of scores.

    DeepSeek-V2, arXiv:2405.04434, section 2.2.2; DeepSeek-V3, arXiv:2412.19437, section 2.1.2.
    """

    def __init__(self, spec: experts.Groups, site: Site) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, preferences: Tensor) -> Tensor:
        """Return *preferences* (..., E) with -inf for the experts of all other groups."""
        groups = preferences.view(*preferences.shape[:-1], self.spec.count, -1)
        totals = groups.topk(self.spec.best, sorted=False).values.sum(-1)
        top = totals.topk(self.spec.top, sorted=False).indices
        excluded = torch.ones_like(totals, dtype=torch.bool).scatter(-1, top, False)
        limited: Tensor = groups.masked_fill(excluded[..., None], -torch.inf)
        return limited.flatten(-2)


class RoutedMLPs(Mechanism):
    """x → Σ_i g_i W₂ᵢ f(W₁ᵢ x), or gated, Σ_i g_i W₂ᵢ (f(W₁ᵢ x) ⊙ W₃ᵢ x), over chosen experts i.

    The product with a gate is that of `GatedMLP`, with its limit and offset. The tokens are sorted
    by expert, so that all products of a layer are one grouped product. An activation with
    parameters has the same ones for all experts.
    """

    def __init__(self, spec: experts.Experts, site: Site) -> None:
        super().__init__()
        width, hidden = site.width, spec.expert.hidden_width(site.width)
        self.count, self.expert = spec.count, spec.expert
        self.activation = build_activation(spec.expert.activation)
        counts, bias = (spec.count, spec.top_k), site.architecture.bias
        self.gate = ExpertLinear(*counts, width, hidden, bias=bias) if spec.expert.gated else None
        self.input = ExpertLinear(*counts, width, hidden, bias=bias)
        self.dropout = Dropout(site.architecture.dropout.hidden)
        self.output = ExpertOutput(*counts, hidden, width, bias=bias)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Apply to x (B, T, width) the experts of *routing*."""
        chosen, weights = routing.experts.flatten(0, 1), routing.weights.flatten(0, 1)  # (N, k)
        experts, order = chosen.flatten().sort(stable=True)
        dispatch = Dispatch.of(experts, self.count)
        # Copies of each token for its experts. Expanded first, its gradient is a sum over copies in
        # their order, and not in the random one of a GPU's index_add.
        copies = x.flatten(0, 1)[:, None].expand(-1, chosen.shape[1], -1).flatten(0, 1)
        rows = copies.index_select(0, order)
        hidden = self.input(rows, dispatch)
        if self.gate is None:
            hidden = self.activation(hidden)
        else:
            hidden = gated(self.expert, self.activation, self.gate(rows, dispatch), hidden)
        hidden = self.dropout(hidden)
        y = self.output(hidden, dispatch).index_select(0, order.argsort()).view(*chosen.shape, -1)
        mixed: Tensor = (y * weights.to(y.dtype)[..., None]).sum(1)
        return mixed.view(x.shape)


def build_experts(spec: experts.Experts, site: Site) -> Experts | PlainMLP | GatedMLP:
    """Build the experts of *spec*, or the MLP of the first layers."""
    if site.layer < spec.first_dense:
        return build_mlp(spec.dense(site.width), site)
    return Experts(spec, site)
