"""How the next token is chosen from the logits: penalties, temperature, filters, the draw.

V is the size of the vocabulary. Filters set the logits that are out to -inf and leave the others.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn. What the fields ask for is applied in their order."""

    repetition_penalty: float = 1.0
    """Divides the positive logits of tokens that the text has already, and multiplies the negative
    ones (Keskar 2019, CTRL, arXiv:1909.05858). 1: none."""
    temperature: float = 0.8
    """Divides the logits; below 1 favours the likely. 0: always the likeliest token."""
    top_k: int | None = None
    """Keep the k likeliest tokens (Fan 2018, arXiv:1805.04833)."""
    top_p: float | None = None
    """Keep the likeliest that together reach p (Holtzman 2019, arXiv:1904.09751)."""
    min_p: float | None = None
    """Keep what has p times the chance of the likeliest (Nguyen 2024, arXiv:2407.01082)."""
    seed: int = 0
    """Decides the draws; each row of a batch has the seed after that of the row before."""

    def __post_init__(self) -> None:
        if not (self.repetition_penalty > 0 and math.isfinite(self.repetition_penalty)):
            raise ConfigError(f"repetition_penalty must be above 0; got {self.repetition_penalty}")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise ConfigError(f"temperature must be at least 0; got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be at least 1; got {self.top_k}")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1; got {share}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to {2**63 - 1}; got {self.seed}")


def choose(logits: Tensor, sampling: Sampling, draws: torch.Generator) -> int:
    """Draw an id by *logits* (V,), from which repetitions have been taken already."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # Less the greatest, so that a small temperature makes no infinity; probabilities stay the same.
    logits = (logits.float() - logits.max()) / sampling.temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = keep_min_p(logits, sampling.min_p)
    return int(torch.multinomial(logits.softmax(-1), 1, generator=draws))


def without(logits: Tensor, ids: Collection[int]) -> Tensor:
    """Rule out *ids*, so that none of them is ever drawn."""
    out = torch.tensor(list(ids), dtype=torch.int64, device=logits.device)
    return logits.index_fill(-1, out, -math.inf)


def penalize(logits: Tensor, present: Tensor, penalty: float) -> Tensor:
    """Make the tokens that are *present*, bool (V,), less likely by *penalty*."""
    scaled = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(present, scaled, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the *k* greatest of *logits* (V,), and what equals the least of them."""
    least = logits.topk(min(k, logits.numel())).values[-1]
    return logits.masked_fill(logits < least, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest greatest of *logits* (V,) whose probabilities sum to at least *p*."""
    ordered, order = logits.sort(descending=True)
    probabilities = ordered.softmax(-1)
    # Out is what comes when p is reached already; the likeliest never is.
    out = probabilities.cumsum(-1) - probabilities >= p
    return logits.masked_fill(out.scatter(0, order, out), -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep what of *logits* (V,) has at least *p* times the chance of the greatest."""
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)
