"""Options that several `pytok chat` commands have in common, and the parsing of their values."""

import functools
import re
from collections.abc import Callable, Iterable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from pytok.chat.conversations import MIN_TOKENS, ConversationOptions, Split
from pytok.chat.record import Message, assume_utc, read_history
from pytok.commands.help import option
from pytok.commands.paths import Input

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as 90m, 1h30m or 2d. Raises BadParameter."""
    if not re.fullmatch(r"(\d{1,6}[smhdw])+", text, re.ASCII):
        raise click.BadParameter(f"{text!r} is not a duration such as 30m, 1h, 1h30m or 2d")
    amounts = re.findall(r"(\d+)(\w)", text)
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in amounts))


def _parse_split(text: str) -> Split:
    kind, _, amount = text.partition(":")
    if kind == "gap" and amount:
        return parse_duration(amount)
    if kind == "count" and re.fullmatch(r"[1-9]\d{0,8}", amount, re.ASCII):
        return int(amount)
    if text == "tokens":
        return "tokens"
    raise click.BadParameter(f"{text!r} is not of the form gap:1h, count:40 or tokens")


def _parse_time(
    context: click.Context, option: click.Parameter, value: str | None
) -> datetime | None:
    """Parse a date or time; a date means the start of the day, or for --until its end."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a date such as 2024-12-31 or 2024-12-31T18:00"
        ) from None
    is_date = len(value) <= len("2024-12-31")
    return datetime.combine(parsed, time.max) if option.name == "until" and is_date else parsed


def history_options(command: F) -> F:
    """Add the argument HISTORY and a range of time to *command*, which receives `messages`."""

    @click.argument("history", type=Input(exists=True, dir_okay=False))
    @option(
        "--from",
        "since",
        metavar="DATE",
        callback=_parse_time,
        help="First day or time to include, such as 2024-01-31 or 2024-01-31T18:00.",
    )
    @option(
        "--until",
        metavar="DATE",
        callback=_parse_time,
        help="Last day or time to include.",
    )
    @functools.wraps(command)
    def run(history: str, since: datetime | None, until: datetime | None, **rest: Any) -> Any:
        messages = list(_between(read_history(Path(history)), since, until))
        return command(messages=messages, **rest)

    return cast(F, run)


def _between(
    messages: Iterable[Message], since: datetime | None, until: datetime | None
) -> Iterable[Message]:
    for message in messages:
        sent = assume_utc(message.time)
        is_after = since is None or assume_utc(since) <= sent
        if is_after and (until is None or sent <= assume_utc(until)):
            yield message


def conversation_options(command: F) -> F:
    """Add the rules for conversations to *command*, which receives them as `options`."""

    @option(
        "--gap",
        metavar="DURATION",
        group="Conversations",
        show_default="1h",
        help="Pause that ends a conversation, such as 30m or 2d.",
    )
    @option(
        "--split",
        metavar="RULE",
        group="Conversations",
        help="End of a conversation: gap:1h (same as --gap 1h), count:40 (after 40 turns), or "
        "tokens (only at --max-tokens).",
    )
    @option(
        "--merge/--no-merge",
        default=True,
        group="Conversations",
        help="Join consecutive messages of one speaker into one turn.",
    )
    @option(
        "--min-turns",
        type=click.IntRange(1),
        metavar="N",
        default=2,
        group="Conversations",
        help="Omit conversations with fewer turns.",
    )
    @option(
        "--max-tokens",
        type=click.IntRange(MIN_TOKENS),
        metavar="N",
        group="Conversations",
        show_default="no limit",
        help="Cut longer conversations, if possible between turns.",
    )
    @option(
        "--placeholders",
        is_flag=True,
        group="Conversations",
        help="Represent messages without text by <image>, <deleted> and so on. By default they are "
        "omitted.",
    )
    @option(
        "--system",
        metavar="TEXT",
        group="Conversations",
        show_default="none",
        help="System prompt of each conversation.",
    )
    @functools.wraps(command)
    def run(
        gap: str | None,
        split: str | None,
        merge: bool,
        min_turns: int,
        max_tokens: int | None,
        placeholders: bool,
        system: str | None,
        **rest: Any,
    ) -> Any:
        if gap is not None and split is not None:
            raise click.UsageError("remove --gap or --split: both define the end of a conversation")
        options = ConversationOptions(
            split=_parse_split(split or f"gap:{gap or '1h'}"),
            merge=merge,
            min_turns=min_turns,
            max_tokens=max_tokens,
            placeholders=placeholders,
            system=system,
        )
        return command(options=options, **rest)

    return cast(F, run)
