"""What the formats that list merges have in common: the byte alphabet, the order, the check.

pytok merges by the rank of the merged bytes, Hugging Face's tokenizers by the place of the pair in
a list. `implied_merges` is what joins the two: see "Why merging by bytes equals merging by pairs"
in docs/architecture.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pytok.byte_order import BYTE_ORDER
from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.merging import parts_of

Merges = Sequence[tuple[int, int] | None]
"""For each rank the pair of ranks whose merge makes its token, ``None`` where none does."""


@dataclass(frozen=True, slots=True)
class StatedMerges:
    """The merges that a file lists, as ranks, to be held against those its tokens imply."""

    places: Mapping[tuple[int, int], str]
    """Where in the file each pair stands, in the order of merging."""
    whole_pieces: bool
    """Whether a piece that is a token is that token, though no merge makes it (ignore_merges)."""


def implied_merges(tokens: Sequence[bytes], merges: Merges) -> Merges:
    """The only merge that ever makes each token; ``None`` for bytes and tokens that none makes.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). A token that comes
    before its parts is made by merging, too, which this adds.
    """
    unmade = [rank for rank, pair in enumerate(merges) if pair is None and len(tokens[rank]) > 1]
    if not unmade:
        return merges
    found, ranks = list(merges), {token: rank for rank, token in enumerate(tokens)}
    for rank in unmade:
        # Without the token itself, all others stop at the parts that would make it.
        parts = parts_of(tokens[rank], ranks)
        if len(parts) == 2:
            found[rank] = (parts[0], parts[1])
    return found


def check_merges(
    path: str | PathLike[str], definition: Definition, stated: StatedMerges, merges: Merges
) -> None:
    """Refuses a file whose list of merges encodes otherwise than its tokens in their order.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). The list must hold the
    one merge that ever makes each token, in the order of the tokens; others in it are never used.
    """
    tokens = definition.tokens
    order = {pair: number for number, pair in enumerate(stated.places)}
    last = -1
    for token, id, pair in zip(tokens, definition.ids, implied_merges(tokens, merges), strict=True):
        if pair is None:
            if len(token) > 1 and not stated.whole_pieces:
                raise FormatError(
                    f"{path}: no merge makes the token {token!r} (id {id}), which is never encoded "
                    "where ignore_merges is false: pytok would encode it"
                )
            continue
        left, right = tokens[pair[0]], tokens[pair[1]]
        if pair not in order:
            raise FormatError(
                f"{path}: the order of the tokens implies the merge {left!r} + {right!r}, which is "
                "not listed: it would encode differently"
            )
        if order[pair] < last:
            raise FormatError(
                f"{path}: {stated.places[pair]} merges {left!r} + {right!r}, which is out of the "
                "order of the tokens, by id or by first merge: it may encode differently"
            )
        last = order[pair]


LETTERS = {
    byte: chr(byte) if rank < 188 else chr(68 + rank) for rank, byte in enumerate(BYTE_ORDER)
}
"""GPT-2's printable stand-in for each byte: itself where printable, else U+0100 and on."""
_BYTES = {ord(letter): byte for byte, letter in LETTERS.items()}
_ALPHABET = frozenset(LETTERS.values())


def _spell(token: bytes) -> str:
    """*token* in GPT-2's alphabet.

    >>> _spell(b" hi")
    'Ġhi'
    """
    return token.decode("latin-1").translate(LETTERS)


def unspell(letters: str) -> bytes:
    """The token that *letters* spell in GPT-2's alphabet; UnicodeEncodeError if they do not.

    >>> unspell("Ġhi")
    b' hi'
    """
    if not _ALPHABET.issuperset(letters):
        raise UnicodeEncodeError("byte-level", letters, 0, len(letters), "not in the alphabet")
    return letters.translate(_BYTES).encode("latin-1")


def spells_another(text: str) -> bool:
    """Whether *text*, read in GPT-2's alphabet, is another than itself.

    >>> spells_another("Ġhi"), spells_another("hi"), spells_another("終")
    (True, False, False)
    """
    try:
        return unspell(text) != text.encode()
    except UnicodeEncodeError:
        return False


def spelled(
    path: Path, definition: Definition, merges: Merges
) -> tuple[dict[str, int], list[list[str]], bool]:
    """Vocabulary by id and merges by rank, spelled; and whether some tokens have no merge.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). Raises FormatError, for
    *path*, for what lists of tokens and merges cannot say.
    """
    tokens = definition.tokens
    letters = [_spell(token) for token in tokens]
    for text in definition.special_tokens.keys() & set(letters):
        raise FormatError(
            f"{path}: the special token {text!r} is spelled like an ordinary token, which the "
            "format cannot tell apart: save it as .tiktoken"
        )
    if len(set(definition.special_tokens.values())) < len(definition.special_tokens):
        raise FormatError(
            f"{path}: two special tokens have one id, and the format keeps only one of them: save "
            "it as .tiktoken"
        )
    by_id = sorted(zip(letters, definition.ids, strict=True), key=lambda item: item[1])
    made = [pair for pair in implied_merges(tokens, merges) if pair is not None]
    pairs = [[letters[left], letters[right]] for left, right in made]
    return dict(by_id), pairs, len(made) < sum(len(token) > 1 for token in tokens)


def assemble(
    path: Path,
    *,
    name: str,
    vocab: Mapping[str, int],
    pairs: Mapping[str, tuple[str, str]],
    pattern: str,
    specials: Mapping[str, int],
    whole_pieces: bool,
) -> tuple[Definition, StatedMerges]:
    """Tokens in rank order from a vocabulary by id and a list of merges, both spelled.

    *path* is for messages; *pairs* are the merges by the place that each has in the file. See
    `StatedMerges` for *whole_pieces*.
    """
    tokens: dict[str, bytes] = {}
    for letters in vocab:
        try:
            tokens[letters] = unspell(letters)
        except UnicodeEncodeError:
            raise FormatError(
                f"{path}: {letters!r} is neither in the byte-level alphabet nor a special token"
            ) from None
    places: dict[tuple[str, str], str] = {}
    for place, (left, right) in pairs.items():
        for part in (left, right, left + right):
            if part not in tokens:
                why = "a special token" if part in specials else "not in the vocabulary"
                raise FormatError(f"{path}: {place}: {part!r} is {why}")
        places.pop((left, right), None)  # of a pair that is listed twice, the last place counts
        places[left, right] = place
    made = [left + right for left, right in places]
    order = sorted(vocab, key=vocab.__getitem__)
    ids_of_made = [vocab[letters] for letters in made]
    if ids_of_made != sorted(ids_of_made):
        # The order of merging is not that of ids: it counts, and ids are a mapping over it.
        single = [letters for letters in order if len(letters) == 1]
        order = list(dict.fromkeys([*single, *made, *order]))
    ranks = {letters: rank for rank, letters in enumerate(order)}
    definition = Definition(
        name,
        [tokens[letters] for letters in order],
        [vocab[letters] for letters in order],
        pattern,
        specials,
    )
    by_rank = {(ranks[left], ranks[right]): place for (left, right), place in places.items()}
    return definition, StatedMerges(by_rank, whole_pieces)
