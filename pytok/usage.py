"""The use of tokens on a corpus: how often each occurs, alone and inside longer tokens."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pytok import corpus
from pytok.corpus import Part, Source
from pytok.counting import Progress
from pytok.engine import check_threads
from pytok.formats.merge_list import Merges
from pytok.tokenizer import Tokenizer

Counts = npt.NDArray[np.int64]


class Encoded(NamedTuple):
    """Some parts of a corpus, encoded."""

    parts: Sequence[Part[str]]
    ranks: npt.NDArray[np.int64]
    """The rank in `Tokenizer.vocab` of each token of all parts, shape (n,); one more than the last
    rank for an id that is not in it."""
    offsets: npt.NDArray[np.int64]
    """The ranks of part i are ``ranks[offsets[i]:offsets[i + 1]]``: shape (parts + 1,)."""


class Use(NamedTuple):
    """The use of a tokenizer on a corpus."""

    uses: Counts
    """Number of occurrences of each token of `Tokenizer.vocab`, shape (tokens,), in rank order."""
    tokens: int
    """Number of tokens in the corpus."""
    bytes: int
    """Bytes of text in UTF-8."""

    @property
    def bytes_per_token(self) -> float:
        """Compression of the corpus; 0 if it is empty."""
        return self.bytes / self.tokens if self.tokens else 0.0


def encoded(
    tokenizer: Tokenizer,
    source: Source,
    *,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Iterator[Encoded]:
    """Yield the corpus *source* in order, encoded; special tokens in it are ordinary text.

    *source* and *reading* are arguments of `pytok.corpus.read_parts`. The corpus is read once, and
    encoded on *num_threads* threads (all cores if ``None``); memory does not grow with it. Raises
    CorpusError for text that cannot be read, PatternError for text on which a custom pattern fails.
    """
    check_threads(num_threads)
    paths = corpus.resolve(source)
    total, read = corpus.size(paths), 0
    ids = np.fromiter(tokenizer.vocab.values(), dtype=np.int64, count=len(tokenizer.vocab))
    order = np.argsort(ids)
    ordered = ids[order]
    parts = corpus.read_parts(paths, cut=tokenizer.can_cut, **reading)
    for batch in corpus.batches(parts, lambda part: len(part.text)):
        found, offsets = tokenizer.encode_batch_to_numpy(
            [part.text for part in batch], num_threads=num_threads, disallowed_special=()
        )
        index = np.minimum(np.searchsorted(ordered, found), len(ids) - 1)
        ranks = np.where(ordered[index] == found, order[index], len(ids))
        yield Encoded(batch, ranks, offsets)
        read += sum(part.read for part in batch)
        if progress is not None:
            progress(read, total)


def count_uses(
    tokenizer: Tokenizer,
    source: Source,
    *,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Use:
    """Count how often each token occurs in the corpus *source*; the arguments are as in `encoded`.

    Special tokens in the corpus are ordinary text.
    """
    count = len(tokenizer.vocab)
    uses, size = np.zeros(count + 1, dtype=np.int64), 0
    for batch in encoded(
        tokenizer,
        source,
        num_threads=num_threads,
        progress=progress,
        **reading,
    ):
        uses += np.bincount(batch.ranks, minlength=count + 1)
        size += sum(len(part.text.encode()) for part in batch.parts)
    return Use(uses[:count], int(uses.sum()), size)


def applications(uses: Counts, lengths: Counts, merges: Merges) -> Counts:
    """Return how often each token occurs, the longer tokens that it is a part of included.

    The tokens of a text are the roots of trees: a token was merged from two tokens, and each of
    these from two, down to the bytes. The result is the number of nodes of each token in all trees,
    which for a merged token is how often its merge was applied. *uses* are the occurrences in the
    encoded corpus, *lengths* the bytes of each token; all arguments are in rank order.

    >>> merges = [None] * 256 + [(71, 68), (83, 256)]  # h + e, t + he
    >>> uses = np.bincount([257, 257, 256], minlength=258)  # the the he
    >>> lengths = np.array([1] * 256 + [2, 3])
    >>> applications(uses, lengths, merges)[[256, 257, 83]]
    array([3, 2, 2])
    """
    nodes: list[int] = uses.tolist()
    # A part is shorter than the token, but can have a higher rank.
    for rank in np.argsort(-lengths, kind="stable").tolist():
        pair = merges[rank]
        if pair is not None:
            nodes[pair[0]] += nodes[rank]
            nodes[pair[1]] += nodes[rank]
    return np.array(nodes, dtype=np.int64)
