"""The command group `pytok chat`: from chat exports to training data, on this machine."""

import click

from pytok.commands.chat_building import build, export_conversations
from pytok.commands.chat_importing import example, import_
from pytok.commands.chat_showing import show


@click.group()
def chat() -> None:
    """Turn chat exports into training data.

    Nothing leaves this machine, and exports are never changed.

    \b
    Examples:
      pytok chat import 'WhatsApp Chat with Ada.txt' -o chat.jsonl
      pytok chat show chat.jsonl --statistics
      pytok chat build chat.jsonl -o data/ --me Ada
    """  # noqa: D301 (click wants a backspace)


for command in (import_, show, build, export_conversations, example):
    chat.add_command(command)
