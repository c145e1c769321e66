"""Division of a history into conversations: turns, sessions, and the validation split.

Messages become turns, the turns of a chat become sessions, the last sessions are held out, and long
sessions are cut into conversations. Everything that is omitted on the way is counted.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, chain
from typing import Literal, NamedTuple, TypeAlias

from pytok.chat.record import KIND_NAMES, Message, assume_utc
from pytok.chat.speakers import speakers_of
from pytok.chat.template import Conversation, Turn
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

MIN_TOKENS = 16
"""Smallest allowed limit on the tokens of a conversation: its special tokens and some text."""

DEFAULT_GAP = timedelta(hours=1)
"""Pause that ends a conversation, if nothing else is said."""

Split: TypeAlias = timedelta | int | Literal["tokens"]
"""End of a conversation: a pause longer than this, this number of turns, or only
`ConversationOptions.max_tokens`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOptions:
    """Rules for dividing a history into conversations. Raises ChatError for invalid numbers."""

    split: Split = DEFAULT_GAP
    merge: bool = True
    """Merge consecutive messages of one speaker into one turn, joined by newlines."""
    min_turns: int = 2
    """Conversations with fewer turns are omitted."""
    max_tokens: int | None = None
    """Maximum tokens of a conversation, special tokens included; longer ones are cut."""
    placeholders: bool = False
    """Represent messages without text by a placeholder such as ``<image>`` instead of omitting
    them."""
    system: str | None = None
    """System prompt of each conversation."""

    def __post_init__(self) -> None:
        if isinstance(self.split, timedelta) and self.split <= timedelta(0):
            raise ChatError(f"the gap is {self.split}; give a positive duration such as 1h")
        if isinstance(self.split, int) and self.split < 1:
            raise ChatError(f"the number of turns is {self.split}; give at least 1")
        if self.split == "tokens" and self.max_tokens is None:
            raise ChatError("splitting by tokens needs a limit: give max_tokens (--max-tokens)")
        if self.max_tokens is not None and self.max_tokens < MIN_TOKENS:
            raise ChatError(f"max_tokens is {self.max_tokens}; give at least {MIN_TOKENS}")


@dataclass(frozen=True, slots=True)
class Session:
    """Consecutive turns of one chat, before the limit on tokens is applied."""

    chat: str | None
    turns: tuple[Turn, ...]
    times: tuple[datetime, ...]
    """Time of the first message of each turn, as in the source."""
    ended: datetime
    """Time of the last message."""

    @property
    def began(self) -> datetime:
        """Time of the first message, with a zone."""
        return assume_utc(self.times[0])


class TrainValSplit(NamedTuple):
    """Sessions for training, and the later ones that are held out for validation."""

    train: list[Session]
    val: list[Session]


# Messages to turns.


def message_text(message: Message, *, placeholders: bool = False) -> str:
    """Return the text of *message*, its caption, or the question and options of its poll.

    With *placeholders*, every other kind is named before its caption, as in "<image> look". The
    result is empty for a message without text.
    """
    has_text = message.kind in ("text", "media", "poll") and not message.text.isspace()
    text = message.text if has_text else ""
    if not placeholders or message.kind in ("text", "poll"):
        return text
    # Media is either a type, such as "image", or the name of a file, which is not shown.
    is_type = message.kind == "media" and message.media and message.media.isalpha()
    placeholder = f"<{message.media if is_type else message.kind}>"
    return f"{placeholder} {text}" if text else placeholder


class Utterance(NamedTuple):
    """The text of one message."""

    time: datetime
    speaker: str
    text: str


def pause(previous: Utterance, current: Utterance) -> timedelta:
    """Return the time between two messages, whichever came first."""
    return abs(assume_utc(current.time) - assume_utc(previous.time))


def _utterances_by_chat(
    messages: Sequence[Message], options: ConversationOptions, omitted: Counter[str]
) -> dict[str | None, list[Utterance]]:
    """Group the messages with text by chat; the others are counted in *omitted*."""
    speakers = speakers_of(messages)
    chats: dict[str | None, list[Utterance]] = defaultdict(list)
    for message in messages:
        text = message_text(message, placeholders=options.placeholders)
        if message.sender is None or message.kind == "system":
            omitted["system"] += 1
        elif not text:
            omitted["empty" if message.kind == "text" else message.kind] += 1
        else:
            chats[message.chat].append(Utterance(message.time, speakers[message.sender], text))
    return chats


# Turns to sessions.


def split_into_sessions(
    messages: Sequence[Message], options: ConversationOptions
) -> tuple[list[Session], Counter[str]]:
    """Divide *messages* into sessions, sorted by their start; also return counts of the omitted.

    The messages of a chat keep their order. Omitted messages are counted by kind, or as "empty".
    Sessions with fewer than `ConversationOptions.min_turns` turns are counted as "sessions", and
    their turns as "turns".
    """
    omitted: Counter[str] = Counter()
    sessions: list[Session] = []
    for chat, utterances in _utterances_by_chat(messages, options, omitted).items():
        for turns in _session_turns(utterances, options):
            session = _make_session(chat, turns)
            if options.split != "tokens" and len(session.turns) < options.min_turns:
                omitted["sessions"] += 1
                omitted["turns"] += len(session.turns)
            else:
                sessions.append(session)
    return sorted(sessions, key=lambda session: session.began), omitted


def _session_turns(
    utterances: list[Utterance], options: ConversationOptions
) -> Iterator[list[list[Utterance]]]:
    """Yield the turns of each session, each as its messages."""
    split = options.split
    if isinstance(split, timedelta):
        for run in _group_consecutive(utterances, lambda a, b: pause(a, b) <= split):
            yield _group_turns(run, options.merge)
        return
    turns = _group_turns(utterances, options.merge)
    # By tokens, each turn is a session until the validation split is known.
    size = 1 if split == "tokens" else split
    for start in range(0, len(turns), size):
        yield turns[start : start + size]


def _group_turns(utterances: Sequence[Utterance], merge: bool) -> list[list[Utterance]]:
    if not merge:
        return [[utterance] for utterance in utterances]
    return list(_group_consecutive(utterances, lambda a, b: a.speaker == b.speaker))


def _group_consecutive(
    utterances: Iterable[Utterance], belong_together: Callable[[Utterance, Utterance], bool]
) -> Iterator[list[Utterance]]:
    """Yield the longest runs in which each neighboring pair satisfies *belong_together*."""
    run: list[Utterance] = []
    for utterance in utterances:
        if run and not belong_together(run[-1], utterance):
            yield run
            run = []
        run.append(utterance)
    if run:
        yield run


def _make_session(chat: str | None, turns: list[list[Utterance]]) -> Session:
    return Session(
        chat,
        tuple(Turn(run[0].speaker, "\n".join(each.text for each in run)) for run in turns),
        tuple(run[0].time for run in turns),
        ended=turns[-1][-1].time,
    )


# Validation split.


def hold_out(sessions: Sequence[Session], val: float) -> TrainValSplit:
    """Hold out the fraction *val* of *sessions* from the end.

    *sessions* are sorted by their start. More are held out if an earlier session is still open when
    the first held-out one starts, so that all training text precedes all validation text. Raises
    ChatError if no session is left for training.
    """
    if not 0 <= val < 1:
        raise ChatError(f"val={val} is not a fraction; give 0 (none) or more, below 1")
    if not val:
        return TrainValSplit(list(sessions), [])
    n_train = min(math.floor(len(sessions) * (1 - val)), len(sessions) - 1)
    # Sessions of several chats overlap: ends[i] is the latest end among the first i + 1.
    ends = list(accumulate((assume_utc(session.ended) for session in sessions), max))
    while n_train > 0 and ends[n_train - 1] > sessions[n_train].began:
        n_train -= 1
    if n_train < 1:
        raise ChatError(
            f"the conversations ({len(sessions):,}) cannot be divided into earlier ones and later "
            "ones for validation; train on all with --val 0 (val=0), or make more with a shorter "
            "--gap"
        )
    return TrainValSplit(list(sessions[:n_train]), list(sessions[n_train:]))


# Sessions to conversations.


def make_conversations(
    sessions: Sequence[Session],
    options: ConversationOptions,
    tokenizer: Tokenizer | None,
    omitted: Counter[str],
) -> list[Conversation]:
    """Convert *sessions* to conversations of at most `ConversationOptions.max_tokens` tokens.

    A longer session is cut between turns. A turn that exceeds the limit by itself is cut between
    tokens into several turns of the same speaker, which *omitted* counts as "cut turns".
    Conversations with too few turns are omitted, and counted as in `split_into_sessions`.

    Raises ChatError if there is a limit but no *tokenizer* to count tokens with.
    """
    if options.split == "tokens":
        sessions = _join_chats(sessions)
    if options.max_tokens is None:
        return [_conversation(session.turns, session.times, options) for session in sessions]
    if tokenizer is None:
        raise ChatError("counting tokens needs a tokenizer: give one (-t)")
    budget = options.max_tokens - 1  # <|endoftext|>
    if options.system is not None:
        budget -= 2 + tokenizer.count(options.system, disallowed_special=())
    if budget < MIN_TOKENS - 1:
        raise ChatError(
            f"the system prompt leaves no room for turns in {options.max_tokens} tokens; raise "
            "max_tokens (--max-tokens)"
        )
    conversations = []
    for session in sessions:
        for turns, times in _cut_session(session, budget, tokenizer, omitted):
            if len(turns) < options.min_turns:
                omitted["sessions"] += 1
                omitted["turns"] += len(turns)
            else:
                conversations.append(_conversation(turns, times, options))
    return conversations


def _join_chats(sessions: Sequence[Session]) -> list[Session]:
    """Join the sessions of each chat into one."""
    chats: dict[str | None, list[Session]] = defaultdict(list)
    for session in sessions:
        chats[session.chat].append(session)
    return [
        Session(
            chat,
            tuple(chain.from_iterable(session.turns for session in parts)),
            tuple(chain.from_iterable(session.times for session in parts)),
            parts[-1].ended,
        )
        for chat, parts in chats.items()
    ]


_TimedTurns: TypeAlias = tuple[list[Turn], list[datetime]]


def _cut_session(
    session: Session, budget: int, tokenizer: Tokenizer, omitted: Counter[str]
) -> Iterator[_TimedTurns]:
    """Yield the turns of *session* in chunks of at most *budget* tokens, with their times."""
    counts = tokenizer.count_batch([turn.text for turn in session.turns], disallowed_special=())
    turns: list[Turn] = []
    times: list[datetime] = []
    used = 0
    for turn, time, count in zip(session.turns, session.times, counts, strict=True):
        parts = [(turn, count + 2)]  # the speaker's token, and <|end|>
        if count + 2 > budget:
            omitted["cut turns"] += 1
            parts = [
                (Turn(turn.speaker, text), tokenizer.count(text, disallowed_special=()) + 2)
                for text in _cut_text(turn.text, budget - 2, tokenizer)
            ]
        for part, size in parts:
            if used + size > budget:
                yield turns, times
                turns, times, used = [], [], 0
            turns.append(part)
            times.append(time)
            used += size
    if turns:
        yield turns, times


def _cut_text(text: str, max_tokens: int, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield *text* in parts of at most *max_tokens* tokens."""
    # A window, since truncating the entire rest of the text for each part takes quadratic time.
    window = 16 * max_tokens
    start = 0
    while start < len(text):
        part = tokenizer.truncate(text[start : start + window], max_tokens, disallowed_special=())
        yield part
        start += len(part)


def _conversation(
    turns: Sequence[Turn], times: Sequence[datetime], options: ConversationOptions
) -> Conversation:
    return Conversation(tuple(turns), options.system, times[0])


def describe_omitted(omitted: Counter[str]) -> str:
    """Format the counts of `split_into_sessions` and `make_conversations` for display."""
    names: list[tuple[str, str]] = [*KIND_NAMES.items(), ("empty", "message without words")]
    parts = [counted(omitted[kind], name) for kind, name in sorted(names) if omitted[kind]]
    turns, sessions = omitted["turns"], omitted["sessions"]
    if sessions and turns == sessions:
        parts.append(f"{counted(turns, 'turn')} that nobody answered in time")
    elif sessions:
        conversations = counted(sessions, "conversation")
        parts.append(f"{counted(turns, 'turn')} in {conversations} that are too short")
    return ", ".join(parts) or "nothing"
