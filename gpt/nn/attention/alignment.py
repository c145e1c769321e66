"""Luong's attention: the state of a recurrent decoder attends to those of the encoder.

Luong 2015, arXiv:1508.04025. B: batch size, T: targets, S: tokens of the longest source, W: width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gpt.nn.mechanism import Mechanism
from gpt.spec import recurrent


class Sources(NamedTuple):
    """What an encoder has read, as the decoder attends to it."""

    states: Tensor
    """The encoder's states, (B, S, W)."""
    keys: Tensor
    """What scores are computed from: the same for all targets."""
    mask: Tensor
    """Which of them are tokens, bool (B, S)."""

    def select(self, rows: list[int]) -> Sources:
        """Return *rows*, in this order."""
        return Sources(*(each[rows] for each in self))


class Score(Mechanism):
    """t · s. B: batch size, T: targets, S: sources, W: width."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()

    def keys(self, states: Tensor) -> Tensor:
        """Return what of the scores depends on the *states* (B, S, W) of the encoder alone."""
        return states

    def forward(self, targets: Tensor, keys: Tensor) -> Tensor:
        """Score *targets* (B, T, W) and *keys*: (B, T, S)."""
        return targets @ keys.mT


class GeneralScore(Score):
    """tᵀ W s."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__(width, context)
        self.weight = nn.Linear(width, width, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return W s."""
        keys: Tensor = self.weight(states)
        return keys


class ConcatScore(Score):
    """vᵀ tanh(W [t; s]), with W [t; s] = W₁ t + W₂ s."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__(width, context)
        self.target = nn.Linear(width, width, bias=False)
        self.source = nn.Linear(width, width, bias=False)
        self.vector = nn.Linear(width, 1, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return W₂ s."""
        keys: Tensor = self.source(states)
        return keys

    def forward(self, targets: Tensor, keys: Tensor) -> Tensor:
        """Score *targets* (B, T, W) and *keys* (B, S, W): (B, T, S), in memory B · T · S · W."""
        mixed = (self.target(targets)[:, :, None] + keys[:, None]).tanh()
        scores: Tensor = self.vector(mixed)
        return scores[..., 0]


class LocationScore(Score):
    """(W t)_s: a row of W for each position of a source, up to the context."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__(width, context)
        self.weight = nn.Linear(width, context, bias=False)

    def forward(self, targets: Tensor, keys: Tensor) -> Tensor:
        """Score the positions of *keys* (B, S, W) for *targets* (B, T, W): (B, T, S)."""
        scores: Tensor = self.weight(targets)
        return scores[..., : keys.shape[1]]


SCORES: Mapping[str, Callable[[int, int], Score]] = {
    "dot": Score,
    "general": GeneralScore,
    "concat": ConcatScore,
    "location": LocationScore,
}
"""For each name in `gpt.spec.recurrent.Alignment`, the score of (width, context)."""


class Reach(Mechanism):
    """Global: all states of the source."""

    def __init__(self, spec: recurrent.Alignment, width: int) -> None:
        super().__init__()
        self.window = spec.window

    def forward(self, scores: Tensor, targets: Tensor, mask: Tensor, first: int) -> Tensor:
        """Return the weights (B, T, S) of *scores* (B, T, S), over the tokens that *mask* has.

        *targets* (B, T, W) are those at position *first* and after.
        """
        return self.softmax(scores, mask[:, None])

    @staticmethod
    def softmax(scores: Tensor, allowed: Tensor) -> Tensor:
        """Return the softmax of *scores* in float32, over what is *allowed*, bool."""
        return scores.masked_fill(~allowed, -math.inf).softmax(-1, dtype=torch.float32)

    def near(self, centers: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return which sources are within the window of *centers* (B or 1, T, 1), and distances."""
        distances = torch.arange(mask.shape[1], device=mask.device) - centers  # (B or 1, T, S)
        return mask[:, None] & (distances.abs() <= self.window), distances


class MonotonicReach(Reach):
    """Local-m: |s - p_t| ≤ D with p_t = t, or the last token of a shorter source."""

    def forward(self, scores: Tensor, targets: Tensor, mask: Tensor, first: int) -> Tensor:
        """Return the weights (B, T, S) of *scores* (B, T, S)."""
        positions = torch.arange(first, first + targets.shape[1], device=mask.device)
        centers = positions.minimum(mask.sum(1, keepdim=True) - 1)[..., None]  # (B, T, 1)
        return self.softmax(scores, self.near(centers, mask)[0])


class PredictiveReach(Reach):
    """Local-p: |s - p_t| ≤ D with p_t = S sigmoid(vᵀ tanh(W t)), times exp(-(s - p_t)² / 2 (D/2)²).

    S is the length of the source. The weights do not sum to 1.
    """

    def __init__(self, spec: recurrent.Alignment, width: int) -> None:
        super().__init__(spec, width)
        self.hidden = nn.Linear(width, width, bias=False)
        self.vector = nn.Linear(width, 1, bias=False)

    def forward(self, scores: Tensor, targets: Tensor, mask: Tensor, first: int) -> Tensor:
        """Return the weights (B, T, S) of *scores* (B, T, S)."""
        lengths = mask.sum(1)[:, None, None]
        centers = lengths * self.vector(self.hidden(targets).tanh()).float().sigmoid()
        allowed, distances = self.near(centers, mask)
        deviation = self.window / 2
        gaussian = (-distances.square() / (2 * deviation**2)).exp()
        return self.softmax(scores, allowed) * gaussian


REACHES: Mapping[str, Callable[[recurrent.Alignment, int], Reach]] = {
    "global": Reach,
    "monotonic": MonotonicReach,
    "predictive": PredictiveReach,
}
"""For each name in `gpt.spec.recurrent.Alignment`, which sources are attended to."""


class LuongAttention(Mechanism):
    """h → tanh(W_c [c; h]), c = Σ_s a(s) s being the context vector of the target state h."""

    def __init__(self, spec: recurrent.Alignment, width: int, context: int) -> None:
        super().__init__()
        self.score = SCORES[spec.score](width, context)
        self.reach = REACHES[spec.reach](spec, width)
        self.output = nn.Linear(2 * width, width, bias=False)

    def sources(self, states: Tensor, mask: Tensor) -> Sources:
        """Return the *states* (B, S, W) of an encoder, of which *mask* has the tokens."""
        return Sources(states, self.score.keys(states), mask)

    def forward(self, targets: Tensor, sources: Sources, first: int) -> Tensor:
        """Return the attentional vectors of *targets* (B, T, W), at position *first* and after."""
        weights = self.weights(targets, sources, first).to(sources.states.dtype)
        attended = torch.cat((weights @ sources.states, targets), dim=-1)
        vectors: Tensor = self.output(attended).tanh()
        return vectors

    def weights(self, targets: Tensor, sources: Sources, first: int) -> Tensor:
        """Return the weights of the sources, (B, T, S) float32."""
        scores = self.score(targets, sources.keys)
        weights: Tensor = self.reach(scores, targets, sources.mask, first)
        return weights

    def mixing_flops(self, context: int) -> int:
        """Count the products of targets with keys, and of weights with states."""
        return 4 * self.output.out_features * context


def build_alignment(spec: Any, width: int, context: int) -> LuongAttention | None:
    """Build the attention of *spec*; None for None."""
    return None if spec is None else LuongAttention(spec, width, context)
