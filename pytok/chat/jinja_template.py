"""Chat templates in Jinja, those of other software: rendered as transformers does, and masked.

A template is a program that writes a text, in which neither the turns nor what a model writes can
be seen. So it is rendered twice: with a placeholder instead of each text (`Skeleton`), which
separates texts and template, and with the texts. The parts of the skeleton are then found in the
complete text, whatever the template does to a text, such as stripping it.

What a model writes begins where the prompt ends: at the length of the skeleton of the messages
before, with ``add_generation_prompt=True``, which must be the beginning of the whole. It ends with
the first special token after the text. Where a template has ``{% generation %}`` blocks, they are
what a model writes.

A text that spells a special token would be read as that token. Each such token is replaced by a
character that occurs nowhere else, and encoded as ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar, NamedTuple

from pytok.chat.jinja_rendering import BEGIN, END, render_source
from pytok.chat.skeleton import Skeleton, align, skeleton_of
from pytok.chat.template import (
    ASSISTANT,
    ROLE_SYSTEM,
    TOOL,
    USER,
    Conversation,
    Rendered,
    TrainOn,
    turns_trained_on,
)
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.formats.classes import NAMED_TOKENS
from pytok.text import quoted
from pytok.tokenizer import Tokenizer

ROLES = (ROLE_SYSTEM, USER, ASSISTANT, TOOL)
"""Roles of messages, which are the speakers of turns."""
SETTING = "chat_template"
"""Field of a tokenizer_config.json that has the template."""


@dataclass(frozen=True, slots=True)
class JinjaTemplate:
    """The chat template *source* of a tokenizer; *special_tokens* are those that it writes.

    Its speakers are the roles of messages, of which a model is the assistant. `of` reads the
    template of a tokenizer.
    """

    speakers: ClassVar[tuple[str, ...]] = (USER, ASSISTANT)
    me: ClassVar[str] = ASSISTANT
    alternates: ClassVar[bool] = True

    source: str
    special_tokens: tuple[str, ...] = ()

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> JinjaTemplate | None:
        """Return the template in the settings of *tokenizer*, if there is one.

        Of several it is that with the name "default". Raises ChatError if it is no template.
        """
        found = tokenizer.definition.settings.config.get(SETTING)
        if isinstance(found, list):
            named = [each for each in found if isinstance(each, Mapping)]
            default = (each.get("template") for each in named if each.get("name") == "default")
            found = next(default, None)
        if found is None:
            return None
        if not isinstance(found, str):
            raise ChatError(f"{SETTING} is {quoted(found)}, not a string")
        return cls(found)

    def extend(self, tokenizer: Tokenizer) -> Tokenizer:
        """Return *tokenizer* with this template, and the special tokens that it lacks.

        Raises ChatError if the template is no Jinja, or if no special token ends an answer.
        """
        missing = [token for token in self.special_tokens if token not in tokenizer.special_tokens]
        if missing:
            tokenizer = tokenizer.with_special_tokens(missing)
        settings = tokenizer.definition.settings
        if settings.config.get(SETTING) != self.source:
            settings = settings._replace(config={**settings.config, SETTING: self.source})
            definition = replace(tokenizer.definition, settings=settings)
            tokenizer = tokenizer.from_definition(definition, tokenizer.engine)
        self.end_ids(tokenizer)
        return tokenizer

    def including(self, speakers: Iterable[str]) -> JinjaTemplate:
        """Return the template itself: it has roles."""
        return self

    def files(self) -> Mapping[str, bytes]:
        """Return no file: tokenizer_config.json has the template."""
        return {}

    def render(
        self, conversation: Conversation, tokenizer: Tokenizer, *, train_on: TrainOn = "mine"
    ) -> Rendered:
        """Encode *conversation*, with a mask of the ids that count in the loss.

        An id counts if it has a character that does. With "all" the header of the first turn does
        not. Raises ChatError for a role that is not one of `ROLES`, and if the template rejects the
        conversation, leaves out a text, or cannot be rendered incrementally.
        """
        counted = turns_trained_on(conversation, self.me, train_on)
        texts = _Texts.of(conversation, self.source, tokenizer)
        text = render_source(self.source, _variables(tokenizer), texts.messages(), False)
        skeleton, literals, spans = self._aligned(texts, text, tokenizer)
        first = len(texts.roles) - len(conversation.turns)
        messages = {first + index for index in counted}
        flags = bytearray(len(text))
        if train_on in ("mine", "last"):
            found = _written(skeleton, literals, messages)
        else:
            messages |= set(range(first)) if train_on == "text" else set()
            found = _said(skeleton, spans, messages, with_headers=train_on == "all")
        for start, end in found:
            flags[start:end] = b"\1" * (end - start)
        return _encoded(text, flags, texts.spelled, tokenizer)

    def prompt(self, conversation: Conversation, tokenizer: Tokenizer, speaker: str) -> list[int]:
        """Return the ids of *conversation* and what begins a turn of *speaker*, the assistant.

        Raises ChatError as `render` does, and for another speaker.
        """
        if speaker != self.me:
            raise ChatError(
                f"this chat template begins turns of the {self.me} only, not of {speaker!r}"
            )
        texts = _Texts.of(conversation, self.source, tokenizer)
        text = render_source(self.source, _variables(tokenizer), texts.messages(), True)
        return _encoded(text, bytearray(len(text)), texts.spelled, tokenizer).ids

    def speaker_ids(self, tokenizer: Tokenizer) -> Mapping[str, int]:
        """Return {}: the speakers alternate."""
        return {}

    def end_ids(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Return the id of the token at the end of the assistant's turns, and that of EOS.

        Raises ChatError as `extend` does.
        """
        variables, specials = _variables(tokenizer), _specials(tokenizer)
        skeleton = skeleton_of(self.source, variables, (USER, ASSISTANT), (), specials)
        found = re.search(specials, skeleton.literals[-1])
        if found is None:
            raise ChatError(
                "the chat template ends the turns of the assistant with no special token of the "
                "tokenizer, so a model could not end them"
            )
        ids = (tokenizer.special_tokens[found[0]], tokenizer.eos_token_id)
        return frozenset(id for id in ids if id is not None)

    def jinja(self) -> str:
        """Return the template itself."""
        return self.source

    def _aligned(self, texts: _Texts, text: str, tokenizer: Tokenizer) -> _Aligned:
        """Align *text*, which is rendered from *texts*, with its skeleton."""
        blank = tuple((n, each) for n, each in enumerate(texts.texts) if not each.strip())
        # Some templates write less around an empty text, which then belongs to the skeleton.
        for fixed in ((), blank) if blank else ((),):
            skeleton = skeleton_of(
                self.source, _variables(tokenizer), texts.roles, fixed, _specials(tokenizer)
            )
            if (found := align(skeleton, texts.texts, text)) is not None:
                return _Aligned(skeleton, *found)
        raise ChatError(
            "the chat template renders this conversation in another way than others with the same "
            "roles, so it is unknown what a model writes"
        )


class _Aligned(NamedTuple):
    """A skeleton, and where its parts are in a rendered conversation."""

    skeleton: Skeleton
    literals: list[int]
    """Where each literal begins."""
    spans: list[tuple[int, int]]
    """Where each text begins and ends."""


class _Texts(NamedTuple):
    """The messages of a conversation, without special tokens in their texts."""

    roles: tuple[str, ...]
    texts: tuple[str, ...]
    spelled: Mapping[str, str]
    """The special tokens and marks in texts, by the character that replaces each."""

    @classmethod
    def of(cls, conversation: Conversation, source: str, tokenizer: Tokenizer) -> _Texts:
        """Return the messages of *conversation*; raises ChatError for an unknown role."""
        system = conversation.system
        pairs = [] if system is None else [(ROLE_SYSTEM, system)]
        pairs += [(turn.speaker, turn.text) for turn in conversation.turns]
        roles, texts = tuple(role for role, _ in pairs), [text for _, text in pairs]
        if unknown := set(roles) - set(ROLES):
            raise ChatError(
                f"{min(unknown)!r} is not a role of this chat template: {', '.join(ROLES)}"
            )
        # The marks of blocks are removed from what is rendered, so a text must not have any.
        specials = re.compile(f"{_specials(tokenizer)}|[{BEGIN}{END}]")
        found = dict.fromkeys(token for text in texts for token in specials.findall(text))
        if not found:
            return cls(roles, tuple(texts), {})
        unused = _unused("".join([source, *texts]))
        characters = dict(zip(found, islice(unused, len(found)), strict=True))
        texts = [specials.sub(lambda match: characters[match[0]], text) for text in texts]
        return cls(roles, tuple(texts), {value: token for token, value in characters.items()})

    def messages(self) -> list[dict[str, str]]:
        """Return the messages as a template reads them."""
        pairs = zip(self.roles, self.texts, strict=True)
        return [{"role": role, "content": text} for role, text in pairs]


def _written(
    skeleton: Skeleton, literals: Sequence[int], messages: Iterable[int]
) -> Iterator[tuple[int, int]]:
    """Yield the spans of what a model writes of *messages*; *literals* are where each begins."""
    for message in messages:
        if message in skeleton.unknown:
            raise ChatError(
                "the chat template cannot be rendered incrementally: the prompt for message "
                f"{message + 1} {skeleton.unknown[message]}, so it is unknown what a model writes"
            )
        for begin, end in skeleton.written.get(message, ()):
            yield literals[begin[0]] + begin[1], literals[end[0]] + end[1]


def _said(
    skeleton: Skeleton,
    spans: Sequence[tuple[int, int]],
    messages: Collection[int],
    *,
    with_headers: bool,
) -> Iterator[tuple[int, int]]:
    """Yield the spans of the texts of *messages*, perhaps from the end of the message before each.

    Those with headers also have the special token at the end.
    """
    for index, (start, end) in enumerate(spans):
        if skeleton.messages[index] not in messages:
            continue
        if with_headers:
            before = spans[index - 1][1] + skeleton.ends[index - 1] if index else start
            yield before, end + skeleton.ends[index]
        else:
            yield start, end


def _unused(text: str) -> Iterator[str]:
    """Yield characters that *text* does not have, first those that no text should have."""
    used = set(text)
    return (c for c in map(chr, range(0xFDD2, 0x110000)) if c not in used)


def _variables(tokenizer: Tokenizer) -> tuple[tuple[str, str], ...]:
    """Return the texts of BOS, EOS and so on, which a template can write, by their names.

    BOS and EOS are ``<|endoftext|>`` if the settings of *tokenizer* do not name any.
    """
    config = tokenizer.definition.settings.config
    usual = END_OF_TEXT if END_OF_TEXT in tokenizer.special_tokens else None
    found = {"bos_token": usual, "eos_token": usual}
    for name in NAMED_TOKENS:
        value = config.get(name)
        text = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(text, str):
            found[name] = text
    return tuple((name, text) for name, text in found.items() if text is not None)


def _specials(tokenizer: Tokenizer) -> str:
    """Return a regex that matches the special tokens of *tokenizer*, of several the longest."""
    longest_first = sorted(tokenizer.special_tokens, key=len, reverse=True)
    return "|".join(map(re.escape, longest_first)) or "(?!)"


def _encoded(
    text: str, flags: bytearray, spelled: Mapping[str, str], tokenizer: Tokenizer
) -> Rendered:
    """Encode *text*, with special tokens; those of *spelled* are put back as ordinary text.

    An id counts if one of its characters does, by *flags*.
    """
    ids, offsets = tokenizer.encode_with_offsets(text, allowed_special="all")
    if not spelled:
        return Rendered(ids, [flags.find(1, start, end) >= 0 for start, end in offsets])
    rendered = Rendered([], [])

    def add_ordinary(start: int, end: int) -> None:
        part = "".join(spelled.get(c, c) for c in text[start:end])
        counts = [
            flags[start + i] for i, c in enumerate(text[start:end]) for _ in spelled.get(c, c)
        ]
        part_ids, part_offsets = tokenizer.encode_with_offsets(part, disallowed_special=())
        rendered.ids.extend(part_ids)
        rendered.loss_mask.extend(any(counts[begin:stop]) for begin, stop in part_offsets)

    position = 0
    for id, (start, end) in zip(ids, offsets, strict=True):
        if tokenizer.is_special_token(id):
            add_ordinary(position, start)
            rendered.ids.append(id)
            rendered.loss_mask.append(flags.find(1, start, end) >= 0)
            position = end
    add_ordinary(position, len(text))
    return rendered
