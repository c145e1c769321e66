"""`pytok chat import` and `pytok chat example`: exports to a history, and an example export."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import click

from pytok.atomic import replace_file
from pytok.chat.anonymize import LIMITS, Anonymized
from pytok.chat.example import STYLES, example_chat, example_export
from pytok.chat.import_options import ImportOptions
from pytok.chat.importing import import_chats
from pytok.chat.record import write_history
from pytok.commands.chat_exports import exports_argument, import_options
from pytok.commands.help import Command, option
from pytok.commands.options import json_option
from pytok.commands.paths import Output
from pytok.counted import counted
from pytok.terminal import print_facts, say


@click.command(
    "import",
    cls=Command,
    examples="""
    pytok chat import 'WhatsApp Chat with Ada.txt' -o chat.jsonl
    pytok chat import old.zip new.zip -o chat.jsonl --anonymize
    pytok chat import ChatExport_2024-01-05/ -o chat.jsonl
    pytok chat import result.json --list-chats
    pytok chat import msgstore.db.crypt15 --key digits.txt --chat Ada -o chat.jsonl
    """,
)
@exports_argument("files", "FILE...")
@option(
    "-o",
    "--out",
    "--output",
    "output",
    type=Output(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The .jsonl file to write, one message per line.",
)
@import_options
@option(
    "--anonymize",
    "--anonymise",
    is_flag=True,
    help="Replace people, numbers, addresses and links (docs/anonymizing.md).",
)
@option(
    "--replace",
    "replaced_names",
    multiple=True,
    metavar="NAME",
    help="With --anonymize: replace this name, too; repeat it for several.",
)
@json_option
def import_(
    files: tuple[Path, ...],
    output: Path | None,
    options: ImportOptions,
    anonymize: bool,
    replaced_names: tuple[str, ...],
    as_json: bool,
) -> None:
    """Import chat exports and merge them into one history.

    FILE is an export of WhatsApp, Telegram, Messenger, Instagram, Signal, Discord, iMessage or
    another app (docs/chat-formats.md lists them), its folder or its zip; conversations in the JSON
    of ShareGPT or OpenAI; rows of time, sender and text; or a history of an earlier import. Files
    of one chat can overlap: no message is lost or duplicated.
    """
    if replaced_names and not anonymize:
        raise click.UsageError("--replace needs --anonymize.")
    if output is None:
        raise click.UsageError("Missing option '-o' / '--out'.")
    options = replace(options, anonymize=anonymize, replaced_names=replaced_names)
    imported = import_chats(files, options)
    write_history(output, imported.messages)
    for warning in imported.summary.warnings:
        say(f"pytok: warning: {warning}")
    if imported.anonymized is not None:
        _say_replaced(imported.anonymized)
    if as_json:
        click.echo(json.dumps(imported.summary.to_dict(), ensure_ascii=False))
    else:
        print_facts(imported.summary.rows())
    say(f"wrote {output}; to make a model of it: gpt clone {shlex.quote(str(output))}")


def _say_replaced(anonymized: Anonymized) -> None:
    counts = ", ".join(counted(count, kind) for kind, count in anonymized.counts.items())
    say(f"pytok: replaced: {counts or 'nothing'}")
    for name, substitute in anonymized.substitutes.items():
        say(f"pytok: {name} is now {substitute}")
    say(f"pytok: warning: people can still be recognized; not replaced: {LIMITS}")


@click.command(
    cls=Command,
    examples="""
    pytok chat example -o chat.txt
    pytok chat example -o group.txt --messages 5000 --authors 4
    """,
)
@option(
    "-o",
    "--out",
    "--output",
    "output",
    required=True,
    type=Output(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The .txt file to write, in WhatsApp's format.",
)
@option(
    "--messages",
    type=click.IntRange(1),
    metavar="N",
    default=20_000,
    help="Number of messages.",
)
@option(
    "--authors",
    type=click.IntRange(2, len(STYLES)),
    metavar="N",
    default=2,
    help="Number of authors.",
)
@option("--seed", type=int, metavar="N", default=0, help="Random seed of the chat.")
def example(output: Path, messages: int, authors: int, seed: int) -> None:
    """Write a made-up chat export to try the other commands with.

    The authors are Mara, Jonas, Priya and Tom, each with a different style of writing. The same
    options give the same chat.
    """
    chat = example_chat(messages, authors=authors, seed=seed)
    replace_file(output, example_export(chat).encode())
    people = ", ".join(list(STYLES)[:authors])
    say(f"{output}: {counted(messages, 'message')} of {people}, who do not exist")
    say(f"next: {shlex.join(['gpt', 'clone', str(output), '--me', next(iter(STYLES))])}")
