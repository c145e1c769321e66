"""Token healing: continue a text that ends inside a token.

A text that a person types can end anywhere, for example after a space. Its last tokens are then not
those that it would have if it continued: "The " ends with the token " ", but " cat" is one token,
and a model has never seen " " before "cat". So the last tokens are removed as far as a continuation
could change them, and the tokens that follow are constrained: together they must begin with the
bytes that were removed.

`heal` finds these bytes, and `TokenIndex` the tokens that can come next::

    ids, rest = heal(tokenizer, text)
    index = TokenIndex(tokenizer)
    while rest:
        id = sample(ids, allowed=index.allowed(rest))
        ids.append(id)
        rest = rest[len(tokenizer.decode_bytes([id])):]
"""

import bisect
import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pytok.errors import VocabError
from pytok.tokenizer import Tokenizer

CONTINUATIONS = (
    *("a", "A", "e", "l", "s", "日", "1", "!", "'", "/", "\u0301", "\u1161", "\u11a8"),
    *(" ", "\n", "\r", "\t", " a", " 1", " !", "  ", " \n", "\n ", "\n\n", "\xa0"),
)
"""Texts that can move the last boundaries of pieces: of each class that known patterns distinguish,
the ends of contractions, and what Unicode normalization composes with the text before."""


_LONG = 256
"""Bytes of a piece from which the length of the longest token is worth computing."""


class Healed(NamedTuple):
    """The ids of a text, without its last tokens if a continuation can change them."""

    ids: list[int]
    """Ids that each continuation of the text has, too."""
    rest: bytes
    """The bytes of the text that follow, with which the continuation must begin."""


def heal(tokenizer: Tokenizer, text: str) -> Healed:
    """Return the ids of *text* that more text cannot change, and the bytes after them.

    Special tokens in *text* are ordinary text; the bytes are those of the normalized text. With a
    known pattern, no id before the rest changes whatever follows; with a custom one this holds for
    all `CONTINUATIONS`. Raises VocabError for a tokenizer whose pieces are more than bytes.

    >>> import pytok
    >>> tok = pytok.train(["the cat saw the cat"], vocab_size=264, special_tokens=())
    >>> healed = heal(tok, "the c")
    >>> tok.decode(healed.ids), healed.rest
    ('the', b' c')
    """
    if reason := tokenizer.definition.beyond_bytes:
        raise VocabError(
            f"the tokenizer {reason}, so what continues a text does not begin with the bytes of "
            "its last tokens: turn token healing off"
        )
    ids = tokenizer.encode_ordinary(text)
    if not ids:
        return Healed([], b"")
    stable = _stable_in_last_piece(tokenizer, text, ids)
    for more in CONTINUATIONS:
        with contextlib.suppress(VocabError):  # the vocabulary lacks a byte of it
            stable = min(stable, _common(ids, tokenizer.encode_ordinary(text + more)))
    # An added token, or that for unknown bytes, does not stand for bytes that others can repeat.
    others = _other_ids(tokenizer)
    while not others.isdisjoint(ids[stable:]):
        stable += 1
    return Healed(ids[:stable], tokenizer.decode_bytes(ids[stable:]))


class TokenIndex:
    """The tokens of a tokenizer sorted by bytes, without added tokens.

    >>> import pytok
    >>> tok = pytok.train(["the cat saw the cat"], vocab_size=264, special_tokens=())
    >>> sorted(tok.decode([id]) for id in TokenIndex(tok).allowed(b" c"))
    [' ', ' cat']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        others = _other_ids(tokenizer)
        self._id_of = {token: id for token, id in tokenizer.vocab.items() if id not in others}
        self._tokens = sorted(self._id_of)
        self._ids = np.array([self._id_of[token] for token in self._tokens], dtype=np.int64)
        self._has_all_bytes = all(bytes([byte]) in self._id_of for byte in range(256))

    def starting_with(self, prefix: bytes) -> npt.NDArray[np.int64]:
        """Return the ids of the tokens that start with *prefix*, in the order of their bytes."""
        return self._ids[slice(*_range(self._tokens, prefix))]

    def allowed(self, rest: bytes) -> npt.NDArray[np.int64]:
        """Return the ids that can come next if the text must continue with *rest*.

        They are the tokens that start with *rest*, and those that *rest* starts with if tokens can
        follow that complete it. Raises ValueError if *rest* is empty: then all ids are allowed.
        """
        if not rest:
            raise ValueError("nothing is left of the text, so all ids are allowed")
        possible = self._completable(rest)
        shorter = [
            self._id_of[rest[:length]]
            for length in range(1, len(rest))
            if possible[length] and rest[:length] in self._id_of
        ]
        return np.concatenate([np.array(shorter, dtype=np.int64), self.starting_with(rest)])

    def _completable(self, rest: bytes) -> Sequence[bool]:
        """Return for each length whether tokens can cover *rest* after its first bytes."""
        if self._has_all_bytes:
            return [True] * len(rest)
        possible = [False] * len(rest)
        for start in reversed(range(len(rest))):
            low, high = _range(self._tokens, rest[start:])
            possible[start] = low < high or any(
                possible[stop] and rest[start:stop] in self._id_of
                for stop in range(start + 1, len(rest))
            )
        return possible


def _other_ids(tokenizer: Tokenizer) -> set[int]:
    """Return the ids of added tokens and of the token for unknown bytes."""
    found, unknown = {token.id for token in tokenizer.added_tokens}, tokenizer.definition.unknown
    if unknown is not None and unknown.id is not None:
        found.add(unknown.id)
    return found


def _range(tokens: Sequence[bytes], prefix: bytes) -> tuple[int, int]:
    """Return where the sorted *tokens* that start with *prefix* begin and end."""
    start = bisect.bisect_left(tokens, prefix)
    # The least byte string after all that start with the prefix; there is none if all are 0xff.
    head = prefix.rstrip(b"\xff")
    if not head:
        return start, len(tokens)
    after = head[:-1] + bytes([head[-1] + 1])
    return start, bisect.bisect_left(tokens, after, start)


def _stable_in_last_piece(tokenizer: Tokenizer, text: str, ids: list[int]) -> int:
    """Return the number of *ids* of *text* that stay if its last piece becomes longer.

    At the end of the text the longer piece has a token that starts inside the last piece and ends
    past it, or a token ends there. Tokens before such a token are those of the bytes before it.
    """
    core, pieces = tokenizer._core, tokenizer.pieces(text)
    piece = pieces[-1].encode() if pieces else b""
    tail = core.encode_piece(piece)
    base = len(ids) - len(tail)
    if not tail or ids[base:] != tail or core.decode_bytes(tail) != piece:
        return len(ids) - 1  # an added token, or a byte that the vocabulary lacks
    tokens = tokenizer.token_byte_values()
    # PERF: of a long piece, only what a token that ends past it can overlap.
    size = len(piece) if len(piece) <= _LONG else max(map(len, tokens))
    while True:
        count = size_of_end = 0
        while size_of_end < min(size, len(piece)):
            count += 1
            size_of_end += len(core.decode_bytes([tail[-count]]))
        stable = _stable_in(tokenizer, tokens, piece[-size_of_end:], tail[-count:])
        # If a token of the end stays, so does all before it: no merge crosses the ends of tokens.
        if stable or count == len(tail):
            return base + len(tail) - count + stable
        size *= 2


def _stable_in(
    tokenizer: Tokenizer, tokens: Sequence[bytes], end: bytes, ids: Sequence[int]
) -> int:
    """Return the number of *ids*, those of *end*, that stay whatever follows in the same piece.

    *tokens* are those of the tokenizer, sorted.
    """
    encode, stable = tokenizer._core.encode_piece, len(ids)
    for start in range(len(end)):
        for index in range(*_range(tokens, end[start:])):
            token = tokens[index]
            found = encode(end[:start] + token)
            if len(token) > len(end) - start and found[-1] == tokenizer.vocab[token]:
                stable = min(stable, _common(ids, found))
                break
        if not stable:
            break
    return stable


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Return the length of the longest common prefix."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
