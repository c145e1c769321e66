"""Counted pieces to a vocabulary: the byte pair encoding algorithm.

Again and again, the most frequent pair of neighbouring tokens becomes a token; among equals, the
pair of smallest ranks (Sennrich et al. 2016, arXiv:1508.07909, with Hugging Face's rule for ties).
Pair counts are kept up to date where a merge changes them, never taken again. Twin of
`bpe-rs/src/train.rs`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise

from pytok.errors import TrainingError
from pytok.reference.count import PieceCounts
from pytok.reference.vocab import BYTE_ORDER, Vocab

Pair = tuple[int, int]

Candidate = tuple[int, Pair]
"""A merge that may come next: minus its count, then the pair.

The order of tuples *is* the tie-break: most frequent first, then the smallest pair. A pair is
queued once: every pair that contains rank ``r`` is born in the merge that minted ``r``, so later
merges can only lower its count.
"""


def train(
    counts: PieceCounts, size: int, progress: Callable[[int], object] | None = None
) -> list[bytes]:
    """Learns a vocabulary of *size* tokens: the 256 bytes, then one token a merge.

    The vocabulary is smaller if the corpus runs out of pairs. *progress* is told now and then how
    many tokens there are. Raises TrainingError when *size* is below 256.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["aaabdaaabac"])
    >>> train(counts, 259)[256:]
    [b'aa', b'ab', b'aaab']
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    if size < len(tokens):
        raise TrainingError(f"a vocabulary of {size} is too small: the 256 single bytes come first")
    words = Words(counts)
    pairs = words.count_pairs()
    heap = [candidate(pair, found) for pair, found in pairs.items()]
    heapify(heap)
    while len(tokens) < size:
        pair = next_merge(heap, pairs)
        if pair is None:
            break
        rank = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        for born in words.merge(pair, rank, pairs):
            heappush(heap, candidate(born, pairs[born]))
        if progress is not None:
            progress(len(tokens))
    return list(Vocab(tokens).tokens)


@dataclass(slots=True)
class Found:
    """Where a pair occurs, and how often."""

    count: int = 0
    words: set[int] = field(default_factory=set)
    """The words that hold the pair, or held it once: a superset."""

    def add(self, word: int, count: int) -> None:
        """Counts the pair *count* more times, in *word*.

        >>> found = Found()
        >>> found.add(word=7, count=3)
        >>> found
        Found(count=3, words={7})
        """
        self.count += count
        self.words.add(word)


def candidate(pair: Pair, found: Found) -> Candidate:
    """The heap's entry for *pair*.

    >>> candidate((1, 2), Found(count=3))
    (-3, (1, 2))
    """
    return -found.count, pair


def next_merge(heap: list[Candidate], pairs: dict[Pair, Found]) -> Pair | None:
    """The most frequent pair; among equals the smallest.

    >>> pairs = {(9, 9): Found(2), (1, 7): Found(3), (1, 2): Found(3)}
    >>> next_merge(sorted(candidate(*item) for item in pairs.items()), pairs)
    (1, 2)
    """
    while heap:
        queued, pair = heappop(heap)
        count = pairs[pair].count
        if count == -queued and count > 0:
            return pair
        if count > 0:
            # The count fell since this candidate was queued: back to its true height.
            heappush(heap, (-count, pair))
    return None


class Words:
    """The distinct pieces as ranks; merging shortens them.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!!#"])
    >>> words = Words(counts)
    >>> words.symbols, words.counts
    ([[0, 0, 2]], [1])
    """

    def __init__(self, counted: PieceCounts) -> None:
        rank_of_byte = bytes(map(BYTE_ORDER.index, range(256)))
        pieces = counted.counts
        self.symbols = [list(piece.encode().translate(rank_of_byte)) for piece in pieces]
        self.counts = list(pieces.values())

    def count_pairs(self) -> dict[Pair, Found]:
        """How often each pair occurs, overlaps included, weighted by the count of its word.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> {pair: found.count for pair, found in Words(counts).count_pairs().items()}
        {(0, 0): 2, (0, 2): 1}
        """
        pairs: dict[Pair, Found] = {}
        for word, (symbols, count) in enumerate(zip(self.symbols, self.counts, strict=True)):
            for pair in pairwise(symbols):
                pairs.setdefault(pair, Found()).add(word, count)
        return pairs

    def merge(self, pair: Pair, rank: int, pairs: dict[Pair, Found]) -> list[Pair]:
        """Replaces *pair* by *rank* wherever it occurs, from the left.

        Returns the pairs that were born. *pairs* is up to date afterwards, *pair* gone from it.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> words = Words(counts)
        >>> words.merge((0, 0), 256, words.count_pairs())
        [(256, 0)]
        >>> words.symbols
        [[256, 0, 2]]
        """
        left, right = pair
        born = []
        for word in pairs.pop(pair).words:
            symbols, count = self.symbols[word], self.counts[word]
            merged: list[int] = []
            changes: list[tuple[Pair, Pair]] = []
            at = 0
            while at < len(symbols):
                if symbols[at] == left and symbols[at + 1 : at + 2] == [right]:
                    if merged:
                        changes.append(((merged[-1], left), (merged[-1], rank)))
                    if at + 2 < len(symbols):
                        changes.append(((right, symbols[at + 2]), (rank, symbols[at + 2])))
                    merged.append(rank)
                    at += 2
                else:
                    merged.append(symbols[at])
                    at += 1
            self.symbols[word] = merged
            for old, new in changes:
                # A neighbour that is the merged pair itself has no entry any more.
                if old in pairs:
                    pairs[old].count -= count
                if new not in pairs:
                    pairs[new] = Found()
                    born.append(new)
                pairs[new].add(word, count)
        return born
