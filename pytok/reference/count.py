"""From documents to counted pieces. Twin of `bpe-rs/src/count.rs`."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from pytok.errors import CorpusError, PatternError, TrainingError, VocabError
from pytok.reference.budget import Budget
from pytok.reference.pretokenize import Pattern
from pytok.reference.search import search


class PieceCounts:
    """How often each piece occurs in the documents added so far.

    Documents are split at *special_tokens*, which are not counted, and between them by *pattern*.
    *num_threads* and *in_order* are accepted for compatibility with the twin: Python counts on one
    thread, and a dict keeps its order. *max_memory* is not supported and raises TrainingError.

    >>> counts = PieceCounts("gpt2", ["<|end|>"])
    >>> counts.add(["hello hello<|end|>", " hello"])
    >>> dict(counts.counts)
    {'hello': 1, ' hello': 2}
    """

    parts = 1
    """Number of parts of `part`."""

    def __init__(
        self,
        pattern: str,
        special_tokens: Sequence[str] = (),
        num_threads: int | None = None,
        max_memory: int | None = None,
        in_order: bool = False,
    ) -> None:
        if "" in special_tokens:
            raise VocabError("a special token is the empty string")
        if max_memory is not None:
            raise TrainingError(
                "the reference engine has no max_memory (--max-memory): use the native engine"
            )
        self.pattern = Pattern(pattern)
        self.specials = search(special_tokens)
        self.counts: Counter[str] = Counter()

    def add(self, texts: Iterable[str]) -> None:
        """Count the pieces of *texts*, each a document by itself: no piece spans two of them.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["hel", "lo"])
        >>> len(counts)
        2
        """
        budget = Budget()
        for text in texts:
            budget.start(len(text.encode()))
            start = offset = 0
            for special in self.specials.finditer(text) if self.specials else ():
                self.counts.update(
                    self.pattern.split(text[start : special.start()], offset, budget)
                )
                offset += len(text[start : special.end()].encode())
                start = special.end()
            self.counts.update(self.pattern.split(text[start:], offset, budget))

    def add_files(
        self,
        paths: Iterable[str | PathLike[str]],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Count the pieces of the text in each of the files at *paths*, each a document by itself.

        *progress* is called with the number of bytes counted so far. Raises CorpusError for a file
        that cannot be read, or is not UTF-8; a PatternError names the file, too.
        """
        done = 0
        for path in paths:
            data = _read(path)
            try:
                self.add([data.decode()])
            except PatternError as error:
                raise PatternError(f"{path}: {error.message}") from None
            done += len(data)
            if progress:
                progress(done)

    def add_counted(self, pieces: Iterable[bytes], counts: Iterable[int]) -> None:
        """Add *counts* to the counts of *pieces*, which are UTF-8.

        Raises TrainingError when a sum exceeds 63 bits.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add_counted([b"a", b"b"], [2, 1])
        >>> counts.counts["a"]
        2
        """
        for piece, count in zip(pieces, counts, strict=True):
            text = piece.decode()
            if self.counts[text] + count >= 1 << 63:
                raise TrainingError(
                    f'the count of the piece "{text}" exceeds 2^63 - 1: check the source of the '
                    "counts"
                )
            self.counts[text] += count

    def gather(self, min_count: int) -> tuple[int, int]:
        """Drop the pieces that occurred fewer than *min_count* times.

        Returns how many pieces were dropped, and how often they occurred in total.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["a a a b"])
        >>> counts.gather(2), dict(counts.counts)
        ((2, 2), {' a': 2})
        """
        rare = {piece: count for piece, count in self.counts.items() if count < min_count}
        for piece in rare:
            del self.counts[piece]
        return len(rare), sum(rare.values())

    def part(self, number: int) -> tuple[list[bytes], list[int]]:
        """Return one part of the distinct pieces, ordered by bytes, and their counts: here all.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["b a", "b"])
        >>> counts.part(0)
        ([b' a', b'b'], [1, 2])
        """
        ordered = sorted((piece.encode(), count) for piece, count in self.counts.items())
        return [piece for piece, _ in ordered], [count for _, count in ordered]

    def __len__(self) -> int:
        return len(self.counts)


def _read(path: str | PathLike[str]) -> bytes:
    """Return the bytes of a file, which must be UTF-8."""
    try:
        data = Path(path).read_bytes()
        data.decode()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        offset, byte = error.start, error.object[error.start]
        if offset == 0 and byte >= 0xFE:
            hint = "the file starts like UTF-16: convert it with iconv -f UTF-16 -t UTF-8"
        else:
            hint = "convert the file, or pass errors='replace' (--errors replace)"
        raise CorpusError(f"{path}: byte {offset} is not UTF-8 (0x{byte:02x}); {hint}") from None
    return data
