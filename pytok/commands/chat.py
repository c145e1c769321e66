"""`pytok chat`: from a chat export to conversations, on this machine."""

import click

from pytok.commands.chat_building import build, export_conversations
from pytok.commands.chat_importing import example, import_
from pytok.commands.chat_showing import show


@click.group()
def chat() -> None:
    """Turn a chat export into conversations that a model can learn from.

    Nothing leaves this machine, and the exports are only read.
    """


for command in (import_, show, build, export_conversations, example):
    chat.add_command(command)
