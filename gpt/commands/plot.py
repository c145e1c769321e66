"""`gpt plot`."""

from __future__ import annotations

from pathlib import Path

import click

from gpt.commands.options import OUTPUT, RUN
from pytok.commands.help import Command, option
from pytok.terminal import say


@click.command(
    cls=Command,
    examples="""
    gpt plot runs/first
    gpt plot runs/first runs/second -o both.png
    """,
)
@click.argument("runs", type=RUN, nargs=-1, required=True)
@option("-o", "--out", metavar="FILE", type=OUTPUT, default="plot.png", help="PNG file to write.")
def plot(runs: tuple[Path, ...], out: Path) -> int:
    """Plot the loss curves of runs.

    RUNS are run folders. Their losses are drawn over each other: by seconds, tokens and steps.
    """
    from gpt.report.plot import plot_runs

    plot_runs(runs, out)
    say(f"wrote {out}")
    return 0
