"""Options of `gpt tune` that name problems: generated ones, or prompts and a reward function."""

from __future__ import annotations

from pathlib import Path

import click

from gpt.errors import ConfigError
from gpt.spec.overrides import Overrides
from gpt.spec.problems import SHIPPED
from gpt.training.tuning.methods import Method

KIND_OF_PROBLEMS = "task.problems.kind"


def with_problems(
    overrides: Overrides, objective: str, task: str | None, prompts: Path | None, reward: str | None
) -> Overrides:
    """Return *overrides* with the fields that the options of problems set.

    Raises ConfigError for options that exclude each other.
    """
    given = {"--task": task, "--prompts": prompts, "--reward": reward}
    for name, value in given.items():
        if value is not None and objective != "grpo":
            raise ConfigError(f"{name} is for --objective grpo, and this is {objective}")
    if task is not None and prompts is not None:
        raise ConfigError("--task generates problems, and --prompts reads some; choose one")
    if reward is not None and prompts is None:
        raise ConfigError("--reward rewards completions of --prompts, which is missing; add it")
    values, sources = dict(overrides.values), dict(overrides.sources)
    if task is not None:
        values[KIND_OF_PROBLEMS] = SHIPPED[task].__name__
        sources[KIND_OF_PROBLEMS] = f"--task {task}"
    if prompts is not None:
        values[KIND_OF_PROBLEMS], sources[KIND_OF_PROBLEMS] = "Prompts", f"--prompts {prompts}"
    if reward is not None:
        values["task.problems.reward"] = reward
        sources["task.problems.reward"] = f"--reward {reward}"
    return Overrides(values, sources)


def data_of(
    ctx: click.Context, method: Method, data: Path | None, prompts: Path | None, run: Path
) -> Path:
    """Return the data of *method*: the base, *run*, if its problems are generated."""
    if method.generates:
        if data is not None:
            raise ConfigError("--data is not read by grpo; use --task or --prompts")
        return prompts or run
    if data is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'--data'", param_type="option")
    return data
