"""Luong's attention: the state of a recurrent decoder attends to those of the encoder.

Scores and normalizers are those of all attention, with a single head. B: batch size, T: targets,
S: tokens of the longest source, W: width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gpt.nn.attention.normalizers import Normalizer
from gpt.nn.attention.scores import Score
from gpt.nn.context import Memory
from gpt.nn.mechanism import Mechanism
from gpt.nn.site import Site
from gpt.spec import recurrent


class LuongAttention(Mechanism):
    """h → tanh(W_c [c; h]), c = Σ_s a(s) s being the context vector of the target state h.

    Luong 2015, arXiv:1508.04025, section 3. The weights a are those of all states s of the source
    (global), of those around the target's own position (local-m), or, by the normalizer, of those
    around a predicted one (local-p).
    """

    def __init__(self, spec: recurrent.Alignment, site: Site) -> None:
        super().__init__()
        self.score: Score = site.build(spec.score)
        self.normalizer: Normalizer = site.build(spec.normalizer)
        self.window = spec.monotonic
        self.output = nn.Linear(2 * site.width, site.width, bias=False)

    def forward(self, targets: Tensor, memory: Memory, first: int) -> Tensor:
        """Return the attentional vectors of *targets* (B, T, W), at position *first* and after."""
        weights = self.weights(targets, memory, first).to(memory.hidden.dtype)
        vectors: Tensor = self.output(torch.cat((weights @ memory.hidden, targets), dim=-1))
        return vectors.tanh()

    def weights(self, targets: Tensor, memory: Memory, first: int) -> Tensor:
        """Return the weights of the states of the source, (B, T, S)."""
        device = targets.device
        positions = torch.arange(first, first + targets.shape[1], device=device)[None, :, None]
        keys = torch.arange(memory.mask.shape[1], device=device)[None, None]
        allowed = memory.mask[:, None]  # (B, 1, S)
        if self.window is not None:
            # The last token is the center of targets that are longer than their source.
            centers = positions.minimum(memory.mask.sum(1)[:, None, None] - 1)  # (B, T, 1)
            allowed = allowed & ((keys - centers).abs() <= self.window)
        queries = targets[:, None]
        scores = self.score(queries, memory.hidden[:, None], positions, keys)  # (B, 1, T, S)
        scores = scores.masked_fill(~allowed[:, None], -math.inf)
        weights: Tensor = self.normalizer(scores, queries, positions, keys)
        return weights[:, 0]

    def mixing_flops(self, context: int) -> int:
        """Count what pairs of targets and states take."""
        return 2 * (self.score.features + self.output.out_features) * context
