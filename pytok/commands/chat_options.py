"""Options that several `pytok chat` commands have in common, and the parsing of their values."""

import functools
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from pytok.chat.conversations import MIN_TOKENS, ConversationOptions, Split
from pytok.chat.record import Message, assume_utc, read_history
from pytok.chat.whatsapp.dates import ORDER_NAMES, AskDateOrder, DateOrder
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


def exports_argument(name: str, metavar: str) -> Callable[[F], F]:
    """Give a command the paths of one or more exports, which exist, as *name*."""
    return click.argument(
        name,
        nargs=-1,
        required=True,
        type=Input(path_type=Path),
        metavar=metavar,
        callback=_check_exports,
    )


def _check_exports(
    context: click.Context, parameter: click.Parameter, paths: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Raise BadParameter for a path that does not exist, with the one that can be meant."""
    missing = [path for path in paths if not path.exists()]
    if not missing:
        return paths
    whole = Path(" ".join(map(str, paths)))
    if len(paths) > 1 and whole.exists():
        raise click.BadParameter(
            f"put the name of the file in quotation marks: {shlex.quote(str(whole))}"
        )
    path = missing[0]
    beside = [each.name for each in path.parent.glob("*")]
    similar = get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {str(path.with_name(similar[0]))!r}?" if similar else "check its name"
    raise click.BadParameter(f"there is no file {str(path)!r}; {hint}")


def date_order_asker() -> AskDateOrder | None:
    """Return what asks the user for the order of an ambiguous date; None without a terminal."""
    return _ask if _is_interactive() else None


def _is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(written: str, meanings: Mapping[DateOrder, date]) -> DateOrder:
    orders = list(meanings)
    click.echo(f"The dates of this chat can be read in {len(orders)} ways. {written} is:", err=True)
    for number, order in enumerate(orders, start=1):
        day = meanings[order]
        click.echo(f"  {number}  {day.day} {day:%B %Y} ({ORDER_NAMES[order]})", err=True)
    choices = click.Choice([str(number) for number in range(1, len(orders) + 1)])
    answer = click.prompt("Which is right?", type=choices, err=True)
    return orders[int(answer) - 1]


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
