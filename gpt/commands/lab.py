"""`gpt lab`: list, run, show and report experiments."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from gpt.commands.interruption import Interruption
from gpt.commands.options import PATH, command_line
from gpt.commands.settings import OptionsError
from gpt.errors import ConfigError, GPTError, TrainingError
from pytok.commands.help import Command, Group, option
from pytok.counted import counted
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from gpt.lab.experiment import Experiment, SizeName
    from gpt.lab.running import Options, Outcome

SIZES = ("smoke", "cpu", "gpu")
OUT = Path("lab")
"""Default folder of results; each size has its own in it."""

out_option = option(
    "--out",
    metavar="FOLDER",
    type=PATH,
    group="Results",
    show_default="lab/SIZE",
    help="Folder of the results.",
)
size_option = option(
    "--size",
    type=click.Choice(SIZES),
    default="cpu",
    group="Experiment",
    help="smoke: whether it runs, in seconds; cpu: minutes on two cores; gpu: hours on a GPU.",
)


@click.group(
    cls=Group,
    examples="""
    gpt lab list
    gpt lab run skew
    gpt lab report
    """,
)
def lab() -> None:
    """Test claims of papers: experiments with computed verdicts.

    An experiment has a question, a source, arms, and rules by which the verdict follows from what
    is measured. Results are in lab/, a folder for each size.
    """


@lab.command(
    "list",
    cls=Command,
    examples="""
    gpt lab list
    """,
)
@size_option
@out_option
def list_(size: str, out: Path | None) -> int:
    """List the experiments: what they ask, how long they take, and the last verdict."""
    from gpt.lab.catalog import experiments
    from gpt.lab.page import read_results
    from gpt.lab.running import Options
    from gpt.lab.timing import minutes

    folder = out or OUT / size
    options = Options(size=cast("SizeName", size), jobs=os.cpu_count() or 1)
    for experiment in experiments():
        path = folder / f"{experiment.id}.json"
        verdict = read_results(path)["verdict"] if path.exists() else "not run"
        kinds = ", ".join(dict.fromkeys(part.kind for part in experiment.parts))
        time = _duration(minutes(experiment, Path(os.devnull), options))
        click.echo(f"{experiment.id:14} {verdict:15} {experiment.question}")
        click.echo(f"{'':30} {experiment.source.paper}; {kinds}; {time}")
    say("next: gpt lab run ID")
    return 0


@lab.command(
    "run",
    cls=Command,
    examples="""
    gpt lab run skew
    gpt lab run glu preln --size cpu --jobs 2
    gpt lab run glu --seeds 5 --first-seed 100 --out again
    gpt lab run all --dry-run
    """,
)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@size_option
@option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    group="Experiment",
    show_default="of the experiment, 5 mostly",
    help="Seeds that arms are compared on.",
)
@option(
    "--first-seed",
    type=click.IntRange(0, 900_000),
    default=0,
    group="Experiment",
    help="The first of them.",
)
@option(
    "--jobs",
    type=click.IntRange(1, 1024),
    group="Experiment",
    show_default="cores",
    help="Trials beside each other, one thread each.",
)
@option(
    "--dry-run",
    is_flag=True,
    group="Experiment",
    help="Only say what would be run: arms, sizes, costs and time.",
)
@out_option
def run(
    ids: tuple[str, ...],
    size: str,
    seeds: int | None,
    first_seed: int,
    jobs: int | None,
    dry_run: bool,
    out: Path | None,
) -> int:
    """Run experiments, and write their results, pictures and pages.

    ID is an experiment, or several; "all" is every one. One that fails does not keep the others
    from running. Ctrl-C ends a run after the trials in progress, and the same command continues it.
    """
    from gpt.lab.page import write_pages
    from gpt.lab.running import Options
    from gpt.lab.workers import workers

    chosen = _chosen(ids)
    options = Options(
        size=cast("SizeName", size),
        seeds=seeds,
        first_seed=first_seed,
        jobs=jobs or os.cpu_count() or 1,
    )
    folder = out or OUT / size
    failed: list[str] = []
    with ExitStack() as pools:
        pool = pools.enter_context(workers(options.jobs))
        for experiment in chosen:
            _announce(experiment, options, folder)
            if dry_run:
                continue
            try:
                outcome, signal = _interruptible(experiment, folder, options, pool)
            except GPTError as error:
                if len(chosen) == 1:
                    raise
                say(f"{experiment.id}: {error}")
                failed.append(experiment.id)
                pool = pools.enter_context(workers(options.jobs))  # a worker may have died
                continue
            if outcome is None:
                say(f"{experiment.id}: stopped; to continue: {command_line()}")
                return 128 + (signal or 0)
            write_pages(outcome)
            _print_outcome(outcome)
    if failed:
        raise TrainingError(f"failed: {', '.join(failed)}; the others have results")
    again = f"gpt lab run {' '.join(ids)} --size {size}"
    say(f"next: {again}" if dry_run else f"next: gpt lab report --out {folder}")
    return 0


@lab.command(
    "show",
    cls=Command,
    examples="""
    gpt lab show glu
    """,
)
@click.argument("id")
@size_option
def show(id: str, size: str) -> int:
    """Show what an experiment claims, measures and costs, without running it."""
    from gpt.lab.running import Options

    (experiment,) = _chosen((id,))
    source = experiment.source
    click.echo(f"{experiment.question}\n")
    click.echo(f"claim   {experiment.claim}")
    click.echo(f"source  {source.paper}, {source.link}: {source.where}")
    click.echo(f"bounds  {experiment.bounds}\n")
    for part in experiment.parts:
        click.echo(f"{part.kind}, {part.name}:")
        for check in part.checks:
            click.echo(f"  {check.claim}")
    click.echo()
    options = Options(size=cast("SizeName", size), jobs=os.cpu_count() or 1)
    _announce(experiment, options, OUT / size)
    say(f"next: gpt lab run {id} --size {size}")
    return 0


@lab.command(
    "report",
    cls=Command,
    examples="""
    gpt lab report
    gpt lab report --out docs/lab
    """,
)
@size_option
@out_option
def report(size: str, out: Path | None) -> int:
    """Write one HTML page of all results, which opens without a network, and print their table."""
    from gpt.lab.catalog import experiments
    from gpt.lab.page import index, whole_page
    from pytok.atomic import replace_file

    folder = out or OUT / size
    if not folder.is_dir():
        raise OptionsError(f"{folder}: there are no results; `gpt lab run ID` writes some")
    path = folder / "lab.html"
    replace_file(path, whole_page(folder, experiments()).encode())
    click.echo(index(folder, experiments()), nl=False)
    say(f"{path}: all experiments on one page")
    say(f"next: open {path} in a browser")
    return 0


def _chosen(ids: tuple[str, ...]) -> list[Experiment]:
    """Return the experiments *ids*; raises OptionsError for one that there is not."""
    from gpt.lab.catalog import experiment, experiments

    if ids == ("all",):
        return experiments()
    try:
        return [experiment(id) for id in ids]
    except ConfigError as error:
        raise OptionsError(str(error)) from error


def _announce(experiment: Experiment, options: Options, folder: Path) -> None:
    """Print the arms of *experiment*, what they cost, and how long the rest of it takes."""
    from gpt.lab.running import planned
    from gpt.lab.timing import minutes

    arms = list(planned(experiment, options))
    facts = [
        counted(options.count(experiment), "seed"),
        options.size,
        counted(sum(arm.trials for arm in arms), "trial"),
        counted(options.jobs, "job"),
        _duration(minutes(experiment, folder, options)),
    ]
    say(f"{experiment.id}: {', '.join(facts)}")
    for part in dict.fromkeys(arm.part.name for arm in arms):
        ours = [arm for arm in arms if arm.part.name == part]
        sizes = [f"{name} {value}" for name, value in ours[0].size.items()]
        say(f"  {part} ({', '.join([ours[0].part.kind, *sizes])})")
        for arm in ours:
            costs = [counted(arm.trials, "trial")]
            if (cost := arm.cost) is not None:
                costs.append(f"{cost.parameters:,} parameters")
                costs.append(f"{cost.flops:.1e} FLOPs each")
            say(f"    {arm.arm}: {', '.join(costs)}")


def _interruptible(
    experiment: Experiment, folder: Path, options: Options, pool: ProcessPoolExecutor
) -> tuple[Outcome | None, int | None]:
    """Run *experiment* with progress; return its outcome, None if a signal stopped it, and that."""
    from gpt.lab.running import run

    with Interruption() as interruption, Bars("trials") as bars:
        outcome = run(
            experiment,
            folder,
            options,
            pool=pool,
            progress=bars.update,
            notice=say,
            stop=interruption.happened,
        )
    return outcome, interruption.signal


def _duration(minutes: float | None) -> str:
    """Return *minutes* as text."""
    if minutes is None:
        return "not timed yet"
    return f"about {counted(round(minutes), 'minute')}" if minutes >= 1 else "under a minute"


def _print_outcome(outcome: Outcome) -> None:
    """Print the findings of an experiment, and where its results are."""
    for part, group in outcome.findings.items():
        for each in group:
            say(f"  {each.verdict.value:14} {part}: {each.claim}: {each.ours}")
    say(f"{outcome.experiment.id}: {outcome.verdict.value}; {outcome.path.with_suffix('.md')}")
