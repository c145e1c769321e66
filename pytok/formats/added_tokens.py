"""The ``added_tokens`` of a tokenizer.json: texts that are found before anything is split.

Hugging Face's tokenizers finds them in every text, whether they are ``special`` or not (which says
only what decoding may leave out), so all of them are special tokens here.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.merge_list import spells_another, unspell


def special_tokens_of(
    reader: Fields, document: dict[str, Any], vocab: Mapping[str, int], *, whole_pieces: bool
) -> dict[str, int]:
    """The added tokens and their ids; *vocab* is the model's, which may hold some of them, too.

    Raises FormatError for those that tokenizers would find elsewhere, or under another id, than
    pytok. See `pytok.formats.merge_list.StatedMerges` for *whole_pieces*.
    """
    listed = (
        [] if document.get("added_tokens") is None else reader.get(document, "added_tokens", list)
    )
    specials: dict[str, int] = {}
    normalized: list[str] = []
    for place, token in enumerate(listed):
        where = f"added_tokens[{place}]."
        text = reader.get(token, "content", str, where)
        if text in specials:
            raise FormatError(f"{reader.path}: {where}content {text!r} is there already")
        if not text:
            raise FormatError(f"{reader.path}: {where}content is empty: no text holds that")
        for flag in ("lstrip", "rstrip", "single_word"):
            why = "pytok finds special tokens as they are, whatever is around them"
            reader.must_be(token, flag, (None, False), why, where)
        for flag in ("special", "normalized"):
            reader.must_be(token, flag, (None, False, True), "it is true or false", where)
        if whole_pieces and text in vocab and spells_another(text):
            raise FormatError(
                f"{reader.path}: {where}content {text!r} is in model.vocab, where it spells "
                f"{unspell(text)!r}: with ignore_merges its id stands for both"
            )
        specials[text] = reader.get(token, "id", int, where)
        if token.get("normalized"):
            normalized.append(text)
    _check_ids(reader, specials, vocab)
    if overlap := _overlap(normalized, specials.keys() - set(normalized)):
        raise FormatError(
            f"{reader.path}: the added tokens {overlap[0]!r} (normalized) and {overlap[1]!r} (not) "
            "can overlap: tokenizers looks for the latter first, pytok for the leftmost and longest"
        )
    return specials


def _check_ids(reader: Fields, specials: Mapping[str, int], vocab: Mapping[str, int]) -> None:
    """Refuses an id that is not the one tokenizers gives: it ignores those of added_tokens."""
    unnumbered = len(vocab)
    for place, (text, id) in enumerate(specials.items()):
        given = vocab.get(text, unnumbered)
        unnumbered += text not in vocab
        if id != given:
            raise FormatError(
                f"{reader.path}: added_tokens[{place}].id is {id}, but tokenizers gives {text!r} "
                f"the id {given}: that of model.vocab, or else the next after its length"
            )


def _overlap(late: Sequence[str], early: Set[str]) -> tuple[str, str] | None:
    """A *late* and an *early* text of which the late one can begin first, or be the longer.

    Where there is none, looking for the early ones first finds the leftmost and longest of all.

    >>> _overlap(["b", "xa"], {"ab"}), _overlap(["abc"], {"ab"}), _overlap(["a", "bx"], {"ab"})
    (('xa', 'ab'), ('abc', 'ab'), None)
    """
    ordered, lengths = sorted(early), {len(text) for text in early}
    for text in late:
        for length in lengths:
            for start in range(len(text) - length + 1):
                if (part := text[start : start + length]) in early:
                    return text, part
        for start in range(1, len(text)):
            # In order, those that begin with the end of *text* come right after it.
            after = bisect_left(ordered, text[start:])
            if after < len(ordered) and ordered[after].startswith(text[start:]):
                return text, ordered[after]
    return None
