"""BPEDropout: tokens replaced at random by pairs of tokens that spell the same.

A text has many spellings in tokens, and a tokenizer finds one. A model that sees others as well
learns what tokens are made of, and cannot learn little text by heart so soon. BPE-dropout leaves
out merges while a text is encoded (Provilkov 2020, arXiv:1910.13267); this works on ids, as
StochasTok does (Sims 2025, arXiv:2506.01687): it needs no text, and is a function of a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNCHANGED = 0.25
"""Share of windows whose spelling is left. A model tells by a window's beginning of which kind it
is, so in the spelling that texts have it loses few probabilities to others."""


class BPEDropout:
    """Which pairs of tokens spell each token of a vocabulary."""

    def __init__(self, ids: Mapping[bytes, int], vocab_size: int, probability: float) -> None:
        """Take the *ids* of all tokens that text is made of, so not of special ones.

        *probability* is that of a token to be replaced.
        """
        self._probability = probability
        spellings: list[list[tuple[int, int]]] = [[] for _ in range(vocab_size)]
        for token, id in ids.items():
            halves = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
            spellings[id] = [(ids[a], ids[b]) for a, b in halves if a in ids and b in ids]
        pairs = [pair for found in spellings for pair in found]
        self._pairs = np.array(pairs, np.int64).reshape(-1, 2)
        self._begins = np.cumsum([0, *map(len, spellings)])
        """Where the pairs of each id begin; they end where the next one's begin."""

    def retokenize(
        self, ids: NDArray[Any], draw: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Replace some of *ids* that have pairs by one of these, drawn from all alike.

        The two are replaced so, too, and so on; a share `UNCHANGED` of windows stays as it is. Returns
        the ids, at least as many, and of each the place of the one that it came from.
        """
        probability = 0.0 if draw.random() < UNCHANGED else self._probability
        spelled, positions = ids.astype(np.int64), np.arange(len(ids))
        fresh = np.ones(len(ids), bool)
        while fresh.any():
            begins = self._begins[spelled]
            pairs = self._begins[spelled + 1] - begins
            hit = fresh & (pairs > 0) & (draw.random(len(spelled)) < probability)
            which = begins[hit] + draw.integers(pairs[hit])
            wide = np.where(hit, 2, 1)
            lefts = (wide.cumsum() - wide)[hit]
            spelled, positions, fresh = (np.repeat(old, wide) for old in (spelled, positions, hit))
            spelled[lefts], spelled[lefts + 1] = self._pairs[which].T
        return spelled, positions
