"""A tokenizer's core: a vocabulary, a pattern, special tokens, and their ids.

All of it is frozen, so one core serves any number of threads. Twin of `bpe-rs/src/core.rs`, behind
the same methods (`pytok.engine.Core`).
"""

import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence

from pytok.errors import VocabError
from pytok.reference.decode import decode
from pytok.reference.encode import encode_piece, merges
from pytok.reference.pretokenize import Pattern
from pytok.reference.vocab import Vocab


class Core:
    """Vocabulary, pattern and special tokens under their external ids.

    An id that 32 bits cannot hold is an OverflowError, as it is for the twin.

    *tokens* come in rank order; *ids* gives the id of each rank, the ranks themselves if ``None``;
    *specials* are texts and their ids; two may have one id, as in o200k_harmony, and it decodes to
    the first. Raises VocabError when the tokens make no vocabulary, two ids are the same, or a
    special token is empty; PatternError when the pattern does not compile.

    >>> from pytok.reference.vocab import BYTE_ORDER
    >>> core = Core([bytes([byte]) for byte in BYTE_ORDER], None, "gpt2", [("<|end|>", 256)])
    >>> core.encode("hi<|end|>", ["<|end|>"]), core.count("hi<|end|>", [])
    ([71, 72, 256], 9)
    >>> core.decode_bytes([71, 72, 256]), core.token(256), core.id(b"i")
    (b'hi<|end|>', b'<|end|>', 72)
    >>> core.encode_batch(["h", "i"], [], None), core.encode_to_buffer("hi", [])[::4]
    ([[71], [72]], b'GH')
    >>> core.pieces("hi there"), core.encode_piece(b"hi"), core.merges()[0]
    (['hi', ' there'], [71, 72], None)
    """

    def __init__(
        self,
        tokens: Iterable[bytes],
        ids: Sequence[int] | None,
        pattern: str,
        specials: Sequence[tuple[str, int]],
    ) -> None:
        self.vocab = Vocab(tokens)
        self.pattern = Pattern(pattern)
        if ids is not None and len(ids) != len(self.vocab):
            raise VocabError(f"{len(self.vocab)} tokens need as many ids, not {len(ids)}")
        self.ids = range(len(self.vocab)) if ids is None else list(ids)
        self.specials = dict(specials)
        self.token_of_id: dict[int, bytes] = {}
        for id, token in zip(self.ids, self.vocab.tokens, strict=True):
            if id in self.token_of_id:
                raise VocabError(f"two tokens have the id {id}")
            self.token_of_id[id] = token
        special_of_id: dict[int, bytes] = {}
        for text, id in specials:
            if not text:
                raise VocabError("a special token is the empty string")
            if id in self.token_of_id:
                raise VocabError(f"two tokens have the id {id}")
            special_of_id.setdefault(id, text.encode())
        self.token_of_id |= special_of_id

    def token(self, id: int) -> bytes | None:
        """The bytes of *id*, ordinary or special."""
        return self.token_of_id.get(array("I", [id])[0])

    def id(self, token: bytes) -> int | None:
        """The id that spells *token*, ordinary before special."""
        rank = self.vocab.ranks.get(token)
        if rank is not None:
            return self.ids[rank]
        return {text.encode(): id for text, id in self.specials.items()}.get(token)

    def encode(self, text: str, allowed: Collection[str]) -> list[int]:
        """The ids of *text*; special tokens in *allowed* become their ids, others are text.

        They are found first, the leftmost and longest; what lies between is split by the pattern.
        """
        text.encode()  # refuses lone surrogates, as the native engine does
        ids: list[int] = []
        offset = 0
        for span, special in self._spans(text, allowed):
            for piece in self.pattern.split(span, offset):
                ids += self.encode_piece(piece.encode())
            if special is not None:
                ids.append(self.specials[special])
                offset += len((span + special).encode())
        return ids

    def _spans(self, text: str, allowed: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """The stretches of ordinary text, each with the special token after it."""
        start = 0
        longest_first = sorted(self.specials.keys() & set(allowed), key=len, reverse=True)
        if longest_first:
            for match in re.finditer("|".join(map(re.escape, longest_first)), text):
                yield text[start : match.start()], match[0]
                start = match.end()
        yield text[start:], None

    def encode_to_buffer(self, text: str, allowed: Collection[str]) -> bytes:
        """The ids of *text* as native-endian 32-bit unsigned integers."""
        return array("I", self.encode(text, allowed)).tobytes()

    def encode_batch(
        self, texts: Iterable[str], allowed: Collection[str], num_threads: int | None
    ) -> list[list[int]]:
        """The ids of each text. *num_threads* is there for the twin's sake."""
        return [self.encode(text, allowed) for text in texts]

    def encode_piece(self, piece: bytes) -> list[int]:
        """The ids of *piece*, which is not split."""
        return [self.ids[rank] for rank in encode_piece(self.vocab, piece)]

    def count(self, text: str, allowed: Collection[str]) -> int:
        """How many ids *text* has."""
        return len(self.encode(text, allowed))

    def pieces(self, text: str) -> list[str]:
        """The pieces of *text*, in order."""
        text.encode()
        return self.pattern.split(text)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """What *ids* spell. Raises UnknownTokenError for an id that is none."""
        return decode(self.token_of_id, array("I", ids))

    def merges(self) -> list[tuple[int, int] | None]:
        """For each rank the pair of ranks that makes its token, ``None`` where none does."""
        return merges(self.vocab)
