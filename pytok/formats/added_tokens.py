"""The ``added_tokens`` of a tokenizer.json: texts that are matched before the text is split."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytok.definition import AddedToken
from pytok.errors import FormatError
from pytok.formats.fields import Fields
from pytok.formats.merge_list import from_letters, is_ambiguous

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""The flags of an added token, as in Hugging Face's files."""


def read_added_tokens(
    reader: Fields, document: dict[str, Any], vocab: Mapping[str, int]
) -> tuple[AddedToken, ...]:
    """Return the added tokens; *vocab* is the model's, which can have some of them.

    Raises FormatError for tokens that tokenizers gives another id than the file, or decodes to
    another text.
    """
    listed = (
        [] if document.get("added_tokens") is None else reader.get(document, "added_tokens", list)
    )
    tokens: dict[str, AddedToken] = {}
    next_id = len(vocab)
    for index, item in enumerate(listed):
        where = f"added_tokens[{index}]."
        text = reader.get(item, "content", str, where)
        if not text:  # tokenizers ignores it as well
            continue
        for flag in FLAGS:
            reader.must_be(item, flag, (None, False, True), "it must be true or false", where)
        flags = {flag: bool(item.get(flag)) for flag in FLAGS}
        token = AddedToken(text, reader.get(item, "id", int, where), **flags)
        if text in tokens:
            if tokens[text] == token:
                continue
            raise FormatError(f"{reader.path}: {where}content {text!r} occurs twice")
        if is_ambiguous(text):
            raise FormatError(
                f"{reader.path}: {where}content {text!r} stands for {from_letters(text)!r} in the "
                "byte-level alphabet, to which tokenizers decodes it: use another text"
            )
        # tokenizers ignores the ids in added_tokens.
        assigned = vocab.get(text, next_id)
        next_id += text not in vocab
        if token.id != assigned:
            raise FormatError(
                f"{reader.path}: {where}id is {token.id}, but tokenizers gives {text!r} the id "
                f"{assigned}: that of model.vocab, or else the next after its length"
            )
        tokens[text] = token
    return tuple(tokens.values())


def write_added_tokens(tokens: Sequence[AddedToken]) -> list[dict[str, Any]]:
    """Return the value of the field ``added_tokens``, in the order of ids."""
    # The fields are in the order of Hugging Face's own files.
    return [
        {"id": token.id, "content": token.text} | {flag: getattr(token, flag) for flag in FLAGS}
        for token in sorted(tokens, key=lambda token: token.id)
    ]
