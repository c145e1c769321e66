"""Documents to a tokenizer: reading, counting and merging, with progress and interruption."""

import functools
import warnings
from collections.abc import Callable, Sequence

from pytok import engine as engines
from pytok.counting import PieceCounts, Source, count_pieces, split_by
from pytok.definition import Definition
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.reference.vocab import BYTE_ORDER
from pytok.tokenizer import Tokenizer

Progress = Callable[[str, int, int], object]
"""Told the stage ("count", "merge"), how much of it is done, and of how much (0 if not known):
bytes on disk while counting, tokens while merging."""


def train(
    source: Source | PieceCounts,
    vocab_size: int,
    *,
    pattern: str | None = None,
    special_tokens: Sequence[str] | None = None,
    engine: EngineName = "native",
    name: str = "pytok",
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    num_threads: int | None = None,
    max_memory: int | None = None,
    prune: int = 0,
    progress: Progress | None = None,
) -> Tokenizer:
    """Train a tokenizer of *vocab_size* ids: 256 bytes, then merges, then *special_tokens*.

    *source* is a file, a folder or a pattern such as ``data/*.jsonl`` (a str, a Path, or a list of
    Paths; `pytok.corpus` says what is read how, and what *field*, *errors* and *separator* mean),
    or any other iterable of str, each of which is a document, or the `PieceCounts` of a corpus. No
    pair is counted across two documents, nor across a special token in the text (``<|endoftext|>``
    alone if ``None``), which is itself not counted.

    *pattern* splits text into pieces before merging: ``cl100k`` if ``None``, ``gpt2``, ``o200k``,
    or a regex. Counts know their pattern and special tokens, and no others are accepted with them.
    The most frequent pair is merged first; among equals the one with the smallest ids. The result
    depends neither on the order of documents nor on *num_threads* (all cores if ``None``).

    Counts that take more than *max_memory* bytes go to temporary files, and come back to be merged,
    which changes no result. Pieces that occur fewer than *prune* times are dropped before merging,
    which does.

    A corpus that runs out of pairs gives a smaller vocabulary, and a UserWarning that says so; one
    says how much was pruned.
    Raises TrainingError for a size that cannot be, and for *max_memory* that is too small for the
    distinct pieces; VocabError for a special token that cannot,
    CorpusError for what cannot be read, PatternError for a pattern that does not compile or fails.

    >>> tok = train(["the theme of the thesis", "then and there"], 260)
    >>> list(tok.vocab)[256:], tok.special_tokens["<|endoftext|>"]
    ([b'he', b'the', b' the'], 259)
    """
    splitting = split_by(source, pattern, special_tokens)
    special_tokens = splitting.special_tokens
    if len(set(special_tokens)) != len(special_tokens):
        raise TrainingError("a special token is listed twice")
    if vocab_size > 1 << 32:
        raise TrainingError(f"a vocabulary of {vocab_size} is too large: ids have 32 bits")
    engines.check_threads(num_threads)
    size = vocab_size - len(special_tokens)
    if size < 256:
        raise TrainingError(
            f"a vocabulary of {vocab_size} is too small: the 256 bytes and {len(special_tokens)} "
            f"special tokens make {256 + len(special_tokens)}"
        )

    def tokenizer(tokens: Sequence[bytes]) -> Tokenizer:
        specials = {text: len(tokens) + place for place, text in enumerate(special_tokens)}
        definition = Definition(name, tokens, range(len(tokens)), splitting.pattern, specials)
        return Tokenizer.from_definition(definition, engine)

    # What cannot be is refused now, not when the work is done.
    tokenizer([bytes([byte]) for byte in BYTE_ORDER])
    if isinstance(source, PieceCounts):
        counts = source.on(engine)
    else:
        counts = count_pieces(
            source,
            pattern=splitting.pattern,
            special_tokens=special_tokens,
            engine=engine,
            num_threads=num_threads,
            max_memory=max_memory,
            field=field,
            errors=errors,
            separator=separator,
            progress=None if progress is None else functools.partial(progress, "count"),
        )
    dropped = counts.prune(prune)
    if dropped.pieces:
        warnings.warn(f"pruning dropped {dropped}", stacklevel=2)
    report = None if progress is None else lambda learnt: progress("merge", learnt, size)
    tokens = engines.load(engine).train(counts.counts, size, report)
    if progress is not None:
        progress("merge", len(tokens), len(tokens))
    if len(tokens) < size:
        warnings.warn(
            f"the corpus has no more pairs to merge: the vocabulary has "
            f"{len(tokens) + len(special_tokens):,} ids, not {vocab_size:,}",
            stacklevel=2,
        )
    return tokenizer(tokens)
