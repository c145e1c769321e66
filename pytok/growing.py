"""Added tokens for a vocabulary that exists, such as those of a chat template."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytok.definition import AddedToken, Definition
from pytok.errors import VocabError

NewTokens = Iterable[str | AddedToken] | Mapping[str, int]
"""Texts, or complete added tokens, or texts with their ids."""


def with_added(definition: Definition, tokens: NewTokens) -> Definition:
    """Return *definition* with further added tokens; a text without an id is special.

    It takes the id of the token with this text, if there is one, else the one after the greatest.
    Raises TypeError for a string, which is no list; VocabError for an id that another token has,
    and for a text that has another id.
    """
    if isinstance(tokens, str | bytes):
        raise TypeError(f"special tokens come in a list or a mapping, not as {tokens!r}")
    if isinstance(tokens, Mapping):
        tokens = [AddedToken(text, id) for text, id in tokens.items()]
    texts, decode_only = bytes_by_id(definition), dict(definition.decode_only)
    ids = {text: id for id, text in texts.items()}
    added = {token.text: token for token in definition.added_tokens}
    next_id = definition.next_id
    for token in tokens:
        if not isinstance(token, AddedToken):
            token = _named(token, ids, added, next_id)
        text = _utf8(token.text)
        _check(token, texts.get(token.id, text), ids.get(text, token.id))
        texts[token.id], ids[text], added[token.text] = text, token.id, token
        next_id = max(next_id, token.id + 1)
        decode_only.pop(token.id, None)
    return replace(definition, added_tokens=tuple(added.values()), decode_only=decode_only)


def bytes_by_id(definition: Definition) -> dict[int, bytes]:
    """Return the bytes of each id; two added tokens can share an id, which is that of the first."""
    tokens = zip(definition.ids, definition.tokens, strict=True)
    added = {token.id: token.text.encode() for token in reversed(definition.added_tokens)}
    return {**definition.decode_only, **added, **dict(tokens)}


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # lone surrogates are an error of the definition


def _named(
    text: str, ids: Mapping[bytes, int], added: Mapping[str, AddedToken], next_id: int
) -> AddedToken:
    if not isinstance(text, str):
        raise TypeError(f"a special token is a text or an AddedToken, not {text!r}")
    if text in added:
        return added[text]._replace(special=True)
    return AddedToken(text, ids.get(_utf8(text), next_id))


def _check(token: AddedToken, owner: bytes, id: int) -> None:
    if owner != _utf8(token.text):
        raise VocabError(
            f"the id {token.id} of the new token {token.text!r} is that of the token {owner!r}: "
            "choose another id, or pass the text without one"
        )
    if id != token.id:
        raise VocabError(
            f"the new token {token.text!r} has the id {id} in the vocabulary, not {token.id}: pass "
            "the text without an id"
        )
