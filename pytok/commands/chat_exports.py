"""Arguments and options of the commands that read exports: `pytok chat import` and `gpt clone`."""

import functools
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click

from pytok.chat.import_options import ImportOptions
from pytok.chat.whatsapp.dates import ORDER_NAMES, AskDateOrder, DateOrder
from pytok.commands.help import option
from pytok.commands.paths import Input

F = TypeVar("F", bound=Callable[..., Any])


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


def import_options(command: F) -> F:
    """Give *command*, whose exports are `files`, what they do not say, as `options`.

    With ``--list-chats`` their chats are listed instead.
    """

    @option(
        "--date-order",
        type=click.Choice(get_args(DateOrder)),
        group="Export",
        show_default="found in the file, or asked for",
        help="Order of day, month and year in dates such as 3/4/24.",
    )
    @option(
        "--timezone",
        metavar="ZONE",
        group="Export",
        help="Time zone of a text export, such as Europe/Vienna; needed to merge it with a "
        "database.",
    )
    @option(
        "--encoding",
        metavar="NAME",
        group="Export",
        show_default="UTF-8, UTF-16 or RTF, by the bytes",
        help="Encoding of a text that an editor saved in an old one, such as cp1252 or gb18030.",
    )
    @option(
        "--respect-deletions",
        is_flag=True,
        group="Export",
        help="Omit messages that somebody deleted for everyone, even if another file has their "
        "text.",
    )
    @option(
        "--key",
        type=Input(),
        metavar="KEY",
        group="WhatsApp databases",
        help="Key of an encrypted backup: a file, or 64 digits; for an Android backup (.ab) a "
        "file with its password. A file is safer: other programs can read the command line.",
    )
    @option(
        "--names",
        type=Input(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        group="WhatsApp databases",
        help="Contacts database (wa.db) with the names for the numbers in msgstore.db.",
    )
    @option(
        "--chat",
        metavar="NAME|ID",
        group="Exports with several chats",
        help="Chat to read from a database, or from the export of a whole account.",
    )
    @option(
        "--list-chats",
        "list_",
        is_flag=True,
        group="Exports with several chats",
        help="List the chats, with their ids if they have any, and exit.",
    )
    @functools.wraps(command)
    def run(
        *,
        files: tuple[Path, ...],
        date_order: DateOrder | None,
        timezone: str | None,
        encoding: str | None,
        respect_deletions: bool,
        key: str | None,
        names: Path | None,
        chat: str | None,
        list_: bool,
        **rest: Any,
    ) -> Any:
        options = ImportOptions(
            date_order=date_order,
            timezone=timezone,
            encoding=encoding,
            respect_deletions=respect_deletions,
            key=key,
            names=names,
            chat=chat,
            ask=date_order_asker(),
        )
        if list_:
            _print_chats(files, options)
            return None
        return command(files=files, options=options, **rest)

    return cast(F, run)


def _print_chats(files: tuple[Path, ...], options: ImportOptions) -> None:
    from pytok.chat.reading import list_chats  # here, since the readers take time to load

    for chat in list_chats(files, options):
        identity = "" if chat.id is None or chat.id == chat.name else f"  {chat.id}"
        click.echo(f"{chat.messages:>9,}  {chat.name}{identity}")
