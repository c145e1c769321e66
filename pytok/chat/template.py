"""Conversations, and the chat template that renders them as token ids, also in Jinja.

A conversation is rendered with special tokens, ``<|endoftext|>`` first::

    <|endoftext|><|system|>Be brief.<|end|><|speaker_0|>Hi!<|end|><|speaker_1|>Hello.<|end|>

Speakers are numbered, so no vocabulary contains a name, and any string can be a name. Text is
encoded without special tokens: a person who types ``<|end|>`` does not end the turn.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from pytok.atomic import replace_file
from pytok.chat.jsonl import read_lines, write_lines
from pytok.chat.speakers import listed
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

END_OF_TURN = "<|end|>"
SYSTEM = "<|system|>"
TEMPLATE_FILE = "chat.json"
"""Name of the template's file, in the folder of tokenizer.json."""

TrainOn: TypeAlias = Literal["mine", "all", "last"]
"""Turns that count in the loss: those of `Template.me`, all, or the last one of `Template.me`."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """The text of one speaker until another speaks."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A sequence of turns, with an optional system prompt."""

    turns: tuple[Turn, ...]
    system: str | None = None
    """System prompt, before the first turn."""
    began: datetime | None = None
    """Time of the first turn."""


class Rendered(NamedTuple):
    """A conversation as token ids, and a mask of the same length."""

    ids: list[int]
    loss_mask: list[bool]
    """Whether each of *ids* is a target that counts in the loss."""


@dataclass(frozen=True, slots=True)
class Template:
    """Chat template for *speakers*; *me*, if set, is the speaker whom a model plays.

    Raises ChatError if a speaker is listed twice, or if *me* is not one of the speakers.
    """

    speakers: tuple[str, ...]
    me: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.speakers)) < len(self.speakers):
            raise ChatError("a speaker is listed twice")
        if self.me is not None:
            self._speaker_index(self.me)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Special tokens of the template except ``<|endoftext|>``, in the order of their ids."""
        return (END_OF_TURN, SYSTEM, *map(_speaker_token, range(len(self.speakers))))

    def speaker_token(self, speaker: str) -> str:
        """Return the special token that starts a turn of *speaker*.

        Raises ChatError for an unknown speaker.
        """
        return _speaker_token(self._speaker_index(speaker))

    def extend(self, tokenizer: Tokenizer) -> Tokenizer:
        """Add missing special tokens to *tokenizer*; see `Tokenizer.with_special_tokens`."""
        wanted = (END_OF_TEXT, *self.special_tokens)
        missing = [token for token in wanted if token not in tokenizer.special_tokens]
        return tokenizer.with_special_tokens(missing) if missing else tokenizer

    def render(
        self, conversation: Conversation, tokenizer: Tokenizer, *, train_on: TrainOn = "mine"
    ) -> Rendered:
        """Encode *conversation*, with a mask of the ids that count in the loss.

        With "mine" these are the text and ``<|end|>`` of each turn of `me`; with "last", of the
        last such turn; with "all", of every turn, and also the speaker tokens, so that a model
        learns who speaks next. ``<|endoftext|>`` and the system prompt never count.

        Raises ChatError for a speaker who is not in the template, for a tokenizer without the
        special tokens, and for "mine" and "last" if `me` is None.
        """
        if train_on not in get_args(TrainOn):
            raise ChatError(f"train_on={train_on!r} is not one of {', '.join(get_args(TrainOn))}")
        if train_on != "all" and self.me is None:
            raise ChatError(
                f"train_on={train_on!r} needs a speaker to train on; build the data with --me NAME"
            )
        special = self._special_ids(tokenizer)
        end = special[END_OF_TURN]
        ids = self._opening(conversation, tokenizer)
        loss_mask = [False] * len(ids)
        mine = [index for index, turn in enumerate(conversation.turns) if turn.speaker == self.me]
        targets = {
            "mine": set(mine),
            "last": set(mine[-1:]),
            "all": set(range(len(conversation.turns))),
        }[train_on]
        for index, turn in enumerate(conversation.turns):
            text_ids = tokenizer.encode_ordinary(turn.text)
            ids += [special[self.speaker_token(turn.speaker)], *text_ids, end]
            # The generation prompt supplies the speaker token, so only "all" trains on it.
            loss_mask.append(train_on == "all")
            loss_mask += [index in targets] * (len(text_ids) + 1)
        return Rendered(ids, loss_mask)

    def prompt(self, conversation: Conversation, tokenizer: Tokenizer, speaker: str) -> list[int]:
        """Return the ids of *conversation* and the token of *speaker*, who speaks next.

        Raises ChatError as `render` does.
        """
        rendered = self.render(conversation, tokenizer, train_on="all")
        return [*rendered.ids, tokenizer.special_tokens[self.speaker_token(speaker)]]

    def jinja(self) -> str:
        """Return an equivalent Hugging Face chat template, for ``tokenizer_config.json``.

        Roles are the names of the speakers; "system" is accepted for the first message only.
        "assistant" stands for `me`, and "user" for the other speaker if there are two, unless a
        speaker has that name. With ``add_generation_prompt=True`` the next turn is that of `me`,
        or of ``speaker=NAME``.

        The ids equal those of `render` unless a text contains a special token: transformers
        tokenizes the rendered *string*, in which that text is the token. A template cannot prevent
        this.
        """
        roles = self._roles()
        tokens = {role: self.speaker_token(speaker) for role, speaker in roles.items()}
        # JSON strings are valid Jinja strings: all escapes that json.dumps writes mean the same.
        as_jinja = json.dumps(tokens, ensure_ascii=False)
        me = "none" if self.me is None else json.dumps(self.me, ensure_ascii=False)
        return (
            f"{{%- set speakers = {as_jinja} -%}}\n"
            f"{{%- set me = {me} -%}}\n"
            f"{{{{- '{END_OF_TEXT}' -}}}}\n"
            "{%- for message in messages -%}\n"
            "{%- if message['role'] in speakers -%}\n"
            f"{{{{- speakers[message['role']] + message['content'] + '{END_OF_TURN}' -}}}}\n"
            "{%- elif message['role'] == 'system' and loop.first -%}\n"
            f"{{{{- '{SYSTEM}' + message['content'] + '{END_OF_TURN}' -}}}}\n"
            "{%- else -%}\n"
            "{{- raise_exception(message['role'] + ' is not one of the speakers') -}}\n"
            "{%- endif -%}\n"
            "{%- endfor -%}\n"
            "{%- if add_generation_prompt -%}\n"
            "{%- set speaker = speaker if speaker is defined else me -%}\n"
            "{%- if speaker not in speakers -%}\n"
            "{{- raise_exception('pass speaker=NAME, the speaker of the next turn') -}}\n"
            "{%- endif -%}\n"
            "{{- speakers[speaker] -}}\n"
            "{%- endif -%}\n"
        )

    def to_json(self) -> str:
        """Return the content of a chat.json."""
        fields = {"version": _VERSION, "speakers": self.speakers, "me": self.me}
        return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Template":
        """Invert `to_json`. Raises ChatError with the name of an invalid field."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            raise ChatError("not JSON") from None
        if not isinstance(fields, dict) or fields.get("version") != _VERSION:
            raise ChatError(f"not version {_VERSION} of a chat template; build the data again")
        speakers, me = fields.get("speakers"), fields.get("me")
        if not isinstance(speakers, list) or not all(isinstance(each, str) for each in speakers):
            raise ChatError("speakers is not a list of strings")
        if me is not None and not isinstance(me, str):
            raise ChatError(f"me is {me!r}, not a string or null")
        return cls(tuple(speakers), me)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write *path*, a chat.json, completely or not at all."""
        replace_file(Path(path), self.to_json().encode(), private=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Template":
        """Read *path*, a chat.json. Raises ChatError with the file and the field."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except ChatError as error:
            raise ChatError(f"{os.fspath(path)}: {error}") from None

    def _speaker_index(self, speaker: str) -> int:
        try:
            return self.speakers.index(speaker)
        except ValueError:
            raise ChatError(
                f"{speaker!r} is not one of the speakers: {listed(map(repr, self.speakers))}"
            ) from None

    def _roles(self) -> dict[str, str]:
        """Map each role of a message to its speaker."""
        others = [speaker for speaker in self.speakers if speaker != self.me]
        roles = {} if self.me is None else {"assistant": self.me}
        if self.me is not None and len(others) == 1:
            roles["user"] = others[0]
        return {**roles, **{speaker: speaker for speaker in self.speakers}}

    def _special_ids(self, tokenizer: Tokenizer) -> dict[str, int]:
        ids = tokenizer.special_tokens
        for token in (END_OF_TEXT, *self.special_tokens):
            if token not in ids:
                raise ChatError(
                    f"the tokenizer has no special token {token}; add it with `Template.extend`"
                )
        return dict(ids)

    def _opening(self, conversation: Conversation, tokenizer: Tokenizer) -> list[int]:
        ids = tokenizer.special_tokens
        if conversation.system is None:
            return [ids[END_OF_TEXT]]
        text_ids = tokenizer.encode_ordinary(conversation.system)
        return [ids[END_OF_TEXT], ids[SYSTEM], *text_ids, ids[END_OF_TURN]]


def _speaker_token(number: int) -> str:
    return f"<|speaker_{number}|>"


# Conversations as JSON lines.


def write_conversations(
    path: str | os.PathLike[str], conversations: Iterable[Conversation]
) -> None:
    """Write *conversations* to *path*, one JSON object per line, completely or not at all."""
    write_lines(path, map(_to_dict, conversations))


def read_conversations(path: str | os.PathLike[str]) -> Iterator[Conversation]:
    """Read a file of `write_conversations`. Raises ChatError with the file, line and field."""
    return read_lines(path, _from_dict, "expected one conversation per line")


def _to_dict(conversation: Conversation) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if conversation.began is not None:
        fields["began"] = conversation.began.isoformat()
    if conversation.system is not None:
        fields["system"] = conversation.system
    fields["turns"] = [{"speaker": turn.speaker, "text": turn.text} for turn in conversation.turns]
    return fields


def _from_dict(fields: Any) -> Conversation:
    turns = fields.get("turns") if isinstance(fields, dict) else None
    if not isinstance(turns, list):
        raise ChatError('not an object with a list "turns"')
    if unknown := fields.keys() - {"began", "system", "turns"}:
        raise ChatError(f"{min(unknown)!r} is not a field of a conversation")
    system, began = fields.get("system"), fields.get("began")
    if system is not None and not isinstance(system, str):
        raise ChatError(f"system is {system!r}, not a string")
    try:
        time = None if began is None else datetime.fromisoformat(began)
    except (TypeError, ValueError):
        raise ChatError(f"began is {began!r}, not like 2022-12-31T23:59:59") from None
    return Conversation(tuple(map(_turn, turns)), system, time)


def _turn(fields: Any) -> Turn:
    if isinstance(fields, dict) and fields.keys() == {"speaker", "text"}:
        speaker, text = fields["speaker"], fields["text"]
        if isinstance(speaker, str) and isinstance(text, str):
            return Turn(speaker, text)
    raise ChatError("a turn is not an object of two strings, speaker and text")
