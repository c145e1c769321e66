"""Counted pieces to a vocabulary: the byte pair encoding algorithm.

Again and again, the most frequent pair of neighbouring tokens becomes a token (Sennrich et al.
2016, arXiv:1508.07909); `TIES` says which of equals. Pair counts are kept up to date where a merge
changes them, never taken again. Twin of `bpe-rs/src/train.rs`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise

from pytok.byte_order import BYTE_ORDER
from pytok.errors import TrainingError
from pytok.reference.count import PieceCounts
from pytok.reference.encode import encode_piece, merges
from pytok.reference.vocab import Vocab

Pair = tuple[int, int]

Key = tuple[int, ...] | tuple[tuple[int, ...], ...]
"""A pair's place among those of its count: the smallest is merged first."""

Candidate = tuple[int, Key, Pair]
"""A merge that may come next: minus its count, its key, the pair.

The order of tuples *is* the order of merging. A pair is queued once: every pair that contains rank
``r`` is born in the merge that minted ``r``, so later merges can only lower its count, and move its
first place to the right.
"""


def train(
    counts: PieceCounts,
    size: int,
    base: Sequence[bytes] | None = None,
    ties: str = "hf",
    min_frequency: int = 0,
    max_token_length: int | None = None,
    limit_alphabet: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[bytes]:
    """Learns a vocabulary of *size* tokens: those of *base*, then one token a merge.

    *base* is the 256 bytes if ``None``. *ties* names the rule of `TIES` that says which of equally
    frequent pairs is merged first. A pair that occurs less than *min_frequency* times is never
    merged, nor is one of *max_token_length* bytes or more. Only *limit_alphabet* characters take
    part, the most frequent; of equals those of the smallest code points.

    The vocabulary is smaller if the corpus runs out of pairs. *progress* is told now and then how
    many tokens there are. Raises TrainingError when *size* is below that of *base*, when *base* has
    a token that no merge makes, or the counts add up to more than 64 bits hold.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["aaabdaaabac"])
    >>> train(counts, 259)[256:]
    [b'aa', b'ab', b'aaab']
    >>> train(counts, 259, max_token_length=4)[256:]
    [b'aa', b'ab', b'ac']
    """
    if ties not in TIES:
        raise TrainingError(f'unknown ties "{ties}"')
    tokens = first_tokens(size, base)
    words = Words(counts, tokens, base is not None, limit_alphabet, max_token_length)
    pairs = words.count_pairs()
    key = TIES[ties]
    heap = [candidate(words, pairs, key, pair) for pair in pairs]
    heapify(heap)
    while len(words.tokens) < size:
        pair = next_merge(heap, words, pairs, key, max(min_frequency, 1))
        if pair is None:
            break
        for born in words.merge(pair, pairs):
            heappush(heap, candidate(words, pairs, key, born))
        if progress is not None:
            progress(len(words.tokens))
    return list(Vocab(words.tokens).tokens)


def first_tokens(size: int, base: Sequence[bytes] | None) -> list[bytes]:
    """The tokens to begin with, in rank order.

    >>> first_tokens(256, None)[:3]
    [b'!', b'"', b'#']
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER] if base is None else list(base)
    if size < len(tokens):
        raise TrainingError(
            f"a vocabulary of {size} is too small: there are {len(tokens)} tokens to begin with"
        )
    if base is not None:
        # New merges could make such a token, which would then have two ways to be made.
        for rank, (token, merge) in enumerate(zip(base, merges(Vocab(base)), strict=True)):
            if merge is None and len(token) > 1:
                raise TrainingError(
                    f"training cannot go on from a vocabulary with the token 0x{token.hex()}, at "
                    f"rank {rank}, which no merge of lower ranks makes"
                )
    return tokens


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


def next_merge(
    heap: list[Candidate],
    words: "Words",
    pairs: dict[Pair, Found],
    key: "Rule",
    least: int,
) -> Pair | None:
    """The next merge, if there is one that occurs *least* times.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!#", "!!"])
    >>> words = Words(counts, first_tokens(256, None))
    >>> pairs = words.count_pairs()
    >>> next_merge([(-2, (0, 0), (0, 0)), (-1, (0, 2), (0, 2))], words, pairs, smallest, 1)
    (0, 0)
    """
    while heap:
        queued = heappop(heap)
        pair = queued[2]
        if pairs[pair].count < least:
            continue
        true = candidate(words, pairs, key, pair)
        if true == queued:
            return pair
        # It has sunk since it was queued: back to its true height.
        heappush(heap, true)
    return None


def candidate(words: "Words", pairs: dict[Pair, Found], key: "Rule", pair: Pair) -> Candidate:
    """The heap's entry for *pair*.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!!!#"])
    >>> words = Words(counts, first_tokens(256, None))
    >>> candidate(words, words.count_pairs(), smallest, (0, 0))
    (-2, (0, 0), (0, 0))
    """
    return -pairs[pair].count, key(words, pair, pairs[pair]), pair


class Words:
    """The distinct pieces, cut into tokens; merging shortens them.

    With *encoded* they begin as the vocabulary of *tokens* encodes them, else as bytes. Pairs of
    *too_long* bytes or more are not counted.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!!#"])
    >>> words = Words(counts, first_tokens(256, None))
    >>> words.symbols, words.counts
    ([[0, 0, 2]], [1])
    """

    def __init__(
        self,
        counted: PieceCounts,
        tokens: list[bytes],
        encoded: bool = False,
        limit_alphabet: int | None = None,
        too_long: int | None = None,
    ) -> None:
        pieces = counted.counts
        if sum(len(piece.encode()) * count for piece, count in pieces.items()) >= 1 << 64:
            raise TrainingError("the counts of the pieces add up to more than 64 bits hold")
        self.tokens = tokens
        self.too_long = too_long
        self.symbols: list[list[int]] = []
        self.counts: list[int] = []
        rank_of_byte = bytes(map(BYTE_ORDER.index, range(256)))
        vocab = Vocab(tokens) if encoded else None
        characters = None if limit_alphabet is None else alphabet(counted, limit_alphabet)
        for piece, count in pieces.items():
            word = piece.encode()
            ranks = encode_piece(vocab, word) if vocab else list(word.translate(rank_of_byte))
            runs = [ranks] if characters is None else self.runs(piece, ranks, characters)
            self.symbols += runs
            self.counts += [count] * len(runs)

    def runs(self, piece: str, ranks: list[int], characters: set[str]) -> list[list[int]]:
        """*ranks*, which spell *piece*, without those that are not of *characters* alone.

        >>> counts = PieceCounts("gpt2")
        >>> Words(counts, first_tokens(256, None)).runs("!#!!", [0, 2, 0, 0], {"!"})
        [[0], [0, 0]]
        """
        takes_part = [character in characters for character in piece for _ in character.encode()]
        runs: list[list[int]] = [[]]
        at = 0
        for rank in ranks:
            end = at + len(self.tokens[rank])
            if all(takes_part[at:end]):
                runs[-1].append(rank)
            else:
                runs.append([])
            at = end
        return runs

    def may_be(self, pair: Pair) -> bool:
        """Whether *pair* is short enough to be merged."""
        length = len(self.tokens[pair[0]]) + len(self.tokens[pair[1]])
        return self.too_long is None or length < self.too_long

    def count_pairs(self) -> dict[Pair, Found]:
        """How often each pair occurs, overlaps included, weighted by the count of its word.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> pairs = Words(counts, first_tokens(256, None)).count_pairs()
        >>> {pair: found.count for pair, found in pairs.items()}
        {(0, 0): 2, (0, 2): 1}
        """
        pairs: dict[Pair, Found] = {}
        for word, (symbols, count) in enumerate(zip(self.symbols, self.counts, strict=True)):
            for pair in filter(self.may_be, pairwise(symbols)):
                pairs.setdefault(pair, Found()).add(word, count)
        return pairs

    def first_place(self, pair: Pair, found: Found) -> tuple[int, int]:
        """The first word that holds *pair*, and at which byte, for a pair that occurs.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!#", "#!#"])
        >>> words = Words(counts, first_tokens(256, None))
        >>> words.first_place((0, 2), words.count_pairs()[0, 2])
        (0, 1)
        """
        for word in sorted(found.words):
            at = 0
            for left, right in pairwise(self.symbols[word]):
                if (left, right) == pair:
                    return word, at
                at += len(self.tokens[left])
        raise AssertionError(f"{pair} is counted but does not occur")

    def merge(self, pair: Pair, pairs: dict[Pair, Found]) -> list[Pair]:
        """Makes a token of *pair* wherever it occurs, from the left.

        Returns the pairs that were born. *pairs* is up to date afterwards, *pair* gone from it.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> words = Words(counts, first_tokens(256, None))
        >>> words.merge((0, 0), words.count_pairs())
        [(256, 0)]
        >>> words.symbols
        [[256, 0, 2]]
        """
        left, right = pair
        rank = len(self.tokens)
        self.tokens.append(self.tokens[left] + self.tokens[right])
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
                # The merged pair itself has no entry any more, and one that is too long never had.
                if old in pairs:
                    pairs[old].count -= count
                if not self.may_be(new):
                    continue
                if new not in pairs:
                    pairs[new] = Found()
                    born.append(new)
                pairs[new].add(word, count)
        return [new for new in born if pairs[new].count > 0]


def alphabet(counts: PieceCounts, limit: int) -> set[str]:
    """The *limit* most frequent characters; of equals those of the smallest code points.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["acb b"])
    >>> sorted(alphabet(counts, 2))
    [' ', 'b']
    """
    found: Counter[str] = Counter()
    for piece, count in counts.counts.items():
        for character in piece:
            found[character] += count
    return set(sorted(found, key=lambda character: (-found[character], character))[:limit])


Rule = Callable[[Words, Pair, Found], Key]


def smallest(words: Words, pair: Pair, found: Found) -> Key:
    """The smallest pair of ranks first."""
    return pair


def smallest_by_bytes(words: Words, pair: Pair, found: Found) -> Key:
    """The smallest pair first, with each byte's own value in place of its rank."""
    tokens = [words.tokens[rank] for rank in pair]
    return tuple(
        token[0] if len(token) == 1 else 256 + rank
        for rank, token in zip(pair, tokens, strict=True)
    )


def first_seen(words: Words, pair: Pair, found: Found) -> Key:
    """The first one in the corpus as it is merged so far."""
    return words.first_place(pair, found)


def greatest(words: Words, pair: Pair, found: Found) -> Key:
    """The greatest pair of byte strings first.

    A string is greater than one that it begins with, hence the 1 at the end.
    """
    return tuple((*(-byte for byte in words.tokens[rank]), 1) for rank in pair)


TIES: dict[str, Rule] = {
    "hf": smallest,
    "rustbpe": smallest_by_bytes,
    "first": first_seen,
    "cs336": greatest,
}
"""Which of equally frequent pairs is merged first.

``hf``: as Hugging Face's `BpeTrainer`, whose bytes are in GPT-2's order. ``rustbpe``: as `rustbpe`.
``first``: as minbpe's `RegexTokenizer` and tiktoken's `_educational`. ``cs336``: as assignment 1 of
Stanford's CS336.
"""
