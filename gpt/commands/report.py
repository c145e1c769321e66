"""`gpt report`."""

from __future__ import annotations

from pathlib import Path

import click

from gpt.commands.options import run_argument
from pytok.commands.help import Command
from pytok.terminal import say


@click.command(cls=Command, examples="gpt report runs/first")
@run_argument
def report(run: Path) -> int:
    """Write a run's report.md and loss.png again.

    RUN is a run folder. Training ends with these two files; they are made from what the folder
    holds.
    """
    from gpt.report.page import write_report

    path = write_report(run)
    plotted = path.with_name("loss.png")
    say(f"wrote {path}" + (f" and {plotted}" if plotted.exists() else ""))
    return 0
