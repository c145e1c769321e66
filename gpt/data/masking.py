"""Masked rows: some tokens are hidden, and are the targets (Devlin 2018, arXiv:1810.04805).

Of the tokens that are chosen, most become the mask token, some a random token, and some stay. Which
ones is a pure function of (seed, row), so a run resumes without a state file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, Batch, Rows
from gpt.data.shards import open_data
from gpt.errors import DataError
from gpt.spec.objective import MaskedLM
from pytok.shards import Shards
from pytok.tokenizer import Tokenizer

MASK = "<|mask|>"
"""The mask token of a tokenizer without one."""
MASKS = ("[MASK]", "<mask>", MASK)
"""Special tokens that are mask tokens, such as those of BERT and RoBERTa."""
EVALUATION = 2**31
"""Stands for the seed of a run in evaluations, whose masks are always the same."""


def with_mask(tokenizer: Tokenizer) -> Tokenizer:
    """Return *tokenizer* with a mask token: its own, or else `MASK` as one more special token."""
    if any(text in tokenizer.special_tokens for text in MASKS):
        return tokenizer
    return tokenizer.with_special_tokens([MASK])


def mask_text(tokenizer: Tokenizer) -> str:
    """Return the text of the mask token of *tokenizer*, which `with_mask` has returned."""
    return next(text for text in MASKS if text in tokenizer.special_tokens)


def open_run_data(folder: Path, objective: object, fingerprint: str) -> Shards:
    """Open the shards *folder* of a run with *objective*, whose tokenizer has *fingerprint*.

    That of a masked language model has a mask token besides. Raises DataError as `open_data` does.
    """
    if not isinstance(objective, MaskedLM):
        return open_data(folder, fingerprint=fingerprint)
    shards = open_data(folder)
    tokenizer = with_mask(Tokenizer.load(shards.folder / "tokenizer.json"))
    if tokenizer.fingerprint != fingerprint:
        raise DataError(f"{folder}: written with another tokenizer than that of the run")
    return shards


class Masking:
    """Replaces tokens of rows by the mask token of a tokenizer."""

    def __init__(self, spec: MaskedLM, tokenizer: Tokenizer) -> None:
        """Mask as *spec* says. *tokenizer* has a mask token; no special token is chosen."""
        special: Collection[int] = tokenizer.special_tokens.values()
        self.spec, self.mask_id = spec, tokenizer.special_tokens[mask_text(tokenizer)]
        self._special = np.array(sorted(special), np.int64)
        self._others = np.setdiff1d(np.arange(tokenizer.n_vocab), self._special)
        """What a random token is drawn from."""

    def apply(self, batch: Batch, seed: int, first: int) -> Batch:
        """Return *batch*, rows *first* and after, with masks that follow from (seed, row).

        A row has at least one target, unless all of its tokens are special.
        """
        ids = batch.inputs.numpy()
        inputs, targets = ids.copy(), np.full_like(ids, IGNORED)
        for index, row in enumerate(ids):
            # Four numbers: rows of shards have two or three, and share no random state with these.
            rng = np.random.default_rng((seed, first + index, 0, 2))
            self._mask(row, rng, inputs[index], targets[index])
        return batch._replace(inputs=torch.from_numpy(inputs), targets=torch.from_numpy(targets))

    def _mask(
        self,
        row: NDArray[np.int64],
        rng: np.random.Generator,
        inputs: NDArray[np.int64],
        targets: NDArray[np.int64],
    ) -> None:
        """Choose tokens of *row*, and write them to *targets* and what hides them to *inputs*."""
        candidates = np.flatnonzero(~np.isin(row, self._special))
        count = min(len(candidates), max(1, round(self.spec.rate * len(candidates))))
        chosen = rng.permutation(candidates)[:count]
        hidden, uniform = np.full(count, self.mask_id), rng.random(count)
        drawn = self._others[rng.integers(len(self._others), size=count)]
        is_kept = uniform < self.spec.keep
        is_random = ~is_kept & (uniform < self.spec.keep + self.spec.random)
        hidden[is_random], hidden[is_kept] = drawn[is_random], row[chosen][is_kept]
        inputs[chosen], targets[chosen] = hidden, row[chosen]


class MaskedRows:
    """The rows of another sequence, masked."""

    def __init__(self, rows: Rows, masking: Masking, seed: int) -> None:
        self._rows, self._masking, self._seed = rows, masking, seed

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        return self._masking.apply(self._rows.batch(first, count), self._seed, first)


def masked_batches(batches: Iterable[Batch], masking: Masking) -> Iterator[Batch]:
    """Yield *batches* with the masks of evaluations: a function of the number of the row."""
    first = 0
    for batch in batches:
        yield masking.apply(batch, EVALUATION, first)
        first += len(batch.inputs)
