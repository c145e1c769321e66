"""Batches from token shards: a pure function of (seed, row), so a run resumes without a state file.

A row is a window of the split: *context* input ids, and the same window moved by one as targets.
Windows cross document boundaries, and can say where those are. Ids are int64 tensors on the CPU.
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
from gpt.errors import ConfigError, DataError
from pytok import corpus
from pytok.counted import counted
from pytok.errors import CorpusError, PytokError, ShardError
from pytok.shards import Shards, open_shards, write
from pytok.tokenizer import Tokenizer

__all__ = [
    "Shards",
    "Tokens",
    "TrainingRows",
    "check_ids",
    "evaluation_batches",
    "offering_shards",
    "open_bpe_dropout",
    "open_data",
    "open_split",
    "open_split_or_text",
]


MANY_IDS = 1 << 20
"""Ids without a token that a vocabulary can have; the largest published ones have 300,000 ids."""


class Tokens(Protocol):
    """The token ids of one split, as `pytok.shards` opens it."""

    @property
    def bytes(self) -> int:
        """Length of the text in UTF-8 bytes."""

    @property
    def document_ends(self) -> NDArray[np.int64]:
        """Positions at which documents end, ascending: (documents,)."""

    def __len__(self) -> int:
        """Number of tokens."""

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the ids at positions *start* to *stop* - 1."""


def open_data(folder: Path, *, fingerprint: str | None = None) -> Shards:
    """Open the shards in *folder*.

    Raises DataError if they are missing or damaged, or were written with another tokenizer than the
    one with *fingerprint*, or with one whose ids a model cannot have (`check_dense`).
    """
    try:
        shards = open_shards(folder)
        if fingerprint is not None:
            shards.check(fingerprint)
        if shards.vocab_size > MANY_IDS:
            check_dense(Tokenizer.load(shards.folder / "tokenizer.json"))
    except (PytokError, OSError) as error:
        raise DataError(str(error)) from error
    return shards


def check_dense(tokenizer: Tokenizer) -> None:
    """Raise DataError if most ids of *tokenizer* stand for no token, as with a special id far away.

    A model has a row for each id.
    """
    tokens = len(tokenizer.vocab) + len(tokenizer.added_tokens)
    if tokenizer.n_vocab > 2 * tokens + MANY_IDS:
        raise DataError(
            f"{tokenizer.name}: the greatest id is {tokenizer.n_vocab - 1:,}, of only "
            f"{counted(tokens, 'token')}, and a model has a row for each id; give its special "
            "tokens the ids after the others, and write the shards again"
        )


def open_split(shards: Shards, name: str) -> Tokens:
    """Return the split *name* of *shards*.

    Raises DataError if there is no such split, or if it has no text: third-party token files can
    consist of end-of-text tokens only, and bits per byte need bytes.
    """
    if name not in shards.splits:
        raise DataError(
            f"{shards.folder}: no split called {name}; it has {', '.join(shards.splits)}: choose "
            "one (--split)"
        )
    split = shards.splits[name]
    if not split.bytes:
        raise DataError(
            f"{shards.folder}: the split {name} has no text, only end-of-text tokens; use "
            "data with text"
        )
    return split


def check_ids(shards: Shards, vocab_size: int | None = None) -> None:
    """Raise DataError, with the file, if an id in *shards* is not one of their tokenizer's.

    It has *vocab_size* ids, by default as many as the shards say. All ids are read once: a damaged
    one would else be found when its row is drawn, hours later.
    """
    try:
        for split in shards.splits.values():
            split.check_ids(vocab_size or shards.vocab_size)
    except ShardError as error:
        raise DataError(error.message) from error


def open_bpe_dropout(shards: Shards, probability: float) -> BPEDropout:
    """Build BPE dropout with *probability* from the tokenizer of *shards*."""
    tokenizer = Tokenizer.load(shards.folder / "tokenizer.json")
    return BPEDropout(tokenizer.vocab, shards.vocab_size, probability)


@contextmanager
def open_split_or_text(
    data: Path | None, name: str, tokenizer: Callable[[], Tokenizer], fingerprint: str
) -> Iterator[Tokens]:
    """Open the tokens to evaluate on: the split *name* of the shard folder *data*, or a text file.

    A file of any kind that `pytok shard` reads is tokenized as a whole with *tokenizer*, into
    temporary shards. Raises DataError for shards of another tokenizer than the one with
    *fingerprint*, if *data* is None, and for text that cannot be read.
    """
    if data is None:
        raise DataError(
            "the model was imported and has no data of its own; pass --data: a text or shards"
        )
    if not data.is_file():
        shards = open_data(data, fingerprint=fingerprint)
        check_ids(shards, tokenizer().n_vocab)
        yield open_split(shards, name)
        return
    with tempfile.TemporaryDirectory() as folder:
        with offering_shards():
            made = write(data, tokenizer(), Path(folder) / "shards", val=0)
        yield made.splits["train"]


@contextmanager
def offering_shards() -> Iterator[None]:
    """Turn CorpusError into a DataError whose advice fits the options of gpt."""
    try:
        yield
    except CorpusError as error:
        instead = (
            "pass --data the folder that `pytok shard --errors replace` makes from it; if it holds "
            "token ids, its name must end in .bin"
        )
        raise DataError(error.message.replace(corpus.REPLACE, instead)) from error


class TrainingRows:
    """The endless sequence of training rows of *tokens*.

    An epoch is a permutation of windows, each of which starts *context* - *overlap* tokens after
    the one before it in the split: without an overlap no token repeats within an epoch. Each epoch
    has its own permutation and its own offset of the first window, both sampled from (seed, epoch),
    so windows are cut differently every time. Fewer than two windows of tokens, at both ends of the
    split, are omitted from an epoch.
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
        overlap: int = 0,
    ) -> None:
        """Cut *tokens* into windows; with *document_mask*, batches carry document ids.

        With *bpe_dropout*, some tokens are split at random. Raises DataError if the tokens do not
        fill one window, ConfigError for an *overlap* of a whole window.
        """
        if not 0 <= overlap < context:
            raise ConfigError(f"overlap must be below the {context} tokens of a row; got {overlap}")
        if len(tokens) < context + 1:
            raise DataError(
                f"the training split has {counted(len(tokens), 'token')}, and a window of context "
                f"{context} needs {context + 1:,}; use more text, or shorter windows: --context of "
                "`gpt train`, --row-length of `gpt tune`"
            )
        self.tokens = tokens
        self.context = context
        self.vocab_size = vocab_size
        self.seed = seed
        self.document_mask = document_mask
        self.bpe_dropout = bpe_dropout
        self.stride = context - overlap
        """Tokens from the start of a window to that of the next one in the split."""
        self.per_epoch = max(1, (len(tokens) - context) // self.stride)
        self._epoch: tuple[int, NDArray[Any]] | None = None

    def batch(self, first: int, count: int) -> Batch:
        """Return rows *first* to *first* + *count* - 1, each of *context* tokens."""
        windows = [self._window(row) for row in range(first, first + count)]
        ids, positions = map(np.stack, zip(*windows, strict=True))
        document_ids = None
        if self.document_mask:
            document_ids = _document_ids(self.tokens, positions[:, :-1])
        return _batch(ids, self.vocab_size, document_ids)

    def _window(self, row: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return context + 1 ids from the start of *row*, and their positions in the split."""
        start, size = self.start(row), self.context + 1
        ids, positions = self.tokens.read(start, start + size), np.arange(start, start + size)
        if self.bpe_dropout is None:
            return ids, positions
        # Three numbers: no epoch, which has two, shares this random state.
        rng = np.random.default_rng((self.seed, row, 1))
        ids, sources = self.bpe_dropout.retokenize(ids, rng)
        return ids[:size], positions[sources[:size]]

    def start(self, row: int) -> int:
        """Return the position in the split at which *row* starts."""
        epoch, index = divmod(row, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            last = self.stride * (self.per_epoch - 1)
            slack = len(self.tokens) - 1 - self.context - last
            offset = rng.integers(min(slack + 1, self.stride))
            starts = offset + self.stride * rng.permutation(self.per_epoch)
            self._epoch = (epoch, starts)
        return int(self._epoch[1][index])


def evaluation_batches(
    tokens: Tokens,
    *,
    context: int,
    vocab_size: int,
    rows: int,
    document_mask: bool = False,
    stride: int | None = None,
) -> Iterator[Batch]:
    """Yield all of *tokens* once, in order, in batches of at most (rows, context).

    Every token except the first is a target exactly once. It is predicted from what precedes it in
    its window, or with *document_mask* in its document there; the last window can be shorter. A
    window starts *stride* tokens after the previous one (default: context, so at its end), and
    targets that the previous one had are `IGNORED`: from the second window on, a target has at
    least context - stride tokens before it. Raises DataError for fewer than two tokens, and for a
    *stride* that is not from 1 to *context*.
    """
    stride = context if stride is None else stride
    if not 1 <= stride <= context:
        raise DataError(f"stride must be from 1 to the model's context, {context}; got {stride}")
    last = len(tokens) - 1
    if last < 1:
        raise DataError(f"a split of {counted(len(tokens), 'token')} leaves nothing to predict")
    full = max(0, (last - context) // stride + 1)  # windows of a whole context
    spans = [
        (first * stride, min(first + rows, full) * stride - stride + context)
        for first in range(0, full, rows)
    ]
    predicted = spans[-1][1] if spans else 0
    if predicted < last:
        spans.append((full * stride, last))
    for start, stop in spans:
        length = min(context, stop - start)
        windows = sliding_window_view(tokens.read(start, stop + 1), length + 1)[::stride]
        positions = sliding_window_view(np.arange(start, stop), length)[::stride]
        document_ids = _document_ids(tokens, positions) if document_mask else None
        batch = _batch(windows, vocab_size, document_ids)
        starts = positions[:, :1]
        repeated = (positions < starts - stride + context) & (starts > 0)
        yield batch._replace(targets=batch.targets.masked_fill(torch.from_numpy(repeated), IGNORED))


def _document_ids(tokens: Tokens, positions: NDArray[np.int64]) -> Tensor:
    """Return the document of the token at each of *positions* of the split: int64, same shape."""
    return torch.from_numpy(np.searchsorted(tokens.document_ends, positions, side="right"))


def _batch(windows: NDArray[Any], vocab_size: int, document_ids: Tensor | None) -> Batch:
    """Split windows (B, T + 1) into inputs and targets, (B, T) each."""
    ids = torch.from_numpy(windows.astype(np.int64))
    largest = int(ids.max())
    if largest >= vocab_size:
        raise DataError(
            f"the shards contain id {largest}, and the model has ids 0 to {vocab_size - 1}; "
            "they were written with another tokenizer, or are damaged: write them again"
        )
    return Batch(ids[:, :-1], ids[:, 1:], document_ids)
