"""`pytok chat show`: display of a history and its statistics.

Text of messages is untrusted: control characters and characters that change the direction of
writing are escaped.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytok.chat.record import Message
from pytok.chat.speakers import find_speaker, speakers_of
from pytok.chat.statistics import WEEKDAYS, Statistics, measure, to_dict
from pytok.commands.chat_options import history_options
from pytok.commands.help import Command, option
from pytok.commands.options import json_option
from pytok.commands.paths import Output
from pytok.counted import counted
from pytok.distribution import install
from pytok.errors import ChatError
from pytok.terminal import escaped, say

if TYPE_CHECKING:
    from rich.text import Text

_COLORS = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_cyan", "bright_green")
_MAX_PEOPLE = 20
"""Maximum number of rows in the table of senders."""


@click.command(
    cls=Command,
    examples="""
    pytok chat show chat.jsonl --last 50
    pytok chat show chat.jsonl --statistics --plot chat.png
    FORCE_COLOR=1 pytok chat show chat.jsonl --from 2024-01-01 | less -R
    """,
)
@history_options
@option("--sender", metavar="NAME", help="Show one sender only: a name, or a unique prefix.")
@option("--last", type=click.IntRange(1), metavar="N", help="Show the last N messages only.")
@option("--statistics", is_flag=True, help="Print statistics instead of messages.")
@json_option
@option(
    "--plot",
    type=Output(dir_okay=False),
    metavar="PNG",
    help="Plot the statistics to a PNG file (needs 'pytok-lm[plot]').",
)
def show(
    messages: list[Message],
    sender: str | None,
    last: int | None,
    statistics: bool,
    as_json: bool,
    plot: str | None,
) -> None:
    """Show the messages of a history, or statistics of it.

    HISTORY is the output of `pytok chat import`. Each sender has a color. Times are those of the
    source, not converted to your time zone.
    """
    if as_json and not statistics:
        raise click.UsageError("add --statistics to --json: the history itself is JSON lines")
    names = speakers_of(messages)
    if sender is not None:
        speaker = find_speaker(sender, names)
        messages = [each for each in messages if each.sender and names[each.sender] == speaker]
    if last is not None:
        messages = messages[-last:]
    if not (statistics or plot):
        if not messages:
            raise ChatError("no message matches; widen --from, --until or --sender")
        _print_history(messages, names)
        return
    measured = measure(messages)
    if not measured.messages:
        raise ChatError("no message of a person matches; widen --from, --until or --sender")
    if as_json:
        click.echo(json.dumps(to_dict(measured), ensure_ascii=False))
    elif statistics:
        _print_statistics(measured)
    if plot:
        try:
            from pytok.chat.plot import write_plot  # here, since it loads matplotlib
        except ImportError as error:
            raise ImportError(f"--plot needs {error.name}: {install('plot')}") from error
        write_plot(measured, Path(plot))
        sent, senders = measured.messages, len(measured.people)
        say(f"{plot}: {counted(sent, 'message')}, {counted(senders, 'sender')}")


def _print_history(messages: Sequence[Message], names: dict[str, str]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    colors = dict(zip(names.values(), cycle(_COLORS), strict=False))
    for day, of_day in groupby(messages, key=lambda message: message.time.date()):
        # One call per day, since a call for each message takes several times as long.
        console.print(_day(f"{day:%A, %d %B %Y}", list(of_day), names, colors), soft_wrap=True)


def _day(
    title: str, messages: Sequence[Message], names: dict[str, str], colors: dict[str, str]
) -> "Text":
    from rich.text import Text

    page = Text()
    page.append(f"{title}\n", style="bold underline")
    for message in messages:
        page.append(f"{message.time:%H:%M}  ", style="dim")
        if message.sender is not None:
            name = names[message.sender]
            page.append(escaped(name).replace("\n", "\\n") + ": ", style=f"bold {colors[name]}")
        page.append_text(_content(message))
        page.append("\n")
    return page


def _content(message: Message) -> "Text":
    from rich.text import Text

    content = Text()
    if message.kind not in ("text", "system"):
        label = message.kind + (f" {message.media}" if message.media else "")
        content.append(f"<{escaped(label)}> ".replace("\n", "\\n"), style="dim")
    # Further lines are indented, so that text cannot imitate the line of another sender.
    text = escaped(message.text).replace("\n", "\n       ")
    content.append(text, style="dim italic" if message.kind == "system" else "")
    if message.edited:
        content.append(" (edited)", style="dim")
    if message.reactions:
        content.append("  " + escaped(" ".join(message.reactions)).replace("\n", " "), style="dim")
    return content


def _print_statistics(measured: Statistics) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    figures = to_dict(measured)
    console = Console(highlight=False)
    days = measured.by_day
    console.print(
        f"messages    {measured.messages:,} on {counted(len(days), 'day')}, {min(days)} to "
        f"{max(days)}; also {counted(measured.system, 'system message')}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("sender", overflow="ellipsis", no_wrap=True, max_width=24)
    for column in ("messages", "percent", "characters", "without text"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("emoji", no_wrap=True)
    for person, person_figures in zip(
        measured.people[:_MAX_PEOPLE], figures["people"], strict=False
    ):
        table.add_row(
            Text(escaped(person.name).replace("\n", "\\n")),
            f"{person.messages:,}",
            f"{person.messages / measured.messages:.1%}",
            f"{person_figures['characters']['median']:,.0f}",
            f"{person.messages - len(person.lengths):,}",
            Text(" ".join(escaped(emoji) for emoji in list(person_figures["emoji"])[:5])),
        )
    console.print(table)
    if len(measured.people) > _MAX_PEOPLE:
        console.print(f"and {len(measured.people) - _MAX_PEOPLE:,} more (--json lists all)")
    console.print(
        "characters: median of messages with text; without text: media, calls and others",
        style="dim",
    )
    for line in _lines(measured, figures["pause_seconds"]["median"]):
        console.print(Text(line), soft_wrap=True)


def _lines(measured: Statistics, pause: float) -> Iterator[str]:
    """Yield lines with the distribution over hours and weekdays, and the pauses."""
    by_hour = [sum(hours) for hours in zip(*measured.by_hour, strict=True)]
    yield f"by hour     {_bars(by_hour)}  0 to 23"
    yield f"by weekday  {_bars([sum(hours) for hours in measured.by_hour])}  " + " ".join(WEEKDAYS)
    if measured.pauses:
        longer = sum(pause > 3600 for pause in measured.pauses)
        yield f"pauses      median {pause:,.0f} s; {longer:,} longer than an hour"


def _bars(counts: Sequence[int]) -> str:
    highest = max(counts) or 1
    return "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // highest)] for count in counts)
