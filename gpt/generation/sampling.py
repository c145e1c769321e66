"""Sampling the next token from logits: penalties, temperature, filters.

B is the number of texts, V the vocabulary size. Filters set the logits of excluded tokens to -inf,
and keep the others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.errors import CheckpointError, ConfigError

NOT_SAMPLED = -1
"""Stands for the id of a row whose logits are NaN."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is sampled. The fields are applied in their order."""

    repetition_penalty: float = 1.0
    """Divide the positive logits of tokens already in the text by this, and multiply the negative
    ones (Keskar 2019, CTRL, arXiv:1909.05858); 1 is off."""
    temperature: float = 0.8
    """Divide the logits by this: below 1 favors likely tokens, 0 always takes the likeliest."""
    top_k: int | None = None
    """Keep the k likeliest tokens (Fan 2018, arXiv:1805.04833). [default: all]"""
    top_p: float | None = None
    """Nucleus sampling: keep the smallest set of tokens with this total probability (Holtzman 2019,
    arXiv:1904.09751). [default: all]"""
    min_p: float | None = None
    """Keep tokens with at least this fraction of the highest probability (Nguyen 2024,
    arXiv:2407.01082). [default: all]"""
    seed: int = 0
    """Random seed; row n of a batch uses seed + n."""

    def __post_init__(self) -> None:
        if not (self.repetition_penalty > 0 and math.isfinite(self.repetition_penalty)):
            raise ConfigError(f"repetition_penalty must be above 0; got {self.repetition_penalty}")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise ConfigError(f"temperature must be at least 0; got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be at least 1; got {self.top_k}")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1; got {value}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to {2**63 - 1}; got {self.seed}")


def sample_tokens(
    logits: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]
) -> Tensor:
    """Sample an id from each row of *logits* (B, V), by its own one of *generators*.

    The repetition penalty has been applied already. Returns (B,) int64 on the device of *logits*,
    which may still be computing them; `read_ids` reads them. An id is that of ``torch.multinomial``
    for the row alone: the argmax of p / e with e ~ Exp(1), as the first of several Poisson
    processes of rates p.
    """
    if sampling.temperature == 0:
        scores = logits
    else:
        # Subtracting the maximum keeps the probabilities, and a low temperature from overflowing.
        scores = (logits.float() - logits.amax(-1, keepdim=True)) / sampling.temperature
        if sampling.top_k is not None:
            scores = keep_top_k(scores, sampling.top_k)
        if sampling.top_p is not None:
            scores = keep_top_p(scores, sampling.top_p)
        if sampling.min_p is not None:
            scores = keep_min_p(scores, sampling.min_p)
        noise = torch.empty_like(scores)
        for row, generator in zip(noise, generators, strict=True):
            row.exponential_(generator=generator)
        scores = scores.softmax(-1).div_(noise)
    ids = scores.argmax(-1, keepdim=True)  # of a NaN, if there is one
    return ids.masked_fill(scores.gather(-1, ids).isnan(), NOT_SAMPLED)[:, 0]


def read_ids(ids: Tensor) -> list[int]:
    """Wait for the device, and return the sampled *ids* (B,); CheckpointError for NaN logits."""
    read: list[int] = ids.tolist()
    if NOT_SAMPLED in read:
        raise CheckpointError(
            "the model predicts NaN: its weights are damaged, or have diverged; use an earlier "
            "checkpoint"
        )
    return read


def mask_of(ids: Collection[int], vocab_size: int, device: torch.device) -> Tensor:
    """Return which tokens are among *ids*: bool (V,)."""
    mask = torch.zeros(vocab_size, dtype=torch.bool)
    mask[torch.tensor(list(ids), dtype=torch.int64)] = True
    return mask.to(device)


def exclude(logits: Tensor, excluded: Tensor) -> Tensor:
    """Make sure that tokens are never sampled: *excluded*, bool (V,) or (B, V)."""
    return logits.masked_fill(excluded, -math.inf)


def penalize_repetition(logits: Tensor, present: Tensor, penalty: float) -> Tensor:
    """Make less likely the tokens that are already in the text: *present*, bool like *logits*."""
    scaled = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(present, scaled, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the *k* highest of *logits* (..., V), and all that equal the lowest of them."""
    lowest = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < lowest, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest of the highest *logits* (..., V) whose probabilities sum to at least *p*."""
    ordered, order = logits.sort(descending=True)
    probabilities = ordered.softmax(-1)
    # Exclude a token if those before it already sum to p; the likeliest has none before it.
    excluded = probabilities.cumsum(-1) - probabilities >= p
    return logits.masked_fill(excluded.scatter(-1, order, excluded), -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the *logits* (..., V) with at least *p* times the highest probability."""
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(p), -math.inf)
