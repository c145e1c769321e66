"""Conversations, what a chat template is, and pytok's own, which renders them as token ids.

`ChatTemplate` is the interface, `Template` our own template: a conversation is rendered with
special tokens, ``<|endoftext|>`` first::

    <|endoftext|><|system|>Be brief.<|end|><|speaker_0|>Hi!<|end|><|speaker_1|>Hello.<|end|>

Speakers are numbered, so no vocabulary contains a name, and any string can be a name. Text is
encoded without special tokens: a person who types ``<|end|>`` does not end the turn.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, get_args

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

USER, ASSISTANT, TOOL, ROLE_SYSTEM = "user", "assistant", "tool", "system"
"""Speakers of conversations that have roles instead of people."""

TrainOn: TypeAlias = Literal["mine", "all", "last", "text"]
"""What counts in the loss: the turns of `ChatTemplate.me`, all turns, the last one of
`ChatTemplate.me`, or all texts without the tokens of the template."""

_VERSION = 1
_TURN_FIELDS = {"speaker", "text", "trained_on"}


@dataclass(frozen=True, slots=True)
class Turn:
    """The text of one speaker until another speaks."""

    speaker: str
    text: str
    trained_on: bool = True
    """Whether it can count in the loss. The output of a tool never does."""


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


class ChatTemplate(Protocol):
    """How conversations become ids. `pytok.chat.templates` lists the kinds."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """Speakers of whom a person or a model can be one."""

    @property
    def me(self) -> str | None:
        """The speaker whom a model plays, if there is one."""

    @property
    def alternates(self) -> bool:
        """Whether a conversation begins with another speaker than `me`, and turns alternate."""

    def including(self, speakers: Iterable[str]) -> "ChatTemplate":
        """Return a template with these speakers as well, or itself if it has no speakers to add."""

    def extend(self, tokenizer: Tokenizer) -> Tokenizer:
        """Return *tokenizer* with the special tokens of the template that it lacks."""

    def files(self) -> Mapping[str, bytes]:
        """Return the files that store the template beside the tokenizer of `extend`."""

    def render(
        self, conversation: Conversation, tokenizer: Tokenizer, *, train_on: TrainOn = "mine"
    ) -> Rendered:
        """Encode *conversation*, with a mask of the ids that count in the loss.

        "mine" are the text and the end of each turn of `me`, "last" those of the last such turn,
        "all" every turn, whoever speaks, and "text" the text of every turn and of the system
        prompt. The first id never counts, nor a turn that is not `Turn.trained_on`. Raises
        ChatError for a conversation that the template cannot render.
        """

    def prompt(self, conversation: Conversation, tokenizer: Tokenizer, speaker: str) -> list[int]:
        """Return the ids after which *speaker* speaks; raises ChatError as `render` does."""

    def speaker_ids(self, tokenizer: Tokenizer) -> Mapping[str, int]:
        """Return the id that begins a turn of each speaker; {} if the speakers alternate."""

    def end_ids(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Return the ids at which a turn of a model ends."""

    def jinja(self) -> str:
        """Return a Hugging Face chat template, for ``tokenizer_config.json``."""


def turns_trained_on(
    conversation: Conversation, me: str | None, train_on: TrainOn
) -> frozenset[int]:
    """Return the indices of the turns that count in the loss.

    Raises ChatError for an unknown *train_on*, and for "mine" and "last" if *me* is None.
    """
    if train_on not in get_args(TrainOn):
        raise ChatError(f"train_on={train_on!r} is not one of {', '.join(get_args(TrainOn))}")
    if train_on in ("mine", "last") and me is None:
        raise ChatError(
            f"train_on={train_on!r} needs a speaker to train on; build the data with --me NAME"
        )
    every = [index for index, turn in enumerate(conversation.turns) if turn.trained_on]
    mine = [index for index in every if conversation.turns[index].speaker == me]
    return frozenset({"mine": mine, "last": mine[-1:]}.get(train_on, every))


@dataclass(frozen=True, slots=True)
class Template:
    """Chat template for *speakers*; *me*, if set, is the speaker whom a model plays.

    A turn of the speaker "system", if no speaker has that name, is instructions, as the system
    prompt is. Raises ChatError if a speaker is listed twice, or if *me* is not one of the speakers.
    """

    alternates: ClassVar[bool] = False

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

    def turn_token(self, speaker: str) -> str:
        """Return the special token that starts a turn of *speaker*, who can be "system".

        Raises ChatError for an unknown speaker.
        """
        is_system = speaker == ROLE_SYSTEM and speaker not in self.speakers
        return SYSTEM if is_system else self.speaker_token(speaker)

    def including(self, speakers: Iterable[str]) -> "Template":
        """Return the template with *speakers* after its own."""
        return Template(tuple(dict.fromkeys([*self.speakers, *speakers])), self.me)

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
        learns who speaks next; with "text", the text of every turn and of the system prompt, which
        counts with no other. ``<|endoftext|>`` never counts.

        Raises ChatError for a speaker who is not in the template, for a tokenizer without the
        special tokens, and for "mine" and "last" if `me` is None.
        """
        counted = turns_trained_on(conversation, self.me, train_on)
        special = self._special_ids(tokenizer)
        end = special[END_OF_TURN]
        ids, loss_mask = [special[END_OF_TEXT]], [False]
        if conversation.system is not None:
            text_ids = tokenizer.encode_ordinary(conversation.system)
            ids += [special[SYSTEM], *text_ids, end]
            loss_mask += [False, *[train_on == "text"] * len(text_ids), False]
        for index, turn in enumerate(conversation.turns):
            text_ids = tokenizer.encode_ordinary(turn.text)
            ids += [special[self.turn_token(turn.speaker)], *text_ids, end]
            counts = index in counted
            # The generation prompt supplies the speaker token, so only "all" trains on it.
            loss_mask.append(counts and train_on == "all")
            loss_mask += [counts] * len(text_ids)
            loss_mask.append(counts and train_on != "text")
        return Rendered(ids, loss_mask)

    def prompt(self, conversation: Conversation, tokenizer: Tokenizer, speaker: str) -> list[int]:
        """Return the ids of *conversation* and the token of *speaker*, who speaks next.

        Raises ChatError as `render` does.
        """
        rendered = self.render(conversation, tokenizer, train_on="all")
        return [*rendered.ids, tokenizer.special_tokens[self.speaker_token(speaker)]]

    def speaker_ids(self, tokenizer: Tokenizer) -> Mapping[str, int]:
        """Return the id that begins a turn of each speaker; ChatError if *tokenizer* lacks it."""
        special = self._special_ids(tokenizer)
        return {speaker: special[self.speaker_token(speaker)] for speaker in self.speakers}

    def end_ids(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Return the id of ``<|end|>``; ChatError if *tokenizer* lacks it."""
        return frozenset([self._special_ids(tokenizer)[END_OF_TURN]])

    def jinja(self) -> str:
        """Return an equivalent Hugging Face chat template, for ``tokenizer_config.json``.

        Roles are the names of the speakers, and "system". "assistant" stands for `me`, and "user"
        for the other speaker if there are two, unless a speaker has that name. With
        ``add_generation_prompt=True`` the next turn is that of `me`, or of ``speaker=NAME``.

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
            "{%- elif message['role'] == 'system' -%}\n"
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

    def files(self) -> Mapping[str, bytes]:
        """Return chat.json, by its name."""
        return {TEMPLATE_FILE: self.to_json().encode()}

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
    return read_lines(path, from_fields, "expected one conversation per line")


def _to_dict(conversation: Conversation) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if conversation.began is not None:
        fields["began"] = conversation.began.isoformat()
    if conversation.system is not None:
        fields["system"] = conversation.system
    fields["turns"] = [
        {"speaker": turn.speaker, "text": turn.text}
        | ({} if turn.trained_on else {"trained_on": False})
        for turn in conversation.turns
    ]
    return fields


def from_fields(fields: Any) -> Conversation:
    """Return the conversation of a line of `write_conversations`, parsed; raises ChatError."""
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
    if isinstance(fields, dict) and {"speaker", "text"} <= fields.keys() <= _TURN_FIELDS:
        speaker, text, trained_on = (
            fields["speaker"],
            fields["text"],
            fields.get("trained_on", True),
        )
        if isinstance(speaker, str) and isinstance(text, str) and isinstance(trained_on, bool):
            return Turn(speaker, text, trained_on)
    raise ChatError(
        "a turn is not an object of two strings, speaker and text, and perhaps trained_on, true or "
        "false"
    )
