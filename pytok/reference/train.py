"""From counted pieces to a vocabulary: the byte pair encoding algorithm.

Each step makes the most frequent pair of neighboring tokens a token (Sennrich et al. 2016,
arXiv:1508.07909); `MergeRules` say which pairs can be merged, and `TIES` which of equally frequent
pairs comes first. A merge updates only the pair counts that it changes, so pairs are counted from
scratch only once. Twin of `bpe-rs/src/train.rs`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise

from pytok.byte_order import BYTE_ORDER
from pytok.errors import TrainingError
from pytok.merging import MergeRules
from pytok.reference.count import PieceCounts
from pytok.reference.encode import encode_piece, merges
from pytok.reference.vocab import Vocab

Pair = tuple[int, int]

Key = tuple[int, ...] | tuple[tuple[int, ...], ...]
"""Order of a pair among those of equal count: the smallest is merged first."""

Candidate = tuple[int, Key, Pair]
"""A possible next merge: minus its count, its key, the pair.

The order of these tuples *is* the order of merging. A pair is queued once: a pair that contains
rank ``r`` first occurs in the merge that creates ``r``, so later merges can only lower its count,
and move its first occurrence to the right.
"""


def train(
    counts: PieceCounts,
    size: int,
    base: Sequence[bytes] | None = None,
    rules: MergeRules | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[bytes]:
    """Train a vocabulary of *size* tokens: those of *base*, then one token a merge.

    *base* defaults to the 256 bytes, *rules* to ``MergeRules()``.

    No merge makes one of `ends_of_unmade`. The vocabulary is smaller if the corpus runs out of
    pairs. *progress* is called from time to time with the number of tokens so far. Raises
    TrainingError when *size* is below that of *base*, or when the counts exceed 64 bits in total.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["aaabdaaabac"])
    >>> train(counts, 259)[256:]
    [b'aa', b'ab', b'aaab']
    >>> train(counts, 259, rules=MergeRules(max_token_length=4))[256:]
    [b'aa', b'ab', b'ac']
    """
    rules = MergeRules() if rules is None else rules
    if rules.ties not in TIES:
        raise TrainingError(f'unknown ties "{rules.ties}"')
    tokens = first_tokens(size, base)
    words = Words(counts, tokens, rules, encoded=base is not None)
    pairs = words.count_pairs()
    key = TIES[rules.ties]
    heap = [candidate(words, pairs, key, pair) for pair in pairs]
    heapify(heap)
    while len(words.tokens) < size:
        pair = next_merge(heap, words, pairs, key, max(rules.min_frequency, 1))
        if pair is None:
            break
        for new in words.merge(pair, pairs):
            heappush(heap, candidate(words, pairs, key, new))
        if progress is not None:
            progress(len(words.tokens))
    return list(Vocab(words.tokens).tokens)


def first_tokens(size: int, base: Sequence[bytes] | None) -> list[bytes]:
    """Return the initial tokens, in rank order.

    >>> first_tokens(256, None)[:3]
    [b'!', b'"', b'#']
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER] if base is None else list(base)
    if size < len(tokens):
        raise TrainingError(
            f"a vocabulary of {size} is too small: it starts with {len(tokens)} tokens"
        )
    return tokens


def ends_of_unmade(base: Sequence[bytes]) -> set[bytes]:
    """Return the beginnings and ends of the tokens of *base* that no merge of lower ranks makes.

    Only as a complete piece is a text such a token. Two new neighbors that spell it would make it a
    second time, under the rank of the base, before merges that training has made first. The
    neighbors are a beginning and an end of the token, so if merges make none of these, nothing ever
    spells it.

    >>> tokens = first_tokens(256, None)
    >>> sorted(ends_of_unmade([*tokens, b"ab", b"xyz"]))
    [b'x', b'xy', b'yz', b'z']
    """
    made = zip(base, merges(Vocab(base)), strict=True)
    unmade = [token for token, merge in made if merge is None]
    return {
        end for token in unmade for at in range(1, len(token)) for end in (token[:at], token[at:])
    }


@dataclass(slots=True)
class Occurrences:
    """The occurrences of a pair."""

    count: int = 0
    """How often the pair occurs: the sum of the counts of the words, once for each occurrence."""
    words: set[int] = field(default_factory=set)
    """The words that contain the pair, or contained it before a merge."""

    def add(self, word: int, count: int) -> None:
        """Add *count* occurrences in *word*.

        >>> occurrences = Occurrences()
        >>> occurrences.add(word=7, count=3)
        >>> occurrences
        Occurrences(count=3, words={7})
        """
        self.count += count
        self.words.add(word)


def next_merge(
    heap: list[Candidate],
    words: "Words",
    pairs: dict[Pair, Occurrences],
    key: "Rule",
    min_count: int,
) -> Pair | None:
    """Return the next merge, or None if no pair occurs at least *min_count* times.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!#", "!!"])
    >>> words = Words(counts, first_tokens(256, None), MergeRules())
    >>> pairs = words.count_pairs()
    >>> next_merge([(-2, (0, 0), (0, 0)), (-1, (0, 2), (0, 2))], words, pairs, smallest, 1)
    (0, 0)
    """
    while heap:
        queued = heappop(heap)
        pair = queued[2]
        if pairs[pair].count < min_count:
            continue
        current = candidate(words, pairs, key, pair)
        if current == queued:
            return pair
        # Merges have lowered its count since it was queued: queue it with the current one.
        heappush(heap, current)
    return None


def candidate(words: "Words", pairs: dict[Pair, Occurrences], key: "Rule", pair: Pair) -> Candidate:
    """Return the entry of *pair* in the heap.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!!!#"])
    >>> words = Words(counts, first_tokens(256, None), MergeRules())
    >>> candidate(words, words.count_pairs(), smallest, (0, 0))
    (-2, (0, 0), (0, 0))
    """
    return -pairs[pair].count, key(words, pair, pairs[pair]), pair


class Words:
    """The distinct pieces as sequences of tokens, which each merge updates.

    They start as the vocabulary of *tokens* encodes them if *encoded*, as bytes otherwise. Pairs
    that *rules* exclude are not counted.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["!!#"])
    >>> words = Words(counts, first_tokens(256, None), MergeRules())
    >>> words.symbols, words.counts
    ([[0, 0, 2]], [1])
    """

    def __init__(
        self,
        counted: PieceCounts,
        tokens: list[bytes],
        rules: MergeRules,
        encoded: bool = False,
    ) -> None:
        pieces = counted.counts
        if sum(len(piece.encode()) * count for piece, count in pieces.items()) >= 1 << 64:
            raise TrainingError("the counts of the pieces exceed 64 bits in total")
        self.tokens = tokens
        self.rules = rules
        self.excluded = ends_of_unmade(tokens) if encoded else set()
        self.symbols: list[list[int]] = []
        self.counts: list[int] = []
        rank_of_byte = bytes(map(BYTE_ORDER.index, range(256)))
        vocab = Vocab(tokens) if encoded else None
        limit = rules.limit_alphabet
        characters = None if limit is None else alphabet(counted, limit)
        for piece, count in pieces.items():
            word = piece.encode()
            ranks = encode_piece(vocab, word) if vocab else list(word.translate(rank_of_byte))
            segments = [ranks] if characters is None else self.segments(piece, ranks, characters)
            self.symbols += segments
            self.counts += [count] * len(segments)

    def segments(self, piece: str, ranks: list[int], characters: set[str]) -> list[list[int]]:
        """Split *ranks*, which spell *piece*, at the tokens that are not of *characters* alone.

        >>> counts = PieceCounts("gpt2")
        >>> words = Words(counts, first_tokens(256, None), MergeRules())
        >>> words.segments("!#!!", [0, 2, 0, 0], {"!"})
        [[0], [0, 0]]
        """
        takes_part = [character in characters for character in piece for _ in character.encode()]
        segments: list[list[int]] = [[]]
        start = 0
        for rank in ranks:
            end = start + len(self.tokens[rank])
            if all(takes_part[start:end]):
                segments[-1].append(rank)
            else:
                segments.append([])
            start = end
        return segments

    def fits(self, pair: Pair) -> bool:
        """Return whether *pair* can be merged: whether it is short enough and not excluded."""
        merged = self.tokens[pair[0]] + self.tokens[pair[1]]
        limit = self.rules.max_token_length
        return (limit is None or len(merged) < limit) and merged not in self.excluded

    def count_pairs(self) -> dict[Pair, Occurrences]:
        """Count all pairs, overlapping ones included, weighted by the counts of their words.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> pairs = Words(counts, first_tokens(256, None), MergeRules()).count_pairs()
        >>> {pair: occurrences.count for pair, occurrences in pairs.items()}
        {(0, 0): 2, (0, 2): 1}
        """
        pairs: dict[Pair, Occurrences] = {}
        for word, (symbols, count) in enumerate(zip(self.symbols, self.counts, strict=True)):
            for pair in filter(self.fits, pairwise(symbols)):
                pairs.setdefault(pair, Occurrences()).add(word, count)
        return pairs

    def first_occurrence(self, pair: Pair, occurrences: Occurrences) -> tuple[int, int]:
        """Return the first word that contains *pair*, which must occur, and the offset in bytes.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!#", "#!#"])
        >>> words = Words(counts, first_tokens(256, None), MergeRules())
        >>> words.first_occurrence((0, 2), words.count_pairs()[0, 2])
        (0, 1)
        """
        for word in sorted(occurrences.words):
            offset = 0
            for left, right in pairwise(self.symbols[word]):
                if (left, right) == pair:
                    return word, offset
                offset += len(self.tokens[left])
        raise AssertionError(f"{pair} is counted but does not occur")

    def merge(self, pair: Pair, pairs: dict[Pair, Occurrences]) -> list[Pair]:
        """Merge *pair* into a token wherever it occurs, from the left; return the new pairs.

        Updates *pairs*, and removes *pair* from it.

        >>> counts = PieceCounts("gpt2")
        >>> counts.add(["!!!#"])
        >>> words = Words(counts, first_tokens(256, None), MergeRules())
        >>> words.merge((0, 0), words.count_pairs())
        [(256, 0)]
        >>> words.symbols
        [[256, 0, 2]]
        """
        left, right = pair
        rank = len(self.tokens)
        self.tokens.append(self.tokens[left] + self.tokens[right])
        new_pairs = []
        for word in pairs.pop(pair).words:
            symbols, count = self.symbols[word], self.counts[word]
            # Rewrite the word, and note which neighboring pairs change into which.
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
                # The merged pair itself has been removed; excluded pairs have no entry.
                if old in pairs:
                    pairs[old].count -= count
                if not self.fits(new):
                    continue
                if new not in pairs:
                    pairs[new] = Occurrences()
                    new_pairs.append(new)
                pairs[new].add(word, count)
        return [new for new in new_pairs if pairs[new].count > 0]


def alphabet(counts: PieceCounts, limit: int) -> set[str]:
    """Return the *limit* most frequent characters, in case of ties those of smaller code points.

    >>> counts = PieceCounts("gpt2")
    >>> counts.add(["acb b"])
    >>> sorted(alphabet(counts, 2))
    [' ', 'b']
    """
    frequency: Counter[str] = Counter()
    for piece, count in counts.counts.items():
        for character in piece:
            frequency[character] += count
    order = sorted(frequency, key=lambda character: (-frequency[character], character))
    return set(order[:limit])


Rule = Callable[[Words, Pair, Occurrences], Key]


def smallest(words: Words, pair: Pair, occurrences: Occurrences) -> Key:
    """Order pairs by their ranks, the smallest first."""
    return pair


def smallest_by_bytes(words: Words, pair: Pair, occurrences: Occurrences) -> Key:
    """Order pairs by their ranks, with bytes ordered by value."""
    tokens = [words.tokens[rank] for rank in pair]
    return tuple(
        token[0] if len(token) == 1 else 256 + rank
        for rank, token in zip(pair, tokens, strict=True)
    )


def first_seen(words: Words, pair: Pair, occurrences: Occurrences) -> Key:
    """Order pairs by their first occurrence in the corpus as merged so far."""
    return words.first_occurrence(pair, occurrences)


def greatest(words: Words, pair: Pair, occurrences: Occurrences) -> Key:
    """Order pairs by their byte strings, the greatest first.

    A string is greater than its prefixes, hence the 1 at the end.
    """
    return tuple((*(-byte for byte in words.tokens[rank]), 1) for rank in pair)


TIES: dict[str, Rule] = {
    "hf": smallest,
    "rustbpe": smallest_by_bytes,
    "first": first_seen,
    "cs336": greatest,
}
"""Which of equally frequent pairs is merged first, by the names of `pytok.merging.Ties`."""
