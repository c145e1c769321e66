"""Translation by beam search: the likeliest targets of sources, or nearly so.

A hypothesis has the score log p(target | source) / lp, lp = ((5 + n) / 6)^α with its n tokens and
the length penalty α (Wu 2016, GNMT, arXiv:1609.08144, equation 14, without coverage). With one
beam, the search is greedy. B: sources, K: beams, V: vocabulary size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gpt.data.batch import NO_TOKEN
from gpt.data.pairs import Ends, encode_source, padded
from gpt.errors import CheckpointError, ConfigError
from gpt.model.seq2seq import Seq2Seq

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer

EXTRA = 50
"""Tokens that a target may have more than its source (Vaswani 2017, section 6.1)."""
AT_ONCE = 64
"""Most hypotheses that are extended at once."""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """How targets are searched."""

    beams: int = 1
    """Hypotheses that are extended at a time; 1 takes the likeliest token each time."""
    length_penalty: float = 0.6
    """Exponent of the length penalty: 0 is none, and favors short targets."""
    max_tokens: int | None = None
    """Tokens of a target at most. [default: those of its source and 50 more]"""

    def __post_init__(self) -> None:
        if self.beams < 1:
            raise ConfigError(f"beams must be at least 1; got {self.beams}")
        if not 0 <= self.length_penalty < float("inf"):
            raise ConfigError(f"length_penalty must be at least 0; got {self.length_penalty}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ConfigError(f"max_tokens must be at least 1; got {self.max_tokens}")

    def score(self, log_probability: float, tokens: int) -> float:
        """Return the score of a target of *tokens* tokens, the one that ends it included."""
        penalty: float = ((5 + tokens) / 6) ** self.length_penalty
        return log_probability / penalty


@dataclass(frozen=True)
class Hypothesis:
    """A target."""

    ids: list[int]
    """Its tokens, without the one that ends it."""
    log_probability: float
    """Sum over its tokens, the one that ends it included, in nats."""
    score: float
    """By which hypotheses are ranked."""


def translate(
    model: Seq2Seq,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    search: BeamSearch | None = None,
) -> Iterator[str]:
    """Yield the best target of each of *texts*; several are searched at once.

    Raises ConfigError for a text that is empty or longer than the context.
    """
    search, ends = search or BeamSearch(), Ends.of(tokenizer)
    sources = [encode_source(text, tokenizer, ends).tolist() for text in texts]
    for text, ids in zip(texts, sources, strict=True):
        if not text:
            raise ConfigError("the source is empty; give a text to translate")
        if len(ids) > model.context:
            raise ConfigError(
                f"the source has {len(ids)} tokens, and the model reads {model.context}; cut it"
            )
    for found in search_all(model, sources, ends, search):
        yield tokenizer.decode(found[0].ids)


def search_all(
    model: Seq2Seq, sources: Iterable[Sequence[int]], ends: Ends, search: BeamSearch
) -> Iterator[list[Hypothesis]]:
    """Yield the hypotheses of each of *sources*, ids with their end, the best first."""
    remaining = list(sources)
    size = max(1, AT_ONCE // search.beams)
    for start in range(0, len(remaining), size):
        yield from beam_search(model, remaining[start : start + size], ends, search)


@torch.inference_mode()
def beam_search(
    model: Seq2Seq, sources: Sequence[Sequence[int]], ends: Ends, search: BeamSearch
) -> list[list[Hypothesis]]:
    """Return up to *search.beams* hypotheses of each of *sources*, the best first.

    Each step extends the live hypotheses of a source by all tokens, and keeps the likeliest. One of
    the first K candidates that ends the target is finished; a search ends with K finished ones, or
    at the most tokens, where live hypotheses count as they are.
    """
    tensors = padded([torch.tensor(ids).numpy() for ids in sources], NO_TOKEN)
    cache = model.start(tensors.to(model.device))
    limits = [min(model.context, search.max_tokens or len(ids) + EXTRA) for ids in sources]
    finished: list[list[Hypothesis]] = [[] for _ in sources]
    live = [_Live(source, [], 0.0) for source in range(len(sources))]
    last = [ends.start] * len(live)
    tokens = 0
    while live:
        logits = model.step(torch.tensor(last, device=model.device)[:, None], cache)
        tokens += 1
        candidates = _candidates(logits, live, search.beams)
        kept: list[_Live] = []
        parents: list[int] = []
        for source, ranked in candidates.items():
            extended = 0
            for rank, (parent, id, log_probability) in enumerate(ranked):
                ids = live[parent].ids
                if id == ends.end:
                    if rank < search.beams:
                        score = search.score(log_probability, tokens)
                        finished[source].append(Hypothesis(ids, log_probability, score))
                elif extended < search.beams:
                    kept.append(_Live(source, [*ids, id], log_probability))
                    parents.append(parent)
                    extended += 1
        live, chosen = [], []
        for each, parent in zip(kept, parents, strict=True):
            if len(finished[each.source]) >= search.beams:
                continue
            if tokens == limits[each.source]:
                score = search.score(each.log_probability, tokens)
                finished[each.source].append(Hypothesis(each.ids, each.log_probability, score))
            else:
                live.append(each)
                chosen.append(parent)
        if live:
            cache.select(chosen)
            last = [each.ids[-1] for each in live]
    best = [sorted(found, key=lambda each: -each.score) for found in finished]
    return [found[: search.beams] for found in best]


@dataclass(frozen=True)
class _Live:
    """A hypothesis that can be extended."""

    source: int
    ids: list[int]
    log_probability: float


def _candidates(
    logits: Tensor, live: Sequence[_Live], beams: int
) -> dict[int, list[tuple[int, int, float]]]:
    """Return the likeliest 2 · *beams* extensions of each source: (hypothesis, id, log p).

    *logits* are those of *live*, (hypotheses, V). Half of the extensions can end the target, so
    that as many as there are beams remain.
    """
    log_probabilities = logits.double().log_softmax(-1)
    if log_probabilities.isnan().any():
        raise CheckpointError(
            "the model predicts NaN: its weights are damaged, or have diverged; use an earlier "
            "checkpoint"
        )
    before = torch.tensor([each.log_probability for each in live], device=logits.device)
    totals = log_probabilities + before[:, None].double()
    best = totals.topk(min(2 * beams, totals.shape[1]))
    values, indices = best.values.tolist(), best.indices.tolist()
    found: dict[int, list[tuple[int, int, float]]] = {}
    for row, each in enumerate(live):
        extensions = zip(indices[row], values[row], strict=True)
        found.setdefault(each.source, []).extend((row, id, value) for id, value in extensions)
    return {
        source: sorted(ranked, key=lambda each: -each[2])[: 2 * beams]
        for source, ranked in found.items()
    }
