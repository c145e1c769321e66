"""Labeled texts as training rows: a text each, padded at its end to the longest of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from gpt.data.batch import IGNORED, Batch
from gpt.data.boundaries import Boundaries
from gpt.data.labeled_texts import LabeledText
from gpt.data.pairs import padded
from gpt.errors import DataError
from pytok.tokenizer import Tokenizer

LENGTHS, LABELS = "lengths", "labels"
"""Names in `Batch.given`: the number of tokens of each row, and the index of its class; int64 (B,).
"""


@dataclass(frozen=True, kw_only=True)
class EncodedTexts:
    """Texts as ids, with the indices of their classes."""

    ids: list[NDArray[np.int64]]
    """The ids of each text, at least one, with those that start it."""
    labels: NDArray[np.int64]
    """Index of the class of each text, (n,); -1 if it is unknown."""
    bytes: int
    """Length of all texts in UTF-8 bytes."""
    padding: int
    """Id after the end of a row that is shorter than others of its batch."""
    truncated: int
    """Number of texts of which the end was cut off, because they are longer than the context."""

    @classmethod
    def of(
        cls,
        texts: Sequence[LabeledText],
        classes: Sequence[str],
        tokenizer: Tokenizer,
        *,
        context: int,
        pad_to: int | None = None,
    ) -> EncodedTexts:
        """Encode *texts*, whose special tokens are ordinary text, as rows of at most *context* ids.

        With *pad_to* all rows have so many ids: longer texts are cut, and shorter ones are filled
        with the token that ends a text. Raises DataError if the tokenizer has none, or no ids for
        an empty text. Labels that are not among *classes* become -1.
        """
        boundaries = Boundaries.of(tokenizer)
        end = min(boundaries.ends, default=None)
        most = context if pad_to is None else pad_to
        prefix = np.array(boundaries.prefix, np.int64)
        contents = [each.text.encode() for each in texts]
        found, offsets = tokenizer.encode_utf8(contents)
        found = found.astype(np.int64)
        rows: list[NDArray[np.int64]] = [
            np.concatenate((prefix, found[start:stop])) for start, stop in pairwise(offsets)
        ]
        empty = next((number for number, row in enumerate(rows, start=1) if not len(row)), None)
        if empty is not None and not boundaries.start:
            raise DataError(
                f"text {empty} is empty, and the tokenizer has no token that starts one; remove it"
            )
        rows = [row if len(row) else np.array(boundaries.start, np.int64) for row in rows]
        truncated = sum(len(row) > most for row in rows)
        rows = [row[:most] for row in rows]
        if pad_to is not None:
            if end is None:
                raise DataError(f"{tokenizer.name}: no token ends a text, so remove --pad-to")
            rows = [np.pad(row, (0, pad_to - len(row)), constant_values=end) for row in rows]
        number = {label: index for index, label in enumerate(classes)}
        return cls(
            ids=rows,
            labels=np.array([number.get(each.label, -1) for each in texts], np.int64),
            bytes=sum(map(len, contents)),
            padding=0 if end is None else end,
            truncated=truncated,
        )

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """Number of ids of all texts."""
        return sum(map(len, self.ids))

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the texts *indices*, padded to the longest among them."""
        rows = [self.ids[index] for index in indices]
        inputs = padded(rows, self.padding)
        return Batch(
            inputs=inputs,
            targets=torch.full_like(inputs, IGNORED),
            given={
                LENGTHS: torch.tensor([len(row) for row in rows]),
                LABELS: torch.from_numpy(self.labels[list(indices)]),
            },
        )

    def batches(self, rows: int) -> Iterator[tuple[list[int], Batch]]:
        """Yield each text once, the shortest first, at most *rows* at a time, with its index."""
        order = np.argsort([len(row) for row in self.ids], kind="stable").tolist()
        for first in range(0, len(order), rows):
            indices = order[first : first + rows]
            yield indices, self.batch(indices)


class LabeledRows:
    """The endless sequence of training rows: each text once in an epoch, in a new order.

    A pure function of (seed, row), like `gpt.data.shards.TrainingRows`.
    """

    def __init__(self, texts: EncodedTexts, seed: int) -> None:
        self.texts, self.seed = texts, seed
        self._epoch, self._order = -1, np.array([], np.int64)

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1."""
        return self.texts.batch([self._index(row) for row in range(first, first + count)])

    def _index(self, row: int) -> int:
        """Return the index of the text of *row*."""
        epoch, index = divmod(row, len(self.texts))
        if epoch != self._epoch:
            self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.texts))
            self._epoch = epoch
        return int(self._order[index])
