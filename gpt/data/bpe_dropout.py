"""BPE dropout: tokens are replaced at random by pairs of tokens with the same bytes.

A text has many tokenizations, and a tokenizer produces one of them. A model that sees others, too,
learns what tokens are made of and overfits a small corpus later. BPE-dropout omits merges while a
text is encoded (Provilkov 2020, arXiv:1910.13267). This works on ids instead, as StochasTok does
(Sims 2025, arXiv:2506.01687): it needs no text, and is a function of a window of ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNCHANGED = 0.25
"""Fraction of windows that keep the tokenizer's ids. The start of a window shows the model which
kind it is, so on ordinary text it spends little probability on other tokenizations."""


class BPEDropout:
    """The pairs of tokens that each token of a vocabulary can be split into."""

    def __init__(self, ids: Mapping[bytes, int], vocab_size: int, probability: float) -> None:
        """Collect the pairs from *ids*, the ordinary tokens (no special ones).

        *probability* is that of splitting a token.
        """
        self._probability = probability
        splits: list[list[tuple[int, int]]] = [[] for _ in range(vocab_size)]
        for token, id in ids.items():
            halves = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
            splits[id] = [(ids[a], ids[b]) for a, b in halves if a in ids and b in ids]
        pairs = [pair for found in splits for pair in found]
        self._pairs = np.array(pairs, np.int64).reshape(-1, 2)
        self._offsets = np.cumsum([0, *map(len, splits)])
        """Pairs of the token with id i: rows offsets[i] to offsets[i + 1] of `_pairs`."""

    def retokenize(
        self, ids: NDArray[Any], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Split tokens of *ids* at random; the two halves can be split again.

        A token's pair is chosen uniformly. A fraction `UNCHANGED` of calls changes nothing. Returns
        the new ids, at least as many, and for each the index of the token that it came from.
        """
        probability = 0.0 if rng.random() < UNCHANGED else self._probability
        tokens, sources = ids.astype(np.int64), np.arange(len(ids))
        new = np.ones(len(ids), bool)
        while new.any():
            # Only tokens that the last round produced are up for splitting, so each is tried once.
            offsets = self._offsets[tokens]
            pairs = self._offsets[tokens + 1] - offsets
            split = new & (pairs > 0) & (rng.random(len(tokens)) < probability)
            chosen = offsets[split] + rng.integers(pairs[split])
            widths = np.where(split, 2, 1)
            lefts = (widths.cumsum() - widths)[split]
            tokens, sources, new = (np.repeat(each, widths) for each in (tokens, sources, split))
            tokens[lefts], tokens[lefts + 1] = self._pairs[chosen].T
        return tokens, sources
