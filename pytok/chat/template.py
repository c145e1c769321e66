"""Conversations, and how they become ids: the one renderer, and its twin in Jinja.

A conversation is spelled with special tokens, ``<|endoftext|>`` first::

    <|endoftext|><|system|>Be brief.<|end|><|speaker_0|>Hi!<|end|><|speaker_1|>Hello.<|end|>

Speakers are numbered, so no vocabulary holds a name, and a name may be anything. What people wrote
is encoded as ordinary text: one who types ``<|end|>`` ends nothing.
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
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

END_OF_TURN = "<|end|>"
SYSTEM = "<|system|>"
TEMPLATE_FILE = "chat.json"
"""The template's place beside a tokenizer.json."""

TrainOn: TypeAlias = Literal["mine", "all", "last"]
"""What a model is to learn of a conversation: my turns, everyone's, or my last one."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said before another did."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that belong together."""

    turns: tuple[Turn, ...]
    system: str | None = None
    """What a model is told before the first turn."""
    began: datetime | None = None
    """When the first turn was sent."""


class Rendered(NamedTuple):
    """A conversation as ids; both lists are of the same length."""

    ids: list[int]
    mask: list[bool]
    """Whether each of *ids* is learnt: a target that counts in the loss."""


@dataclass(frozen=True, slots=True)
class Template:
    """How conversations among *speakers* are spelled, and which of them is *me*, if one is.

    Raises ChatError where a speaker is listed twice, or *me* is none of them.
    """

    speakers: tuple[str, ...]
    me: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.speakers)) < len(self.speakers):
            raise ChatError("a speaker is listed twice")
        if self.me is not None:
            self._number(self.me)

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """All but ``<|endoftext|>``, in the order of their ids."""
        return (END_OF_TURN, SYSTEM, *map(_speaker_token, range(len(self.speakers))))

    def speaker_token(self, speaker: str) -> str:
        """The special token that a turn of *speaker* begins with; ChatError for a stranger."""
        return _speaker_token(self._number(speaker))

    def extend(self, tokenizer: Tokenizer) -> Tokenizer:
        """*tokenizer* with the special tokens that it lacks, whose ids follow its greatest."""
        wanted = (END_OF_TEXT, *self.special_tokens)
        missing = [token for token in wanted if token not in tokenizer.special_tokens]
        if not missing:
            return tokenizer
        definition = tokenizer.definition
        grown = definition.grown(definition.tokens, missing)
        return Tokenizer.from_definition(grown, tokenizer.engine)

    def render(
        self, conversation: Conversation, tokenizer: Tokenizer, *, train_on: TrainOn = "mine"
    ) -> Rendered:
        """Encode *conversation*; the mask says which ids are learnt.

        With "mine" they are the text and ``<|end|>`` of each of my turns; with "last", of the last
        of these; with "all", of every turn, and the speaker's token too, so that a model learns who
        speaks next. ``<|endoftext|>`` and the system's text never are.

        Raises ChatError for a speaker who is not of the template, for a tokenizer without its
        special tokens, and for "mine" and "last" where nobody is me.
        """
        if train_on not in get_args(TrainOn):
            raise ChatError(f"train_on={train_on!r} is not one of {', '.join(get_args(TrainOn))}")
        if train_on != "all" and self.me is None:
            raise ChatError(f"train_on={train_on!r} needs to know who is me; build with --me NAME")
        special = self._special_ids(tokenizer)
        end = special[END_OF_TURN]
        ids = self._opening(conversation, tokenizer)
        mask = [False] * len(ids)
        mine = [place for place, turn in enumerate(conversation.turns) if turn.speaker == self.me]
        learnt = {
            "mine": set(mine),
            "last": set(mine[-1:]),
            "all": set(range(len(conversation.turns))),
        }[train_on]
        for place, turn in enumerate(conversation.turns):
            said = tokenizer.encode_ordinary(turn.text)
            ids += [special[self.speaker_token(turn.speaker)], *said, end]
            mask.append(train_on == "all")
            mask += [place in learnt] * (len(said) + 1)
        return Rendered(ids, mask)

    def prompt(self, conversation: Conversation, tokenizer: Tokenizer, speaker: str) -> list[int]:
        """The ids of *conversation* and of *speaker*'s token: a model goes on as that speaker.

        Raises ChatError as `render` does.
        """
        rendered = self.render(conversation, tokenizer, train_on="all")
        return [*rendered.ids, tokenizer.special_tokens[self.speaker_token(speaker)]]

    def jinja(self) -> str:
        """The same as a chat template of Hugging Face's, for ``tokenizer_config.json``.

        Roles are the speakers' names, and "system" for the first message alone; "assistant" is me,
        and "user" the other one where there is only one, unless a speaker is called so.
        ``add_generation_prompt=True`` goes on as me, or as ``speaker=NAME``.

        Ids are equal to `render`'s unless a text spells a special token: transformers tokenizes
        the rendered *string*, in which such a text has become the token. No template can help it.
        """
        roles = self._roles()
        tokens = {role: self.speaker_token(speaker) for role, speaker in roles.items()}
        # Jinja reads JSON's strings as they are written; no other escape of theirs differs.
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
            "{{- raise_exception(message['role'] + ' is none of the speakers') -}}\n"
            "{%- endif -%}\n"
            "{%- endfor -%}\n"
            "{%- if add_generation_prompt -%}\n"
            "{%- set speaker = speaker if speaker is defined else me -%}\n"
            "{%- if speaker not in speakers -%}\n"
            "{{- raise_exception('pass speaker=NAME: who is to speak next?') -}}\n"
            "{%- endif -%}\n"
            "{{- speakers[speaker] -}}\n"
            "{%- endif -%}\n"
        )

    def to_json(self) -> str:
        """The content of a chat.json."""
        fields = {"version": _VERSION, "speakers": self.speakers, "me": self.me}
        return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Template":
        """Invert `to_json`; raises ChatError naming the field."""
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
        """Write *path*, a chat.json; it appears whole or not at all."""
        replace_file(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Template":
        """Read *path*, a chat.json; raises ChatError naming the file and the field."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except ChatError as error:
            raise ChatError(f"{os.fspath(path)}: {error}") from None

    def _number(self, speaker: str) -> int:
        try:
            return self.speakers.index(speaker)
        except ValueError:
            raise ChatError(
                f"{speaker!r} is none of the speakers: {', '.join(map(repr, self.speakers))}"
            ) from None

    def _roles(self) -> dict[str, str]:
        """The speaker whom each role of a message stands for."""
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
                    f"the tokenizer has no special token {token}; `Template.extend` adds what lacks"
                )
        return dict(ids)

    def _opening(self, conversation: Conversation, tokenizer: Tokenizer) -> list[int]:
        ids = tokenizer.special_tokens
        if conversation.system is None:
            return [ids[END_OF_TEXT]]
        said = tokenizer.encode_ordinary(conversation.system)
        return [ids[END_OF_TEXT], ids[SYSTEM], *said, ids[END_OF_TURN]]


def _speaker_token(number: int) -> str:
    return f"<|speaker_{number}|>"


# Conversations as JSON lines.


def write_conversations(
    path: str | os.PathLike[str], conversations: Iterable[Conversation]
) -> None:
    """Write *conversations* to *path*, one JSON object a line; it appears whole or not at all."""
    write_lines(path, map(_to_plain, conversations))


def read_conversations(path: str | os.PathLike[str]) -> Iterator[Conversation]:
    """Read what `write_conversations` wrote; raises ChatError naming file, line and field."""
    return read_lines(path, _from_plain, "a file of conversations has one object a line")


def _to_plain(conversation: Conversation) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if conversation.began is not None:
        plain["began"] = conversation.began.isoformat()
    if conversation.system is not None:
        plain["system"] = conversation.system
    plain["turns"] = [{"speaker": turn.speaker, "text": turn.text} for turn in conversation.turns]
    return plain


def _from_plain(plain: Any) -> Conversation:
    turns = plain.get("turns") if isinstance(plain, dict) else None
    if not isinstance(turns, list):
        raise ChatError('no object with "turns", a list')
    if unknown := plain.keys() - {"began", "system", "turns"}:
        raise ChatError(f"{min(unknown)!r} is no field of a conversation")
    system, began = plain.get("system"), plain.get("began")
    if system is not None and not isinstance(system, str):
        raise ChatError(f"system is {system!r}, not a string")
    try:
        time = None if began is None else datetime.fromisoformat(began)
    except (TypeError, ValueError):
        raise ChatError(f"began is {began!r}, not like 2022-12-31T23:59:59") from None
    return Conversation(tuple(map(_turn, turns)), system, time)


def _turn(plain: Any) -> Turn:
    if isinstance(plain, dict) and plain.keys() == {"speaker", "text"}:
        speaker, text = plain["speaker"], plain["text"]
        if isinstance(speaker, str) and isinstance(text, str):
            return Turn(speaker, text)
    raise ChatError("a turn is no object of two strings, speaker and text")
