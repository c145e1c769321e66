"""Text from a model: draws of the next token, with a cache, as a stream.

V is the size of the vocabulary. Filters set the logits that are out to -inf and leave the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gpt.errors import ConfigError
from gpt.model import GPT, Cache
from pytok.definition import END_OF_TEXT

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn. The filters apply in the order of the fields."""

    temperature: float = 0.8
    """Divides the logits; below 1 favours the likely. 0: always the likeliest token."""
    top_k: int | None = None
    """Keep the k likeliest tokens (Fan 2018, arXiv:1805.04833)."""
    top_p: float | None = None
    """Keep the likeliest that together reach p (Holtzman 2019, arXiv:1904.09751)."""
    min_p: float | None = None
    """Keep what has p times the chance of the likeliest (Nguyen 2024, arXiv:2407.01082)."""
    seed: int = 0
    """Decides the draws."""

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise ConfigError(f"temperature must be at least 0; got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k must be at least 1; got {self.top_k}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to {2**63 - 1}; got {self.seed}")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1; got {share}")


def generate(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    max_tokens: int = 256,
    sampling: Sampling | None = None,
    stop: Collection[str] = (),
    stop_ids: Collection[int] = (),
) -> Iterator[str]:
    """Stream the text that *model* writes after *prompt*, in pieces, without *prompt*.

    It ends after *max_tokens*, at the end-of-text token or one of *stop_ids*, or before the first
    of the *stop* strings. An empty prompt begins a document, which is not empty; for that the
    tokenizer needs an end-of-text token (ConfigError without). Special tokens in *prompt* are
    text like any other.
    """
    if max_tokens < 1:
        raise ConfigError(f"tokens must be at least 1; got {max_tokens}")
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    ids, not_first = tokenizer.encode_ordinary(prompt), list[int]()
    if not ids:
        if end is None:
            raise ConfigError(f"the vocabulary has no {END_OF_TEXT} to begin with; give a prompt")
        ids, not_first = [end], [end]
    ends = {end, *stop_ids}
    drawn = generate_ids(model, ids, sampling=sampling, not_first=not_first)
    drawn = itertools.islice(drawn, max_tokens)
    decoder = tokenizer.decoder()

    def pieces() -> Iterator[str]:
        yield from map(decoder.feed, itertools.takewhile(lambda id: id not in ends, drawn))
        yield decoder.finish()

    return _until(pieces(), stop)


def generate_ids(
    model: GPT,
    ids: Sequence[int],
    *,
    sampling: Sampling | None = None,
    not_first: Collection[int] = (),
) -> Iterator[int]:
    """Draw tokens after *ids* (at least one), without end, the first not one of *not_first*.

    The model sees all of *ids*, or their last context of tokens. When its context is full it
    starts over from the last half, so the cost of a token stays the same however long the text
    gets, and no token is predicted from less than half a context.
    """
    sampling = sampling or Sampling()
    device = model.embedding.weight.device
    draws = torch.Generator(device).manual_seed(sampling.seed)
    context = model.config.context
    window = list(ids[-context:])
    fresh, cache = window, model.new_cache(1)
    barred = list(not_first)
    while True:
        logits = _next_logits(model, fresh, cache)
        logits[barred] = -math.inf
        barred = []
        chosen = choose(logits, sampling, draws)
        yield chosen
        window.append(chosen)
        fresh = [chosen]
        if len(window) > context:
            window = window[-max(1, context // 2) :]
            fresh, cache = window, model.new_cache(1)


def choose(logits: Tensor, sampling: Sampling, draws: torch.Generator) -> int:
    """Draw an id by *logits* (V,) as *sampling* says."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # Less the greatest, so that a small temperature makes no infinity; chances stay the same.
    logits = (logits.float() - logits.max()) / sampling.temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = keep_min_p(logits, sampling.min_p)
    return int(torch.multinomial(logits.softmax(-1), 1, generator=draws))


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the *k* greatest of *logits* (V,), and what equals the least of them."""
    least = logits.topk(min(k, logits.numel())).values[-1]
    return logits.masked_fill(logits < least, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest greatest of *logits* (V,) whose chances sum to at least *p*."""
    ordered, order = logits.sort(descending=True)
    chances = ordered.softmax(-1)
    # Out is what comes when p is reached already; the likeliest never is.
    out = chances.cumsum(-1) - chances >= p
    return logits.masked_fill(out.scatter(0, order, out), -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep what of *logits* (V,) has at least *p* times the chance of the greatest."""
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


@torch.no_grad()
def _next_logits(model: GPT, ids: Sequence[int], cache: Cache) -> Tensor:
    """Predict the token after *ids*, which *cache* takes in: logits (V,)."""
    device = model.embedding.weight.device
    logits: Tensor = model(torch.tensor([ids], device=device), cache=cache).logits
    return logits[0, -1]


def _until(pieces: Iterator[str], stop: Collection[str]) -> Iterator[str]:
    """*pieces* up to the first of the *stop* strings; what may begin one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        found = [held.index(text) for text in stop if text in held]
        if found:
            yield held[: min(found)]
            return
        kept = max((_overlap(held, text) for text in stop), default=0)
        if len(held) > kept:
            yield held[: len(held) - kept]
            held = held[len(held) - kept :]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of *text* may be the first of *stop*."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
