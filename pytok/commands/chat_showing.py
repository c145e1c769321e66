"""`pytok chat show`: a history to read, and in figures.

Whatever people wrote is shown, never obeyed: control characters and what turns the order of
writing are spelled out.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytok.chat.record import Message
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.chat.statistics import WEEKDAYS, Statistics, measure, to_plain
from pytok.commands.chat_options import history_options
from pytok.commands.options import json_option
from pytok.counted import counted
from pytok.errors import ChatError
from pytok.terminal import escaped, say

if TYPE_CHECKING:
    from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_cyan", "bright_green")
_MOST_PEOPLE = 20
"""Rows of the table of people."""


@click.command()
@history_options
@click.option(
    "--sender", metavar="NAME", help="Only messages of this sender: a name, or how only one begins."
)
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N messages.")
@click.option("--statistics", is_flag=True, help="Print who wrote how much, when and how, instead.")
@json_option
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    metavar="PNG",
    help="Draw these statistics as a picture, instead (pip install 'pytok[plot]').",
)
def show(
    messages: list[Message],
    sender: str | None,
    last: int | None,
    statistics: bool,
    as_json: bool,
    plot: str | None,
) -> None:
    """Show a history, a colour for each sender.

    HISTORY is what `pytok chat import` wrote. Times are as its source has them.

    \b
    pytok chat show chat.jsonl --last 50
    FORCE_COLOR=1 pytok chat show chat.jsonl --from 2024-01-01 | less -R
    pytok chat show chat.jsonl --statistics --plot chat.png
    """  # noqa: D301 (click wants a backspace)
    if as_json and not statistics:
        raise click.UsageError("--json is for --statistics: the history itself is JSON lines")
    names = speakers_of(messages)
    if sender is not None:
        who = find_speaker(sender, names)
        messages = [each for each in messages if each.sender and names[each.sender] == who]
    if last is not None:
        messages = messages[-last:]
    if not (statistics or plot):
        if not messages:
            raise ChatError("no message is left of the history")
        _print_history(messages, names)
        return
    measured = measure(messages)
    if not measured.messages:
        raise ChatError("nobody has sent a message in what is left of the history")
    if as_json:
        click.echo(json.dumps(to_plain(measured), ensure_ascii=False))
    elif statistics:
        _print_statistics(measured)
    if plot:
        try:
            from pytok.chat.plot import write_plot  # here, since it loads matplotlib
        except ImportError as error:
            raise ImportError(f"--plot needs {error.name}; pip install 'pytok[plot]'") from error
        write_plot(measured, Path(plot))
        say(f"{plot}: messages: {measured.messages:,}, senders: {len(measured.people):,}")


def _print_history(messages: Sequence[Message], names: dict[str, str]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    colours = dict(zip(names.values(), cycle(_COLOURS), strict=False))
    for day, of_day in groupby(messages, key=lambda message: message.time.date()):
        # A day at a time, since a call for each message takes several times as long.
        console.print(_day(f"{day:%A, %d %B %Y}", list(of_day), names, colours), soft_wrap=True)


def _day(
    title: str, messages: Sequence[Message], names: dict[str, str], colours: dict[str, str]
) -> "Text":
    from rich.text import Text

    page = Text()
    page.append(f"{title}\n", style="bold underline")
    for message in messages:
        page.append(f"{message.time:%H:%M}  ", style="dim")
        if message.sender is not None:
            name = names[message.sender]
            page.append(escaped(name).replace("\n", "\\n") + ": ", style=f"bold {colours[name]}")
        page.append_text(_said(message))
        page.append("\n")
    return page


def _said(message: Message) -> "Text":
    from rich.text import Text

    said = Text()
    if message.kind not in ("text", "system"):
        what = message.kind + (f" {message.media}" if message.media else "")
        said.append(f"<{escaped(what)}> ".replace("\n", "\\n"), style="dim")
    words = escaped(message.text).replace("\n", "\n       ")
    said.append(words, style="dim italic" if message.kind == "system" else "")
    if message.edited:
        said.append(" (edited)", style="dim")
    if message.reactions:
        said.append("  " + escaped(" ".join(message.reactions)).replace("\n", " "), style="dim")
    return said


def _print_statistics(measured: Statistics) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    figures = to_plain(measured)
    console = Console(highlight=False)
    days = measured.by_day
    console.print(
        f"messages    {measured.messages:,} on {counted(len(days), 'day')}, {min(days)} to "
        f"{max(days)}; and {measured.system:,} of the system",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sender", overflow="ellipsis", no_wrap=True, max_width=24)
    for column in ("messages", "share", "characters", "wordless"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("emoji", no_wrap=True)
    for person, plain in zip(measured.people[:_MOST_PEOPLE], figures["people"], strict=False):
        table.add_row(
            Text(escaped(person.name).replace("\n", "\\n")),
            f"{person.messages:,}",
            f"{person.messages / measured.messages:.1%}",
            f"{plain['characters']['median']:,.0f}",
            f"{person.messages - len(person.lengths):,}",
            Text(" ".join(escaped(emoji) for emoji in list(plain["emoji"])[:5])),
        )
    console.print(table)
    if len(measured.people) > _MOST_PEOPLE:
        console.print(f"and {len(measured.people) - _MOST_PEOPLE:,} more (--json has all)")
    console.print(
        "characters: the median of those with words; wordless: media and their like", style="dim"
    )
    for line in _lines(measured, figures["pause_seconds"]["median"]):
        console.print(Text(line), soft_wrap=True)


def _lines(measured: Statistics, pause: float) -> Iterator[str]:
    """Hours, weekdays and pauses, a line each."""
    by_hour = [sum(hours) for hours in zip(*measured.by_hour, strict=True)]
    yield f"by hour     {_bars(by_hour)}  0 to 23"
    yield f"by weekday  {_bars([sum(hours) for hours in measured.by_hour])}  " + " ".join(WEEKDAYS)
    if measured.pauses:
        longer = sum(pause > 3600 for pause in measured.pauses)
        yield f"pauses      {pause:,.0f} s in the middle; {longer:,} are longer than an hour"


def _bars(counts: Sequence[int]) -> str:
    highest = max(counts) or 1
    return "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // highest)] for count in counts)
