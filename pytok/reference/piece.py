"""From a piece to ids, also where the vocabulary lacks bytes. Twin of `bpe-rs/src/piece.rs`."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from pytok.definition import END_OF_WORD, UNKNOWN_END, UTF8_BYTES, Unknown, marked
from pytok.errors import VocabError
from pytok.reference.encode import encode_piece, merge
from pytok.reference.vocab import Vocab

Found: TypeAlias = tuple[int, int, int]
"""An id, and the start and the end of what it stands for."""


class PieceEncoder:
    """A vocabulary with the *ids* of its ranks; *unknown* is for bytes that are not tokens.

    With a *suffix*, the tokens that end with it are those of the last bytes of a piece.

    Raises VocabError if two tokens have one id, or not every token has one.

    >>> vocab = Vocab([b"a", b"b", b"ab"])
    >>> PieceEncoder(vocab, [5, 6, 7], Unknown(9)).encode_piece(b"ab?a")
    [7, 9, 5]
    >>> vocab = Vocab([b"a", b"b", b"a.", b"b.", b"ab."])
    >>> PieceEncoder(vocab, range(5), None, suffix=b".").encode_piece(b"aab")
    [0, 4]
    """

    def __init__(
        self, vocab: Vocab, ids: Sequence[int], unknown: Unknown | None, suffix: bytes = b""
    ) -> None:
        # Tokens that end a piece end with a byte that no text has, which so is merged first.
        self.vocab = marked_vocab(vocab, suffix) if suffix else vocab
        self.missing = self.vocab.missing - {END_OF_WORD} if suffix else vocab.missing
        self.has_suffix = suffix != b""
        self.ids = list(ids)
        self.unknown = unknown
        if len(self.ids) != len(vocab):
            raise VocabError(
                f"there are {len(vocab)} tokens but {len(self.ids)} ids: give one id for each token"
            )
        self.tokens: dict[int, bytes] = {}
        self.ranks = vocab.ranks
        for id, token in zip(self.ids, vocab.tokens, strict=True):
            if id in self.tokens:
                raise VocabError(f"two tokens have the id {id}")
            self.tokens[id] = token

    def id(self, token: bytes) -> int | None:
        """Return the id of *token*, or ``None``."""
        rank = self.ranks.get(token)
        return None if rank is None else self.ids[rank]

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of *piece*. Raises VocabError for a byte that it cannot encode."""
        self.check_bytes(piece)
        return [id for id, _, _ in self.encode_ranges(piece)]

    def encode_ranges(self, piece: bytes) -> Iterator[Found]:
        """Yield the ids of *piece* with the ranges of their bytes."""
        length = len(piece)
        if self.has_suffix:
            piece = ended(self.vocab, piece)
        for id, start, end in self._encode_with(piece):
            yield id, start, min(end, length)

    def _encode_with(self, piece: bytes) -> Iterator[Found]:
        missing = self.missing
        if missing.isdisjoint(piece) or piece in self.vocab.ranks:
            yield from self._append(encode_piece(self.vocab, piece), range(len(piece)))
            return
        if self.unknown is None or self.unknown.id is None:
            # What is omitted makes neighbors of the bytes around it.
            known = [index for index, byte in enumerate(piece) if byte not in missing]
            kept = bytes(piece[index] for index in known)
            yield from self._append(merge(self.vocab, kept, len(self.vocab)), known)
            return
        indices = itertools.groupby(range(len(piece)), lambda index: piece[index] in missing)
        for is_missing, run in ((is_missing, list(run)) for is_missing, run in indices):
            first, end = run[0], run[-1] + 1
            if not is_missing:
                yield from self._append(merge(self.vocab, piece[first:end], len(self.vocab)), run)
            elif self.unknown.fuse:
                yield self.unknown.id, first, end
            else:
                yield from ((self.unknown.id, index, index + 1) for index in run)

    def _append(self, ranks: Iterable[int], indices: Sequence[int]) -> Iterator[Found]:
        """Yield the ids of *ranks* with their ranges; *indices* are those of their bytes."""
        at = 0
        for rank in ranks:
            end = at + len(self.vocab.tokens[rank])
            yield self.ids[rank], indices[at], indices[end - 1] + 1
            at = end

    def check_bytes(self, data: bytes, offset: int = 0) -> None:
        """Raise VocabError for a byte that is not in the vocabulary, if it cannot be encoded.

        *offset* is the number of bytes before *data*.
        """
        if self.unknown is None and (found := self.missing.intersection(data)):
            at = min(data.index(byte) for byte in found)
            raise VocabError(
                f"byte {offset + at} of the text is 0x{data[at]:02x}, which is not in the "
                "vocabulary, and there is no token for unknown bytes"
            )

    def check_text(self, text: str, offset: int = 0) -> None:
        """Raise the error of `check_bytes` for text."""
        if not self.missing.isdisjoint(UTF8_BYTES):
            self.check_bytes(text.encode(), offset)


def marked_vocab(vocab: Vocab, suffix: bytes) -> Vocab:
    r"""Return *vocab* with a byte that no text has instead of *suffix*, where a token ends with it.

    >>> marked_vocab(Vocab([b"a", b"a</w>"]), b"</w>").tokens
    (b'a', b'a\xff')
    """
    return Vocab(marked(token, suffix) for token in vocab.tokens)


def ended(vocab: Vocab, piece: bytes) -> bytes:
    r"""Return *piece* with a mark at its end, so that tokens of *vocab* with the suffix are merged.

    >>> vocab = Vocab([b"a", b"b", b"a\xff"])
    >>> ended(vocab, b"ba"), ended(vocab, b"ab")
    (b'ba\xff', b'a\xfe')
    """
    if piece[-1:] + bytes([END_OF_WORD]) in vocab.ranks:
        return piece + bytes([END_OF_WORD])
    return piece[:-1] + bytes([UNKNOWN_END]) if piece else b""
