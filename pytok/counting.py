"""Count the pieces of a corpus, which is all that training needs.

Counts are exact, can be added up, and are small compared with the corpus. So parts of a corpus can
be counted on several machines, and the counts saved (`pytok.countfile`).
"""

import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pytok import corpus, countfile, notebook
from pytok import engine as engines
from pytok.counted import counted
from pytok.countfile import Splitting
from pytok.definition import END_OF_TEXT
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.patterns import can_cut, is_cut_inside, pattern_name, resolve
from pytok.sources import Source, given_source, paths_of, texts_of

Progress: TypeAlias = Callable[[int, int], object]
"""A callback, called with the bytes read from disk so far and in total (0 if unknown)."""


class Amount(NamedTuple):
    """A number of distinct pieces, and the number of their occurrences."""

    pieces: int
    occurrences: int

    def __str__(self) -> str:
        return f"{counted(self.pieces, 'piece')} with {counted(self.occurrences, 'occurrence')}"


class Saved(NamedTuple):
    """The pieces written to a file of counts, and those dropped as too rare."""

    written: Amount
    dropped: Amount


class PieceCounts:
    """The number of occurrences of each piece in a corpus.

    Text is split at *special_tokens*, which are not counted, and between them by *pattern*. Counts
    that exceed *max_memory* bytes go to unnamed temporary files (in ``TMPDIR``); no count changes.
    The limit holds while counts are made, added up and saved; reading and the tables of the threads
    take about 3 MB more per thread. With *in_order* the counts can be merged by the rule ``first``;
    this uses one thread and more memory, and such counts can neither be added up nor have a
    *max_memory*. Raises PatternError for a pattern that does not compile, VocabError for an empty
    special token.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["hello hello", " hello<|endoftext|>hello"])
    >>> sorted(counts.items())
    [(b' hello', 2), (b'hello', 2)]
    """

    def __init__(
        self,
        pattern: str = "cl100k",
        *,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
        engine: EngineName = "native",
        num_threads: int | None = None,
        max_memory: int | None = None,
        in_order: bool = False,
    ) -> None:
        if max_memory is not None and not 1 <= max_memory < 1 << 63:
            raise TrainingError(f"max_memory is {max_memory}: 1 to 2^63 - 1 bytes are possible")
        engines.check_threads(num_threads)
        if in_order and max_memory is not None:
            raise TrainingError("in_order keeps all counts in memory: remove max_memory")
        self.engine: EngineName = engine
        self.in_order = in_order
        self.splitting = split_by((), pattern, special_tokens)
        self.counts = engines.load(engine).PieceCounts(
            self.splitting.pattern, self.splitting.special_tokens, num_threads, max_memory, in_order
        )

    def add(
        self,
        source: Source,
        *,
        field: str = "text",
        errors: str = "strict",
        separator: str | None = None,
        missing: corpus.Missing = "error",
        format: corpus.Format | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Count the pieces of *source*; arguments and errors are those of `pytok.train`.

        After an error, part of *source* has been counted. Using the counts during the call, even
        from *progress*, raises TrainingError.
        """
        tokens = self.splitting.special_tokens
        cut = can_cut(self.splitting.pattern) and not any(map(is_cut_inside, tokens))
        paths = paths_of(source)
        if paths is None:
            for texts in corpus.batches(texts_of(source), len):
                self.counts.add(texts)
                _report(progress, 0, 0)
            return
        read = functools.partial(
            corpus.read_parts,
            field=field,
            errors=errors,
            separator=separator,
            missing=missing,
            format=format,
        )
        is_plain = functools.partial(
            corpus.is_one_text, errors=errors, separator=separator, format=format
        )
        done, total = 0, corpus.size(paths)
        # All at once, since files that cannot be read are rejected here.
        forms = [is_plain(path) for path in paths]
        _report(progress, done, total)

        def progress_after(before: int) -> Callable[[int], object]:
            return lambda read: _report(progress, before + read, total)

        # The engine reads runs of plain text files itself; all others are read here.
        runs = itertools.groupby(zip(forms, paths, strict=True), lambda pair: pair[0])
        for plain, files in ((plain, [path for _, path in run]) for plain, run in runs):
            if plain:
                self.counts.add_files(files, progress_after(done) if progress else None)
                done += corpus.size(files)
                _report(progress, done, total)
                continue
            for parts in corpus.batches(read(files, cut=cut), lambda part: len(part.text)):
                self.counts.add([part.text for part in parts])
                done += sum(part.read for part in parts)
                _report(progress, done, total)

    def update(self, other: "PieceCounts") -> None:
        """Add the counts of *other*. Raises TrainingError if its text was split differently.

        >>> counts, other = PieceCounts("gpt2"), PieceCounts("gpt2")
        >>> counts.add(["a b"])
        >>> other.add(["a"])
        >>> counts.update(other)
        >>> sorted(counts.items())
        [(b' b', 1), (b'a', 2)]
        """
        _check_same(other.splitting, self.splitting, "these counts")
        if self.in_order or other.in_order:
            raise TrainingError("counts with in_order cannot be added up: their order is unknown")
        for pieces, counts in other._parts():
            self.counts.add_counted(pieces, counts)

    def prune(self, least: int) -> Amount:
        """Drop the pieces that occur fewer than *least* times; return their number.

        This changes the result of training. The remaining counts are then in memory: raises
        TrainingError if they do not fit, and for a negative or too large *least*.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["a a a b"])
        >>> counts.prune(2), dict(counts.items())
        (Amount(pieces=2, occurrences=2), {b' a': 2})
        """
        check_prune(least)
        return Amount(*self.counts.gather(least))

    def save(self, path: str | os.PathLike[str], *, prune: int = 0) -> Saved:
        """Write the counts to *path*, without the pieces that occur fewer than *prune* times.

        The file is parquet (`pytok.countfile`), appears complete or not at all, and can be larger
        than the memory. Raises FormatError if pyarrow is missing, OSError if the file cannot be
        written.
        """
        check_prune(prune)
        written, dropped = Counter[str](), Counter[str]()

        def frequent_rows() -> Iterator[countfile.Rows]:
            for pieces, counts in self._parts():
                is_frequent = [count >= prune for count in counts]
                kept = list(itertools.compress(counts, is_frequent))
                written.update(pieces=len(kept), occurrences=sum(kept))
                dropped.update(pieces=len(counts) - len(kept), occurrences=sum(counts) - sum(kept))
                yield list(itertools.compress(pieces, is_frequent)), kept

        countfile.write(Path(path), self.splitting, frequent_rows())
        return Saved(*(Amount(sums["pieces"], sums["occurrences"]) for sums in (written, dropped)))

    @classmethod
    def load(
        cls,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        engine: EngineName = "native",
        num_threads: int | None = None,
        max_memory: int | None = None,
        progress: Progress | None = None,
    ) -> "PieceCounts":
        """Read files that `save` wrote, and add their counts up.

        *paths* is a file, a folder, a pattern such as ``counts/*.parquet``, or several of them.
        Raises FormatError for a malformed file, TrainingError for a file whose text was split
        differently than that of the first, CorpusError if there is no file.
        """
        files = corpus.resolve(paths)
        corpus.refuse_pipes(files, "write the counts to a file first")
        splitting = countfile.read_splitting(files[0])
        loaded = cls(
            splitting.pattern,
            special_tokens=splitting.special_tokens,
            engine=engine,
            num_threads=num_threads,
            max_memory=max_memory,
        )
        done, total = 0, corpus.size(files)
        for file in files:
            _check_same(countfile.read_splitting(file), splitting, str(file))
            for pieces, counts in countfile.read_rows(file):
                try:
                    loaded.counts.add_counted(pieces, counts)
                except TrainingError as error:  # the sum of a piece is too large
                    raise TrainingError(f"{file}: {error.message}") from None
                _report(progress, done, total)
            done += corpus.size([file])
        _report(progress, done, total)
        return loaded

    def on(self, engine: EngineName) -> "PieceCounts":
        """Return the same counts for *engine*: self, or a copy if these are of the other engine."""
        if engine == self.engine:
            return self
        pattern, special_tokens = self.splitting
        counts = PieceCounts(pattern, special_tokens=special_tokens, engine=engine)
        counts.update(self)
        return counts

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Return the distinct pieces and their counts; equal pieces come in equal order."""
        for pieces, counts in self._parts():
            yield from zip(pieces, counts, strict=True)

    def _parts(self) -> Iterator[countfile.Rows]:
        return map(self.counts.part, range(self.counts.parts))

    def __len__(self) -> int:
        """Number of distinct pieces. Raises TrainingError if they do not fit in max_memory."""
        self.counts.gather(0)
        return len(self.counts)


def count_pieces(
    source: Source | None = None,
    *,
    files: corpus.Source | None = None,
    pattern: str = "cl100k",
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    engine: EngineName = "native",
    num_threads: int | None = None,
    max_memory: int | None = None,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    missing: corpus.Missing = "error",
    format: corpus.Format | None = None,
    in_order: bool = False,
    progress: Progress | None = None,
) -> PieceCounts:
    """Count the pieces of *source*, for `pytok.train` or to save them.

    Arguments and errors are those of `pytok.train` and `PieceCounts`.

    >>> counts = count_pieces(["the theme of the thesis", "then and there"])
    >>> len(counts)
    8
    """
    if progress is None and notebook.is_running():
        progress = functools.partial(notebook.NotebookBars().update, "count")
    counts = PieceCounts(
        pattern,
        special_tokens=special_tokens,
        engine=engine,
        num_threads=num_threads,
        max_memory=max_memory,
        in_order=in_order,
    )
    counts.add(
        given_source(source, files),
        field=field,
        errors=errors,
        separator=separator,
        missing=missing,
        format=format,
        progress=progress,
    )
    return counts


def check_prune(least: int) -> None:
    """Raise TrainingError unless pieces that occur fewer than *least* times can be dropped."""
    if not 0 <= least < 1 << 63:
        raise TrainingError(f"prune is {least}: pass 0 to 2^63 - 1")


def split_by(
    source: Source | PieceCounts, pattern: str | None, special_tokens: Sequence[str] | None
) -> Splitting:
    """Return how *source* is split, with the defaults for a *pattern* or *special_tokens* of None.

    The defaults are those of counts, or cl100k and `END_OF_TEXT`. Raises TrainingError for counts
    whose text was split differently.
    """
    if isinstance(special_tokens, str):
        raise TypeError(f"special_tokens is a list of texts, not {special_tokens!r}")
    default = (
        source.splitting
        if isinstance(source, PieceCounts)
        else Splitting(resolve("cl100k"), (END_OF_TEXT,))
    )
    splitting = Splitting(
        default.pattern if pattern is None else resolve(pattern),
        default.special_tokens if special_tokens is None else tuple(special_tokens),
    )
    if isinstance(source, PieceCounts):
        _check_same(source.splitting, splitting, "these counts")
    return splitting


def _check_same(found: Splitting, expected: Splitting, where: str) -> None:
    both = (found, expected)
    patterns = [pattern_name(each.pattern) or repr(each.pattern) for each in both]
    specials = [sorted(each.special_tokens) for each in both]
    for how, actual, wanted in (
        ("by the pattern", *patterns),
        ("at the special tokens", *specials),
    ):
        if actual != wanted:
            raise TrainingError(
                f"the text of {where} was split {how} {actual}, not {wanted}; use counts that were "
                "all made with the same pattern and special tokens"
            )


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
