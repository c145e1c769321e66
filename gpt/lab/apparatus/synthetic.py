"""Synthetic tasks of MAD (Poli 2024, arXiv:2403.17844), in small: rows of ids with targets.

Each is a function of a generator, rows and tokens. Targets are those of `gpt.data.batch.Batch`:
`IGNORED` where nothing can be known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from gpt.data.batch import IGNORED

KEYS, VALUES = 8, 8
"""Ids of keys are from 0, those of values follow."""
NOISE = 8
"""Ids of noise, after values."""
BLANK, COPY = KEYS + VALUES + NOISE, KEYS + VALUES + NOISE + 1
VOCAB = 2 * 64
"""Ids of all tasks; half of them are keys to memorize, half values."""
Rows: TypeAlias = tuple[Tensor, Tensor]
Task: TypeAlias = Callable[[np.random.Generator, int, int], Rows]


def recall(rng: np.random.Generator, rows: int, tokens: int, noise: float = 0.0) -> Rows:
    """Return pairs of a key and its value in the row; values of keys seen before are targets.

    A fraction *noise* of the pairs is noise instead.
    """
    value_of = KEYS + rng.integers(VALUES, size=(rows, KEYS))
    keys = rng.integers(KEYS, size=(rows, tokens // 2))
    values = np.take_along_axis(value_of, keys, 1)
    seen = (keys[:, :, None] == keys[:, None]) & np.tri(tokens // 2, k=-1, dtype=bool)
    noisy = rng.random(keys.shape) < noise
    known = (seen & ~noisy[:, None]).any(-1) & ~noisy
    random = KEYS + VALUES + rng.integers(NOISE, size=(2, *keys.shape))
    pairs = np.stack((np.where(noisy, random[0], keys), np.where(noisy, random[1], values)), -1)
    targets = np.stack((np.where(known, values, IGNORED), np.full(keys.shape, IGNORED)), -1)
    return _rows(pairs.reshape(rows, -1), targets.reshape(rows, -1))


def noisy_recall(rng: np.random.Generator, rows: int, tokens: int) -> Rows:
    """Return `recall` with a fifth of the pairs noise."""
    return recall(rng, rows, tokens, noise=0.2)


def fuzzy_recall(rng: np.random.Generator, rows: int, tokens: int) -> Rows:
    """Return keys and values of 1 to 3 tokens, four pairs a row; repeated values are targets."""
    ids, targets = np.zeros((2, rows, tokens + 6), dtype=np.int64)
    for row in range(rows):
        pairs = [
            (rng.integers(KEYS, size=rng.integers(1, 4)), KEYS + rng.integers(VALUES, size=width))
            for width in rng.integers(1, 4, size=4)
        ]
        written, seen = 0, set()
        while written < tokens:
            pair = int(rng.integers(len(pairs)))
            key, value = pairs[pair]
            both = np.concatenate((key, value))
            ids[row, written : written + len(both)] = both
            known = np.full(len(both), IGNORED)
            if pair in seen:
                known[len(key) - 1 : -1] = value  # the token before each of the value's
            targets[row, written : written + len(both)] = known
            written += len(both)
            seen.add(pair)
    return _rows(ids[:, :tokens], targets[:, :tokens])


def selective_copying(rng: np.random.Generator, rows: int, tokens: int) -> Rows:
    """Return ids among blanks, and blanks after a mark, whose targets are those ids in order."""
    count = tokens // 8
    before = tokens - count - 1
    copied = rng.integers(KEYS + VALUES, size=(rows, count))
    ids = np.full((rows, tokens), BLANK)
    chosen = np.sort(rng.random((rows, before)).argsort(1)[:, :count], 1)
    np.put_along_axis(ids, chosen, copied, 1)
    ids[:, before] = COPY
    targets = np.full((rows, tokens), IGNORED)
    targets[:, before + 1 :] = copied
    return _rows(ids, targets)


def memorization(rng: np.random.Generator, rows: int, tokens: int) -> Rows:
    """Return keys whose values are targets, by a map that is the same in all rows."""
    value_of = VOCAB // 2 + np.random.default_rng(0).permutation(VOCAB // 2)
    keys = rng.integers(VOCAB // 2, size=(rows, tokens))
    return _rows(keys, value_of[keys])


def compression(rng: np.random.Generator, rows: int, tokens: int) -> Rows:
    """Return random ids, which are to be read from what is known after the last: all targets."""
    ids = rng.integers(KEYS + VALUES, size=(rows, tokens // 4))
    return _rows(ids, ids)


TASKS: dict[str, Task] = {
    "recall": recall,
    "noisy recall": noisy_recall,
    "fuzzy recall": fuzzy_recall,
    "selective copying": selective_copying,
    "memorization": memorization,
    "compression": compression,
}


class Decoder(nn.Module):
    """Reads all tokens of a row from the last hidden state alone: compression."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(tokens, width))
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, VOCAB)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits (B, T, V) from *hidden* (B, T, width)."""
        logits: Tensor = self.layers(hidden[:, -1:] + self.positions[: hidden.shape[1]])
        return logits


def _rows(ids: np.ndarray, targets: np.ndarray) -> Rows:
    return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(targets.astype(np.int64))
