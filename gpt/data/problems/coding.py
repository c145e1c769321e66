"""`Coding`: how the prompt of a problem becomes ids for a model, and ids become a completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpt.data.boundaries import Boundaries
from gpt.data.completions import prompted
from gpt.data.contents import Content, messages_of
from gpt.errors import DataError
from pytok.chat.template import ChatTemplate
from pytok.definition import END_OF_TEXT
from pytok.tokenizer import Tokenizer


class Coding(NamedTuple):
    """Prompts to ids, and ids to completions."""

    encode: Callable[[Content], list[int]]
    """Returns the ids of a prompt."""
    decode: Callable[[Sequence[int]], str]
    """Returns the text of a completion, given its ids without the end."""
    ends: frozenset[int]
    """Ids at which a completion ends."""

    @classmethod
    def of_texts(cls, tokenizer: Tokenizer) -> Coding:
        """Return that of a model of texts: a prompt is the beginning of one.

        Raises DataError if no token ends a text: completions would never end.
        """
        boundaries = Boundaries.of(tokenizer)
        if not boundaries.ends:
            raise DataError(
                f"the vocabulary has no token that ends a text, such as {END_OF_TEXT}, so no "
                "completion would end; use a base with one"
            )
        return cls(
            lambda prompt: [*boundaries.start, *tokenizer.encode_ordinary(str(prompt))],
            tokenizer.decode,
            boundaries.ends,
        )

    @classmethod
    def of_chats(cls, template: ChatTemplate, tokenizer: Tokenizer) -> Coding:
        """Return that of a model which chats: a prompt is messages, and a completion its turn."""
        return cls(
            lambda prompt: prompted(messages_of(prompt), template, tokenizer),
            tokenizer.decode,
            template.end_ids(tokenizer),
        )
