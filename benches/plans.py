"""The plan against models that are set by hand, at the same training time.

``python -m benches.plans --seconds 30 --seconds 120 --seeds 2 FOLDER``, where FOLDER are token
shards. All arms have the rates, weight decay and dropout that the plan's rules give to their model,
and train by the clock. With ``--steps-of``, a step of each arm is measured at the start, and runs
have as many steps as fit into the time: then other processes cost time but no steps, if the machine
is quiet at the start. Results are appended to ``--out``, and those in it are not made again.
"""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benches.report import cpu
from gpt.data.shards import open_data, open_split
from gpt.runs.store import Memory
from gpt.spec.machine import Machine
from gpt.spec.overrides import Overrides
from gpt.spec.planning import plan
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.measuring import measured_plan, shape_of, with_step

PLAN = "the plan"
SHORT = ((2, 128, 2048), (2, 192, 2048), (3, 192, 2048), (4, 256, 2048))
"""Layers, width and tokens of a step of the arms that are set by hand."""
LONG = ((3, 192, 2048), (4, 256, 2048), (6, 384, 2048), (8, 512, 4096))
"""The same for runs of `LONG_SECONDS` or more."""
LONG_SECONDS = 300.0
CONTEXT = 128


@dataclass(frozen=True)
class Arm:
    """A name, and the fields that are set by hand."""

    name: str
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A run to make."""

    arm: Arm
    seconds: float
    seed: int

    @property
    def key(self) -> dict[str, Any]:
        """What identifies it in the results."""
        return {"arm": self.arm.name, "seconds": self.seconds, "seed": self.seed}


def arms(seconds: float) -> Iterator[Arm]:
    """Yield the plan and the arms set by hand for runs of *seconds*."""
    yield Arm(PLAN, {})
    for layers, width, tokens in LONG if seconds >= LONG_SECONDS else SHORT:
        sizes = {"model.layers": layers, "model.width": width, "model.context": CONTEXT}
        yield Arm(
            f"{layers} x {width}, {tokens:,} tokens", {**sizes, "batch_size": tokens // CONTEXT}
        )


def recipe_of(data: Path, arm: Arm, seconds: float, *, by_steps: bool) -> Recipe:
    """Return the recipe of *arm* for this machine; a step of it is measured for that."""
    shards = open_data(data)
    tokens, vocab_size = len(open_split(shards, "train")), shards.vocab_size
    given = {**arm.given, "seconds": seconds}

    def draw(machine: Machine) -> Recipe:
        planned = plan(
            data=data,
            out=Path(),
            tokens=tokens,
            vocab_size=vocab_size,
            machine=machine,
            preset="fast",
            depth=None,
            given=given,
        )
        return Overrides(given).over(planned)

    recipe, machine = measured_plan(draw, vocab_size=vocab_size)
    if not by_steps:
        return recipe
    shape = shape_of(recipe, vocab_size)
    if not machine.is_measured(shape):
        machine = with_step(machine, shape, recipe)
    steps = round(seconds / machine.step_seconds(shape))
    return Recipe.from_dict({**recipe.to_dict(), "steps": max(1, steps), "seconds": None})


def result_of(recipe: Recipe, job: Job) -> dict[str, Any]:
    """Train *recipe*, and return its figures."""
    every = {"eval_every": 10**9, "checkpoint_every": 10**9}
    plain = {**recipe.to_dict(), "seed": job.seed, "out": None, **every}
    state = train(Recipe.from_dict(plain), store=Memory()).state
    model = state.recipe.model
    return {
        **job.key,
        "bits": state.score,
        "steps": state.step,
        "trained": round(state.seconds, 2),
        "model": f"{model.layers} x {model.width}",
        "tokens": state.recipe.rows_per_step * model.context,
        "dtype": state.recipe.dtype,
    }


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a markdown table for each time, the mean of the seeds first."""
    for seconds in sorted({each["seconds"] for each in results}):
        yield f"\n{seconds:g} s on {cpu()}:\n"
        yield "| arm | model, tokens a step | steps | bits per byte | each seed |"
        yield "| --- | --- | ---: | ---: | --- |"
        names = dict.fromkeys(each["arm"] for each in results if each["seconds"] == seconds)
        for name in names:
            rows = [r for r in results if (r["arm"], r["seconds"]) == (name, seconds)]
            bits = [row["bits"] for row in rows]
            steps = statistics.mean(row["steps"] for row in rows)
            shapes = sorted({f"{row['model']}, {row['tokens']:,}" for row in rows})
            each = ", ".join(f"{value:.3f}" for value in bits)
            mean = statistics.mean(bits)
            yield f"| {name} | {'; '.join(shapes)} | {steps:.0f} | {mean:.3f} | {each} |"


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--seconds", type=float, multiple=True, default=(30.0, 120.0, 600.0), show_default=True
)
@click.option("--seeds", default=2, show_default=True, help="Repeat with seeds 0, 1, ...")
@click.option("--steps-of", "by_steps", is_flag=True, help="Make as many steps as fit, measured.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("plans.jsonl"))
def main(data: Path, seconds: tuple[float, ...], seeds: int, by_steps: bool, out: Path) -> None:
    """Compare the plan with models that are set by hand, on the token shards DATA."""
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    jobs = [
        Job(arm, budget, seed)
        for budget in seconds
        for seed in range(seeds)
        for arm in arms(budget)
    ]
    recipes: dict[tuple[str, float], Recipe] = {}
    if by_steps:  # all of them at once, while the machine is as quiet as it is now
        for job in jobs:
            key = (job.arm.name, job.seconds)
            if key not in recipes:
                recipes[key] = recipe_of(data, job.arm, job.seconds, by_steps=True)
    for job in jobs:
        if any(job.key.items() <= each.items() for each in done):
            continue
        recipe = recipes.get((job.arm.name, job.seconds)) or recipe_of(
            data, job.arm, job.seconds, by_steps=False
        )
        done.append(result_of(recipe, job))
        with out.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        click.echo(json.dumps(done[-1]))
    click.echo("\n".join(table(done)))


if __name__ == "__main__":
    main()
