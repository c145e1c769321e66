"""`pytok chat import` and `pytok chat example`: a history out of exports, and an export to try."""

import json
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import get_args

import click

from pytok.atomic import replace_file
from pytok.chat.anonymise import Anonymised
from pytok.chat.databases import is_database, read_database
from pytok.chat.example import STYLES, example_chat, example_export
from pytok.chat.importing import Choices, import_chats
from pytok.chat.record import write_history
from pytok.chat.whatsapp.dates import ORDER_NAMES, DateOrder
from pytok.commands.options import json_option, refuse_to_replace
from pytok.errors import ChatError
from pytok.terminal import print_facts, say


@click.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE...",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the history: JSON lines, a message each.",
)
@click.option(
    "--date-order",
    type=click.Choice(get_args(DateOrder)),
    help="How WhatsApp wrote dates like 3/4/24.  [default: what the file shows]",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Where the chat was exported, as in Europe/Vienna: needed to merge a text, which tells "
    "local times, with a database.",
)
@click.option(
    "--key",
    metavar="KEY",
    help="The key of an encrypted backup: its file, or 64 digits (others see what is typed here).",
)
@click.option(
    "--names",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A database of contacts, wa.db: names for the numbers in msgstore.db.",
)
@click.option("--chat", metavar="NAME", help="Which chat of a database that has several.")
@click.option("--list-chats", is_flag=True, help="Only say which chats a database has.")
@click.option(
    "--anonymise",
    is_flag=True,
    help="Replace names, numbers, e-mail addresses, links and mentions, each by the same.",
)
@json_option
def import_(
    files: tuple[Path, ...],
    output: Path | None,
    date_order: DateOrder | None,
    timezone: str | None,
    key: str | None,
    names: Path | None,
    chat: str | None,
    list_chats: bool,
    anonymise: bool,
    as_json: bool,
) -> None:
    """Read exports of one chat, and merge them into one history.

    FILE is what an app exported: WhatsApp's text or zip, in any language, or its database, also out
    of an encrypted backup; Telegram's result.json; conversations as ShareGPT's or OpenAI's JSON; or
    a history that was imported before. Several may overlap: no message is lost, and none is there
    twice.
    """
    ask = _ask if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() else None
    if list_chats:
        _list_chats(files, key, names)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    refuse_to_replace((*files, names), output)
    choices = Choices(
        date_order=date_order,
        timezone=timezone,
        key=key,
        names=names,
        chat=chat,
        anonymise=anonymise,
        ask=ask,
    )
    imported = import_chats(files, choices)
    write_history(output, imported.messages)
    for warning in imported.summary.warnings:
        say(f"pytok: {warning}")
    if imported.anonymised is not None:
        _say_replaced(imported.anonymised)
    if as_json:
        click.echo(json.dumps(imported.summary.as_dict(), ensure_ascii=False))
    else:
        print_facts(imported.summary.rows())


def _list_chats(files: tuple[Path, ...], key: str | None, names: Path | None) -> None:
    for path in files:
        if not is_database(path):
            raise ChatError(f"{path.name} is no database; --list-chats is for those")
        for chat in read_database(path, key=key, names=names).chats:
            click.echo(f"{chat.messages:>9,}  {chat.name}")


def _say_replaced(anonymised: Anonymised) -> None:
    counts = ", ".join(f"{count:,} of sort {sort}" for sort, count in anonymised.counts.items())
    say(f"pytok: replaced in texts: {counts or 'nothing'}; emptied {anonymised.emptied:,} system"
        " lines")  # fmt: skip
    for name, substitute in anonymised.substitutes.items():
        say(f"pytok: {name} is now {substitute}")
    say(
        "pytok: nicknames, people who never write, places and what one tells of oneself may still"
        " be there"
    )


def _ask(written: str, meanings: Mapping[DateOrder, date]) -> DateOrder:
    for order, day in meanings.items():
        click.echo(f"  {order}  {ORDER_NAMES[order]}: {day.day} {day:%B %Y}", err=True)
    answer: DateOrder = click.prompt(
        f"Nothing in the file decides what {written} is",
        type=click.Choice(list(meanings)),
        err=True,
    )
    return answer


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the export, as WhatsApp would.",
)
@click.option(
    "--messages",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    help="How many to write.",
)
@click.option(
    "--authors",
    type=click.IntRange(2, len(STYLES)),
    default=2,
    show_default=True,
    help="How many of the four take part.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Another number makes another chat."
)
def example(output: Path, messages: int, authors: int, seed: int) -> None:
    """Write the export of a chat that never was, to try the other commands on.

    Its authors are Mara, Jonas, Priya and Tom, who write in different styles. It is made by rules,
    and the same options make the same chat.
    """
    chat = example_chat(messages, authors=authors, seed=seed)
    replace_file(output, example_export(chat).encode())
