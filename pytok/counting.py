"""A corpus to counted pieces: all that training needs of it.

Counts are exact, can be added up, and are small beside the corpus: so they can be taken part by
part, on as many machines as there are, and saved (`pytok.countfile`).
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pytok import corpus, countfile
from pytok import engine as engines
from pytok.countfile import Splitting
from pytok.definition import END_OF_TEXT
from pytok.engine import EngineName
from pytok.errors import TrainingError
from pytok.patterns import can_cut, pattern_name, resolve
from pytok.text import repair

Source: TypeAlias = str | os.PathLike[str] | Iterable[str] | Sequence[os.PathLike[str]]
"""A path or several, or texts, each a document."""

Progress = Callable[[int, int], object]
"""Told how many bytes on disk are counted, and of how many (0 if not known)."""


class Amount(NamedTuple):
    """So many distinct pieces, and how often they occur in all."""

    pieces: int
    occurrences: int

    def __str__(self) -> str:
        return f"{self.pieces:,} pieces, which occur {self.occurrences:,} times in all"


class Saved(NamedTuple):
    """What was written to a file of counts, and what was too rare for it."""

    written: Amount
    dropped: Amount


class PieceCounts:
    """How often each piece occurs in a corpus.

    Text is split at *special_tokens*, which are not counted, and what lies between them by
    *pattern*. Past *max_memory* bytes counts go to temporary files (in ``TMPDIR``), which have no
    name and leave nothing behind; that changes no count. It bounds what the counts take while they
    are taken, added up and saved; reading and the threads' own tables take some 3 MB a thread
    more. With *in_order* the counts can be merged by the rule ``first``; that takes one thread and
    more memory, and such counts are neither added up nor held to a memory. Raises PatternError for
    a pattern that does not compile, VocabError for an empty special token.

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
            raise TrainingError("counts in order stay in memory: max_memory cannot be kept")
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
        progress: Progress | None = None,
    ) -> None:
        """Count the pieces of *source*; arguments and errors are those of `pytok.train`.

        Where it fails, part of *source* has been counted. Nobody may use the counts meanwhile, not
        even *progress*: TrainingError.
        """
        # A special token may hold a newline at which text would be cut.
        tokens = "".join(self.splitting.special_tokens)
        cut = can_cut(self.splitting.pattern) and "\n" not in tokens
        paths = _paths(source)
        if paths is None:
            for texts in corpus.batches(_texts(source), len):
                self.counts.add(texts)
                _tell(progress, 0, 0)
            return
        done, total = 0, corpus.size(paths)
        _tell(progress, done, total)
        plainly = errors == "strict" and separator is None

        def tell_after(before: int) -> Callable[[int], object]:
            return lambda read: _tell(progress, before + read, total)

        runs = itertools.groupby(paths, lambda path: plainly and corpus.is_one_text(path))
        for is_plain, files in ((is_plain, list(run)) for is_plain, run in runs):
            if is_plain:
                self.counts.add_files(files, tell_after(done) if progress else None)
                done += corpus.size(files)
                _tell(progress, done, total)
                continue
            read = corpus.read_parts(
                files, field=field, errors=errors, separator=separator, cut=cut
            )
            for parts in corpus.batches(read, lambda part: len(part.text)):
                self.counts.add([part.text for part in parts])
                done += sum(part.read for part in parts)
                _tell(progress, done, total)

    def update(self, other: "PieceCounts") -> None:
        """Add the counts of *other*, whose text was split alike: TrainingError if it was not.

        >>> counts, other = PieceCounts("gpt2"), PieceCounts("gpt2")
        >>> counts.add(["a b"])
        >>> other.add(["a"])
        >>> counts.update(other)
        >>> sorted(counts.items())
        [(b' b', 1), (b'a', 2)]
        """
        _check_alike(other.splitting, self.splitting, "these counts")
        if self.in_order or other.in_order:
            raise TrainingError("counts in order cannot be added up: what came first is not known")
        for pieces, counts in other._parts():
            self.counts.add_counted(pieces, counts)

    def prune(self, least: int) -> Amount:
        """Drop the pieces that occur fewer than *least* times, and say how many those are.

        That changes what is learnt. All that is left is then in memory: TrainingError if it does
        not fit, or for *least* that `check_prune` refuses.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["a a a b"])
        >>> counts.prune(2), dict(counts.items())
        (Amount(pieces=2, occurrences=2), {b' a': 2})
        """
        check_prune(least)
        return Amount(*self.counts.gather(least))

    def save(self, path: str | os.PathLike[str], *, prune: int = 0) -> Saved:
        """Write the counts to *path*, less the pieces that occur fewer than *prune* times.

        The file is parquet (`pytok.countfile`), appears whole or not at all, and may be larger than
        the memory. Raises FormatError without pyarrow, OSError for a file that cannot be written.
        """
        check_prune(prune)
        often, rare = Counter[str](), Counter[str]()

        def kept() -> Iterator[countfile.Rows]:
            for pieces, counts in self._parts():
                is_often = [count >= prune for count in counts]
                is_rare = [not each for each in is_often]
                kept_counts = list(itertools.compress(counts, is_often))
                often.update(pieces=sum(is_often), occurrences=sum(kept_counts))
                rare.update(
                    pieces=sum(is_rare), occurrences=sum(itertools.compress(counts, is_rare))
                )
                yield list(itertools.compress(pieces, is_often)), kept_counts

        countfile.write(Path(path), self.splitting, kept())
        return Saved(*(Amount(all["pieces"], all["occurrences"]) for all in (often, rare)))

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
        """Read what `save` wrote, and add it up.

        *paths* is a file, a folder, a pattern such as ``counts/*.parquet``, or several of them.
        Raises FormatError for a file that is malformed, and for one whose text was split otherwise
        than that of the first; CorpusError where there is no file.
        """
        files = corpus.resolve(paths)
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
            _check_alike(countfile.read_splitting(file), splitting, str(file))
            for pieces, counts in countfile.read_rows(file):
                loaded.counts.add_counted(pieces, counts)
                _tell(progress, done, total)
            done += corpus.size([file])
        _tell(progress, done, total)
        return loaded

    def on(self, engine: EngineName) -> "PieceCounts":
        """The same counts for *engine*: these themselves if it is theirs."""
        if engine == self.engine:
            return self
        pattern, special_tokens = self.splitting
        counts = PieceCounts(pattern, special_tokens=special_tokens, engine=engine)
        counts.update(self)
        return counts

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Each distinct piece and its count, the same pieces always in the same order."""
        for pieces, counts in self._parts():
            yield from zip(pieces, counts, strict=True)

    def _parts(self) -> Iterator[countfile.Rows]:
        return map(self.counts.part, range(self.counts.parts))

    def __len__(self) -> int:
        """How many distinct pieces there are. TrainingError if they do not fit in the memory."""
        self.counts.gather(0)
        return len(self.counts)


def count_pieces(
    source: Source,
    *,
    pattern: str = "cl100k",
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    engine: EngineName = "native",
    num_threads: int | None = None,
    max_memory: int | None = None,
    field: str = "text",
    errors: str = "strict",
    separator: str | None = None,
    in_order: bool = False,
    progress: Progress | None = None,
) -> PieceCounts:
    """Count the pieces of *source*, for `pytok.train` or for a file.

    Arguments and errors are those of `pytok.train` and `PieceCounts`.

    >>> counts = count_pieces(["the theme of the thesis", "then and there"])
    >>> len(counts)
    8
    """
    counts = PieceCounts(
        pattern,
        special_tokens=special_tokens,
        engine=engine,
        num_threads=num_threads,
        max_memory=max_memory,
        in_order=in_order,
    )
    counts.add(source, field=field, errors=errors, separator=separator, progress=progress)
    return counts


def check_prune(least: int) -> None:
    """Raise TrainingError unless pieces that occur fewer than *least* times can be dropped."""
    if not 0 <= least < 1 << 63:
        raise TrainingError(f"prune is {least}: 0 to 2^63 - 1 occurrences are possible")


def split_by(
    source: Source | PieceCounts, pattern: str | None, special_tokens: Sequence[str] | None
) -> Splitting:
    """How *source* is split, if *pattern* and *special_tokens* say so, or do not say.

    Raises TrainingError for counts whose text was split otherwise.
    """
    if isinstance(special_tokens, str):
        raise TypeError(f"special_tokens is a list of texts, not {special_tokens!r}")
    default = (
        source.splitting
        if isinstance(source, PieceCounts)
        else Splitting(resolve("cl100k"), (END_OF_TEXT,))
    )
    asked = Splitting(
        default.pattern if pattern is None else resolve(pattern),
        default.special_tokens if special_tokens is None else tuple(special_tokens),
    )
    if isinstance(source, PieceCounts):
        _check_alike(source.splitting, asked, "these counts")
    return asked


def _check_alike(found: Splitting, expected: Splitting, where: str) -> None:
    both = (found, expected)
    patterns = [pattern_name(each.pattern) or repr(each.pattern) for each in both]
    specials = [sorted(each.special_tokens) for each in both]
    for how, theirs, ours in (
        ("by the pattern", *patterns),
        ("at the special tokens", *specials),
    ):
        if theirs != ours:
            raise TrainingError(
                f"the text of {where} was split {how} {theirs}, not {ours}; counts can be added "
                "up, and learnt from, only where all text was split alike"
            )


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _paths(source: Source) -> list[Path] | None:
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
