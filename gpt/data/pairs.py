"""Pairs of a source and a target, such as a sentence and its translation.

A file of pairs is JSON lines, ``{"source": "ein Hund", "target": "a dog"}``. A folder of pairs,
which `gpt.data.pair_files` makes of it, has a tokenizer.json and a file for each split:
train.jsonl, and val.jsonl if some are held out.

A source ends with the token that ends a text, and so does a target. The decoder's first input is
the token that starts a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpt.data.batch import IGNORED, NO_TOKEN, Batch
from gpt.data.boundaries import Boundaries
from gpt.data.json_files import checked_text, parse_json
from gpt.errors import DataError
from pytok.counted import counted
from pytok.text import quoted
from pytok.tokenizer import Tokenizer

FIELDS = ("source", "target")


class Pair(NamedTuple):
    """A source, and the target that is to be written for it."""

    source: str
    target: str

    def to_json(self) -> bytes:
        """Return the pair as a line of a file."""
        return (json.dumps(self._asdict(), ensure_ascii=False) + "\n").encode()


def read_pairs(path: Path) -> Iterator[Pair]:
    """Yield the pairs of the JSON lines *path*.

    Raises DataError with the file, the line and the field for what is not a pair of texts that are
    not empty, and for a file without a line.
    """
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield _pair(f"{path}, line {number}", line)
    if not number:
        raise DataError(f"{path}: empty; it needs a line for each pair of a source and a target")


def count_pairs(path: Path) -> int:
    """Return the number of pairs in *path*, without reading them."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _pair(where: str, line: bytes) -> Pair:
    expected = 'expected {"source": "...", "target": "..."}'
    try:
        fields = parse_json(line)
    except ValueError as error:
        reason = "an empty line" if not line.strip() else f"not JSON: {error}"
        raise DataError(f"{where}: {reason}; {expected}") from None
    if not isinstance(fields, dict):
        raise DataError(f"{where}: {quoted(fields)} is no object; {expected}")
    for name in FIELDS:
        if name not in fields:
            raise DataError(f"{where}: no field {name}; {expected}")
        try:
            checked_text(fields[name])
        except ValueError as error:
            raise DataError(f"{where}: field {name} {error}; {expected}") from None
    return Pair(fields["source"], fields["target"])


class Ends(NamedTuple):
    """The ids between which sources and targets stand."""

    start: int
    """The decoder's first input."""
    end: int
    """The last id of sources and targets."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Ends:
        """Return those of *tokenizer*; raises DataError if it has no token that ends a text."""
        boundaries = Boundaries.of(tokenizer)
        if not boundaries.start or not boundaries.ends:
            raise DataError(
                f"{tokenizer.name}: no token ends a text, which pairs need; add the special token "
                "<|endoftext|> with `pytok train --special`, or choose another --tokenizer"
            )
        return cls(boundaries.start[0], min(boundaries.ends))


@dataclass(frozen=True, kw_only=True)
class EncodedPairs:
    """Pairs as ids, without those that are longer than a context."""

    pairs: list[Pair]
    sources: list[NDArray[np.int64]]
    """The ids of each source, with the one that ends it."""
    targets: list[NDArray[np.int64]]
    """The ids of each target, with the one that ends it."""
    ends: Ends
    omitted: int
    """Number of pairs that are longer than the context on either side."""

    @classmethod
    def open(cls, path: Path, tokenizer: Tokenizer, context: int | None = None) -> EncodedPairs:
        """Encode the pairs of the file *path*, whose sides have at most *context* tokens each.

        Raises DataError as `read_pairs` and `Ends.of` do.
        """
        pairs, ends = list(read_pairs(path)), Ends.of(tokenizer)
        sides = [_encode([pair[side] for pair in pairs], tokenizer, ends.end) for side in (0, 1)]
        most = np.inf if context is None else context
        fits = [max(map(len, both)) <= most for both in zip(*sides, strict=True)]
        kept = [index for index, each in enumerate(fits) if each]
        return cls(
            pairs=[pairs[index] for index in kept],
            sources=[sides[0][index] for index in kept],
            targets=[sides[1][index] for index in kept],
            ends=ends,
            omitted=len(pairs) - len(kept),
        )

    @property
    def num_targets(self) -> int:
        """Number of tokens of all targets."""
        return sum(map(len, self.targets))

    @property
    def bytes(self) -> int:
        """Length of all targets in UTF-8 bytes."""
        return sum(len(pair.target.encode()) for pair in self.pairs)

    @property
    def longest(self) -> int:
        """Tokens of the longest side of all pairs."""
        return max(map(len, (*self.sources, *self.targets)), default=0)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the pairs *indices*, padded to the longest among them."""
        targets = [self.targets[index] for index in indices]
        inputs = [np.concatenate(([self.ends.start], ids[:-1])) for ids in targets]
        return Batch(
            inputs=padded(inputs, 0),
            targets=padded(targets, IGNORED),
            sources=padded([self.sources[index] for index in indices], NO_TOKEN),
        )


def encode_source(text: str, tokenizer: Tokenizer, ends: Ends) -> NDArray[np.int64]:
    """Return the ids of the source *text* with the one that ends it."""
    return _encode([text], tokenizer, ends.end)[0]


def padded(rows: Sequence[NDArray[np.int64]], padding: int) -> Tensor:
    """Return *rows* of ids as a tensor (rows, longest), with *padding* after their ends."""
    joined = np.full((len(rows), max(map(len, rows))), padding, np.int64)
    for row, ids in enumerate(rows):
        joined[row, : len(ids)] = ids
    return torch.from_numpy(joined)


def _encode(texts: Sequence[str], tokenizer: Tokenizer, end: int) -> list[NDArray[np.int64]]:
    """Return the ids of each of *texts*, in which special tokens are ordinary text, and *end*."""
    ids, offsets = tokenizer.encode_utf8([text.encode() for text in texts])
    ids = ids.astype(np.int64)
    return [np.append(ids[start:stop], end) for start, stop in pairwise(offsets)]


class PairRows:
    """The endless sequence of training rows; a row is a batch of pairs of about one length.

    Pairs are sorted by the tokens of their targets, then of their sources, and cut into batches of
    at most *batch_tokens* tokens on either side, padding included. In each epoch all batches occur
    once, in an order of its own, and pairs of equal lengths are shuffled among the batches; both
    are sampled from (seed, epoch). The cuts depend on the lengths only, so they are the same.
    """

    def __init__(self, pairs: EncodedPairs, *, batch_tokens: int, seed: int) -> None:
        """Cut *pairs* into batches; raises DataError if there are none."""
        if not pairs.pairs:
            raise DataError(
                f"no pair is left to train on: {counted(pairs.omitted, 'pair')} longer than the "
                "model's context; raise --context"
            )
        self.pairs, self.seed = pairs, seed
        self._lengths = lengths_of(pairs)
        self._cuts = cut(self._lengths[by_length(self._lengths)], batch_tokens)
        self.per_epoch = len(self._cuts) - 1
        self._epoch: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1 as one batch."""
        members = [self.members(row) for row in range(first, first + count)]
        return self.pairs.batch(np.concatenate(members).tolist())

    def members(self, row: int) -> NDArray[np.int64]:
        """Return the indices of the pairs of *row*."""
        epoch, index = divmod(row, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            shuffled = rng.permutation(len(self._lengths))
            order = shuffled[by_length(self._lengths[shuffled])]
            self._epoch = epoch, order, rng.permutation(self.per_epoch)
        _, order, batches = self._epoch
        cut = batches[index]
        return order[self._cuts[cut] : self._cuts[cut + 1]]


def evaluation_batches(pairs: EncodedPairs, batch_tokens: int) -> Iterator[Batch]:
    """Yield all of *pairs* once, the shortest first, in batches of at most *batch_tokens*."""
    lengths = lengths_of(pairs)
    order = by_length(lengths)
    cuts = cut(lengths[order], batch_tokens)
    for start, stop in pairwise(cuts):
        yield pairs.batch(order[start:stop].tolist())


def lengths_of(pairs: EncodedPairs) -> NDArray[np.int64]:
    """Return the tokens of the target and the source of each of *pairs*, (n, 2)."""
    sides = zip(pairs.targets, pairs.sources, strict=True)
    return np.array([(len(target), len(source)) for target, source in sides], np.int64)


def by_length(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of *lengths* (n, 2), shortest targets first; ties stay as they are."""
    return np.lexsort((lengths[:, 1], lengths[:, 0]))


def cut(lengths: NDArray[np.int64], batch_tokens: int) -> list[int]:
    """Return where batches of the sorted *lengths* (n, 2) begin, and the end of the last.

    >>> cut(np.array([[2, 3], [2, 4], [3, 3], [5, 5]]), 8)
    [0, 2, 3, 4]
    """
    cuts, longest = [0], 0
    for index, length in enumerate(lengths.max(1).tolist()):
        longest = max(longest, length)
        if index > cuts[-1] and longest * (index + 1 - cuts[-1]) > batch_tokens:
            cuts.append(index)
            longest = length
    return [*cuts, len(lengths)]
