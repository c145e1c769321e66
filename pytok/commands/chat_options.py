"""The options that commands of a chat share, and what is made of the words given for them."""

import functools
import re
from collections.abc import Callable, Iterable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from pytok.chat.conversations import LEAST_TOKENS, Division, Split
from pytok.chat.record import Message, in_order, read_history
from pytok.commands.options import refuse_to_replace

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str) -> timedelta:
    """The time that *text* spells, such as 90m, 1h30m or 2d; BadParameter if it is none."""
    if not re.fullmatch(r"(\d{1,6}[smhdw])+", text, re.ASCII):
        raise click.BadParameter(f"{text!r} is no duration, such as 30m, 1h, 1h30m or 2d")
    amounts = re.findall(r"(\d+)(\w)", text)
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in amounts))


def _split_of(text: str) -> Split:
    kind, _, amount = text.partition(":")
    if kind == "gap" and amount:
        return duration(amount)
    if kind == "count" and re.fullmatch(r"[1-9]\d{0,8}", amount, re.ASCII):
        return int(amount)
    if text == "tokens":
        return "tokens"
    raise click.BadParameter(f"{text!r} is none of gap:1h, count:40, tokens")


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """The first moment of what *value* names, or for --until the last."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no date, such as 2024-12-31 or 2024-12-31T18:00"
        ) from None
    whole_day = len(value) <= len("2024-12-31")
    return datetime.combine(moment, time.max) if option.name == "until" and whole_day else moment


def history_options(command: F) -> F:
    """Give a command `messages`: those of a history, or of a time in it."""

    @click.argument("history", type=click.Path(exists=True, dir_okay=False))
    @click.option(
        "--from",
        "since",
        metavar="DATE",
        callback=_moment,
        help="Only messages from this day or time on, such as 2024-01-31 or 2024-01-31T18:00.",
    )
    @click.option(
        "--until",
        metavar="DATE",
        callback=_moment,
        help="Only messages until this day or time, it included.",
    )
    @functools.wraps(command)
    def run(history: str, since: datetime | None, until: datetime | None, **rest: Any) -> Any:
        for option in ("out", "plot"):
            refuse_to_replace((Path(history),), Path(rest[option]) if rest.get(option) else None)
        messages = list(_between(read_history(Path(history)), since, until))
        return command(messages=messages, **rest)

    return cast(F, run)


def _between(
    messages: Iterable[Message], since: datetime | None, until: datetime | None
) -> Iterable[Message]:
    for message in messages:
        sent = in_order(message.time)
        if (since is None or in_order(since) <= sent) and (
            until is None or sent <= in_order(until)
        ):
            yield message


def division_options(command: F) -> F:
    """Give a command `division`: how a history becomes conversations."""

    @click.option(
        "--gap",
        metavar="DURATION",
        help="A pause that is longer ends a conversation: 30m, 1h, 2d; short for --split gap:1h.  "
        "[default: 1h]",
    )
    @click.option(
        "--split",
        metavar="HOW",
        help="Where else a conversation ends: gap:1h, count:40 (after 40 turns), or tokens (only "
        "at --max-tokens).",
    )
    @click.option(
        "--merge/--no-merge",
        default=True,
        show_default=True,
        help="Make one turn of what someone says in a row, its messages on lines of their own.",
    )
    @click.option(
        "--min-turns",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Leave out conversations with fewer turns.",
    )
    @click.option(
        "--max-tokens",
        type=click.IntRange(LEAST_TOKENS),
        help="Cut longer conversations, between two turns where possible.  [default: no limit]",
    )
    @click.option(
        "--placeholders",
        is_flag=True,
        help="Show what has no words, such as <image> or <deleted>; without it, it is left out.",
    )
    @click.option(
        "--system",
        metavar="TEXT",
        help="Begin each conversation with this text, which no one says.",
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
            raise click.UsageError("--gap and --split contradict each other: say one")
        division = Division(
            split=_split_of(split or f"gap:{gap or '1h'}"),
            merge=merge,
            min_turns=min_turns,
            max_tokens=max_tokens,
            placeholders=placeholders,
            system=system,
        )
        return command(division=division, **rest)

    return cast(F, run)
