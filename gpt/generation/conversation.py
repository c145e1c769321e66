"""Conversations with a model that was trained on a chat.

::

    session = open_session(read_checkpoint(Path("runs/chat")))
    for delta in session.reply("Hello!"):
        print(delta.text, end="")

This module does no terminal I/O; `gpt.commands.terminal_chat` does. Every answer renders the
conversation with the template again, but the model reads only the tokens that are new
(`gpt.generation.decoder.Reader`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gpt.errors import ConfigError
from gpt.generation.decoder import Reader
from gpt.generation.sampling import (
    Sampling,
    exclude,
    mask_of,
    penalize_repetition,
    read_ids,
    sample_tokens,
)
from gpt.model.language_model import LanguageModel
from gpt.runs.reading import Checkpoint
from pytok.chat.speakers import find_speaker
from pytok.chat.template import ChatTemplate, Conversation, Turn
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.text import repair
from pytok.tokenizer import Tokenizer

GROUP_TURNS = 4
"""Default number of turns after which a model with several roles waits for you."""


class TextDelta(NamedTuple):
    """A piece of the text of a turn, as it is generated."""

    turn: int
    """Index of the turn in the conversation."""
    speaker: str
    text: str


class Roles(NamedTuple):
    """Which speakers are you and the model."""

    you: str
    played: tuple[str, ...]
    """The speakers that the model plays."""

    @classmethod
    def of(
        cls, template: ChatTemplate, you: str | None = None, played: Sequence[str] = ()
    ) -> Roles:
        """Assign the roles; *you* and *played* are names as `find_speaker` matches them.

        Without *played*, the model plays the speaker that it was trained on or, if there is none or
        it is you, all others. Without *you*, you are the first speaker of *template* that the model
        does not play: the one with the most turns. Raises ChatError if there is none, and if a
        speaker would be both.
        """
        known = {speaker: speaker for speaker in template.speakers}
        yours = None if you is None else find_speaker(you, known)
        theirs = list(dict.fromkeys(find_speaker(name, known) for name in played))
        if not theirs and template.me is not None and template.me != yours:
            theirs = [template.me]
        others = [speaker for speaker in template.speakers if speaker not in theirs]
        if yours is None:
            if not others:
                raise ChatError(
                    "the model plays everybody in this chat, so nobody is left for you; pass fewer "
                    "names to --with"
                )
            yours = others[0]
        # A chat without a ``me`` is played by everyone else.
        theirs = theirs or [speaker for speaker in others if speaker != yours]
        if yours in theirs:
            raise ChatError(
                f"--as makes you {yours!r}, whom the model plays; choose another name for --as or "
                "--with"
            )
        if not theirs:
            raise ChatError(
                f"only {yours!r} writes in this chat, so the model has nobody to play; choose a "
                "model of a chat in which two people write"
            )
        return cls(yours, tuple(theirs))

    def unassigned(self, template: ChatTemplate) -> list[str]:
        """Return the speakers of *template* that are neither you nor the model."""
        return [name for name in template.speakers if name not in (self.you, *self.played)]


def template_of(checkpoint: Checkpoint) -> ChatTemplate:
    """Return the chat template of *checkpoint*; ConfigError if it has none."""
    template = checkpoint.chat_template()
    if template is None:
        raise ConfigError(
            f"{checkpoint.folder}: this model was not trained on a chat, so it plays nobody; "
            "`gpt clone` trains one on your chat, and so does `gpt tune` on conversations or on "
            "the output of `pytok chat build`"
        )
    return template


class ChatSession:
    """A conversation between you and the speakers that *model* plays, as *roles* say.

    A turn of the model has at most *max_tokens*, and after at most *max_turns* it waits for you: by
    default after one if it plays one speaker, else after `GROUP_TURNS`. When the context is full,
    the oldest turns are no longer read. Raises ChatError for a tokenizer without the special tokens
    of *template*, and for a *system* text of more than half of the context.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        template: ChatTemplate,
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
        self.tokenizer = tokenizer
        self._sampling = sampling or Sampling()
        self._generator = torch.Generator(model.device)
        self._generator.manual_seed(self._sampling.seed)
        self._max_tokens = max_tokens
        self._max_turns = max_turns or (1 if len(roles.played) == 1 else GROUP_TURNS)
        self._context = model.context
        self._prompt_limit = self._context - min(max_tokens, self._context // 4)
        """Maximum number of tokens of a prompt, so that an answer fits after it."""
        self._reader = Reader(model)
        self._turns: list[Turn] = []
        self._requests: list[tuple[int, str | None]] = []
        """For each call of `reply`: the index of its first turn, and who was to answer."""
        self._system: str | None = None
        self.instruct(system)

    @property
    def conversation(self) -> Conversation:
        """All turns so far, and the system text."""
        return Conversation(tuple(self._turns), self._system)

    def switch(self, model: LanguageModel, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        """Continue the conversation with *model*, of the same context, by its own *template*.

        It reads all turns again, since what the cache has of them is of another model. On
        ChatError, if *template* cannot render the conversation, nothing is changed.
        """
        before = self.tokenizer, self.template
        self.tokenizer, self.template = tokenizer, template
        try:
            if self._turns:  # some templates render no conversation without one
                self.template.prompt(self.conversation, tokenizer, self.roles.played[0])
            self.instruct(self._system)
        except ChatError:
            self.tokenizer, self.template = before
            raise
        self._reader = Reader(model)

    def instruct(self, system: str | None) -> None:
        """Set the system text, which precedes the first turn; None or an empty one removes it."""
        opening = Conversation((), repair(system) if system else None)
        size, _ = _template_sizes(self.template, self.tokenizer, opening.system)
        if size > self._context // 2:
            letters = _in_letters(self._context // 2, opening.system or "", size)
            raise ChatError(
                f"these instructions are too long: the model has space for about {letters} letters "
                "of them; use shorter ones"
            )
        self._system = opening.system

    def reply(self, text: str = "", to: str | None = None) -> Iterator[TextDelta]:
        """Add *text*, if any, as your turn, and stream the answers.

        The first is by *to* or, without it, by a speaker that the model chooses. If the stream is
        closed, the text so far is kept. Raises ChatError for a *text* that is too long, and for a
        *to* that the model does not play.
        """
        if to is not None and to not in self.roles.played:
            raise ChatError(f"{to!r} is not played by the model; add the name with --with")
        turn = Turn(self.roles.you, repair(text))
        self._check_fits(turn)
        self._requests.append((len(self._turns), to))
        if text:
            self._turns.append(turn)
        return self._answers(to)

    def retry(self) -> Iterator[TextDelta]:
        """Remove the last answers, and stream new ones; ChatError if nothing has been said."""
        if not self._requests:
            raise ChatError("nothing has been said yet that could be answered again")
        first, to = self._requests[-1]
        if first < len(self._turns) and self._turns[first].speaker == self.roles.you:
            first += 1  # your own turn is kept
        del self._turns[first:]
        return self._answers(to)

    def undo(self) -> None:
        """Remove your last turn, and its answers; ChatError if nothing has been said."""
        if not self._requests:
            raise ChatError("nothing has been said yet that could be removed")
        first, _ = self._requests.pop()
        del self._turns[first:]

    def load(self, conversation: Conversation) -> None:
        """Continue *conversation*; on ChatError, if it does not fit, nothing is changed."""
        for turn in conversation.turns:
            self._check_fits(turn)
        # Raises ChatError for a speaker, or an order, that the template does not have.
        self.template.prompt(conversation, self.tokenizer, self.roles.played[0])
        self.instruct(conversation.system)
        self._turns = list(conversation.turns)
        yours = (n for n, turn in enumerate(self._turns) if turn.speaker == self.roles.you)
        self._requests = [(index, None) for index in yours]

    def _answers(self, to: str | None) -> Iterator[TextDelta]:
        speaker = to or self._next_speaker(self.roles.played)
        for remaining in range(self._max_turns - 1, -1, -1):
            if speaker is None:
                return
            yield from self._generate_turn(speaker)
            if remaining:
                speaker = self._next_speaker((*self.roles.played, self.roles.you))

    def _next_speaker(self, speakers: Sequence[str]) -> str | None:
        """Sample which of *speakers* has the next turn; None if it is you, or at the end."""
        if len(speakers) == 1:
            return speakers[0]
        ids = self.template.speaker_ids(self.tokenizer)
        if not ids:
            return None  # after a turn of the model, it is yours
        tokens = [ids[speaker] for speaker in speakers]
        if self.roles.you in speakers:
            tokens.append(self.tokenizer.special_tokens[END_OF_TEXT])
        # A prompt ends with the token of a speaker: the one that is to be predicted here.
        logits = self._reader.read(self._prompt(self.roles.you)[:-1])
        choice = self._sample(logits[tokens])
        ended = choice == len(speakers)
        return None if ended or speakers[choice] == self.roles.you else speakers[choice]

    def _generate_turn(self, speaker: str) -> Iterator[TextDelta]:
        """Generate a turn of *speaker*, of at least one token."""
        special = self.tokenizer.special_tokens
        ends = self.template.end_ids(self.tokenizer)
        ids = self._prompt(speaker)
        size, device = self.tokenizer.n_vocab, self._generator.device
        # Without special tokens: a penalty of the end of a turn would prolong every turn.
        present = mask_of(set(ids) - set(special.values()), size, device)
        excluded = mask_of(set(special.values()), size, device)
        excluded_later = mask_of(set(special.values()) - ends, size, device)
        decoder, turn, text = self.tokenizer.decoder(), len(self._turns), ""
        try:
            for _ in range(min(self._max_tokens, self._context - len(ids) + 1)):
                logits = exclude(self._reader.read(ids), excluded)
                if self._sampling.repetition_penalty != 1:
                    logits = penalize_repetition(logits, present, self._sampling.repetition_penalty)
                id = self._sample(logits)
                if id in ends:
                    break
                excluded = excluded_later  # from the second token on, the turn can end
                present[id] = True
                ids.append(id)
                if delta := decoder.feed(id):
                    text += delta
                    yield TextDelta(turn, speaker, delta)
            if delta := decoder.finish():
                text += delta
                yield TextDelta(turn, speaker, delta)
        finally:
            if text:
                self._turns.append(Turn(speaker, text))

    def _sample(self, logits: Tensor) -> int:
        """Sample an index from *logits* (V,)."""
        return read_ids(sample_tokens(logits[None], self._sampling, [self._generator]))[0]

    def _prompt(self, speaker: str) -> list[int]:
        """Return the ids before a turn of *speaker*, within the limit."""
        latest = recent_turns(self.template, self.tokenizer, self.conversation, self._prompt_limit)
        # Generated bytes that are not UTF-8 became replacement characters, which can make the last
        # turn longer than it was.
        return self.template.prompt(latest, self.tokenizer, speaker)[-self._prompt_limit :]

    def _check_fits(self, turn: Turn) -> None:
        """Raise ChatError if *turn* does not fit a prompt even without other turns."""
        opening, around = _template_sizes(self.template, self.tokenizer, self._system)
        size = opening + around + len(self.tokenizer.encode_ordinary(turn.text))
        if size > self._prompt_limit:
            letters = _in_letters(self._prompt_limit, turn.text, size)
            raise ChatError(
                f"this message is too long: the model reads about {letters} letters at a time; "
                "split the message"
            )


def _in_letters(tokens: int, text: str, size: int) -> str:
    """Return about how many letters *tokens* tokens are, if *text* has *size* of them."""
    letters = len(text) * tokens // size
    return f"{letters // 10 * 10 or letters:,}"


def open_session(
    checkpoint: Checkpoint,
    roles: Roles | None = None,
    *,
    model: LanguageModel | None = None,
    system: str | None = None,
    sampling: Sampling | None = None,
    max_tokens: int = 256,
    max_turns: int | None = None,
) -> ChatSession:
    """Start a `ChatSession` with the model of *checkpoint*, or *model*, a faster copy of it."""
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


def recent_turns(
    template: ChatTemplate, tokenizer: Tokenizer, conversation: Conversation, limit: int
) -> Conversation:
    """Return *conversation* without its oldest turns, so that its prompt has at most *limit* ids.

    Several turns are dropped at once, until half of the space is free. So the start of the prompt
    stays the same for a while, and is not read again for every turn. The last is never dropped.
    """
    opening, around = _template_sizes(template, tokenizer, conversation.system)
    space = limit - opening
    sizes = [len(tokenizer.encode_ordinary(turn.text)) + around for turn in conversation.turns]
    first = total = 0
    for last, size in enumerate(sizes):
        total += size
        if total > space:
            while total > space // 2 and first < last:
                total -= sizes[first]
                first += 1
    turns = conversation.turns[first:]
    if template.alternates:  # it rejects a conversation that begins with an answer
        begin = (n for n, turn in enumerate(turns) if turn.speaker != template.me)
        turns = turns[next(begin, 0) :]
    return Conversation(turns, conversation.system)


def _template_sizes(
    template: ChatTemplate, tokenizer: Tokenizer, system: str | None
) -> tuple[int, int]:
    """Return the number of ids of a prompt without turns, and of those around the text of a turn.

    They are those of prompts with empty turns: some templates render no conversation without one.
    """
    answering = template.me or template.speakers[0]
    others = (speaker for speaker in template.speakers if speaker != answering)
    turns = (Turn(next(others, answering), ""), Turn(answering, ""))
    one, three = (
        len(template.prompt(Conversation(said, system), tokenizer, answering))
        for said in (turns[:1], (*turns, turns[0]))
    )
    around = -(-(three - one) // 2)
    return one - around, around
