"""Tuning in several processes equals that in one: over gloo, with DDP and FSDP2."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.optimizer import AdamW
from gpt.spec.quantization import NF4
from gpt.spec.recipe import Recipe
from gpt.training.tuning.run import tune
from tests.gpt.processes import command, in_processes, run_tuning
from tests.gpt.training.interrupted import tensors
from tests.gpt.training.tuning import small_recipe

KINDS: dict[str, Any] = {
    "lora": LoRA(rank=3),
    "qlora": LoRA(rank=3),
    "lora of all": LoRA(rank=2, targets=("all-linear", "head", "embedding")),
    "dora": DoRA(rank=3),
    "full": None,
}


def recipe_of(base: Path, data: Path, out: Path, kind: str, **changes: Any) -> Recipe:
    """Four steps of four rows, two to a forward pass, with an evaluation after the second."""
    small = {"steps": 4, "eval_every": 2, "checkpoint_every": 2, "patience": None, "clip": 0.5}
    recipe = small_recipe(base, data, out, **(small | {"batch_size": 1, "accumulate": 4} | changes))
    quantize = NF4(block=32, double=True) if kind == "qlora" else None
    task: Any = dataclasses.replace(recipe.task, adapter=KINDS[kind], quantize=quantize)
    optimizer = AdamW(lr=0.01, lora_plus=4.0 if task.adapter else 1.0)
    return dataclasses.replace(recipe, task=task, optimizer=optimizer)


def losses(out: Path) -> list[float]:
    return [row.loss for row in read_metrics(out / "metrics.jsonl")]


@pytest.mark.parametrize(
    ("parallel", "kind", "data"),
    [
        ("ddp", "lora of all", "data"),
        ("fsdp", "lora", "chat"),
        ("ddp", "qlora", "data"),
        pytest.param("fsdp", "qlora", "chat", marks=pytest.mark.slow),
        pytest.param("fsdp", "dora", "data", marks=pytest.mark.slow),
        pytest.param("ddp", "full", "chat", marks=pytest.mark.slow),
        pytest.param("ddp", "dora", "chat", marks=pytest.mark.slow),
        pytest.param("fsdp", "full", "data", marks=pytest.mark.slow),
    ],
)
def test_two_processes_equal_one(
    base: Path,
    chat: Path,
    tmp_path: Path,
    parallel: Literal["ddp", "fsdp"],
    kind: str,
    data: str,
) -> None:
    """In losses, evaluations, and all tensors of the checkpoint: adapters, new rows, the merged."""
    source = chat if data == "chat" else base.parent / "data"
    single = recipe_of(base, source, tmp_path / "single", kind)
    divided = dataclasses.replace(single, out=tmp_path / "divided", parallel=parallel)
    expected = tune(single).outcome.state
    for seen in in_processes(2, run_tuning, divided):
        assert seen.score == pytest.approx(expected.score, rel=1e-5)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (divided, single))

    assert losses(divided.out) == pytest.approx(losses(single.out), rel=1e-5)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(
            ours[name].reshape(theirs[name].shape), theirs[name], rtol=1e-3, atol=2e-5, err_msg=name
        )


def test_a_run_resumes_in_another_number_of_processes(
    base: Path, chat: Path, tmp_path: Path
) -> None:
    """Started by two with slices of the model, stopped after three steps, finished by one."""
    whole = recipe_of(base, chat, tmp_path / "whole", "lora")
    parts = dataclasses.replace(whole, out=tmp_path / "parts")
    tune(whole)
    divided = dataclasses.replace(parts, parallel="fsdp")
    stopped = [seen.step for seen in in_processes(2, run_tuning, divided, 3)]
    resumed = tune(parts).outcome

    assert stopped == [3, 3]
    assert (resumed.finished, resumed.state.step) == (True, 4)
    assert losses(parts.out) == pytest.approx(losses(whole.out), rel=1e-5)


def test_the_command_plans_rows_that_can_be_divided(base: Path, chat: Path, tmp_path: Path) -> None:
    """One process prints; a text is to be made into shards first."""
    arguments = ["tune", str(base), "--out", str(tmp_path / "run"), "--device", "cpu"]
    options = ["--dtype", "float32", "--compile", "False", "--steps", "2"]
    ends = in_processes(2, command, [*arguments, "--data", str(chat), *options])
    text = tmp_path / "more.txt"
    text.write_text("more words " * 100)
    failed = in_processes(2, command, [*arguments, "--data", str(text), *options])

    assert [code for code, _ in ends] == [0, 0]
    assert sum("next: gpt chat" in printed for _, printed in ends) == 1
    assert read_checkpoint(tmp_path / "run").state.recipe.batch_size % 2 == 0
    assert [code for code, _ in failed] == [1, 1]
    assert sum("make them first, with `pytok shard`" in printed for _, printed in failed) == 1
