"""A history divided into conversations: sessions, turns, what is held out.

The order is: messages become turns, those of a chat become sessions, the last sessions are held
out, and long ones are cut. Nothing is left out but what is counted.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, chain
from typing import Literal, NamedTuple, TypeAlias

from pytok.chat.record import Message, in_order
from pytok.chat.speakers import speakers_of
from pytok.chat.template import Conversation, Turn
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

LEAST_TOKENS = 16
"""A conversation can have no fewer, so that some text fits between its special tokens."""

Split: TypeAlias = timedelta | int | Literal["tokens"]
"""Where a conversation ends: at a pause that is longer; after so many turns; or only where it has
as many tokens as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How a history is divided. Raises ChatError for numbers that cannot be."""

    split: Split = timedelta(hours=1)
    merge: bool = True
    """Whether what one says in a row is one turn, its messages joined by newlines."""
    min_turns: int = 2
    """Conversations with fewer are left out."""
    max_tokens: int | None = None
    """Tokens that a conversation may have, special tokens included; longer ones are cut."""
    placeholders: bool = False
    """Whether what has no words is shown, such as ``<image>``, or left out."""
    system: str | None = None
    """What each conversation begins with."""

    def __post_init__(self) -> None:
        if isinstance(self.split, timedelta) and self.split <= timedelta(0):
            raise ChatError(f"a gap of {self.split} is none; give a duration such as 1h")
        if isinstance(self.split, int) and self.split < 1:
            raise ChatError(f"{self.split} turns make no conversation; give at least 1")
        if self.split == "tokens" and self.max_tokens is None:
            raise ChatError("to split by tokens alone, say how many: max_tokens (--max-tokens)")
        if self.max_tokens is not None and self.max_tokens < LEAST_TOKENS:
            raise ChatError(f"max_tokens is {self.max_tokens}; give at least {LEAST_TOKENS}")


@dataclass(frozen=True, slots=True)
class Session:
    """Turns of one chat that belong together, before they are cut to a length."""

    chat: str | None
    turns: tuple[Turn, ...]
    times: tuple[datetime, ...]
    """When each turn began, as its source has it."""
    ended: datetime
    """When the last message was sent."""

    @property
    def began(self) -> datetime:
        """When the first message was sent, as it compares with other times."""
        return in_order(self.times[0])


class Held(NamedTuple):
    """What is learnt from, and what is held out: all of it later."""

    train: list[Session]
    val: list[Session]


# Messages to turns.


def words(message: Message, *, placeholders: bool = False) -> str:
    """What *message* says: text, a caption, a poll; or, if wanted, what it is; else nothing."""
    has_words = message.kind in ("text", "media", "poll") and not message.text.isspace()
    said = message.text if has_words else ""
    if not placeholders or message.kind in ("text", "poll"):
        return said
    named = message.kind == "media" and message.media and message.media.isalpha()
    what = f"<{message.media if named else message.kind}>"
    return f"{what} {said}" if said else what


class Said(NamedTuple):
    """One message as words."""

    time: datetime
    speaker: str
    text: str


def pause(before: Said, now: Said) -> timedelta:
    """The time between two messages, whichever came first."""
    return abs(in_order(now.time) - in_order(before.time))


def _said(
    messages: Sequence[Message], division: Division, left_out: Counter[str]
) -> dict[str | None, list[Said]]:
    """What was said in each chat."""
    speakers = speakers_of(messages)
    chats: dict[str | None, list[Said]] = defaultdict(list)
    for message in messages:
        text = words(message, placeholders=division.placeholders)
        if message.sender is None or message.kind == "system":
            left_out["system"] += 1
        elif not text:
            left_out["empty" if message.kind == "text" else message.kind] += 1
        else:
            chats[message.chat].append(Said(message.time, speakers[message.sender], text))
    return chats


# Turns to sessions.


def sessions(messages: Sequence[Message], division: Division) -> tuple[list[Session], Counter[str]]:
    """Divide *messages* into sessions, by the time at which they began; count what is left out.

    Messages of a chat are taken in the order that they have. They are counted by kind, or as
    "empty"; and as "turns" those of sessions, "sessions", with fewer than `Division.min_turns`.
    """
    left_out: Counter[str] = Counter()
    found: list[Session] = []
    for chat, said in _said(messages, division, left_out).items():
        for together in _together(said, division):
            session = _session(chat, together)
            if division.split != "tokens" and len(session.turns) < division.min_turns:
                left_out["sessions"] += 1
                left_out["turns"] += len(session.turns)
            else:
                found.append(session)
    return sorted(found, key=lambda session: session.began), left_out


def _together(said: list[Said], division: Division) -> Iterator[list[list[Said]]]:
    """The turns of each session, each as its messages."""
    split = division.split
    if isinstance(split, timedelta):
        for run in _runs(said, lambda before, now: pause(before, now) <= split):
            yield _turns(run, division.merge)
        return
    turns = _turns(said, division.merge)
    # By tokens, each turn is a session until it is known which are held out.
    size = 1 if split == "tokens" else split
    for start in range(0, len(turns), size):
        yield turns[start : start + size]


def _turns(said: Sequence[Said], merge: bool) -> list[list[Said]]:
    if not merge:
        return [[each] for each in said]
    return list(_runs(said, lambda before, now: before.speaker == now.speaker))


def _runs(said: Iterable[Said], together: Callable[[Said, Said], bool]) -> Iterator[list[Said]]:
    """Neighbours in one list as long as they are *together*."""
    run: list[Said] = []
    for each in said:
        if run and not together(run[-1], each):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _session(chat: str | None, turns: list[list[Said]]) -> Session:
    return Session(
        chat,
        tuple(Turn(run[0].speaker, "\n".join(each.text for each in run)) for run in turns),
        tuple(run[0].time for run in turns),
        ended=turns[-1][-1].time,
    )


# What is held out.


def hold_out(found: Sequence[Session], val: float) -> Held:
    """Hold out the last sessions: *val* of them, or as many more as go on when these begin.

    *found* are in order of time. So nothing that is learnt was said after what is held out begins.
    Raises ChatError where nothing is left to learn.
    """
    if not 0 <= val < 1:
        raise ChatError(f"val={val} is no share to hold out; pass 0 (none) or more, below 1")
    if not val:
        return Held(list(found), [])
    learnt = min(math.floor(len(found) * (1 - val)), len(found) - 1)
    ended = list(accumulate((in_order(session.ended) for session in found), max))
    while learnt > 0 and ended[learnt - 1] > found[learnt].began:
        learnt -= 1
    if learnt < 1:
        raise ChatError(
            f"no conversation is over when the last ones, to be held out, begin (in all there are "
            f"{len(found):,}); pass val=0 (--val 0), or divide the chat into more, by a shorter gap"
        )
    return Held(list(found[:learnt]), list(found[learnt:]))


# Sessions to conversations.


def conversations(
    found: Sequence[Session],
    division: Division,
    tokenizer: Tokenizer | None,
    left_out: Counter[str],
) -> list[Conversation]:
    """Make the conversations of *found*, none longer than `Division.max_tokens`.

    One that is longer is cut where a turn ends, and a turn that is longer by itself is cut where a
    token ends, into several of the same speaker, which *left_out* counts as "cut turns". Pieces
    with too few turns are left out, and counted as `sessions` does.

    Raises ChatError where a limit is given and no *tokenizer* to count with.
    """
    if division.split == "tokens":
        found = _joined(found)
    if division.max_tokens is None:
        return [_conversation(session.turns, session.times, division) for session in found]
    if tokenizer is None:
        raise ChatError("to count tokens, name a tokenizer (-t)")
    room = division.max_tokens - 1  # <|endoftext|>
    if division.system is not None:
        room -= 2 + tokenizer.count(division.system, disallowed_special=())
    if room < LEAST_TOKENS - 1:
        raise ChatError(
            f"the system text leaves no room for turns in {division.max_tokens} tokens; give more"
        )
    kept = []
    for session in found:
        for turns, times in _cut(session, room, tokenizer, left_out):
            if len(turns) < division.min_turns:
                left_out["sessions"] += 1
                left_out["turns"] += len(turns)
            else:
                kept.append(_conversation(turns, times, division))
    return kept


def _joined(found: Sequence[Session]) -> list[Session]:
    """One session for each chat."""
    chats: dict[str | None, list[Session]] = defaultdict(list)
    for session in found:
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


_Piece: TypeAlias = tuple[list[Turn], list[datetime]]


def _cut(
    session: Session, room: int, tokenizer: Tokenizer, left_out: Counter[str]
) -> Iterator[_Piece]:
    """The turns of *session* in pieces of at most *room* tokens, and their times."""
    counts = tokenizer.count_batch([turn.text for turn in session.turns], disallowed_special=())
    turns: list[Turn] = []
    times: list[datetime] = []
    used = 0
    for turn, time, count in zip(session.turns, session.times, counts, strict=True):
        parts = [(turn, count + 2)]  # the speaker's token, and that of the end
        if count + 2 > room:
            left_out["cut turns"] += 1
            parts = [
                (Turn(turn.speaker, text), tokenizer.count(text, disallowed_special=()) + 2)
                for text in _cut_text(turn.text, room - 2, tokenizer)
            ]
        for part, size in parts:
            if used + size > room:
                yield turns, times
                turns, times, used = [], [], 0
            turns.append(part)
            times.append(time)
            used += size
    if turns:
        yield turns, times


def _cut_text(text: str, most: int, tokenizer: Tokenizer) -> Iterator[str]:
    """*text* in pieces of at most *most* tokens."""
    # A window, since to cut the whole text again for each piece would take quadratic time.
    window = 16 * most
    start = 0
    while start < len(text):
        piece = tokenizer.truncate(text[start : start + window], most, disallowed_special=())
        yield piece
        start += len(piece)


def _conversation(
    turns: Sequence[Turn], times: Sequence[datetime], division: Division
) -> Conversation:
    return Conversation(tuple(turns), division.system, times[0])


def told(left_out: Counter[str]) -> str:
    """What the counts of `sessions` and `conversations` say was left out, in words."""
    parts = [
        f"{count:,} {'text without words' if kind == 'empty' else kind}"
        for kind, count in sorted(left_out.items())
        if kind not in ("sessions", "turns", "cut turns")
    ]
    if few := left_out["sessions"]:
        turns = left_out["turns"]
        parts.append(
            f"{counted(few, 'conversation')} with too few turns ({counted(turns, 'turn')})"
        )
    return "; ".join(parts) or "nothing"
