"""What the formats that list merges have in common: the byte alphabet, the order, the check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.reference.vocab import BYTE_ORDER

Merges = Sequence[tuple[int, int] | None]
"""For each rank the pair of ranks whose merge makes its token, ``None`` where none does."""


@dataclass(frozen=True, slots=True)
class StatedMerges:
    """The merges that a file lists, as ranks, to be held against those its tokens imply."""

    pairs: Mapping[str, tuple[int, int]]
    """By the place that each has in the file."""
    complete: bool
    """Whether tokens that no merge makes are unreachable, so that there may be none."""


def check_merges(
    path: str | PathLike[str], definition: Definition, stated: StatedMerges, merges: Merges
) -> None:
    """Refuses a file whose merges are not those that its tokens imply (*merges*).

    pytok merges by the rank of the merged bytes, Hugging Face by the rank of the pair. Where the
    lists agree, so do all encodings (`pytok.reference.encode.merges` says why).
    """
    implied = [pair for pair in merges if pair is not None]
    for (place, said), meant in zip(stated.pairs.items(), implied, strict=False):
        if said != meant:
            raise FormatError(
                f"{path}: {place} merges {_show(definition, said)}, but the order of the tokens "
                f"implies {_show(definition, meant)}: it would encode differently"
            )
    unmade = sum(len(token) > 1 for token in definition.tokens) - len(implied)
    if len(stated.pairs) != len(implied) or (unmade and stated.complete):
        raise FormatError(
            f"{path}: lists {len(stated.pairs)} merges, but its tokens imply {len(implied)}, and "
            f"{unmade} tokens that no merge makes: it would encode differently"
        )


def _show(definition: Definition, pair: tuple[int, int]) -> str:
    left, right = (definition.tokens[rank] for rank in pair)
    return f"{left!r} + {right!r}"


LETTERS = {
    byte: chr(byte) if rank < 188 else chr(68 + rank) for rank, byte in enumerate(BYTE_ORDER)
}
"""GPT-2's printable stand-in for each byte: itself where printable, else U+0100 and on."""
_BYTES = {ord(letter): byte for byte, letter in LETTERS.items()}


def _spell(token: bytes) -> str:
    """*token* in GPT-2's alphabet.

    >>> _spell(b" hi")
    'Ġhi'
    """
    return token.decode("latin-1").translate(LETTERS)


def _unspell(letters: str) -> bytes:
    """The token that *letters* spell in GPT-2's alphabet; UnicodeEncodeError if they do not.

    >>> _unspell("Ġhi")
    b' hi'
    """
    if not all(ord(letter) in _BYTES for letter in set(letters)):
        raise UnicodeEncodeError("byte-level", letters, 0, len(letters), "not in the alphabet")
    return letters.translate(_BYTES).encode("latin-1")


def spelled(
    path: Path, definition: Definition, merges: Merges
) -> tuple[dict[str, int], list[list[str]], bool]:
    """Vocabulary by id and merges by rank, spelled; and whether some tokens have no merge.

    Raises FormatError, for *path*, for what lists of tokens and merges cannot say.
    """
    tokens = definition.tokens
    known = set(tokens)
    unmade = [
        token for token, pair in zip(tokens, merges, strict=True) if pair is None and len(token) > 1
    ]
    for token in unmade:
        # Merging in another order could make it after all, but a list of merges would not.
        if any(token[:at] in known and token[at:] in known for at in range(1, len(token))):
            raise FormatError(
                f"{path}: the token {token!r} comes before the tokens that make it, which a list "
                "of merges cannot say: save it as .tiktoken"
            )
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
    pairs = [[letters[pair[0]], letters[pair[1]]] for pair in merges if pair is not None]
    return dict(by_id), pairs, bool(unmade)


def assemble(
    path: Path,
    *,
    name: str,
    vocab: Mapping[str, int],
    pairs: Mapping[str, tuple[str, str]],
    pattern: str,
    specials: Mapping[str, int],
    complete: bool,
) -> tuple[Definition, StatedMerges]:
    """Tokens in rank order from a vocabulary by id and a list of merges, both spelled.

    *path* is for messages; *pairs* are the merges by the place that each has in the file.
    """
    for letters in vocab:
        try:
            _unspell(letters)
        except UnicodeEncodeError:
            raise FormatError(
                f"{path}: {letters!r} is neither in the byte-level alphabet nor a special token"
            ) from None
    for place, (left, right) in pairs.items():
        for part in (left, right, left + right):
            if part not in vocab:
                raise FormatError(f"{path}: {place}: {part!r} is not in the vocabulary")
    made = [left + right for left, right in pairs.values()]
    order = sorted(vocab, key=vocab.__getitem__)
    ids_of_made = [vocab[letters] for letters in made]
    if ids_of_made != sorted(ids_of_made):
        # The order of merging is not that of ids: it counts, and ids are a mapping over it.
        order = [letters for letters in order if len(letters) == 1] + list(dict.fromkeys(made))
        if len(order) != len(vocab):
            raise FormatError(
                f"{path}: {len(vocab) - len(order)} tokens of the vocabulary are made by no merge, "
                "and ids are not in the order of merging: pytok cannot order them"
            )
    ranks = {letters: rank for rank, letters in enumerate(order)}
    definition = Definition(
        name,
        [_unspell(letters) for letters in order],
        [vocab[letters] for letters in order],
        pattern,
        specials,
    )
    stated = {place: (ranks[left], ranks[right]) for place, (left, right) in pairs.items()}
    return definition, StatedMerges(stated, complete)
