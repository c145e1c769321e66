"""Documents to a tokenizer: reading, counting and merging, with progress and interruption."""

import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TypedDict, get_args

from pytok import engine as engines
from pytok.byte_order import BYTE_ORDER
from pytok.countfile import Splitting
from pytok.counting import PieceCounts, Source, check_prune, count_pieces, split_by
from pytok.definition import Definition
from pytok.engine import EngineName, Ties
from pytok.errors import TrainingError
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
    base: Tokenizer | None = None,
    ties: Ties = "hf",
    min_frequency: int = 0,
    max_token_length: int | None = None,
    limit_alphabet: int | None = None,
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
    The result depends neither on *num_threads* (all cores if ``None``) nor, but for the rule
    ``first``, on the order of documents.

    With *base*, a tokenizer to go on from, its tokens, ids, pattern and special tokens are kept;
    pieces begin as it encodes them; new merges, then new *special_tokens*, take the ids after its
    greatest, up to *vocab_size* ids in all.

    The most frequent pair is merged first, and of equals that which *ties* says: ``hf`` the one
    with the smallest ids, as Hugging Face; ``rustbpe`` the same with bytes in their own order;
    ``first`` the one that comes first in the corpus as it is merged so far, as minbpe and
    tiktoken's ``_educational``, for which the corpus itself is needed, not its counts; ``cs336``
    the greatest pair of byte strings. A pair below *min_frequency* is never merged. Merges make
    tokens of fewer than *max_token_length* bytes only, as in Hugging Face's trainer. Of the
    characters in the corpus, the *limit_alphabet* most frequent take part in merges (of equals
    those of the smallest code points); the bytes of the others stay tokens of their own.

    Counts that take more than *max_memory* bytes go to temporary files, and come back to be merged,
    which changes no result. Pieces that occur fewer than *prune* times are dropped before merging,
    which does; if *source* is counts, these lose them.

    A corpus that runs out of pairs gives a smaller vocabulary, and a UserWarning that says so; one
    says how much was pruned. Raises TrainingError for numbers that cannot be, for what contradicts
    *base*, for a *base* with a token that no merge makes, and for *max_memory* that is too small
    for the distinct pieces; VocabError for a special token that cannot be,
    CorpusError for what cannot be read, PatternError for a pattern that does not compile or fails.

    >>> tok = train(["the theme of the thesis", "then and there"], 260)
    >>> list(tok.vocab)[256:], tok.special_tokens["<|endoftext|>"]
    ([b'he', b'the', b' the'], 259)
    >>> more = train(["then and there"], 262, base=tok)
    >>> more.special_tokens["<|endoftext|>"], list(more.vocab.items())[-2:]
    (259, [(b'an', 260), (b're', 261)])
    """
    splitting = _splitting(source, pattern, special_tokens, base)
    beginning = _bytes(name, splitting.pattern) if base is None else base.definition
    new_specials = [t for t in splitting.special_tokens if t not in beginning.special_tokens]
    if len(set(new_specials)) != len(new_specials):
        raise TrainingError("a special token is listed twice")
    if vocab_size > 1 << 32:
        raise TrainingError(f"a vocabulary of {vocab_size} is too large: ids have 32 bits")
    least = beginning.next_id + len(new_specials)
    if vocab_size < least:
        raise TrainingError(
            f"a vocabulary of {vocab_size} is too small: the "
            f"{'256 bytes' if base is None else f'{beginning.next_id} ids of the base'} and "
            f"{len(new_specials)} special tokens make {least}"
        )
    rules = _rules(source, ties, min_frequency, max_token_length, limit_alphabet)
    engines.check_threads(num_threads)
    check_prune(prune)

    def tokenizer(tokens: Sequence[bytes]) -> Tokenizer:
        return Tokenizer.from_definition(beginning.grown(tokens, new_specials), engine)

    # What cannot be is refused now, not when the work is done.
    tokenizer(beginning.tokens)
    if isinstance(source, PieceCounts):
        counts = source.on(engine)
    else:
        counts = count_pieces(
            source,
            pattern=splitting.pattern,
            special_tokens=splitting.special_tokens,
            engine=engine,
            num_threads=num_threads,
            max_memory=max_memory,
            field=field,
            errors=errors,
            separator=separator,
            in_order=ties == "first",
            progress=None if progress is None else functools.partial(progress, "count"),
        )
    dropped = counts.prune(prune)
    if dropped.pieces:
        warnings.warn(f"pruning dropped {dropped}", stacklevel=2)
    size = len(beginning.tokens) + vocab_size - least
    tokens = engines.load(engine).train(
        counts.counts,
        size,
        base=None if base is None else beginning.tokens,
        progress=None if progress is None else lambda learnt: progress("merge", learnt, size),
        **rules,
    )
    if progress is not None:
        progress("merge", len(tokens), len(tokens))
    trained = tokenizer(tokens)
    if len(tokens) < size:
        warnings.warn(
            "the corpus has no more pairs that may be merged: the vocabulary has "
            f"{trained.n_vocab:,} ids, not {vocab_size:,}",
            stacklevel=2,
        )
    return trained


def _bytes(name: str, pattern: str) -> Definition:
    """What training begins with, where it does not go on from something."""
    return Definition(name, [bytes([byte]) for byte in BYTE_ORDER], range(256), pattern, {})


def _splitting(
    source: Source | PieceCounts,
    pattern: str | None,
    special_tokens: Sequence[str] | None,
    base: Tokenizer | None,
) -> Splitting:
    """How *source* is split: as *base* does it, if there is one, and at new special tokens too."""
    if base is None:
        return split_by(source, pattern, special_tokens)
    asked = split_by((), pattern or base.pattern, special_tokens or ())
    if asked.pattern != base.pattern:
        raise TrainingError(
            f"the pattern {pattern!r} is not that of the base, {base.pattern!r}, which is kept: "
            "leave the pattern away"
        )
    new = [token for token in asked.special_tokens if token not in base.special_tokens]
    return split_by(source, base.pattern, (*base.special_tokens, *new))


class Rules(TypedDict):
    """Which merges are made, for an engine."""

    ties: Ties
    min_frequency: int
    max_token_length: int | None
    limit_alphabet: int | None


def _rules(
    source: Source | PieceCounts,
    ties: Ties,
    min_frequency: int,
    max_token_length: int | None,
    limit_alphabet: int | None,
) -> Rules:
    """The same, if they can be."""
    if ties not in get_args(Ties):
        raise TrainingError(f"ties is {ties!r}: {', '.join(get_args(Ties))} are possible")
    if ties == "first" and isinstance(source, PieceCounts):
        raise TrainingError(
            "counts do not tell which pair comes first in the corpus: for ties='first' (--ties "
            "first), train on the corpus itself"
        )
    if not 0 <= min_frequency < 1 << 63:
        raise TrainingError(f"min_frequency is {min_frequency}: 0 to 2^63 - 1 are possible")
    if max_token_length is not None and not 3 <= max_token_length < 1 << 32:
        raise TrainingError(
            f"max_token_length is {max_token_length}: tokens are made shorter than that, and of "
            "two bytes at least, so 3 to 2^32 - 1 are possible"
        )
    if limit_alphabet is not None and not 1 <= limit_alphabet <= sys.maxunicode + 1:
        raise TrainingError(
            f"limit_alphabet is {limit_alphabet}: 1 to {sys.maxunicode + 1} characters are possible"
        )
    return Rules(
        ties=ties,
        min_frequency=min_frequency,
        max_token_length=max_token_length,
        limit_alphabet=limit_alphabet,
    )
