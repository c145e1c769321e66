"""Distillation of the ensemble of `benches.time_to_loss` into one model, at equal steps.

``python -m benches.distillation --train FILE --val FILE --out DIR``: trains the models of the
ensemble of a rung, and then one more of the same size in each of `ARMS`: on the data alone, and on
the probabilities of the ensemble. All have the same number of steps, so other processes cost time
but change no result. Bits per byte are those of the complete validation text. A run that is
interrupted is resumed by the same command. ``--seconds 70`` is a smaller rung than that of fifteen
minutes, ``--steps`` and ``--width`` make it smaller still.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benches.time_to_loss import RUNGS, Rung, prepare
from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.ensemble import open_ensemble
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.objective import AnyObjective, CrossEntropy, Distillation
from gpt.spec.overrides import Overrides
from gpt.spec.recipe import Recipe
from gpt.training.loop import train

MEMBERS = 2
ARMS: Mapping[str, Mapping[str, Any] | None] = {
    "on the data alone": None,
    "distilled": {"data_weight": 0.0},
    "distilled, temperature 2": {"data_weight": 0.0, "temperature": 2.0},
    "distilled, half the weight on the data": {"data_weight": 0.5},
}
"""Fields of the objective by the name of the arm; None for cross-entropy with the data."""


def recipe_of(
    rung: Rung, data: Path, out: Path, seed: int, objective: AnyObjective, width: int | None
) -> Recipe:
    """Return a recipe of *rung*, with another *width* of the model if it is given."""
    recipe = Recipe(
        data=data,
        out=out,
        steps=rung.steps,
        batch_size=rung.rows,
        objective=objective,
        optimizer=rung.optimizer,
        schedule=rung.schedule,
        average=rung.average,
        bpe_dropout=rung.bpe_dropout,
        seed=seed,
        eval_every=rung.steps,
        checkpoint_every=max(rung.steps // 4, 1),
        dtype=Runtime.choose().name,
        compile=False,
        model=rung.model,
    )
    return recipe if width is None else Overrides({"model.width": width}).over(recipe)


def bits(runs: Sequence[Path]) -> float:
    """Return the bits per byte of the ensemble of *runs*, on their validation split."""
    first, runtime = read_checkpoint(runs[0]), Runtime.choose()
    split = open_split(open_data(first.state.recipe.data), "val")
    model = open_ensemble(first, runs[1:], runtime.device)
    return evaluate(model, split, runtime=runtime).bits_per_byte


def report(name: str, runs: Sequence[Path]) -> None:
    """Print what the ensemble of *runs* reached, and how long its training took."""
    seconds = sum(read_metrics(run / "metrics.jsonl")[-1].seconds for run in runs)
    click.echo(f"{name}: {bits(runs):.4f} bits per byte, {seconds:.0f} s of training")


@click.command()
@click.option("--train", "train_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--val", "val_file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seconds", type=click.Choice([str(each.seconds) for each in RUNGS]), default="900")
@click.option("--steps", type=int, help="Steps of each run.  [default: those of the rung]")
@click.option("--width", type=int, help="Width of the student.  [default: that of the teachers]")
@click.option("--seeds", default=1, show_default=True, help="Repeat with seeds 0, 1, ...")
@click.option(
    "--arm",
    "arms",
    type=click.Choice(list(ARMS)),
    multiple=True,
    default=list(ARMS),
    help="What is trained besides the ensemble; several may be given.  [default: all]",
)
def main(
    train_file: Path,
    val_file: Path,
    out: Path,
    seconds: str,
    steps: int | None,
    width: int | None,
    seeds: int,
    arms: Sequence[str],
) -> None:
    """Distill an ensemble, and compare it with models of the data alone."""
    rung = next(each for each in RUNGS if each.seconds == int(seconds))
    rung = dataclasses.replace(rung, steps=steps or rung.steps)
    data = out / f"data-{rung.vocab}"
    if not data.exists():
        prepare(train_file, val_file, rung.vocab, data)
    for seed in range(seeds):
        first = seed * (MEMBERS + 1)
        teachers = [out / f"seed-{seed}-teacher-{member}" for member in range(MEMBERS)]
        for member, folder in enumerate(teachers):
            train(recipe_of(rung, data, folder, first + member, CrossEntropy(), None))
            report(f"seed {seed}, teacher {member}", [folder])
        report(f"seed {seed}, ensemble of {MEMBERS}", teachers)
        for arm in arms:
            objective: AnyObjective = CrossEntropy()
            if (fields := ARMS[arm]) is not None:
                objective = Distillation(teachers=tuple(teachers), **fields)
            folder = out / f"seed-{seed}-{arm.replace(' ', '-').replace(',', '')}-{width or 'same'}"
            train(recipe_of(rung, data, folder, first + MEMBERS, objective, width))
            report(f"seed {seed}, {arm}", [folder])


if __name__ == "__main__":
    main()
