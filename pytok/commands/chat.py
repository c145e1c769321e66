"""The command group `pytok chat`: from chat exports to training data, on this machine."""

import click

from pytok.commands.help import Group, LazyCommand

COMMANDS = [
    LazyCommand(
        "import",
        "pytok.commands.chat_importing:import_",
        "Import chat exports and merge them into one history.",
    ),
    LazyCommand(
        "show",
        "pytok.commands.chat_showing:show",
        "Show the messages of a history, or statistics of it.",
    ),
    LazyCommand(
        "build",
        "pytok.commands.chat_building:build",
        "Build training data for `gpt train` and `gpt tune`.",
    ),
    LazyCommand(
        "export",
        "pytok.commands.chat_building:export_conversations",
        "Export conversations for other trainers.",
    ),
    LazyCommand(
        "example",
        "pytok.commands.chat_importing:example",
        "Write a made-up chat export to try the other commands with.",
    ),
]


@click.group(
    cls=Group,
    commands=COMMANDS,
    examples="""
    pytok chat import 'WhatsApp Chat with Ada.txt' -o chat.jsonl
    pytok chat show chat.jsonl --statistics
    pytok chat build chat.jsonl -o data/ --me Ada
    """,
)
def chat() -> None:
    """Turn a chat export into conversations to train on.

    Nothing leaves this machine, and exports are never changed.
    """
