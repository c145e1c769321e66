"""Tuning on preferences: what it learns, what its figures are, and resuming."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from gpt.errors import ConfigError, DataError
from gpt.evaluation.preferences import log_p_of
from gpt.model.objectives.build import build_objective
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.report.events import NullReporter
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import LoRA
from gpt.spec.objective import DPO, KTO
from gpt.spec.recipe import Recipe
from gpt.training.step import TrainStep
from gpt.training.tasks.build import build_task
from gpt.training.tuning.planning import plan_tuning
from gpt.training.tuning.run import tune
from tests.gpt.processes import in_processes, run
from tests.gpt.training.interrupted import (
    KillAt,
    Killed,
    Notices,
    StopAfter,
    history,
    renamed,
    tensors,
)
from tests.gpt.training.tuning import small_recipe

METHODS = ("dpo", "orpo", "kto")
CPU = Runtime(device=torch.device("cpu"), dtype=torch.float32)
PAIRS = [
    {"prompt": f"{animal} {number} saw", "chosen": " cat by the barn", "rejected": f" {other}"}
    for number in range(4)
    for animal in ("cat", "dog", "owl")
    for other in ("owl", "dog by the river")
]


def write(path: Path, lines: Sequence[object]) -> Path:
    """A file with *lines* as JSON."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pairs of 12 prompts."""
    return write(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", PAIRS)


def small(base: Path, data: Path, out: Path, method: str = "dpo", **changes: Any) -> Recipe:
    """A run of a second, with evaluations and checkpoints at different steps."""
    fields: dict[str, Any] = {
        "steps": 10,
        "batch_size": 4,
        "eval_every": 3,
        "checkpoint_every": 4,
        "patience": None,
        "device": "cpu",
        "dtype": "float32",
        "compile": False,
        "threads": 1,
    }
    plan = plan_tuning(base, data=data, out=out, method=method, adapter=LoRA(rank=2), lr=3e-3)
    return plan.replace(**{**fields, **changes}).recipe


@pytest.mark.parametrize("method", METHODS)
def test_a_run_learns_what_is_preferred(
    base: Path, pairs: Path, tmp_path: Path, method: str
) -> None:
    """On held-out prompts, too; the base itself prefers nothing, and forgetting is measured."""
    recipe = small(base, pairs, tmp_path / "run", method, steps=30, eval_every=10)
    tuned = tune(recipe)
    rows = read_metrics(recipe.out / "metrics.jsonl")
    first, last = rows[0].figures, rows[-1].val

    assert tuned.val is not None
    assert tuned.val.after < tuned.val.before
    assert tuned.base is not None
    assert 0 < tuned.base.before < 4
    assert first is not None
    assert last is not None
    assert last["preference_accuracy"] == 1
    assert last["reward_chosen"] > last["reward_rejected"]
    if method == "dpo":
        assert tuned.val.before == pytest.approx(np.log(2))
        assert (first["margin"], first["kl"]) == pytest.approx((0, 0), abs=1e-4)
        assert last["margin"] == pytest.approx(last["reward_chosen"] - last["reward_rejected"])
    if method == "kto":
        assert tuned.val.before == pytest.approx(0.5)
        assert first["kl"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("method", "stop_at"), [("dpo", 1), ("orpo", 5), ("kto", 5)])
def test_a_stopped_run_resumes_bit_for_bit(
    base: Path, pairs: Path, tmp_path: Path, method: str, stop_at: int
) -> None:
    """Metrics, weights and optimizer state; what the base gives is kept, and not computed again."""
    uninterrupted = small(base, pairs, tmp_path / "uninterrupted", method)
    interrupted = small(base, pairs, tmp_path / "interrupted", method)
    tune(uninterrupted)
    stop = StopAfter(stop_at)
    stopped = tune(interrupted, reporter=stop, stop=stop)
    resumed = tune(interrupted)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (interrupted, uninterrupted))

    assert (stopped.outcome.finished, resumed.outcome.finished) == (False, True)
    assert history(interrupted.out) == history(uninterrupted.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


class StopAtProgress(NullReporter):
    """A reporter that is also a ``stop`` function: it stops the run at its first progress."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int]] = []

    def progress(self, stage: str, done: int, total: int) -> None:
        """Keep it."""
        self.stages.append((stage, done, total))

    def __call__(self) -> bool:
        """Return whether there was any."""
        return bool(self.stages)


@pytest.mark.parametrize("val", [0.0, 0.1])
def test_what_the_base_gives_is_computed_with_progress_and_can_be_stopped(
    base: Path, pairs: Path, tmp_path: Path, val: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step, so the run starts again."""
    monkeypatch.setattr("gpt.evaluation.preferences.MOST_TOKENS", 64)
    recipe = small(base, pairs, tmp_path / "run")
    recipe = dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, val=val))
    stop = StopAtProgress()
    stopped = tune(recipe, reporter=stop, stop=stop)
    (found,) = stop.stages

    assert found[0] == "log-probabilities of the base"
    assert 0 < found[1] < found[2]
    assert (stopped.outcome.finished, stopped.outcome.state.step) == (False, 0)
    assert tune(recipe).outcome.finished


def test_a_killed_run_repeats_its_steps(base: Path, pairs: Path, tmp_path: Path) -> None:
    """Those after its checkpoint, bit for bit; without one it starts again."""
    uninterrupted = small(base, pairs, tmp_path / "uninterrupted", "kto")
    killed = small(base, pairs, tmp_path / "killed", "kto")
    tune(uninterrupted)
    for step in (2, 7):
        with pytest.raises(Killed):
            tune(killed, reporter=KillAt(step))
    tune(killed)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (killed, uninterrupted))

    assert history(killed.out) == history(uninterrupted.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("method", METHODS)
def test_it_does_not_matter_how_a_step_is_divided(
    base: Path, pairs: Path, tmp_path: Path, method: str
) -> None:
    """Into batches: losses, gradients and figures are the same, the KL divergence included."""
    found = []
    for rows, accumulate in ((4, 1), (1, 4)):
        recipe = small(
            base, pairs, tmp_path / "run", method, batch_size=rows, accumulate=accumulate
        )
        task = build_task(recipe)
        model = task.model()
        # No longer the base, so that rewards are not 0.
        task.measure(model, CPU)
        if task.collector is not None:
            task.collector.collect(0, model, CPU, ALONE)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()).view_as(parameter)))
        step = TrainStep(model, recipe, task.rows, CPU, ALONE, collector=task.collector)
        loss = step.gradients(3)
        found.append((loss, [each.grad for each in model.parameters() if each.grad is not None]))

    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "parallel"),
    [
        ("kto", "ddp"),
        pytest.param("kto", "fsdp", marks=pytest.mark.slow),
        pytest.param("dpo", "fsdp", marks=pytest.mark.slow),
        pytest.param("orpo", "ddp", marks=pytest.mark.slow),
    ],
)
def test_two_processes_equal_one(
    base: Path, pairs: Path, tmp_path: Path, method: str, parallel: Literal["ddp", "fsdp"]
) -> None:
    """In losses, figures, evaluations and weights, up to rounding."""
    single = small(base, pairs, tmp_path / "single", method, steps=4, batch_size=1, accumulate=4)
    task: Any = single.task
    single = dataclasses.replace(single, task=dataclasses.replace(task, adapter=None))
    divided = renamed(single, "divided", parallel=parallel)
    run(single)
    for seen in in_processes(2, run, divided):
        if isinstance(seen, Exception):
            raise seen
    ours, theirs = (read_metrics(each.out / "metrics.jsonl") for each in (divided, single))

    for row, expected in zip(ours, theirs, strict=True):
        assert row.loss == pytest.approx(expected.loss, rel=1e-4)
        assert row.figures == pytest.approx(expected.figures, rel=1e-3, abs=1e-4)
        assert row.val is None or row.val == pytest.approx(expected.val, rel=1e-3, abs=1e-4)
    weights = [read_checkpoint(each.out).weights for each in (divided, single)]
    for name, weight in weights[1].items():
        torch.testing.assert_close(weights[0][name], weight, rtol=1e-3, atol=1e-4)


def test_the_base_is_what_a_separate_model_gives(base: Path, pairs: Path, tmp_path: Path) -> None:
    """Its log-probabilities, token by token from the logits of the base's checkpoint."""
    task = build_task(small(base, pairs, tmp_path / "run"))
    rows: Any = task.rows
    assert task.collector is not None
    task.collector.collect(0, task.model(), CPU, ALONE)
    batch, other = rows.batch(0, 3), read_checkpoint(base).model()
    for row, given in enumerate(batch.given["reference"].tolist()):
        log_p = other(batch.inputs[row : row + 1])[0].log_softmax(-1)
        targets = batch.targets[row]
        counted = targets >= 0

        expected = log_p[counted].gather(-1, targets[counted, None]).sum().item()
        assert given == pytest.approx(expected, abs=1e-4)


def test_log_probabilities_are_in_the_order_of_the_rows(
    base: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the batches that they are computed in; progress ends with all rows."""
    task = build_task(small(base, pairs, tmp_path / "run"))
    rows: Any = task.rows
    given = [row for pair in rows.preferences.rows for row in pair]
    model, seen = read_checkpoint(base).model(), list[tuple[int, int]]()
    whole = log_p_of(model, given, runtime=CPU)
    monkeypatch.setattr("gpt.evaluation.preferences.MOST_TOKENS", 1)
    single = log_p_of(model, given, runtime=CPU, progress=lambda *each: seen.append(each))

    assert np.allclose(whole, single, atol=1e-4)
    assert seen[-1] == (len(given), len(given))
    assert len(seen) == len(given)


def test_other_data_does_not_resume_a_run(base: Path, pairs: Path, tmp_path: Path) -> None:
    """Even if it has as many tokens: what the base gives is not of it."""
    data = write(tmp_path / "pairs.jsonl", PAIRS)
    recipe = small(base, data, tmp_path / "run")
    stop = StopAfter(2)
    tune(recipe, reporter=stop, stop=stop)
    write(
        data, [{**each, "chosen": each["rejected"], "rejected": each["chosen"]} for each in PAIRS]
    )

    with pytest.raises(
        DataError, match=r"pairs\.jsonl: not the preferences that the run began with"
    ):
        tune(recipe)


def test_the_data_is_described_with_all_that_is_omitted_or_cut(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    """Pairs, tokens, the form of prompts, equal completions, and what is too long."""
    same = {"prompt": "a", "chosen": "b", "rejected": "b"}
    long = {"prompt": "the river " * 20, "chosen": "cat " * 40, "rejected": "dog"}
    data = write(tmp_path / "more.jsonl", [*PAIRS, same, long])
    notices = Notices()
    tune(small(base, data, tmp_path / "run", steps=1), reporter=notices)

    assert "held out" in notices
    assert "prompts as plain text" in notices
    assert "1 pair omitted, of two equal completions: line 25" in notices
    assert "the beginning of 1 prompt cut off; the end of 1 completion cut off" in notices


def test_labels_out_of_balance_are_described_with_advice(base: Path, tmp_path: Path) -> None:
    """The weight that makes good completions count as much as bad ones."""
    lines = [
        {"prompt": f"cat {n} saw", "completion": " dog", "label": n % 4 == 0} for n in range(16)
    ]
    data = write(tmp_path / "labeled.jsonl", lines)
    recipe = small(base, data, tmp_path / "run", "kto", steps=1)
    task = build_task(dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, val=0.0)))
    weighted = dataclasses.replace(
        recipe,
        objective=KTO(desirable_weight=3.0),
        task=dataclasses.replace(recipe.task, val=0.0),
    )

    assert "4 labeled good, for which objective.desirable_weight=3 is advised" in task.summary
    assert "advised" not in build_task(weighted).summary
    assert task.evaluate is None


def test_labeled_completions_need_two_in_a_step(base: Path, pairs: Path, tmp_path: Path) -> None:
    """Alone none is mismatched."""
    recipe = small(base, pairs, tmp_path / "run", "kto", batch_size=1)

    with pytest.raises(ConfigError, match="KTO needs at least two completions in a step"):
        build_task(recipe)


def test_the_objective_of_a_plan_can_be_replaced(base: Path, pairs: Path, tmp_path: Path) -> None:
    """By one that reads the file in another way: pairs as labeled completions."""
    plan = plan_tuning(base, data=pairs, out=tmp_path / "run", method="dpo")

    assert "44 completions" in plan.replace(objective=KTO(), batch_size=4).task().summary


def test_messages_need_a_chat_template(base: Path, tmp_path: Path) -> None:
    """Of the base; and a file has one form only."""
    hello = [{"role": "user", "content": "cat"}]
    line = {
        "prompt": hello,
        "chosen": [{"role": "assistant", "content": "dog"}],
        "rejected": [{"role": "assistant", "content": "owl"}],
    }
    data = write(tmp_path / "pairs.jsonl", [line])
    with pytest.raises(DataError, match=r"need a chat template, and .* has none"):
        plan_tuning(base, data=data, out=tmp_path / "run", method="dpo")
    write(data, [line, PAIRS[0]])
    with pytest.raises(DataError, match="line 2 is text, and line 1 a list of messages"):
        plan_tuning(base, data=data, out=tmp_path / "run", method="dpo")


def test_messages_are_rendered_by_the_template_of_the_base(
    base: Path, chat: Path, tmp_path: Path
) -> None:
    """Of one that was tuned on a chat: the tuned model has it, too."""
    chatting = tune(small_recipe(base, chat, tmp_path / "chatting", steps=1)).outcome.state.recipe
    lines = [
        {
            "chosen": [{"role": "user", "content": text}, {"role": "assistant", "content": "cat"}],
            "rejected": [{"role": "user", "content": text}, {"role": "assistant", "content": "a"}],
        }
        for text in ("owl", "dog", "barn")
    ]
    data = write(tmp_path / "pairs.jsonl", lines)
    assert chatting.out is not None
    recipe = small(chatting.out, data, tmp_path / "run", steps=1)
    notices = Notices()
    tune(recipe, reporter=notices)

    assert "prompts in the chat template of the base" in notices
    assert recipe.out is not None
    kept = read_checkpoint(recipe.out).data_files["chat.json"]
    assert kept == (chat / "chat.json").read_bytes()


def test_the_first_score_of_an_objective_is_planned(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    """The loss of held-out preferences; a step of labeled completions has several."""
    recipes = [
        plan_tuning(base, data=pairs, out=tmp_path / "run", method=method).recipe
        for method in METHODS
    ]

    assert [type(each.score).__name__ for each in recipes] == ["PreferenceLoss"] * 3
    assert recipes[2].rows_per_step >= 4
    assert (
        build_objective(DPO(), recipes[0].model).weight(build_task(recipes[0]).rows.batch(0, 3))
        == 3
    )
