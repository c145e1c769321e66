"""Documents to counted pieces. Twin of `bpe-rs/src/count.rs`."""

from collections import Counter
from collections.abc import Iterable

from pytok.reference.pretokenize import Pattern


class PieceCounts:
    """How often each piece occurs in the documents seen so far.

    *num_threads* is there for the twin's sake; Python counts on one.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["hello hello", " hello"])
    >>> dict(counts.counts)
    {'hello': 1, ' hello': 2}
    """

    def __init__(self, pattern: str, num_threads: int | None = None) -> None:
        self.pattern = Pattern(pattern)
        self.counts: Counter[str] = Counter()

    def add(self, texts: Iterable[str]) -> None:
        """Counts the pieces of *texts*, each a document by itself: no piece spans two of them.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["hel", "lo"])
        >>> len(counts)
        2
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self.pattern.split(text))
        self.counts.update(counts)

    def __len__(self) -> int:
        return len(self.counts)
