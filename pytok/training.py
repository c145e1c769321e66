"""Documents to a tokenizer: reading, counting and merging, with progress and interruption."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pytok import corpus
from pytok import engine as engines
from pytok.definition import END_OF_TEXT, Definition
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.reference.pretokenize import can_cut, parts
from pytok.reference.vocab import BYTE_ORDER
from pytok.tokenizer import Tokenizer, repair

BATCH_CHARACTERS = 16 << 20
"""Counted at a time: enough parts to keep all cores busy."""

BATCH_TEXTS = 1 << 16
"""Counted at a time at most, however short they are."""

Progress = Callable[[str, int, int], object]
"""Told the stage ("count", "merge"), how much of it is done, and of how much (0 if not known):
bytes on disk while counting, tokens while merging."""


def train(
    source: str | os.PathLike[str] | Iterable[str] | Sequence[os.PathLike[str]],
    vocab_size: int,
    *,
    pattern: str = "cl100k",
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    engine: EngineName = "native",
    name: str = "pytok",
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Tokenizer:
    """Train a tokenizer of *vocab_size* ids: 256 bytes, then merges, then *special_tokens*.

    *source* is a file, a folder or a pattern such as ``data/*.jsonl`` (a str, a Path, or a list of
    Paths; `pytok.corpus` says what is read how, and what *field*, *errors* and *separator* mean),
    or any other iterable of str, each of which is a document. No pair is counted across two
    documents. Special tokens are not looked for in the text.

    *pattern* splits text into pieces before merging: ``cl100k``, ``gpt2``, ``o200k``, or a regex.
    The most frequent pair is merged first; among equals the one with the smallest ids. The result
    depends neither on the order of documents nor on *num_threads* (all cores if ``None``).

    A corpus that runs out of pairs gives a smaller vocabulary, and a UserWarning that says so.
    Raises TrainingError for a size that cannot be, VocabError for a special token that cannot,
    CorpusError for what cannot be read, PatternError for a pattern that does not compile or fails.

    >>> tok = train(["the theme of the thesis", "then and there"], 260)
    >>> list(tok.vocab)[256:], tok.special_tokens["<|endoftext|>"]
    ([b'he', b'the', b' the'], 259)
    """
    if isinstance(special_tokens, str):
        raise TypeError(f"special_tokens is a list of texts, not {special_tokens!r}")
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
        definition = Definition(name, tokens, range(len(tokens)), pattern, specials)
        return Tokenizer.from_definition(definition, engine)

    # What cannot be is refused now, not when the work is done.
    tokenizer([bytes([byte]) for byte in BYTE_ORDER])
    implementation = engines.load(engine)
    counts = implementation.PieceCounts(pattern, num_threads)
    for batch, done, total in _batches(source, can_cut(pattern), field, errors, separator):
        counts.add(batch)
        if progress is not None:
            progress("count", done, total)
    report = None if progress is None else lambda learnt: progress("merge", learnt, size)
    tokens = implementation.train(counts, size, report)
    if progress is not None:
        progress("merge", len(tokens), len(tokens))
    if len(tokens) < size:
        warnings.warn(
            f"the corpus has no more pairs to merge: the vocabulary has "
            f"{len(tokens) + len(special_tokens):,} ids, not {vocab_size:,}",
            stacklevel=2,
        )
    return tokenizer(tokens)


def _batches(
    source: str | os.PathLike[str] | Iterable[str] | Sequence[os.PathLike[str]],
    cut: bool,
    field: str,
    errors: str,
    separator: str | None,
) -> Iterator[tuple[list[str], int, int]]:
    """Texts to count, how many bytes on disk have been read with them, and of how many."""
    batch: list[str] = []
    length = done = 0
    paths = _paths(source)
    total = 0 if paths is None else corpus.size(paths)
    if paths is None:
        texts = _texts(source)
        spans = ((part, 0) for text in texts for part in (parts(text) if cut else [text]))
    else:
        read = corpus.read_parts(paths, field=field, errors=errors, separator=separator, cut=cut)
        spans = ((part.text, part.read) for part in read)
    for text, size in spans:
        batch.append(text)
        length += len(text)
        done += size
        if length >= BATCH_CHARACTERS or len(batch) == BATCH_TEXTS:
            yield batch, done, total
            batch, length = [], 0
    yield batch, done, total


def _paths(
    source: str | os.PathLike[str] | Iterable[str] | Sequence[os.PathLike[str]],
) -> list[Path] | None:
    """The files of *source*, or ``None`` if it is text."""
    if isinstance(source, str | os.PathLike):
        return corpus.resolve(source)
    if isinstance(source, Sequence) and source and isinstance(source[0], os.PathLike):
        return corpus.resolve([os.fspath(path) for path in source])
    return None


def _texts(source: object) -> Iterator[str]:
    if not isinstance(source, Iterable):
        raise TypeError(f"a corpus is a path or an iterable of str, not {source!r}")
    for number, text in enumerate(source):
        if not isinstance(text, str):
            raise TypeError(
                f"document {number} is {type(text).__name__}, not str; files are named by a str or "
                "a Path, several by a list of Paths"
            )
        yield repair(text)
