"""Normalizers: from the scores of a query to the weights of the values.

B: batch size, H: heads, T: queries, S: keys, D: head_width. Positions are those in the document,
(B or 1, T, 1) of queries and (B or 1, 1, S) of keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gpt.nn.attention.scores import HeadLinear, HeadVector
from gpt.nn.mechanism import Kind, Mechanism
from gpt.nn.site import Site
from gpt.spec import scoring


class Normalizer(Mechanism):
    """From the scores of each query to weights of the values."""

    fused: bool = False
    """Whether it is the softmax, which fused kernels compute."""
    fused_sink: Tensor | None = None
    """Score (H,) of a key without a value, if that is all that it adds to the softmax."""

    def forward(
        self, scores: Tensor, queries: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Normalize *scores* (B, H, T, S), -inf for pairs that are not allowed.

        *queries* are (B, H, T, D).
        """
        raise NotImplementedError


class SoftmaxNormalizer(Normalizer):
    """s → exp(s / τ) / Σ exp(s / τ) over the keys, with the temperature τ.

    With a sink of score b: exp(s / τ) / (exp(b) + Σ exp(s / τ)), so that a head can attend to
    nothing; b is learned for each head (OpenAI 2025, gpt-oss, arXiv:2508.10925), or 0 (Miller 2023,
    Attention Is Off By One).
    """

    KINDS: ClassVar[Mapping[str, Kind]] = {"sink": "scale"}
    sink: Tensor | None

    def __init__(self, spec: scoring.Softmax, site: Site) -> None:
        super().__init__()
        self.temperature = spec.temperature
        self.fused = spec.temperature is None and spec.sink is None
        zeros = torch.zeros(site.heads)
        if spec.sink == "learned":
            self.sink = nn.Parameter(zeros)
        else:
            self.register_buffer("sink", zeros if spec.sink else None, persistent=False)

    @property
    def fused_sink(self) -> Tensor | None:  # type: ignore[override]
        """The score of the sink, without a temperature."""
        return self.sink if self.temperature is None else None

    def forward(
        self, scores: Tensor, queries: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Normalize *scores* (B, H, T, S), -inf for pairs that are not allowed."""
        if self.temperature is not None:
            scores = scores / self.temperature
        if self.sink is None:
            return scores.softmax(-1)
        sink = self.sink.to(scores.dtype)[:, None, None].expand(*scores.shape[:-1], 1)
        return torch.cat((scores, sink), dim=-1).softmax(-1)[..., :-1]


class LocalPNormalizer(Normalizer):
    """``α_s = softmax_s(score over |s - p| ≤ D) exp(-(s - p)² / 2σ²)``, with p = S sigmoid(f(q)).

    Luong 2015, arXiv:1508.04025, equations 9 and 10, with σ = D/2 and f(q) = v · tanh(W q) of each
    head. S is the number of positions up to the last key that the query may attend to: i + 1 for
    query i of a causal model, the length of the document otherwise. The weights do not sum to 1; if
    the pattern allows no key in the window, they are zero.
    """

    def __init__(self, spec: scoring.LocalP, site: Site) -> None:
        super().__init__()
        self.window = spec.window
        self.hidden = HeadLinear(site.heads, site.width, site.width)
        self.center = HeadVector(site.heads, site.width)

    def forward(
        self, scores: Tensor, queries: Tensor, positions: Tensor, key_positions: Tensor
    ) -> Tensor:
        """Normalize *scores* (B, H, T, S), -inf for pairs that are not allowed."""
        allowed, keys = scores > -math.inf, key_positions[:, None]
        count = torch.where(allowed, keys, -1).amax(-1, keepdim=True) + 1  # (B, H, T, 1)
        center = count * self.center(self.hidden(queries).tanh()).float().sigmoid()
        distances = keys - center  # (B, H, T, S), float32: bfloat16 would round positions
        allowed = allowed & (distances.abs() <= self.window)
        # Where no key is allowed, any finite scores: the softmax of none is NaN.
        scores = scores.masked_fill(~allowed & allowed.any(-1, keepdim=True), -math.inf)
        scores = scores.masked_fill(~allowed.any(-1, keepdim=True), 0.0)
        gaussian = (-distances.square() / (self.window**2 / 2)).exp()
        weights: Tensor = scores.softmax(-1, dtype=torch.float32) * gaussian * allowed
        return weights.to(scores.dtype)
