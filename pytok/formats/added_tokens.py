"""The ``added_tokens`` of a tokenizer.json: texts that are matched before the text is split.

Hugging Face's tokenizers matches them in every text, whether they are ``special`` or not (the flag
only affects decoding), so all of them are special tokens here.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.merge_list import from_letters, is_ambiguous


def read_added_tokens(
    reader: Fields, document: dict[str, Any], vocab: Mapping[str, int], *, ignore_merges: bool
) -> dict[str, int]:
    """Return the added tokens and their ids; *vocab* is the model's, which can hold some of them.

    Raises FormatError for tokens that tokenizers would match differently, or give another id, than
    pytok. `pytok.formats.merge_list.ListedMerges` documents *ignore_merges*.
    """
    listed = (
        [] if document.get("added_tokens") is None else reader.get(document, "added_tokens", list)
    )
    specials: dict[str, int] = {}
    normalized: list[str] = []
    for index, token in enumerate(listed):
        where = f"added_tokens[{index}]."
        text = reader.get(token, "content", str, where)
        if text in specials:
            raise FormatError(f"{reader.path}: {where}content {text!r} occurs twice")
        if not text:
            raise FormatError(f"{reader.path}: {where}content is empty: it must be a text")
        # These flags change what is matched, so a tokenizer with them would give other ids.
        for flag in ("lstrip", "rstrip", "single_word"):
            why = "pytok matches special tokens exactly, whatever surrounds them"
            reader.must_be(token, flag, (None, False), why, where)
        for flag in ("special", "normalized"):
            reader.must_be(token, flag, (None, False, True), "it must be true or false", where)
        if ignore_merges and text in vocab and is_ambiguous(text):
            raise FormatError(
                f"{reader.path}: {where}content {text!r} is in model.vocab, where it stands for "
                f"{from_letters(text)!r}: with ignore_merges its id stands for both"
            )
        specials[text] = reader.get(token, "id", int, where)
        if token.get("normalized"):
            normalized.append(text)
    _check_ids(reader, specials, vocab)
    # tokenizers matches the two groups in two passes, so overlapping tokens depend on the pass.
    if overlap := _overlap(normalized, specials.keys() - set(normalized)):
        raise FormatError(
            f"{reader.path}: the added tokens {overlap[0]!r} (normalized) and {overlap[1]!r} (not) "
            "can overlap: tokenizers matches the latter first, pytok the leftmost and longest"
        )
    return specials


def _check_ids(reader: Fields, specials: Mapping[str, int], vocab: Mapping[str, int]) -> None:
    """Check the ids against those that tokenizers assigns: it ignores the ids in added_tokens."""
    next_id = len(vocab)
    for index, (text, id) in enumerate(specials.items()):
        assigned = vocab.get(text, next_id)
        next_id += text not in vocab
        if id != assigned:
            raise FormatError(
                f"{reader.path}: added_tokens[{index}].id is {id}, but tokenizers gives {text!r} "
                f"the id {assigned}: that of model.vocab, or else the next after its length"
            )


def _overlap(late: Sequence[str], early: Set[str]) -> tuple[str, str] | None:
    """Return a *late* and an *early* text of which the late one can start first or be longer.

    If there is none, matching the early texts first finds the leftmost and longest of all.

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
            # In sorted order, texts that start with the end of *text* come right after that end.
            after = bisect_left(ordered, text[start:])
            if after < len(ordered) and ordered[after].startswith(text[start:]):
                return text, ordered[after]
    return None
