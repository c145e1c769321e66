"""A vocabulary: byte strings in rank order, with look-ups in both directions.

The rank of a token is its priority as a merge: lower ranks merge first. Merges are not stored;
they follow from the tokens (`pytok.reference.encode.merges`). Twin of `bpe-rs/src/vocab.rs`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytok.errors import VocabError


@dataclass(frozen=True, slots=True, init=False)
class Vocab:
    """Tokens in rank order; validated once, then immutable.

    *missing* are the bytes that are not tokens: most vocabularies have all 256. Raises VocabError
    if a token is empty or occurs twice.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> vocab = Vocab([bytes([byte]) for byte in BYTE_ORDER] + [b"th"])
    >>> vocab.ranks[b"th"], vocab.tokens[256]
    (256, b'th')
    """

    tokens: tuple[bytes, ...]
    ranks: dict[bytes, int] = field(repr=False, compare=False)
    longest: int = field(repr=False, compare=False)
    missing: frozenset[int] = field(repr=False, compare=False)

    def __init__(self, tokens: Iterable[bytes]) -> None:
        ranks: dict[bytes, int] = {}
        for rank, token in enumerate(tokens):
            if not token:
                raise VocabError(f"the token at rank {rank} is empty")
            if token in ranks:
                raise VocabError(
                    f"the token 0x{token.hex()} occurs twice, at ranks {ranks[token]} and {rank}"
                )
            ranks[token] = rank
        object.__setattr__(self, "tokens", tuple(ranks))
        object.__setattr__(self, "ranks", ranks)
        object.__setattr__(self, "longest", max(map(len, ranks), default=0))
        missing = (byte for byte in range(256) if bytes([byte]) not in ranks)
        object.__setattr__(self, "missing", frozenset(missing))

    def __len__(self) -> int:
        return len(self.tokens)
