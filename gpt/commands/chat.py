"""`gpt chat`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gpt.commands.options import SamplingOptions, run_argument, sampling_options
from gpt.errors import CheckpointError
from pytok.commands.help import Command, option
from pytok.terminal import escaped, say


@click.command(
    cls=Command,
    examples="""
    gpt chat clone/run
    gpt chat runs/group --as Ada --with Ben --with Cleo
    echo "How are you?" | gpt chat clone/run
    gpt chat runs/base --adapter kind=runs/kind --adapter terse=adapters/terse
    """,
)
@run_argument
@option(
    "--as",
    "you",
    metavar="NAME",
    show_default="whoever writes most, of those whom the model does not play",
    help="Who you are in the chat.",
)
@option(
    "--with",
    "played",
    metavar="NAME",
    multiple=True,
    show_default="the person it was trained on, or else everyone but you",
    help="Whom the model plays. Repeatable.",
)
@option(
    "--turns",
    metavar="N",
    type=int,
    show_default="1 if it plays one person, else 4",
    help="Turns that the model may write in a row.",
)
@option("--tokens", metavar="N", type=int, default=256, help="Maximum number of tokens of a turn.")
@option("--system", metavar="TEXT", help="System prompt: instructions before the first turn.")
@option(
    "--adapter",
    "adapters",
    metavar="NAME=FOLDER",
    multiple=True,
    help="Adapter of RUN: a folder of peft, or a tuned run. Repeatable: /adapter NAME switches.",
)
@sampling_options
def chat(
    run: Path,
    you: str | None,
    played: tuple[str, ...],
    turns: int | None,
    tokens: int,
    system: str | None,
    adapters: tuple[str, ...],
    sampling: SamplingOptions,
) -> int:
    """Chat with a model that was trained on a chat.

    RUN is a folder that `gpt clone` or `gpt tune` made, such as clone/run; RUN/best, for its best
    checkpoint; or the folder of a checkpoint. Lines are read from the terminal or a pipe; /help
    lists the commands.
    """
    from gpt.clone.record import is_unfinished_clone
    from gpt.commands.chat_adapters import ChatAdapters, named_paths
    from gpt.commands.terminal_chat import converse
    from gpt.generation.conversation import Roles, open_session, template_of
    from gpt.runs.reading import read_checkpoint

    if is_unfinished_clone(run):
        raise CheckpointError(
            f"{run}: its training has not finished; the same `gpt clone` command resumes it"
        )
    switchable = ChatAdapters(read_checkpoint(run), named_paths(adapters), sampling)
    checkpoint = switchable.open(switchable.active)
    template = template_of(checkpoint)
    roles = Roles.of(template, you, played)
    if you is None and roles.unassigned(template) and not sys.stdin.isatty():
        say(f"you are {escaped(roles.you)}; to be someone else, pass --as NAME")
    session = open_session(
        checkpoint,
        roles,
        model=sampling.model(checkpoint),
        system=system,
        sampling=sampling.sampling(),
        max_tokens=tokens,
        max_turns=turns,
    )
    return converse(session, switchable)
