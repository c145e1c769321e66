"""Documents to counted pieces. Twin of `bpe-rs/src/count.rs`."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from pytok.errors import CorpusError, PatternError, TrainingError, VocabError
from pytok.reference.pretokenize import Pattern
from pytok.reference.search import search


class PieceCounts:
    """How often each piece occurs in the documents seen so far.

    Documents are split at *special_tokens*, which are not counted, and what lies between them by
    *pattern*. *num_threads* and *in_order* are there for the twin's sake: Python counts on one
    thread, and a dict is in order. It has no *max_memory*: TrainingError.

    >>> counts = PieceCounts("gpt2", ["<|end|>"])
    >>> counts.add(["hello hello<|end|>", " hello"])
    >>> dict(counts.counts)
    {'hello': 1, ' hello': 2}
    """

    parts = 1
    """How many parts `part` has."""

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
        """Counts the pieces of *texts*, each a document by itself: no piece spans two of them.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["hel", "lo"])
        >>> len(counts)
        2
        """
        for text in texts:
            start = offset = 0
            for special in self.specials.finditer(text) if self.specials else ():
                self.counts.update(self.pattern.split(text[start : special.start()], offset))
                offset += len(text[start : special.end()].encode())
                start = special.end()
            self.counts.update(self.pattern.split(text[start:], offset))

    def add_files(
        self,
        paths: Iterable[str | PathLike[str]],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Counts the pieces of the text in each file; *progress* is told how many bytes are done.

        Raises CorpusError for a file that cannot be read, or is not UTF-8; PatternError names the
        file, too.
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
        """Counts each of *pieces* so many times more.

        Raises TrainingError for one that has then occurred more often than 63 bits can say.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add_counted([b"a", b"b"], [2, 1])
        >>> counts.counts["a"]
        2
        """
        for piece, count in zip(pieces, counts, strict=True):
            text = piece.decode()
            if self.counts[text] + count >= 1 << 63:
                raise TrainingError(
                    f"the piece {piece!r} is counted more than 2^63 times in all; that is no real "
                    "count"
                )
            self.counts[text] += count

    def gather(self, least: int) -> tuple[int, int]:
        """Drops the pieces that occurred fewer than *least* times.

        Says how many pieces that were, and how often they occurred in all.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["a a a b"])
        >>> counts.gather(2), dict(counts.counts)
        ((2, 2), {' a': 2})
        """
        rare = {piece: count for piece, count in self.counts.items() if count < least}
        for piece in rare:
            del self.counts[piece]
        return len(rare), sum(rare.values())

    def part(self, number: int) -> tuple[list[bytes], list[int]]:
        """A share of the distinct pieces, ordered by bytes, and their counts: here all of them.

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
    try:
        data = Path(path).read_bytes()
        data.decode()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        at, byte = error.start, error.object[error.start]
        if at == 0 and byte >= 0xFE:
            hint = "the file begins as UTF-16 does: convert it: iconv -f UTF-16 -t UTF-8"
        else:
            hint = "convert the file, or pass errors='replace' (--errors replace)"
        raise CorpusError(f"{path}: byte {at} is not UTF-8 (0x{byte:02x}); {hint}") from None
    return data
