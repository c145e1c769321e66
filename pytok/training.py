"""From documents to a tokenizer: reading, counting and merging, with progress and interruption."""

import functools
import warnings
from collections.abc import Callable, Sequence

from pytok import corpus, notebook
from pytok import engine as engines
from pytok.byte_order import BYTE_ORDER
from pytok.corpus import Format, Missing
from pytok.countfile import Splitting
from pytok.counting import PieceCounts, check_prune, count_pieces, split_by
from pytok.definition import Definition
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.merging import MergeRules, Ties
from pytok.sources import Source, given_source
from pytok.tokenizer import Tokenizer

Progress = Callable[[str, int, int], object]
"""Called with the stage ("count" or "merge"), the amount done, and the total (0 if unknown): bytes
on disk while counting, tokens while merging."""


def train(
    source: Source | PieceCounts | None = None,
    vocab_size: int | None = None,
    *,
    files: corpus.Source | None = None,
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
    missing: Missing = "error",
    format: Format | None = None,
    num_threads: int | None = None,
    max_memory: int | None = None,
    prune: int = 0,
    progress: Progress | None = None,
) -> Tokenizer:
    """Train a tokenizer of *vocab_size* ids: 256 bytes, then merges, then *special_tokens*.

    *source* is a file, a folder or a pattern such as ``data/*.jsonl`` (a str, a Path, or a list of
    Paths; `pytok.corpus.read_parts` documents the formats, *field*, *errors*, *separator*,
    *missing* and *format*), any other iterable of str, each of which is a document, or the
    `PieceCounts` of a corpus. *files*, instead of it, can be a list of names: ``train(files=["a",
    "b"], vocab_size=4096)``. No pair is counted across two documents, nor across a special token in
    the text, which itself is not counted. *special_tokens* defaults to ``<|endoftext|>``.

    *pattern* splits text into pieces before merging: ``cl100k`` (the default), ``gpt2``, ``o200k``,
    or a regex. `PieceCounts` include their pattern and special tokens; others are rejected. The
    result depends neither on *num_threads* (default: all cores) nor, except with ``ties="first"``,
    on the order of documents.

    *base* is a tokenizer to extend. Its tokens, ids, pattern and special tokens are kept, and it
    encodes the pieces before merging. New merges, then new *special_tokens*, take the ids after its
    largest, up to *vocab_size* ids in total. If no id is left for a merge, *source* is not read. No
    merge makes the beginning or the end of a token of *base* that is itself made by no merge.

    The most frequent pair is merged first. *ties* chooses among equally frequent pairs: ``hf`` the
    pair with the smallest ids, as Hugging Face; ``rustbpe`` the same with bytes ordered by value;
    ``first`` the pair that occurs first in the corpus as merged so far, as minbpe and tiktoken's
    ``_educational``, which needs the corpus itself, not its counts; ``cs336`` the greatest pair of
    byte strings. A pair that occurs less often than *min_frequency* is never merged. Merges only
    make tokens of fewer than *max_token_length* bytes, as in Hugging Face's trainer. Only the
    *limit_alphabet* most frequent characters take part in merges (in case of ties those of smaller
    code points); the bytes of all others stay separate tokens.

    Counts beyond *max_memory* bytes go to temporary files and are read back for merging, which
    changes no result. Pieces that occur fewer than *prune* times are dropped before merging, which
    does change it; if *source* is a `PieceCounts`, they are removed from it.

    *progress* is called with the stage, what is done and the total; in a notebook it is a bar by
    default.

    A UserWarning reports a corpus that runs out of pairs, which gives a smaller vocabulary, and the
    amount of pruning. Raises TrainingError for arguments that are out of range or contradict
    *base*, and for a *max_memory* that is too small for the distinct pieces; VocabError for an
    invalid special token, CorpusError for a source that cannot be read, PatternError for a pattern
    that does not compile or that fails.

    >>> tok = train(["the theme of the thesis", "then and there"], 260)
    >>> list(tok.vocab)[256:], tok.special_tokens["<|endoftext|>"]
    ([b'he', b'the', b' the'], 259)
    >>> more = train(["then and there"], 262, base=tok)
    >>> more.special_tokens["<|endoftext|>"], list(more.vocab.items())[-2:]
    (259, [(b'an', 260), (b're', 261)])
    """
    if vocab_size is None:
        raise TypeError("vocab_size is missing: the number of ids, such as 4096")
    given: Source | PieceCounts = given_source(source, files)
    if progress is None and notebook.is_running():
        progress = notebook.NotebookBars().update
    splitting = _splitting(given, pattern, special_tokens, base)
    initial = _bytes(name, splitting.pattern) if base is None else base.definition
    known = {token.text for token in initial.added_tokens}
    new_specials = [text for text in splitting.special_tokens if text not in known]
    if len(set(new_specials)) != len(new_specials):
        raise TrainingError("a special token is listed twice")
    if vocab_size > 1 << 32:
        raise TrainingError(f"a vocabulary of {vocab_size} is too large: ids have 32 bits")
    min_size = initial.next_id + len(new_specials)
    if vocab_size < min_size:
        raise TrainingError(
            f"a vocabulary of {vocab_size} is too small: the "
            f"{'256 bytes' if base is None else f'{initial.next_id} ids of the base'} and "
            f"{len(new_specials)} special tokens make {min_size}"
        )
    rules = MergeRules(ties, min_frequency, max_token_length, limit_alphabet)
    rules.check()
    if ties == "first" and isinstance(given, PieceCounts):
        raise TrainingError(
            "ties='first' (--ties first) needs the order of the corpus, which counts do not have: "
            "train on the corpus itself"
        )
    engines.check_threads(num_threads)
    check_prune(prune)

    def tokenizer(tokens: Sequence[bytes]) -> Tokenizer:
        return Tokenizer.from_definition(initial.grown(tokens, new_specials), engine)

    # Build the initial tokenizer, so that invalid arguments raise before counting.
    extended = tokenizer(initial.tokens)
    if base is not None and vocab_size == min_size:
        return extended  # without merges any base can be extended
    _check_base(initial)
    if isinstance(given, PieceCounts):
        counts = given.on(engine)
    else:
        counts = count_pieces(
            given,
            pattern=splitting.pattern,
            special_tokens=splitting.special_tokens,
            engine=engine,
            num_threads=num_threads,
            max_memory=max_memory,
            field=field,
            errors=errors,
            separator=separator,
            missing=missing,
            format=format,
            in_order=ties == "first",
            progress=None if progress is None else functools.partial(progress, "count"),
        )
    dropped = counts.prune(prune)
    if dropped.pieces:
        warnings.warn(f"pruning dropped {dropped}", stacklevel=2)
    size = len(initial.tokens) + vocab_size - min_size
    tokens = engines.load(engine).train(
        counts.counts,
        size,
        base=None if base is None else initial.tokens,
        rules=rules,
        progress=None if progress is None else lambda done: progress("merge", done, size),
    )
    if progress is not None:
        progress("merge", len(tokens), len(tokens))
    trained = tokenizer(tokens)
    if len(tokens) < size:
        warnings.warn(
            "the corpus has no more pairs to merge: the vocabulary has "
            f"{trained.n_vocab:,} ids, not {vocab_size:,}",
            stacklevel=2,
        )
    return trained


def _bytes(name: str, pattern: str) -> Definition:
    """Return the initial tokenizer of a training without a base: the 256 bytes."""
    return Definition(name, [bytes([byte]) for byte in BYTE_ORDER], range(256), pattern)


def _check_base(base: Definition) -> None:
    """Raise TrainingError for a base whose text is split by more than a pattern."""
    if base.end_of_word_suffix:
        raise TrainingError(
            f"the base {base.beyond_bytes}, and training merges the bytes of pieces alone: use "
            "another base"
        )
    if base.splits or base.normalizer or base.prefix_space or len(base.tokens) < 256:
        raise TrainingError(
            "the base normalizes text, splits it several times or lacks bytes: pieces are counted "
            "with a single pattern, so use another base"
        )


def _splitting(
    source: Source | PieceCounts,
    pattern: str | None,
    special_tokens: Sequence[str] | None,
    base: Tokenizer | None,
) -> Splitting:
    """Return how *source* is split: with a base as it does, and at new special tokens as well."""
    if base is None:
        return split_by(source, pattern, special_tokens)
    given = split_by((), pattern or base.pattern, special_tokens or ())
    if given.pattern != base.pattern:
        raise TrainingError(
            f"the pattern {pattern!r} differs from that of the base, {base.pattern!r}: remove "
            "pattern (--pattern), since that of the base is kept"
        )
    known = [token.text for token in base.added_tokens]
    new = [text for text in given.special_tokens if text not in known]
    return split_by(source, base.pattern, (*known, *new))
