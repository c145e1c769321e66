"""Batches from token shards: a pure function of (seed, row), so a run resumes without a state file.

A row is a window of the split: *context* tokens to read, and the same moved on by one to predict.
Windows run over document borders, and say where these are if they are asked to. Ids come as int64
tensors on the CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.data.bpe_dropout import BPEDropout
from gpt.errors import DataError
from pytok import corpus
from pytok.counted import counted
from pytok.errors import CorpusError, PytokError
from pytok.shards import Shards, open_shards, write
from pytok.tokenizer import Tokenizer

__all__ = [
    "Shards",
    "Tokens",
    "TrainingRows",
    "evaluation_batches",
    "offering_shards",
    "open_bpe_dropout",
    "open_data",
    "open_split",
    "open_split_or_text",
]


class Tokens(Protocol):
    """What batches are made from: a split of `pytok.shards`."""

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of the text that the tokens spell."""

    @property
    def document_ends(self) -> NDArray[np.int64]:
        """The positions at which documents end, rising: (documents,)."""

    def __len__(self) -> int:
        """How many tokens there are."""

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the ids at positions *start* to *stop* - 1."""


def open_data(folder: Path, *, fingerprint: str | None = None) -> Shards:
    """Open the shards of *folder*; raises DataError where they are missing, damaged or unfit.

    With *fingerprint*, they must have been written with the tokenizer that has it.
    """
    try:
        shards = open_shards(folder)
        if fingerprint is not None:
            shards.check(fingerprint)
    except (PytokError, OSError) as error:
        raise DataError(str(error)) from error
    return shards


def open_split(shards: Shards, name: str) -> Tokens:
    """Return the split *name* of *shards*; DataError where there is none, or no text in it.

    Token files of others may be ends of documents alone, and bits per byte need bytes.
    """
    if name not in shards.splits:
        raise DataError(
            f"{shards.folder}: no split called {name}; it has {', '.join(shards.splits)}"
        )
    split = shards.splits[name]
    if not split.bytes:
        raise DataError(
            f"{shards.folder}: the split {name} has no text, only ends of documents; use data that "
            "has some"
        )
    return split


def open_bpe_dropout(shards: Shards, probability: float) -> BPEDropout:
    """Load the other spellings of the tokens of *shards*, each token being replaced by *probability*."""
    tokenizer = Tokenizer.load(shards.folder / "tokenizer.json")
    return BPEDropout(tokenizer.vocab, shards.vocab_size, probability)


@contextmanager
def open_split_or_text(
    data: Path | None, name: str, tokenizer: Callable[[], Tokenizer], fingerprint: str
) -> Iterator[Tokens]:
    """Open what a model is measured on: the split *name* of the shard folder *data*, or a text.

    A file, of any kind that `pytok shard` takes, is tokenized with *tokenizer*, all of it, into
    shards that are gone afterwards. Raises DataError for shards of another tokenizer than that of
    *fingerprint*, and where there is no data, or text that cannot be read.
    """
    if data is None:
        raise DataError("the model was imported and knows no data; give --data: a text, or shards")
    if not data.is_file():
        yield open_split(open_data(data, fingerprint=fingerprint), name)
        return
    with tempfile.TemporaryDirectory() as folder:
        with offering_shards():
            made = write(data, tokenizer(), Path(folder) / "shards", val=0)
        yield made.splits["train"]


@contextmanager
def offering_shards() -> Iterator[None]:
    """Raise DataError for text that cannot be read, which advises what a user of gpt can do."""
    try:
        yield
    except CorpusError as error:
        instead = (
            "give --data the folder that `pytok shard --errors replace` makes of it; if it holds "
            "token ids, its name must end in .bin"
        )
        raise DataError(error.message.replace(corpus.REPLACE, instead)) from error


class TrainingRows:
    """The endless sequence of training rows of *tokens*.

    An epoch is a permutation of windows that do not overlap, so no token is seen twice before
    all were seen. Every epoch draws a new permutation and a new place for the first window to
    begin, both from (seed, epoch): the cuts fall elsewhere each time. Less than two windows of
    tokens, at the split's ends, are left out of an epoch, other ones each time.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        context: int,
        vocab_size: int,
        seed: int,
        document_mask: bool = False,
        bpe_dropout: BPEDropout | None = None,
    ) -> None:
        """Take the rows of *tokens*, which say what is of which of the *documents* if asked to.

        With *bpe_dropout*, some tokens are spelled by others. Raises DataError where the tokens do
        not fill one window.
        """
        if len(tokens) < context + 1:
            raise DataError(
                f"the training split has {counted(len(tokens), 'token')}, and a window of context "
                f"{context} needs {context + 1:,}; use more text or a smaller context"
            )
        self.tokens = tokens
        self.context = context
        self.vocab_size = vocab_size
        self.seed = seed
        self.document_mask = document_mask
        self.bpe_dropout = bpe_dropout
        self.per_epoch = max(1, (len(tokens) - context) // context)
        self._epoch: tuple[int, NDArray[Any]] | None = None

    def batch(self, first: int, count: int) -> Batch:
        """Rows *first* to *first* + *count* - 1, of context tokens each."""
        windows = [self._window(row) for row in range(first, first + count)]
        ids, positions = map(np.stack, zip(*windows, strict=True))
        documents = _documents(self.tokens, positions[:, :-1]) if self.document_mask else None
        return _batch(ids, self.vocab_size, documents)

    def _window(self, row: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The ids of *row* and one more, and the positions in the split that they are from."""
        start, size = self.start(row), self.context + 1
        ids, positions = self.tokens.read(start, start + size), np.arange(start, start + size)
        if self.bpe_dropout is None:
            return ids, positions
        draw = np.random.default_rng((self.seed, row, 1))  # those of epochs have two numbers
        spelled, among = self.bpe_dropout.retokenize(ids, draw)
        return spelled[:size], positions[among[:size]]

    def start(self, row: int) -> int:
        """Return the place in the split at which *row* begins."""
        epoch, place = divmod(row, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            draw = np.random.default_rng((self.seed, epoch))
            slack = len(self.tokens) - 1 - self.per_epoch * self.context
            shift = draw.integers(min(slack + 1, self.context))
            starts = shift + self.context * draw.permutation(self.per_epoch)
            self._epoch = (epoch, starts)
        return int(self._epoch[1][place])


def evaluation_batches(
    tokens: Tokens,
    *,
    context: int,
    vocab_size: int,
    rows: int,
    document_mask: bool = False,
    stride: int | None = None,
) -> Iterator[Batch]:
    """All of *tokens* once, in order, at most (rows, context) at a time.

    Every token but the first is a target exactly once, and reads what precedes it in its window,
    or, with *documents*, in its document there; the last window is as short as what is left. A
    window begins *stride* tokens after the one before (None: a context, so at its end), and what
    that one predicted is `IGNORED`: from the second window on, a target has at least context -
    stride tokens before it. Raises DataError below two tokens, and for a *stride* out of place.
    """
    stride = context if stride is None else stride
    if not 1 <= stride <= context:
        raise DataError(f"stride must be from 1 to the model's context, {context}; got {stride}")
    last = len(tokens) - 1
    if last < 1:
        raise DataError(f"a split of {counted(len(tokens), 'token')} leaves nothing to predict")
    whole = max(0, (last - context) // stride + 1)  # windows that are a context long
    spans = [
        (first * stride, min(first + rows, whole) * stride - stride + context)
        for first in range(0, whole, rows)
    ]
    predicted = spans[-1][1] if spans else 0
    if predicted < last:
        spans.append((whole * stride, last))
    for start, stop in spans:
        length = min(context, stop - start)
        windows = sliding_window_view(tokens.read(start, stop + 1), length + 1)[::stride]
        positions = sliding_window_view(np.arange(start, stop), length)[::stride]
        batch = _batch(
            windows, vocab_size, _documents(tokens, positions) if document_mask else None
        )
        done = positions[:, :1] - stride + context  # by the window before
        again = (positions < done) & (positions[:, :1] > 0)
        yield batch._replace(targets=batch.targets.masked_fill(torch.from_numpy(again), IGNORED))


def _documents(tokens: Tokens, positions: NDArray[np.int64]) -> Tensor:
    """Number the documents that the tokens at *positions* of the split are of: int64, their shape."""
    return torch.from_numpy(np.searchsorted(tokens.document_ends, positions, side="right"))


def _batch(windows: NDArray[Any], vocab_size: int, documents: Tensor | None) -> Batch:
    """Split windows (B, T + 1) into inputs and targets, (B, T) each."""
    ids = torch.from_numpy(windows.astype(np.int64))
    largest = int(ids.max())
    if largest >= vocab_size:
        raise DataError(
            f"the shards hold id {largest}, and the model has ids 0 to {vocab_size - 1}; "
            "they were written with another tokenizer, or are damaged: write them again"
        )
    return Batch(ids[:, :-1], ids[:, 1:], documents)
