"""Shared code of the formats that list merges: the byte-level alphabet, the order, the check.

pytok merges by the rank of the merged bytes, Hugging Face's tokenizers by the index of the pair in
a list. `implied_merges` connects the two: see "Why merging by bytes equals merging by pairs" in
docs/architecture.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pytok.byte_order import BYTE_ORDER
from pytok.definition import AddedToken, Definition
from pytok.errors import FormatError
from pytok.formats.token_parts import parts_of

Merges = Sequence[tuple[int, int] | None]
"""For each rank, the pair of ranks whose merge makes its token, or ``None`` if no merge does."""


@dataclass(frozen=True, slots=True)
class ListedMerges:
    """The merges that a file lists, as ranks, to compare with those that its tokens imply."""

    locations: Mapping[tuple[int, int], str]
    """Location of each pair in the file (a line or a field), in the order of merging."""
    ignore_merges: bool
    """Whether a piece that is a token is encoded as that token even if no merge makes it."""


def implied_merges(tokens: Sequence[bytes], merges: Merges) -> Merges:
    """Return the only merge that can make each token; ``None`` for bytes and unmerged tokens.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). This adds the merges of
    tokens that come before their parts.
    """
    unmerged = [rank for rank, pair in enumerate(merges) if pair is None and len(tokens[rank]) > 1]
    if not unmerged:
        return merges
    found, ranks = list(merges), {token: rank for rank, token in enumerate(tokens)}
    for rank in unmerged:
        # Encoding the token with a vocabulary that lacks it stops at the parts that make it.
        parts = parts_of(tokens[rank], ranks)
        if len(parts) == 2:
            found[rank] = (parts[0], parts[1])
    return found


def check_merges(
    path: str | PathLike[str], definition: Definition, listed: ListedMerges, merges: Merges
) -> None:
    """Check that the merges of a file encode as its tokens, in their order, do.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). The list must contain
    the only merge that can make each token, in the order of the tokens; further merges are never
    used. Raises FormatError for any other list.
    """
    tokens = definition.tokens
    order = {pair: number for number, pair in enumerate(listed.locations)}
    last = -1
    for token, id, pair in zip(tokens, definition.ids, implied_merges(tokens, merges), strict=True):
        if pair is None:
            if len(token) > 1 and not listed.ignore_merges:
                raise FormatError(
                    f"{path}: no merge makes the token {token!r} (id {id}), which is never encoded "
                    "when ignore_merges is false: pytok would encode it"
                )
            continue
        left, right = tokens[pair[0]], tokens[pair[1]]
        if pair not in order:
            raise FormatError(
                f"{path}: the order of the tokens implies the merge {left!r} + {right!r}, which is "
                "not listed: pytok would encode differently"
            )
        if order[pair] < last:
            raise FormatError(
                f"{path}: {listed.locations[pair]} merges {left!r} + {right!r}, which is not in "
                "the order of the tokens, by id or by first merge: pytok could encode differently"
            )
        last = order[pair]


LETTERS = {
    byte: chr(byte) if rank < 188 else chr(68 + rank) for rank, byte in enumerate(BYTE_ORDER)
}
"""GPT-2's byte-level alphabet: a printable byte is itself, any other a letter from U+0100."""
_BYTES = {ord(letter): byte for byte, letter in LETTERS.items()}
_ALPHABET = frozenset(LETTERS.values())


def _to_letters(token: bytes) -> str:
    """Return *token* in the byte-level alphabet.

    >>> _to_letters(b" hi")
    'Ġhi'
    """
    return token.decode("latin-1").translate(LETTERS)


def from_letters(letters: str) -> bytes:
    """Return the token of *letters* in the byte-level alphabet.

    Raises UnicodeEncodeError for other letters.

    >>> from_letters("Ġhi")
    b' hi'
    """
    if not _ALPHABET.issuperset(letters):
        raise UnicodeEncodeError("byte-level", letters, 0, len(letters), "not in the alphabet")
    return letters.translate(_BYTES).encode("latin-1")


def is_ambiguous(text: str) -> bool:
    """Return whether *text* stands for another text in the byte-level alphabet.

    >>> is_ambiguous("Ġhi"), is_ambiguous("hi"), is_ambiguous("終")
    (True, False, False)
    """
    try:
        return from_letters(text) != text.encode()
    except UnicodeEncodeError:
        return False


def vocab_and_merges(
    path: Path, definition: Definition, merges: Merges
) -> tuple[dict[str, int], list[list[str]], bool]:
    """Return the vocabulary by id, the merges by rank, and whether some tokens have no merge.

    Both are in the byte-level alphabet. *merges* are those of tokens of lower rank
    (`pytok.engine.Core.merges`). Raises FormatError, for *path*, for a definition that lists of
    tokens and merges cannot represent.
    """
    tokens = definition.tokens
    letters = [_to_letters(token) for token in tokens]
    for text in definition.special_tokens.keys() & set(letters):
        raise FormatError(
            f"{path}: the special token {text!r} is written like an ordinary token, and the format "
            "cannot distinguish them: save it as .tiktoken"
        )
    if len(set(definition.special_tokens.values())) < len(definition.special_tokens):
        raise FormatError(
            f"{path}: two special tokens have the same id, and the format keeps only one of them: "
            "save it as .tiktoken"
        )
    by_id = sorted(zip(letters, definition.ids, strict=True), key=lambda item: item[1])
    merged = [pair for pair in implied_merges(tokens, merges) if pair is not None]
    pairs = [[letters[left], letters[right]] for left, right in merged]
    return dict(by_id), pairs, len(merged) < sum(len(token) > 1 for token in tokens)


def assemble(
    path: Path,
    *,
    name: str,
    vocab: Mapping[str, int],
    pairs: Mapping[str, tuple[str, str]],
    pattern: str,
    specials: Mapping[str, int],
    ignore_merges: bool,
) -> tuple[Definition, ListedMerges]:
    """Build a definition from a vocabulary and a list of merges in the byte-level alphabet.

    *path* is for messages; *pairs* are the merges by their location in the file. `ListedMerges`
    documents *ignore_merges*.
    """
    tokens: dict[str, bytes] = {}
    for letters in vocab:
        try:
            tokens[letters] = from_letters(letters)
        except UnicodeEncodeError:
            raise FormatError(
                f"{path}: {letters!r} is neither in the byte-level alphabet nor a special token"
            ) from None
    locations: dict[tuple[str, str], str] = {}
    for where, (left, right) in pairs.items():
        for part in (left, right, left + right):
            if part not in tokens:
                why = "a special token" if part in specials else "not in the vocabulary"
                raise FormatError(f"{path}: {where}: {part!r} is {why}")
        locations.pop((left, right), None)  # the last of repeated pairs is the one that counts
        locations[left, right] = where
    merged = [left + right for left, right in locations]
    order = sorted(vocab, key=vocab.__getitem__)
    ids_of_merged = [vocab[letters] for letters in merged]
    if ids_of_merged != sorted(ids_of_merged):
        # Ids are not in the order of merging: tokens are ranked by first merge instead.
        single = [letters for letters in order if len(letters) == 1]
        order = list(dict.fromkeys([*single, *merged, *order]))
    ranks = {letters: rank for rank, letters in enumerate(order)}
    definition = Definition(
        name,
        [tokens[letters] for letters in order],
        [vocab[letters] for letters in order],
        pattern,
        tuple(AddedToken(text, id) for text, id in specials.items()),
    )
    by_rank = {(ranks[left], ranks[right]): where for (left, right), where in locations.items()}
    return definition, ListedMerges(by_rank, ignore_merges)
