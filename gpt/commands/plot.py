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
    gpt plot runs/first runs/second -o both.svg
    """,
)
@click.argument("runs", type=RUN, nargs=-1, required=True)
@option(
    "-o",
    "--out",
    metavar="FILE",
    type=OUTPUT,
    default="plot.png",
    help="File to write: .png, .svg or .pdf.",
)
def plot(runs: tuple[Path, ...], out: Path) -> int:
    """Plot the loss curves of runs.

    RUNS are run folders. One is drawn over steps and time, with its best point, its learning rate
    and the loss of a random guess. Several are drawn over each other, by time and by tokens.
    """
    from gpt.report.plot import plot_runs

    plot_runs(runs, out)
    say(f"wrote {out}")
    return 0
