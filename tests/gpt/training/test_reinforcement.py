"""Runs of reinforcement: rows, figures, warnings, failing rewards, and resuming bit for bit."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.data.batch import IGNORED
from gpt.errors import ConfigError, DataError
from gpt.evaluation.problems import evaluate_problems
from gpt.model.objectives.grpo import ADVANTAGES, OLD, REFERENCE
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import GRPO
from gpt.spec.problems import Prompts
from gpt.spec.recipe import Recipe
from gpt.training import rollouts
from gpt.training.loop import train
from gpt.training.rollouts import Rollouts
from gpt.training.tasks import reinforcement
from gpt.training.tasks.build import build_task
from gpt.training.tasks.task import Task
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.tokenizer import Tokenizer
from tests.gpt.training.interrupted import Notices, StopAfter, history, tensors

REWARDS = """
def brief(prompt, completion):
    "The higher, the shorter."
    return 1 / (1 + len(completion))

def constant(prompt, completion):
    return 0

def fails_later(prompt, completion, calls=[]):
    calls.append(0)
    return len(completion) % 2 if len(calls) < 20 else float("nan")
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, bpe: Tokenizer) -> Path:
    """A run pretrained on short texts, which it ends sooner or later."""
    folder = tmp_path_factory.mktemp("short")
    texts = (f"{word} {n}{' w' * (n % 3)}" for n in range(60) for word in ("cat", "dog"))
    lines = (json.dumps({"text": text}) for text in texts)
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    shards.write(folder / "texts.jsonl", bpe, folder / "data", val=0.2)
    recipe = Recipe(
        data=folder / "data",
        out=folder / "run",
        steps=40,
        batch_size=8,
        device="cpu",
        dtype="float32",
        compile=False,
        threads=1,
        model=Architecture(
            context=32,
            layers=1,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=2),
            tie=False,
        ),
    )
    train(recipe)
    assert recipe.out is not None
    return recipe.out


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of several lengths, and beside them reward functions."""
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "reward.py").write_text(REWARDS)
    words = ("cat", "dog", "cat 1", "dog 30 w")
    lines = [json.dumps({"prompt": f"{words[n % 4]} {n}"}) for n in range(40)]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "prompts.jsonl"


def recipe_of(
    base: Path, prompts: Path, out: Path, reward: str = "brief", **changes: Any
) -> Recipe:
    """Six steps of two groups of three completions."""
    small: dict[str, Any] = {
        "steps": 6,
        "batch_size": 3,
        "accumulate": 2,
        "eval_every": 3,
        "checkpoint_every": 2,
        "device": "cpu",
        "dtype": "float32",
        "compile": False,
        "threads": 1,
    }
    problems = Prompts(reward=f"{prompts.with_name('reward.py')}:{reward}")
    fields = {"group": 3, "max_tokens": 8, "held_out": 4, "mask_truncated": False}
    fields |= {name: changes.pop(name) for name in ("updates",) if name in changes}
    adapter = changes.pop("adapter", LoRA(rank=2))
    plan = plan_tuning(
        base, data=prompts, out=out, method="grpo", adapter=adapter, problems=problems, **fields
    )
    objective = dataclasses.replace(plan.recipe.objective, beta=changes.pop("beta", 0.0))
    return plan.replace(**{**small, "objective": objective, **changes}).recipe


KINDS: dict[str, dict[str, Any]] = {
    "adapters": {},
    "all weights": {"adapter": None},
    "updates and KL": {"updates": 3, "beta": 0.1},
    "all weights and KL": {"adapter": None, "updates": 2, "beta": 0.1},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_stopped_run_resumes_bit_for_bit(
    base: Path, prompts: Path, tmp_path: Path, kind: str, stop_at: int
) -> None:
    """Its rollouts, too, in the middle of the updates of a round."""
    uninterrupted = recipe_of(base, prompts, tmp_path / "uninterrupted", **KINDS[kind])
    interrupted = recipe_of(base, prompts, tmp_path / "interrupted", **KINDS[kind])
    tune(uninterrupted)
    stop = StopAfter(stop_at)
    stopped = tune(interrupted, reporter=stop, stop=stop)
    resumed = tune(interrupted)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (interrupted, uninterrupted))

    assert (stopped.outcome.finished, resumed.outcome.finished) == (False, True)
    assert history(interrupted.out) == history(uninterrupted.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture
def opened(base: Path, prompts: Path, tmp_path: Path) -> tuple[Task, Rollouts]:
    """The task of a run with several updates and KL, and its rollouts."""
    recipe = recipe_of(base, prompts, tmp_path / "run", updates=2, beta=0.1)
    task = build_task(recipe)
    assert isinstance(task.collector, Rollouts)
    return task, task.collector


def test_rows_are_completions_without_their_prompts_as_targets(
    opened: tuple[Task, Rollouts],
) -> None:
    """With the advantages of their groups, whose sum is zero, and no row without any."""
    task, made = opened
    model, runtime = task.model(), Runtime.choose("cpu", "float32")
    figures = made.collect(0, model, runtime, ALONE)
    batch = made.batch(0, 6)
    model.eval()
    with torch.no_grad():
        log_p = model.likelihoods(batch).log_p

    assert len(batch.inputs) == 6 - 3 * figures["zero_variance"][0]
    assert (batch.targets[:, 0] == IGNORED).all()
    assert batch.given[ADVANTAGES].view(-1, 3).sum(1).abs().max() < 1e-5
    assert batch.num_targets <= figures["length"][0]
    assert (batch.given[ADVANTAGES] != 0).any()
    # Nothing has been learned yet: policy, old policy and base are the same.
    for name in (OLD, REFERENCE):
        torch.testing.assert_close(batch.given[name], log_p, atol=1e-5, rtol=1e-5)


def test_a_round_serves_several_steps(opened: tuple[Task, Rollouts]) -> None:
    """And the next one has other completions."""
    task, made = opened
    model, runtime = task.model(), Runtime.choose("cpu", "float32")
    rounds = []
    for step in range(4):
        made.collect(step, model, runtime, ALONE)
        rounds.append(made.batch(6 * step, 6).inputs)

    assert torch.equal(rounds[0], rounds[1])
    assert torch.equal(rounds[2], rounds[3])
    assert not torch.equal(rounds[0], rounds[2])


def test_the_policy_gradient_learns_the_reward(base: Path, prompts: Path, tmp_path: Path) -> None:
    """In ten steps completions are briefer, and the figures are in the metrics."""
    recipe = recipe_of(
        base,
        prompts,
        tmp_path / "run",
        adapter=None,
        steps=10,
        batch_size=24,
        accumulate=1,
        eval_every=30,
        checkpoint_every=30,
        patience=None,
    )
    optimizer = dataclasses.replace(recipe.optimizer, lr=1e-3)
    tune(dataclasses.replace(recipe, optimizer=optimizer))
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    rewards = [row.figures["reward"] for row in rows]
    names = {"reward", "reward_std", "length", "truncated", "zero_variance", "entropy", "clipped"}

    assert sum(rewards[-3:]) > sum(rewards[:3])
    assert rows[-1].figures.keys() == names
    assert rows[-1].val.keys() == {"reward", "solved", "length", "truncated"}


def test_rewards_that_never_vary_are_a_warning(base: Path, prompts: Path, tmp_path: Path) -> None:
    """With what to do; nothing is learned, and the run goes through."""
    notices = Notices()
    recipe = recipe_of(base, prompts, tmp_path / "run", "constant")
    tune(recipe, reporter=notices)
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")

    assert "warning: in 5 rounds all completions of each prompt had the same reward" in notices
    assert all(row.loss == 0 and row.figures["zero_variance"] == 1 for row in rows)


def test_completions_that_are_cut_off_are_a_warning(
    base: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once, with what to do."""
    monkeypatch.setattr(rollouts, "MOSTLY", 0.1)
    notices = Notices()
    recipe = recipe_of(base, prompts, tmp_path / "run")
    task = dataclasses.replace(recipe.task, max_tokens=1)
    tune(dataclasses.replace(recipe, task=task), reporter=notices)
    said = [line for line in notices.lines if "were cut off at 1 tokens" in line]

    assert len(said) == 1
    assert "raise --max-tokens" in said[0]


def test_a_reward_that_fails_loses_nothing(base: Path, prompts: Path, tmp_path: Path) -> None:
    """The steps before are in a checkpoint, and the run resumes when the function is right."""
    recipe = recipe_of(
        base, prompts, tmp_path / "run", "fails_later", checkpoint_every=100, eval_every=100
    )
    with pytest.raises(DataError, match=r"fails_later: returned nan; .*prompts\.jsonl, line \d+: "):
        tune(recipe)
    made = read_checkpoint(tmp_path / "run").state.step
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")

    assert made == len(rows) > 0


def test_a_reward_that_fails_in_an_evaluation_loses_nothing(
    base: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation is made when the run resumes, which ends as one without a failure."""
    whole, failing = (recipe_of(base, prompts, tmp_path / name) for name in ("whole", "failing"))
    tune(whole)
    calls: list[int] = []

    def fails_twice(*arguments: Any, **options: Any) -> Any:
        calls.append(0)
        if len(calls) in (2, 3):  # after the first three steps, and when the run resumes
            raise DataError("no reward")
        return evaluate_problems(*arguments, **options)

    monkeypatch.setattr(reinforcement, "evaluate_problems", fails_twice)
    for _ in range(2):
        with pytest.raises(DataError, match="no reward"):
            tune(failing)
        assert read_checkpoint(tmp_path / "failing").state.step == 3
    tune(failing)

    assert history(tmp_path / "failing") == history(tmp_path / "whole")


def test_changed_prompts_do_not_resume(base: Path, prompts: Path, tmp_path: Path) -> None:
    """Their completions would be of another run."""
    copy = tmp_path / "prompts.jsonl"
    copy.write_bytes(prompts.read_bytes())
    (tmp_path / "reward.py").write_text(REWARDS)
    recipe, stop = recipe_of(base, copy, tmp_path / "run"), StopAfter(2)
    tune(recipe, reporter=stop, stop=stop)
    copy.write_bytes(prompts.read_bytes() + b'{"prompt": "more"}\n')

    with pytest.raises(DataError, match="the prompts have changed since the run began"):
        tune(recipe)


def test_a_prompt_that_leaves_no_space_is_named(base: Path, prompts: Path, tmp_path: Path) -> None:
    """By file and line."""
    long = tmp_path / "prompts.jsonl"
    long.write_text(json.dumps({"prompt": "cat " * 40}) + "\n" + prompts.read_text())
    (tmp_path / "reward.py").write_text(REWARDS)
    recipe = recipe_of(base, long, tmp_path / "run")

    with pytest.raises(
        DataError, match=r"prompts\.jsonl, line 1: a prompt of \d+ tokens, and 24 fit"
    ):
        tune(dataclasses.replace(recipe, batch_size=3 * 36, accumulate=1))


def test_messages_need_a_base_with_a_template(base: Path, prompts: Path, tmp_path: Path) -> None:
    """The line says which file, which base, and what to do."""
    path = tmp_path / "prompts.jsonl"
    lines = [{"prompt": [{"role": "user", "content": f"cat {n}?"}]} for n in range(9)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "reward.py").write_text(REWARDS)

    with pytest.raises(DataError, match=r"prompts\.jsonl: lists of messages need a chat template"):
        recipe_of(base, path, tmp_path / "out")


def test_a_step_has_complete_groups(base: Path, prompts: Path, tmp_path: Path) -> None:
    """Or the recipe is refused before the run."""
    recipe = recipe_of(base, prompts, tmp_path / "run", batch_size=4, accumulate=1)

    with pytest.raises(ConfigError, match="must be a multiple of the group, 3"):
        build_task(recipe)


def test_the_objective_of_a_plan_is_grpo_without_a_reference(
    base: Path, prompts: Path, tmp_path: Path
) -> None:
    """Unless beta is set."""
    assert recipe_of(base, prompts, tmp_path / "run").objective == GRPO(beta=0)


@pytest.mark.slow
def test_a_killed_run_ends_as_an_uninterrupted_one(
    base: Path, prompts: Path, tmp_path: Path
) -> None:
    """After two kills in rollouts or updates, metrics, weights and optimizer state are the same."""
    command = [sys.executable, "-m", "tests.gpt.training.killing", base, prompts, tmp_path, "3"]
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    )
    found = json.loads(ended.stdout.splitlines()[-1])

    assert found["differ"] == []
    assert found["rows"] > 0
    assert sum(found["kills"].values()) > 0
