"""The figures of a report: what a tokenizer is made of, and how it serves a corpus.

They can be used without the page: `Figures` and `Usage` are plain data, and `Figures.as_dict` is
what ``pytok show --json`` prints.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytok import corpus
from pytok.corpus import Source
from pytok.engine import check_threads
from pytok.patterns import can_cut
from pytok.report.excerpts import Excerpts
from pytok.report.merging import BYTES, Counts, applications, tokens_by_size, unmade
from pytok.report.scripts import ScriptTally, ScriptUse
from pytok.tokenizer import Tokenizer

Ids = npt.NDArray[Any]

Progress = Callable[[int, int], object]
"""Told how many bytes on disk are done, and of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """How a tokenizer serves a corpus; special tokens in it are ordinary text."""

    files: tuple[str, ...]
    documents: int
    uses: Counts
    """How often each token of `Tokenizer.vocab` occurs, shape (tokens,), in rank order."""
    bytes: int
    """Of text, in UTF-8."""
    tokens_by_size: Counts | None
    """Element n: how many tokens the corpus has in the vocabulary of the first 256 + n tokens.

    ``None`` where a smaller vocabulary is not the beginning of this one (`Figures.unmade`)."""
    inner: int | None
    """How many tokens occur only as parts of longer ones; ``None`` as before."""
    scripts: tuple[ScriptUse, ...]
    """The script with the most bytes first; they add up to the corpus."""
    excerpts: tuple[str, ...]
    """Some stretches of the corpus, evenly spread."""

    @property
    def tokens(self) -> int:
        """How many there are in all."""
        return int(self.uses.sum())

    @property
    def bytes_per_token(self) -> float:
        """How well the corpus is compressed; 0 if it is empty."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def unused(self) -> int:
        """How many tokens of the vocabulary never occur."""
        return int(np.count_nonzero(self.uses == 0))

    def tokens_at(self, size: int) -> int:
        """How many tokens the corpus has in the vocabulary of the first *size* tokens.

        Special tokens are not counted in *size*. ValueError for a size that is not from 256 to that
        of the vocabulary, and where `tokens_by_size` is ``None``.
        """
        if self.tokens_by_size is None:
            raise ValueError("smaller vocabularies are not beginnings of this one")
        if not BYTES <= size < BYTES + len(self.tokens_by_size):
            greatest = BYTES + len(self.tokens_by_size) - 1
            raise ValueError(f"a vocabulary of {size} tokens is not from {BYTES} to {greatest}")
        return int(self.tokens_by_size[size - BYTES])


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What a report tells; `usage` is ``None`` without a corpus."""

    tokenizer: Tokenizer
    tokens: Sequence[bytes]
    """In rank order, without special tokens."""
    unmade: tuple[bytes, ...]
    """The tokens beyond the bytes that no merge of two tokens of lower rank makes."""
    usage: Usage | None

    @property
    def lengths(self) -> Counts:
        """Each token's length in bytes, shape (tokens,), in rank order."""
        return np.fromiter(map(len, self.tokens), dtype=np.int64, count=len(self.tokens))

    @property
    def tokens_by_length(self) -> tuple[int, ...]:
        """How many tokens have 0, 1, 2 ... bytes."""
        return tuple(np.bincount(self.lengths).tolist())

    @property
    def uses_by_length(self) -> tuple[int, ...]:
        """How many tokens of the corpus have 0, 1, 2 ... bytes; none without a corpus."""
        if self.usage is None:
            return ()
        uses = np.zeros(len(self.tokens_by_length), dtype=np.int64)
        np.add.at(uses, self.lengths, self.usage.uses)
        return tuple(uses.tolist())

    def sizes(self) -> list[int]:
        """The powers of two that are smaller vocabularies, and the whole, from 256 on."""
        whole = len(self.tokens)
        return [*(1 << bits for bits in range(8, math.ceil(math.log2(whole)))), whole]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON has them; ``tokens_by_size`` at `sizes` only."""
        figures: dict[str, Any] = {"tokens_by_length": self.tokens_by_length, "corpus": None}
        if (usage := self.usage) is not None:
            by_size = None
            if usage.tokens_by_size is not None:
                by_size = {size: usage.tokens_at(size) for size in self.sizes()}
            figures["corpus"] = {
                "files": usage.files,
                "documents": usage.documents,
                "bytes": usage.bytes,
                "tokens": usage.tokens,
                "bytes_per_token": usage.bytes_per_token,
                "unused_tokens": usage.unused,
                "only_in_longer_tokens": usage.inner,
                "uses_by_length": self.uses_by_length,
                "tokens_by_size": by_size,
                "scripts": [asdict(script) for script in usage.scripts],
            }
        return figures


def measure(
    tokenizer: Tokenizer,
    source: Source | None = None,
    *,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Figures:
    """The figures of *tokenizer*, and how it serves the corpus in *source*, if there is one.

    *source*, *field*, *errors* and *separator* are those of `pytok.corpus.read_parts`. The corpus
    is read and encoded once, on *num_threads* threads (all cores if ``None``), in memory that does
    not grow with it. Raises CorpusError for what cannot be read, PatternError for text on which a
    custom pattern fails.
    """
    check_threads(num_threads)
    tokens = list(tokenizer.vocab)
    merges = tokenizer._core.merges()
    figures = Figures(tokenizer, tokens, unmade(tokens, merges), None)
    if source is None:
        return figures
    paths = corpus.resolve(source)
    total = corpus.size(paths)
    rank_of = _rank_of(tokenizer)
    uses = np.zeros(len(tokens), dtype=np.int64)
    lengths = figures.lengths
    scripts, excerpts = ScriptTally(), Excerpts(total)
    documents = read = 0
    parts = corpus.read_parts(
        paths, field=field, errors=errors, separator=separator, cut=can_cut(tokenizer.pattern)
    )
    for batch in corpus.batches(parts, lambda part: len(part.text)):
        ids, offsets = tokenizer.encode_batch_to_numpy(
            [part.text for part in batch], num_threads=num_threads, disallowed_special=()
        )
        ranks = rank_of(ids)
        uses += np.bincount(ranks, minlength=len(tokens))
        for part, start, stop in zip(batch, offsets, offsets[1:], strict=False):
            scripts.add(part.text, lengths[ranks[start:stop]], ends_document=part.ends_document)
            excerpts.add(part)
            documents += part.ends_document
            read += part.read
        if progress is not None:
            progress(read, total)
    text_bytes = int(uses @ lengths)
    by_size = inner = None
    if not figures.unmade:
        applied = applications(uses, merges)
        by_size = tokens_by_size(text_bytes, applied)
        inner = int(np.count_nonzero((uses == 0) & (applied > 0)))
    usage = Usage(
        files=tuple(map(str, paths)),
        documents=documents,
        uses=uses,
        bytes=text_bytes,
        tokens_by_size=by_size,
        inner=inner,
        scripts=scripts.rows(),
        excerpts=tuple(excerpts.texts),
    )
    return Figures(tokenizer, tokens, figures.unmade, usage)


def _rank_of(tokenizer: Tokenizer) -> Callable[[Ids], Ids]:
    """What gives the ranks of ids, which need be neither in rank order nor dense."""
    ids = np.array(list(tokenizer.vocab.values()))
    if np.array_equal(ids, np.arange(len(ids))):
        return lambda found: found
    order = np.argsort(ids)
    return lambda found: order[np.searchsorted(ids, found, sorter=order)]
