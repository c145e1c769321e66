"""What only a GPU can show: numbers of its kernels, and waits of a real device.

``pytest -m gpu tests/gpt/cuda`` runs them; `benches.gpu` does so first.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.data.shards import TrainingRows, open_data, open_split
from gpt.errors import TrainingError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate_batch
from gpt.model.gpt import GPT
from gpt.parallel.memory import fitting_in_memory
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE
from gpt.runs.metrics import read_metrics
from gpt.spec.architecture import GPTConfig
from gpt.spec.presets import CAUSAL
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.step import TrainStep

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CONTEXT = 32


def step_on(device: str, recipe: Recipe, preset: str) -> TrainStep:
    """A step of a model of *preset* in float32 on *device*."""
    shards = open_data(recipe.data)
    architecture = CAUSAL[preset](2, CONTEXT)
    rows = TrainingRows(
        open_split(shards, "train"),
        context=CONTEXT,
        vocab_size=shards.vocab_size,
        seed=0,
        document_mask=True,
    )
    recipe = dataclasses.replace(recipe, model=architecture)
    model = GPT(GPTConfig.over(architecture, shards.vocab_size))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():  # every weight has a gradient
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
    return TrainStep(model, recipe, rows, Runtime.choose(device, "float32"), ALONE)


@pytest.mark.parametrize("preset", CAUSAL)
def test_loss_and_gradients_equal_the_cpus(recipe: Recipe, preset: str) -> None:
    """In float32, up to the order of sums."""
    ours, theirs = (step_on(device, recipe, preset) for device in ("cuda", "cpu"))

    assert ours.gradients(0) == pytest.approx(theirs.gradients(0), rel=1e-5)
    for (name, one), (_, other) in zip(
        ours.model.named_parameters(), theirs.model.named_parameters(), strict=True
    ):
        assert one.grad is not None, name
        torch.testing.assert_close(one.grad.cpu(), other.grad, rtol=1e-3, atol=1e-5)


def test_a_step_waits_once(recipe: Recipe) -> None:
    """As torch counts it."""
    step = step_on("cuda", recipe, "fast")
    step.time(1)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step._compute(0, following=1)
            step._apply()
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert len([each for each in caught if "synchroniz" in str(each.message)]) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(
    recipe: Recipe, tmp_path: Path, dtype: Any
) -> None:
    """Up to the order in which kernels add."""
    recipe = dataclasses.replace(recipe, device="cuda", dtype=dtype, steps=8)
    once, twice = (dataclasses.replace(recipe, out=tmp_path / name) for name in ("once", "twice"))
    train(once)
    stops = iter([False] * 3 + [True])
    train(twice, stop=lambda: next(stops, False))
    train(twice)
    ours, theirs = (
        [row.loss for row in read_metrics(run.out / "metrics.jsonl")] for run in (twice, once)
    )

    assert ours == pytest.approx(theirs, rel=1e-3)


def test_texts_of_a_batch_are_those_of_their_seeds(recipe: Recipe, tokenizer: Any) -> None:
    """Each row has its own random state on the device."""
    model = step_on("cuda", recipe, "gpt2").model.eval()
    texts = ["", "", ""]
    for row, delta in generate_batch(model, tokenizer, ["p"] * 3, max_tokens=20):
        texts[row] += delta
    alone = [
        "".join(
            delta
            for _, delta in generate_batch(
                model, tokenizer, ["p"], max_tokens=20, sampling=Sampling(seed=row)
            )
        )
        for row in range(3)
    ]

    assert texts == alone


def test_greedy_text_equals_the_cpus(recipe: Recipe, tokenizer: Any) -> None:
    """In float32."""
    found = []
    for device in ("cuda", "cpu"):
        model = step_on(device, recipe, "llama").model.eval()
        sampling = Sampling(temperature=0)
        deltas = generate_batch(model, tokenizer, ["p"], max_tokens=40, sampling=sampling)
        found.append("".join(delta for _, delta in deltas))

    assert found[0] == found[1]


def test_too_much_memory_is_a_training_error() -> None:
    """The device says so itself."""
    with (
        pytest.raises(TrainingError, match="do not fit in the memory"),
        fitting_in_memory("the rows", "take fewer"),
    ):
        torch.empty(2**45, dtype=torch.uint8, device="cuda")
