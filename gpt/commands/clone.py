"""`gpt clone`."""

from __future__ import annotations

import shlex
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpt.commands.chat import chat
from gpt.commands.interruption import Interruption
from gpt.commands.options import ABOUT_PRESETS, PATH, command_line
from gpt.errors import ConfigError
from gpt.spec.adapter import LoRA
from gpt.spec.presets import CAUSAL
from pytok.commands.chat_exports import exports_argument, import_options
from pytok.commands.chat_options import parse_duration
from pytok.commands.help import Command, option
from pytok.counted import duration
from pytok.terminal import escaped, say

if TYPE_CHECKING:
    from gpt.clone.options import CloneOptions
    from pytok.chat.import_options import ImportOptions


@click.command(
    cls=Command,
    examples="""
    gpt clone 'WhatsApp Chat with Ada.zip' --me Ada
    gpt clone old.txt new.txt --me Ada --out both --seconds 1200
    gpt clone msgstore.db.crypt15 --key key.txt --names wa.db --chat Ada --me Ada
    gpt clone chat.txt --me Ada --base runs/gpt2
    """,
)
@exports_argument("files", "EXPORT...")
@option(
    "--me",
    metavar="NAME",
    show_default="list all senders",
    help="Whom the model is to imitate, which need not be you: a name in the chat, or its "
    "beginning.",
)
@option(
    "--out",
    metavar="FOLDER",
    type=PATH,
    default="clone",
    help="Folder for everything that is made: chat.jsonl, data/, base/ and run/.",
)
@option(
    "--talk/--no-talk",
    default=True,
    help="Start chatting when training is done (terminals only).",
)
@option(
    "--seconds",
    metavar="X",
    type=float,
    default=600.0,
    show_default="600: ten minutes",
    group="Training",
    help="Train for at most this many seconds; small chats take less. Reading and measuring add a "
    "minute or so.",
)
@option(
    "--preset",
    metavar="NAME",
    type=click.Choice(list(CAUSAL)),
    default="fast",
    group="Training",
    help=f"Architecture of a new model. {ABOUT_PRESETS}",
)
@option(
    "--base",
    metavar="RUN",
    type=PATH,
    group="Training",
    show_default="a model trained on the chat",
    help="Trained or imported run to tune.",
)
@option(
    "--lora",
    metavar="RANK",
    type=int,
    group="Training",
    show_default="8 with --base",
    help="Tune LoRA adapters of this rank.",
)
@option(
    "--full",
    is_flag=True,
    group="Training",
    help="Tune all weights, which is the default without --base.",
)
@option(
    "--gap",
    metavar="DURATION",
    default="1h",
    callback=lambda context, option, text: parse_duration(text),
    group="Training",
    help="Pause that ends a conversation, such as 30m or 2d.",
)
@option("--seed", metavar="N", type=int, default=0, group="Training", help="Random seed.")
@import_options
@option("--verbose", is_flag=True, help="Print the figures of the training.")
@click.pass_context
def clone(ctx: click.Context, /, talk: bool, verbose: bool, **options: Any) -> int:
    """Train a model that writes like one person in your chat.

    EXPORT is a file, folder or zip that an app has exported (docs/chat-formats.md lists them), or a
    history from `pytok chat import`. Several exports of one chat are merged. The model first learns
    from everybody, then imitates the person that --me names, and then you can talk with it. It
    takes minutes on two cores, and no data leaves your machine. Ctrl-C stops it; the same command
    resumes. docs/your-own-chat.md is a tutorial.
    """
    from gpt.clone.history import list_people
    from gpt.clone.record import DATA

    asked = _clone_options(**options)
    if asked.me is None and not (asked.out / DATA).exists():
        list_people(asked, say)  # before torch is imported, which takes seconds

    from gpt.clone.pipeline import clone
    from gpt.report.console import ConsoleReporter
    from gpt.report.events import Reporters
    from gpt.report.page import Report
    from gpt.report.sessions import Sessions

    start = time.monotonic()
    with ConsoleReporter(brief=not verbose) as console, Interruption() as interruption:
        cloned = clone(
            asked,
            reporter=Reporters([console, Sessions(), Report()]),
            stop=lambda: interruption.signal is not None,
            verbose=verbose,
        )
    if interruption.signal is not None and not cloned.finished:
        say(f"stopped; finished stages are kept; to resume: {command_line()}")
        return 128 + interruption.signal
    for warning in cloned.warnings:
        console.notice(f"warning: {warning}")
    me, *others = cloned.template.speakers
    passed = duration(time.monotonic() - start)
    console.notice(escaped(f"the model of {me} is ready, after {passed}: {cloned.run}"))
    # In a group you are the one who writes most, after the person that the model plays.
    role = ["--as", others[0]] if len(others) > 1 else []
    say(f"to talk with it again: {shlex.join(['gpt', 'chat', str(cloned.run), *role])}")
    if not talk or not others or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return 0
    return int(ctx.invoke(chat, run=cloned.run, you=others[0]))


def _clone_options(
    *,
    files: tuple[Path, ...],
    options: ImportOptions,
    me: str | None,
    out: Path,
    base: Path | None,
    lora: int | None,
    full: bool,
    seconds: float,
    preset: str,
    gap: timedelta,
    seed: int,
) -> CloneOptions:
    """Return the options as the library takes them; *options* are those of the import."""
    from gpt.clone.options import CloneOptions

    if full and lora is not None:
        raise ConfigError("--lora and --full are two ways of tuning; choose one")
    all_weights = full or (base is None and lora is None)
    return CloneOptions(
        exports=files,
        me=me,
        out=out,
        import_options=options,
        base=base,
        adapter=None if all_weights else LoRA(rank=8 if lora is None else lora),
        seconds=seconds,
        preset=preset,
        gap=gap,
        seed=seed,
    )
