"""A conversation with a model that has learnt a chat: who speaks, what it has read, what is said.

    talk = open_session(read_checkpoint(Path("runs/chat")))
    for piece in talk.reply("Hello!"):
        print(piece.text, end="")

No terminal is in here: `gpt.commands.terminal_chat` shows it. The template spells the conversation
anew for every answer, and the model reads only what it has not read yet
(`gpt.generation.decoder.Reader`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from gpt.errors import ConfigError
from gpt.generation.decoder import Reader
from gpt.generation.sampling import Sampling, choose, penalize, without
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from pytok.chat.speakers import find_speaker
from pytok.chat.template import END_OF_TURN, TEMPLATE_FILE, Conversation, Template, Turn
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.text import repair
from pytok.tokenizer import Tokenizer

TURNS = 4
"""How many turns a model that plays several people takes before the floor is yours again."""


class TextDelta(NamedTuple):
    """Some text of a turn that is being written."""

    turn: int
    """Which of the conversation's turns, from 0."""
    speaker: str
    text: str


class Roles(NamedTuple):
    """Who is who in a conversation."""

    you: str
    played: tuple[str, ...]
    """Those that the model speaks for."""

    @classmethod
    def of(cls, template: Template, you: str | None = None, played: Sequence[str] = ()) -> Roles:
        """Give the roles: *you* and *played* are names as `find_speaker` understands them.

        Without *played* the model is whose turns it has learnt, or, where that is nobody or you,
        everyone else; without *you* you are the only one left. Raises ChatError where nobody or
        several are left, and where one is to be both.
        """
        known = {speaker: speaker for speaker in template.speakers}
        yours = None if you is None else find_speaker(you, known)
        theirs = list(dict.fromkeys(find_speaker(name, known) for name in played))
        if not theirs and template.me is not None and template.me != yours:
            theirs = [template.me]
        left = [speaker for speaker in template.speakers if speaker not in theirs]
        if yours is None:
            if len(left) != 1 or not theirs:
                listed = ", ".join(map(repr, left)) or "nobody is left"
                raise ChatError(f"who are you? --as NAME says it: {listed}")
            yours = left[0]
        theirs = theirs or [speaker for speaker in left if speaker != yours]
        if yours in theirs:
            raise ChatError(f"{yours!r} is you, so the model cannot be; choose another --with")
        if not theirs:
            raise ChatError(f"{yours!r} is the only speaker, so there is nobody to talk with")
        return cls(yours, tuple(theirs))


def template_of(checkpoint: Checkpoint) -> Template:
    """The template of the chat that *checkpoint* has learnt; ConfigError where it was none."""
    document = checkpoint.data_files.get(TEMPLATE_FILE)
    if document is None:
        raise ConfigError(
            f"{checkpoint.folder}: has learnt no chat, so it knows no turns; teach it one: "
            "`pytok chat build` writes the data, and `gpt tune RUN --data DATA --out OUT` learns it"
        )
    try:
        return Template.from_json(document)
    except ChatError as error:
        raise ChatError(f"{checkpoint.folder / TEMPLATE_FILE}: {error}") from None


class ChatSession:
    """A conversation between *roles*.you and those that *model* plays.

    A turn of the model ends after *max_tokens* at most, and after *max_turns* of them the floor is
    yours again: by default one where the model plays one person, else `TURNS`. When the context is
    full the oldest turns are no longer read. Raises ChatError for a tokenizer without the
    template's special tokens, and for a *system* text that fills more than half of the context.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        template: Template,
        roles: Roles,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        max_tokens: int = 256,
        max_turns: int | None = None,
    ) -> None:
        for name, value in (("tokens", max_tokens), ("turns", max_turns)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        self.template = template
        self.roles = roles
        self._tokenizer = tokenizer
        self._sampling = sampling or Sampling()
        self._draws = torch.Generator(model.embedding.weight.device)
        self._draws.manual_seed(self._sampling.seed)
        self._max_tokens = max_tokens
        self._max_turns = max_turns or (1 if len(roles.played) == 1 else TURNS)
        self._context = model.config.context
        self._limit = self._context - min(max_tokens, self._context // 4)
        """Tokens of a prompt at most, so that an answer fits after it."""
        self._reader = Reader(model)
        self._turns: list[Turn] = []
        self._exchanges: list[tuple[int, str | None]] = []
        """Of each thing you did: the place of its first turn, and who was asked to answer."""
        self._system: str | None = None
        self.instruct(system)

    @property
    def conversation(self) -> Conversation:
        """All that has been said."""
        return Conversation(tuple(self._turns), self._system)

    def instruct(self, system: str | None) -> None:
        """Put *system* before the first turn; none, or an empty one, takes it away."""
        wanted = Conversation((), repair(system) if system else None)
        size = len(self.template.prompt(wanted, self._tokenizer, self.roles.you))
        if size > self._context // 2:
            raise ChatError(
                f"the system text has {size:,} tokens, more than half of the {self._context:,} "
                "that the model reads; shorten it"
            )
        self._system = wanted.system

    def reply(self, text: str = "", to: str | None = None) -> Iterator[TextDelta]:
        """Say *text*, if any, and stream the answers: of *to* first, or of whom the model chooses.

        What was written when the stream is closed stays said. Raises ChatError for a text that is
        too long, and a *to* whom the model does not play.
        """
        if to is not None and to not in self.roles.played:
            raise ChatError(f"{to!r} is not played by the model; --with NAME makes it so")
        turn = Turn(self.roles.you, repair(text))
        self._check(turn)
        self._exchanges.append((len(self._turns), to))
        if text:
            self._turns.append(turn)
        return self._answers(to)

    def retry(self) -> Iterator[TextDelta]:
        """Take back the last answers, and stream others; ChatError where nothing was said."""
        if not self._exchanges:
            raise ChatError("nothing has been said yet that could be answered again")
        place, to = self._exchanges[-1]
        said = self._turns[place : place + 1]
        del self._turns[place + (said != [] and said[0].speaker == self.roles.you) :]
        return self._answers(to)

    def undo(self) -> None:
        """Take back what you said last, and the answers; ChatError where nothing was said."""
        if not self._exchanges:
            raise ChatError("nothing has been said yet that could be taken back")
        place, _ = self._exchanges.pop()
        del self._turns[place:]

    def load(self, conversation: Conversation) -> None:
        """Go on with *conversation*; ChatError where it does not fit, and nothing changes."""
        for turn in conversation.turns:
            self.template.speaker_token(turn.speaker)
            self._check(turn)
        self.instruct(conversation.system)
        self._turns = list(conversation.turns)
        yours = (n for n, turn in enumerate(self._turns) if turn.speaker == self.roles.you)
        self._exchanges = [(place, None) for place in yours]

    def _answers(self, to: str | None) -> Iterator[TextDelta]:
        speaker = to or self._next(self.roles.played)
        for left in range(self._max_turns, 0, -1):
            if speaker is None:
                return
            yield from self._speak(speaker)
            if left > 1:
                speaker = self._next((*self.roles.played, self.roles.you))

    def _next(self, speakers: Sequence[str]) -> str | None:
        """Draw who of *speakers* goes on; None: you, or the conversation has come to its end."""
        if len(speakers) == 1:
            return speakers[0]
        special = self._tokenizer.special_tokens
        tokens = [special[self.template.speaker_token(speaker)] for speaker in speakers]
        if self.roles.you in speakers:
            tokens.append(special[END_OF_TEXT])
        logits = self._reader.read(self._prompt(self.roles.you)[:-1])
        chosen = choose(logits[tokens], self._sampling, self._draws)
        floor = chosen == len(speakers) or speakers[chosen] == self.roles.you
        return None if floor else speakers[chosen]

    def _speak(self, speaker: str) -> Iterator[TextDelta]:
        """Write a turn of *speaker*, of at least one token."""
        special = self._tokenizer.special_tokens
        end = special[END_OF_TURN]
        ids = self._prompt(speaker)
        present = torch.zeros(self._tokenizer.n_vocab, dtype=torch.bool, device=self._draws.device)
        present[ids] = True
        present[list(special.values())] = False  # a turn would never end
        excluded_ids = set(special.values())
        decoder, place, written = self._tokenizer.decoder(), len(self._turns), ""
        try:
            for _ in range(min(self._max_tokens, self._context - len(ids) + 1)):
                logits = without(self._reader.read(ids), excluded_ids)
                if self._sampling.repetition_penalty != 1:
                    logits = penalize(logits, present, self._sampling.repetition_penalty)
                id = choose(logits, self._sampling, self._draws)
                if id == end:
                    break
                excluded_ids.discard(end)
                present[id] = True
                ids.append(id)
                if text := decoder.feed(id):
                    written += text
                    yield TextDelta(place, speaker, text)
            if text := decoder.finish():
                written += text
                yield TextDelta(place, speaker, text)
        finally:
            if written:
                self._turns.append(Turn(speaker, written))

    def _prompt(self, speaker: str) -> list[int]:
        """The ids to go on from as *speaker*, within the limit."""
        kept = recent(self.template, self._tokenizer, self.conversation, self._limit)
        # What the model wrote last may, of bytes that are no text, be longer than it was.
        return self.template.prompt(kept, self._tokenizer, speaker)[-self._limit :]

    def _check(self, turn: Turn) -> None:
        """Raise ChatError where *turn* alone does not fit."""
        alone = Conversation((turn,), self._system)
        size = len(self.template.prompt(alone, self._tokenizer, self.roles.you))
        if size > self._limit:
            raise ChatError(
                f"that has {size:,} tokens, and the model reads {self._limit:,} before it answers; "
                "say it in roles"
            )


def open_session(
    checkpoint: Checkpoint,
    roles: Roles | None = None,
    *,
    model: GPT | None = None,
    system: str | None = None,
    sampling: Sampling | None = None,
    max_tokens: int = 256,
    max_turns: int | None = None,
) -> ChatSession:
    """Begin a `ChatSession` with the model of *checkpoint*, or *model*, a lighter one made of it."""
    template = template_of(checkpoint)
    return ChatSession(
        model or checkpoint.model(),
        checkpoint.tokenizer(),
        template,
        roles or Roles.of(template),
        system=system,
        sampling=sampling,
        max_tokens=max_tokens,
        max_turns=max_turns,
    )


def recent(
    template: Template, tokenizer: Tokenizer, conversation: Conversation, limit: int
) -> Conversation:
    """*conversation* without its oldest turns, so that its prompt has no more than *limit* ids.

    The turns that leave do so together, until half of the room is free: what is left then begins
    alike for a while, and need not be read anew with every turn. The last one never leaves.
    """
    opening = Conversation((), conversation.system)
    room = limit - len(template.prompt(opening, tokenizer, template.speakers[0]))
    sizes = [len(tokenizer.encode_ordinary(turn.text)) + 2 for turn in conversation.turns]
    first = size = 0
    for place, added in enumerate(sizes):
        size += added
        if size > room:
            while size > room // 2 and first < place:
                size -= sizes[first]
                first += 1
    return Conversation(conversation.turns[first:], conversation.system)
