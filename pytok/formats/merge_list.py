"""Shared code of the formats that list merges: the byte-level alphabet, the order, the check.

pytok merges by the rank of the merged bytes, Hugging Face's tokenizers by the index of the pair in
a list. `implied_merges` connects the two: see "Why merging by bytes equals merging by pairs" in
docs/architecture.md.
"""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from pytok.byte_order import LETTERS, to_letters
from pytok.definition import (
    END_OF_WORD,
    UNKNOWN_END,
    AddedToken,
    Definition,
    Step,
    marked,
)
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


def is_initial(token: bytes, suffix: bytes = b"") -> bool:
    """Return whether merging starts from *token*: a byte, or one with the end-of-word *suffix*."""
    return len(token) == 1 or (len(token) == 1 + len(suffix) and token.endswith(suffix))


def implied_merges(tokens: Sequence[bytes], merges: Merges, suffix: bytes = b"") -> Merges:
    """Return the only merge that can make each token; ``None`` for bytes and unmerged tokens.

    *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`), *suffix* the one of
    tokens that end a piece. This adds the merges of tokens that come before their parts.
    """
    unmerged = [
        rank
        for rank, pair in enumerate(merges)
        if pair is None and not is_initial(tokens[rank], suffix)
    ]
    if not unmerged:
        return merges
    if suffix:
        tokens = [marked(token, suffix) for token in tokens]
    found, ranks = list(merges), {token: rank for rank, token in enumerate(tokens)}
    ranks |= {bytes([END_OF_WORD]): -1} if suffix else {}
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
    tokens, suffix = definition.tokens, definition.end_of_word_suffix.encode()
    order = {pair: number for number, pair in enumerate(listed.locations)}
    last = -1
    implied = implied_merges(tokens, merges, suffix)
    for token, id, pair in zip(tokens, definition.ids, implied, strict=True):
        if pair is None:
            if not is_initial(token, suffix) and not listed.ignore_merges:
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


_BYTES = {ord(letter): byte for byte, letter in LETTERS.items()}
_ALPHABET = frozenset(LETTERS.values())


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

    Both are in the byte-level alphabet; the vocabulary has the ids that only decode as well, and no
    added tokens. *merges* are those of tokens of lower rank (`pytok.engine.Core.merges`). Raises
    FormatError, for *path*, for a definition that lists of tokens and merges cannot represent.
    """
    tokens, suffix = definition.tokens, definition.end_of_word_suffix.encode()
    letters = [to_letters(token) for token in tokens]
    ids = dict(zip(letters, definition.ids, strict=True))
    texts = {added.text: added.id for added in definition.added_tokens}
    for text, id in texts.items():
        if is_ambiguous(text):
            raise FormatError(
                f"{path}: the special token {text!r} also stands for {from_letters(text)!r} in the "
                "byte-level alphabet, to which the format decodes it: save it as .tiktoken"
            )
        if ids.get(text, id) != id:
            raise FormatError(
                f"{path}: the special token {text!r} is written like an ordinary token, and the "
                "format cannot distinguish them: save it as .tiktoken"
            )
    if len(set(texts.values())) < len(texts):
        raise FormatError(
            f"{path}: two special tokens have the same id, and the format keeps only one of them: "
            "save it as .tiktoken"
        )
    merged = [pair for pair in implied_merges(tokens, merges, suffix) if pair]
    pairs = [[letters[left], letters[right]] for left, right in merged]
    has_unmerged = len(merged) < sum(not is_initial(token, suffix) for token in tokens)
    if has_unmerged and suffix:
        raise FormatError(
            f"{path}: no merge makes some of the tokens, and the format looks up only pieces "
            f"without the end-of-word suffix {definition.end_of_word_suffix!r}"
        )
    for id, token in definition.decode_only.items():
        spelled = _spelled(token, ids.keys() | texts.keys(), is_looked_up=has_unmerged)
        if spelled is None:
            raise FormatError(
                f"{path}: the id {id} only decodes, to {token!r}, and the format cannot "
                "distinguish it from a token: save it as .tiktoken"
            )
        ids[spelled] = id
    by_id = sorted(ids.items(), key=lambda item: item[1])
    return dict(by_id), pairs, has_unmerged


def _spelled(token: bytes, taken: Set[str], *, is_looked_up: bool) -> str | None:
    """Return an entry that decodes to *token*, and that nothing is encoded to, if there is one.

    If whole pieces are looked up, it must not be in the byte-level alphabet.
    """
    letters = to_letters(token)
    if letters not in taken and not (is_looked_up and token):
        return letters
    text = token.decode(errors="replace")
    if text.encode() == token and text not in taken and not _ALPHABET.issuperset(text):
        return text
    return None


def assemble(
    path: Path,
    *,
    vocab: Mapping[str, int],
    pairs: Mapping[str, tuple[str, str]],
    ignore_merges: bool,
    plain: Definition,
) -> tuple[Definition, ListedMerges]:
    """Build a definition from a vocabulary and a list of merges in the byte-level alphabet.

    *path* is for messages; *vocab* are all entries, *pairs* the merges by their location in the
    file. Everything else is that of *plain*, a definition without tokens. An entry that nothing is
    encoded to only decodes. `ListedMerges` documents *ignore_merges*.
    """
    locations: dict[tuple[str, str], str] = {}
    for where, (left, right) in pairs.items():
        for part in (left, right, left + right):
            if part not in vocab:
                raise FormatError(f"{path}: {where}: {part!r} is not in the vocabulary")
        locations.pop((left, right), None)  # the last of repeated pairs is the one that counts
        locations[left, right] = where
    suffix = to_letters(plain.end_of_word_suffix.encode())
    initial = _initial(vocab, suffix)
    if suffix:
        locations = _of_words(path, locations, suffix)
    made = _made(initial, locations)
    locations = {pair: where for pair, where in locations.items() if made.issuperset(pair)}
    added = {token.text: token for token in plain.added_tokens}
    tokens: dict[str, bytes] = {letters: from_letters(letters) for letters in made}
    decode_only: dict[int, bytes] = {}
    for letters in vocab.keys() - made:
        in_alphabet = _ALPHABET.issuperset(letters)
        is_piece = ignore_merges and letters and in_alphabet
        if is_piece and not is_found_first(path, added.get(letters), plain.normalizer):
            tokens[letters] = from_letters(letters)
        elif letters not in added:
            decoded = from_letters(letters) if in_alphabet else letters.encode()
            decode_only[vocab[letters]] = decoded
    order = sorted(tokens, key=vocab.__getitem__)
    merged = [left + right for left, right in locations]
    ids_of_merged = [vocab[letters] for letters in merged]
    if ids_of_merged != sorted(ids_of_merged) or suffix:
        # Ids are not in the order of merging: tokens are ranked by first merge instead.
        single = [letters for letters in order if letters in initial]
        order = list(dict.fromkeys([*single, *merged, *order]))
    ranks = {letters: rank for rank, letters in enumerate(order)}
    definition = replace(
        plain,
        tokens=[tokens[letters] for letters in order],
        ids=[vocab[letters] for letters in order],
        decode_only=dict(sorted(decode_only.items())),
    )
    by_rank = {(ranks[left], ranks[right]): where for (left, right), where in locations.items()}
    return definition, ListedMerges(by_rank, ignore_merges)


def _initial(vocab: Mapping[str, int], suffix: str) -> set[str]:
    """Return the entries of *vocab* from which merging starts: letters, also with the *suffix*."""
    if not suffix:
        return {*_ALPHABET} & vocab.keys()
    letters = _ALPHABET - {LETTERS[END_OF_WORD], LETTERS[UNKNOWN_END]}  # of no text
    return {*letters, *(letter + suffix for letter in letters)} & vocab.keys()


def _of_words(
    path: Path, locations: Mapping[tuple[str, str], str], suffix: str
) -> dict[tuple[str, str], str]:
    """Return the merges that can be used if tokens that end with *suffix* are at ends of pieces.

    Raises FormatError for one that makes such a token of two that are not.
    """
    for (left, right), where in locations.items():
        if (left + right).endswith(suffix) and not right.endswith(suffix):
            raise FormatError(
                f"{path}: {where} makes {left + right!r}, which ends with "
                f"model.end_of_word_suffix, of {left!r} and {right!r}: it is merged also inside "
                "words, and pytok would keep it at their ends"
            )
    return {pair: where for pair, where in locations.items() if not pair[0].endswith(suffix)}


def _made(initial: Set[str], merges: Collection[tuple[str, str]]) -> set[str]:
    """Return the entries that merging can make of those in *initial*, and these."""
    made = {*initial}
    rest = list(merges)
    while True:
        unmade = []
        for pair in rest:
            if pair[0] in made and pair[1] in made:
                made.add(pair[0] + pair[1])
            else:
                unmade.append(pair)
        if len(unmade) == len(rest):
            return made
        rest = unmade


def is_found_first(path: Path, added: AddedToken | None, normalizer: Sequence[Step]) -> bool:
    """Return whether *added* is an added token whose text is never a piece.

    One that is not special can be a piece, and is an ordinary token as well. Raises FormatError for
    a special one that can be a piece, which tokenizers encodes as the same id.
    """
    if added is None or not _ALPHABET.issuperset(added.text):
        return added is not None
    if not added.special:
        return False
    steps = {name for name, *_ in normalizer}
    # What NFC changes to "K", ";" or "`" would be matched too late.
    is_stable = added.text.isascii() and (added.normalized or not set("K;`") & set(added.text))
    if added.single_word or (steps and not (is_stable and steps == {"NFC"})):
        raise FormatError(
            f"{path}: with ignore_merges, ordinary text can be encoded as the special token "
            f"{added.text!r}, since model.vocab has it: remove it there"
        )
    return True
