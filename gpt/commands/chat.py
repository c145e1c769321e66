"""`gpt chat`."""

from __future__ import annotations

from pathlib import Path

import click

from gpt.commands.options import SamplingOptions, run_argument, sampling_options
from pytok.commands.help import Command, option


@click.command(
    cls=Command,
    examples="""
    gpt chat clone/run
    gpt chat runs/group --as Ada --with Ben --with Cleo
    echo "How are you?" | gpt chat clone/run
    """,
)
@run_argument
@option(
    "--as",
    "you",
    metavar="NAME",
    show_default="the only person that the model does not play",
    help="Who you are.",
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
    help="Turns of the model at most, before it is your turn.",
)
@option("--tokens", metavar="N", type=int, default=256, help="Tokens of a turn at most.")
@option("--system", metavar="TEXT", help="Instructions before the first turn.")
@sampling_options
def chat(
    run: Path,
    you: str | None,
    played: tuple[str, ...],
    turns: int | None,
    tokens: int,
    system: str | None,
    sampling: SamplingOptions,
) -> int:
    """Chat with a model that was trained on a chat.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. Lines are read from the terminal or a pipe; /help lists the commands.
    """
    from gpt.commands.terminal_chat import converse
    from gpt.generation.conversation import Roles, open_session, template_of
    from gpt.runs.reading import read_checkpoint

    checkpoint = read_checkpoint(run)
    roles = Roles.of(template_of(checkpoint), you, played)
    session = open_session(
        checkpoint,
        roles,
        model=sampling.model(checkpoint),
        system=system,
        sampling=sampling.sampling(),
        max_tokens=tokens,
        max_turns=turns,
    )
    return converse(session)
