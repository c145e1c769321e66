"""From a piece to ranks.

A piece that is a token is encoded as that token. Otherwise its bytes are merged: at each step the
two neighbors that spell the token of lowest rank, the leftmost first, until no two neighbors spell
a token. This is tiktoken's rule, on bytes, for any vocabulary. Twin of `bpe-rs/src/encode.rs`.
"""

from heapq import heapify, heappop, heappush

from pytok.reference.vocab import Vocab


def encode_piece(vocab: Vocab, piece: bytes) -> list[int]:
    """Return the ranks of *piece*.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> vocab = Vocab([bytes([byte]) for byte in BYTE_ORDER] + [b"lo", b"hel"])
    >>> encode_piece(vocab, b"hello")  # h e l lo: "he" is not a token, so "hel" is not reached
    [71, 68, 75, 256]
    >>> encode_piece(vocab, b"hel")
    [257]
    """
    rank = vocab.ranks.get(piece)
    return merge(vocab, piece, len(vocab)) if rank is None else [rank]


def merges(vocab: Vocab) -> list[tuple[int, int] | None]:
    """Return for each token the two tokens whose merge makes it.

    ``None`` for the 256 bytes, and for a token that no merge of lower-ranked tokens makes (only a
    whole piece can be encoded as such a token).

    If every token longer than a byte has such a pair, this rule and Hugging Face's, which ranks
    pairs instead of bytes, encode every text identically: whatever spans the bytes of a token when
    it is merged has been merged as these bytes are by themselves, so the pair that spells the token
    is this one.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> vocab = Vocab([bytes([byte]) for byte in BYTE_ORDER] + [b"lo", b"hel", b"llo"])
    >>> merges(vocab)[256:]
    [(75, 78), None, (75, 256)]
    """
    found: list[tuple[int, int] | None] = []
    for rank, token in enumerate(vocab.tokens):
        parts = merge(vocab, token, rank)
        # A byte that is no token would be missing.
        is_made = len(parts) == 2 and sum(len(vocab.tokens[part]) for part in parts) == len(token)
        found.append((parts[0], parts[1]) if is_made else None)
    return found


def merge(vocab: Vocab, piece: bytes, limit: int) -> list[int]:
    """Merge *piece* with only the tokens of ranks below *limit*, and return the ranks.

    A byte that is not a token, and that no merge takes, is omitted.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> vocab = Vocab([bytes([byte]) for byte in BYTE_ORDER] + [b"ab", b"bc", b"abab"])
    >>> merge(vocab, b"ababc", limit=259), merge(vocab, b"ababc", limit=258)
    ([258, 66], [256, 256, 66])
    """
    ranks, longest, length = vocab.ranks, vocab.longest, len(piece)
    # A part is identified by its start. `end[start]` is its end, 0 once it was merged into a part
    # to its left; `before[start]` is the start of its left neighbor.
    end = list(range(1, length + 1))
    before = list(range(-1, length - 1))
    heap: list[tuple[int, int, int]] = []

    def consider(start: int, stop: int) -> None:
        rank = ranks.get(piece[start:stop], limit) if stop - start <= longest else limit
        if rank < limit:
            heap.append((rank, start, stop)) if building else heappush(heap, (rank, start, stop))

    building = True
    for start in range(length - 1):
        consider(start, start + 2)
    heapify(heap)
    building = False
    while heap:
        _, start, stop = heappop(heap)
        middle = end[start]
        # Stale if this part or its right neighbor has been merged since.
        if middle == 0 or middle >= length or end[middle] != stop:
            continue
        end[start] = stop
        end[middle] = 0
        if stop < length:
            before[stop] = start
            consider(start, end[stop])
        if start > 0:
            consider(before[start], stop)
    parts = (piece[start:stop] for start, stop in enumerate(end) if stop)
    return [ranks[part] for part in parts if part in ranks]
