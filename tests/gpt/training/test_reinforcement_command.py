"""`gpt tune --objective grpo`: a run from the command line, and options that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt.__main__ import main
from gpt.runs.reading import read_checkpoint
from gpt.spec.problems import Addition
from gpt.spec.task import Reinforcement


def tune(base: Path, out: Path, *options: str) -> int:
    """The exit code of the command."""
    return main(["tune", str(base), "--out", str(out), *options])


def test_a_task_is_named_by_its_kind(base: Path, tmp_path: Path) -> None:
    """Its sizes are fields, its completions fit the context, and no dropout blurs the policy."""
    code = tune(
        base,
        tmp_path / "run",
        *("--objective", "grpo", "--task", "addition", "--set", "task.problems.digits=2"),
        *("--steps", "2", "--batch-size", "4", "--group", "2", "--full", "--device", "cpu"),
        *("--dtype", "float32", "--compile", "False", "--set", "task.held_out=3"),
    )
    recipe = read_checkpoint(tmp_path / "run").state.recipe

    assert code == 0
    assert isinstance(recipe.task, Reinforcement)
    assert recipe.task.problems == Addition(digits=2)
    assert (recipe.task.group, recipe.task.max_tokens) == (2, 16)
    assert (recipe.rows_per_step, recipe.model.dropout.rate) == (4, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "addition"], "--task is for --objective grpo, and this is sft"),
        (["--objective", "grpo", "--data", "d"], "--data is not read by grpo; use --task or"),
        (["--objective", "grpo", "--reward", "r.py:f"], "--prompts, which is missing; add it"),
        (
            ["--objective", "grpo", "--task", "parity", "--prompts", "p"],
            "--task generates problems, and --prompts reads some; choose one",
        ),
        (["--objective", "grpo", "--prompts", "p", "--reward", "r.py"], "must be FILE.py:FUNCTION"),
        (["--objective", "grpo", "--task", "parity", "--group", "1"], "group must be at least 2"),
        ([], "Missing option '--data'"),
    ],
)
def test_options_that_do_not_fit_are_named(
    base: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the base is read."""
    assert tune(base, tmp_path / "run", *options) != 0
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
