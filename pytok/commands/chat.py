"""The command group `pytok chat`: from chat exports to training data, on this machine."""

import click

from pytok.commands.chat_building import build, export_conversations
from pytok.commands.chat_importing import example, import_
from pytok.commands.chat_showing import show
from pytok.commands.help import Group


@click.group(
    cls=Group,
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


for command in (import_, show, build, export_conversations, example):
    chat.add_command(command)
