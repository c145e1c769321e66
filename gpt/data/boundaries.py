"""Where the texts of a model begin and end: at BOS and EOS of an imported one, else END_OF_TEXT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pytok.definition import END_OF_TEXT
from pytok.errors import VocabError

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


ID_FIELDS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""Fields of a generation_config.json that are ids, or lists of them."""


class Boundaries(NamedTuple):
    """The ids around the texts of a model."""

    prefix: list[int]
    """Ids before each text: those of the tokenizer's post-processor, such as BOS."""
    start: list[int]
    """Ids with which an empty text starts; none if the vocabulary has no such token."""
    ends: frozenset[int]
    """Ids at which a text ends."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Boundaries:
        """Return those that the files of *tokenizer* state, and `END_OF_TEXT`."""
        try:
            prefix = tokenizer.prefix_ids
        except VocabError:  # a template that pytok does not apply
            prefix = []
        end = tokenizer.special_tokens.get(END_OF_TEXT)
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        starts = [[id] for id in (bos, end, eos) if id is not None]
        ends = frozenset(id for id in (end, eos) if id is not None)
        return cls(prefix, prefix or next(iter(starts), []), ends)


def listed_ids(value: object) -> list[int]:
    """Return the ids in *value*, a field of a generation_config.json: an id, a list, or nothing.

    >>> listed_ids([2, 7]), listed_ids(2), listed_ids(None)
    ([2, 7], [2], [])
    """
    values = value if isinstance(value, list) else [value]
    return [id for id in values if isinstance(id, int) and not isinstance(id, bool)]


def with_named_ends(tokenizer: Tokenizer, generation: Mapping[str, Any]) -> Tokenizer:
    """Return *tokenizer* with BOS and EOS as *generation*, a generation_config.json, has them.

    What its own files say comes first.
    """
    definition = tokenizer.definition
    texts = {token.id: token.text for token in reversed(definition.added_tokens)}
    named = {}
    for name in ("bos_token", "eos_token"):
        ids = listed_ids(generation.get(f"{name}_id"))
        if ids and ids[0] in texts and definition.settings.config.get(name) is None:
            named[name] = texts[ids[0]]
    if not named:
        return tokenizer
    settings = definition.settings._replace(config={**definition.settings.config, **named})
    return tokenizer.from_definition(replace(definition, settings=settings), tokenizer.engine)
