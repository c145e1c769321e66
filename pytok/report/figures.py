"""The figures of a report: the vocabulary of a tokenizer, and its use on a corpus.

They can be used without the page: `Figures` and `Usage` are plain data, and ``pytok show --json``
prints `Figures.as_dict`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytok import corpus
from pytok.corpus import Format, Missing, Source
from pytok.counting import Progress
from pytok.engine import check_threads
from pytok.formats.merge_list import implied_merges
from pytok.report.excerpts import Excerpts
from pytok.report.frequencies import decades
from pytok.report.merging import BYTES, has_prefixes, tokens_by_size, unmerged
from pytok.report.scripts import ScriptTally, ScriptUse
from pytok.tokenizer import Tokenizer
from pytok.usage import Counts, applications, encoded


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """The use of a tokenizer on a corpus; special tokens in the corpus are ordinary text."""

    files: tuple[str, ...]
    documents: int
    uses: Counts
    """Number of occurrences of each token of `Tokenizer.vocab`, shape (tokens,), in rank order."""
    uses_in_longer: Counts
    """Number of occurrences of each token inside longer ones, shape (tokens,), in rank order."""
    other_uses: int
    """Number of occurrences of added tokens, and of the token for unknown bytes."""
    bytes: int
    """Bytes of text in UTF-8."""
    tokens_by_size: Counts | None
    """Element n: the number of tokens with the vocabulary of the first 256 + n tokens.

    ``None`` if smaller vocabularies are not prefixes of this one (`Figures.unmerged`), or if the
    tokens do not decode to the text itself."""
    only_in_longer: int | None
    """Number of tokens that occur only in longer ones; ``None`` as for `tokens_by_size`."""
    scripts: tuple[ScriptUse, ...]
    """Use by script, in descending order of bytes; the rows add up to the corpus."""
    excerpts: tuple[str, ...]
    """Excerpts of the corpus, evenly spaced."""

    @property
    def tokens(self) -> int:
        """Number of tokens in the corpus."""
        return int(self.uses.sum()) + self.other_uses

    @property
    def bytes_per_token(self) -> float:
        """Compression of the corpus; 0 if it is empty."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def unused(self) -> int:
        """Number of tokens of the vocabulary that never occur."""
        return int(np.count_nonzero(self.uses == 0))

    def tokens_at(self, size: int) -> int:
        """Return the number of tokens in the corpus with the vocabulary of the first *size* tokens.

        *size* does not count special tokens. Raises ValueError for a size that is not between 256
        and that of the vocabulary, and if `tokens_by_size` is ``None``.
        """
        if self.tokens_by_size is None:
            raise ValueError("smaller vocabularies are not prefixes of this one")
        if not BYTES <= size < BYTES + len(self.tokens_by_size):
            largest = BYTES + len(self.tokens_by_size) - 1
            raise ValueError(f"size is {size}: pass {BYTES} to {largest}")
        return int(self.tokens_by_size[size - BYTES])


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The figures of a report; `usage` is ``None`` without a corpus."""

    tokenizer: Tokenizer
    tokens: Sequence[bytes]
    """The tokens in rank order, without special tokens."""
    unmerged: tuple[bytes, ...]
    """The tokens, except bytes, that no merge of two tokens of lower rank makes."""
    usage: Usage | None

    @property
    def lengths(self) -> Counts:
        """Length of each token in bytes, shape (tokens,), in rank order."""
        return np.fromiter(map(len, self.tokens), dtype=np.int64, count=len(self.tokens))

    @property
    def tokens_by_length(self) -> tuple[int, ...]:
        """Number of tokens in the vocabulary with 0, 1, 2, ... bytes."""
        return tuple(np.bincount(self.lengths).tolist())

    @property
    def uses_by_length(self) -> tuple[int, ...]:
        """Number of tokens in the corpus with 0, 1, 2, ... bytes; empty without a corpus."""
        if self.usage is None:
            return ()
        uses = np.zeros(len(self.tokens_by_length), dtype=np.int64)
        np.add.at(uses, self.lengths, self.usage.uses)
        return tuple(uses.tolist())

    def sizes(self) -> list[int]:
        """Return the powers of two from 256 that are smaller vocabularies, and the full size."""
        full = len(self.tokens)
        return [*(1 << bits for bits in range(8, math.ceil(math.log2(full)))), full]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; ``tokens_by_size`` has the sizes of `sizes` only."""
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
                "only_in_longer_tokens": usage.only_in_longer,
                "tokens_by_uses": [decade._asdict() for decade in decades(usage.uses)],
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
    missing: Missing = "error",
    format: Format | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Figures:
    """Compute the figures of *tokenizer*, and of its use on the corpus *source* if given.

    *source* and the arguments of reading are those of `pytok.corpus.read_parts`. The corpus is read
    and encoded once, on *num_threads* threads (all cores if ``None``); memory does not grow with
    it. Raises CorpusError for text that cannot be read, PatternError for text on which a custom
    pattern fails.
    """
    check_threads(num_threads)
    tokens = list(tokenizer.vocab)
    merges = tokenizer._core.merges()
    figures = Figures(tokenizer, tokens, unmerged(tokens, merges), None)
    if source is None:
        return figures
    paths = corpus.resolve(source)
    uses, lengths = np.zeros(len(tokens) + 1, dtype=np.int64), figures.lengths
    lengths_by_rank = np.append(lengths, 1)
    scripts, excerpts = ScriptTally(), Excerpts(corpus.size(paths))
    documents = text_bytes = 0
    for parts, ranks, offsets in encoded(
        tokenizer,
        paths,
        field=field,
        errors=errors,
        separator=separator,
        missing=missing,
        format=format,
        num_threads=num_threads,
        progress=progress,
    ):
        uses += np.bincount(ranks, minlength=len(tokens) + 1)
        for part, start, stop in zip(parts, offsets, offsets[1:], strict=False):
            size = len(part.text.encode())
            fitted = _fitted(lengths_by_rank[ranks[start:stop]], size)
            scripts.add(part.text, fitted, ends_document=part.ends_document)
            excerpts.add(part)
            documents += part.ends_document
            text_bytes += size
    uses, other_uses = uses[:-1], int(uses[-1])
    suffix = tokenizer.definition.end_of_word_suffix.encode()
    applied = applications(uses, lengths, implied_merges(tokens, merges, suffix))
    by_size = only_in_longer = None
    if has_prefixes(tokens, merges) and not other_uses and text_bytes == uses @ lengths:
        by_size = tokens_by_size(text_bytes, applied)
        only_in_longer = int(np.count_nonzero((uses == 0) & (applied > 0)))
    usage = Usage(
        files=tuple(map(str, paths)),
        documents=documents,
        uses=uses,
        uses_in_longer=applied - uses,
        other_uses=other_uses,
        bytes=text_bytes,
        tokens_by_size=by_size,
        only_in_longer=only_in_longer,
        scripts=scripts.rows(),
        excerpts=tuple(excerpts.texts),
    )
    return Figures(tokenizer, tokens, figures.unmerged, usage)


def _fitted(lengths: Counts, size: int) -> Counts:
    """Return the *lengths* of tokens in a text of *size* bytes, scaled if they do not add up to it.

    A normalizer changes lengths, and the text of an added token can have white space around it.
    """
    ends = np.cumsum(lengths)
    if not len(ends) or ends[-1] == size:
        return lengths
    scaled: Counts = (ends * (size / ends[-1])).round().astype(np.int64)
    return np.diff(scaled, prepend=0)
