"""Runs of state format 2 still load, sample, evaluate and resume.

``format_2/`` holds two runs that were stopped halfway, their data, and the figures that the version
which wrote them reached: ``base`` (4 of 8 steps) and ``tuned`` (LoRA on a chat, 3 of 6 steps).
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import read_checkpoint
from gpt.runs.state import State
from gpt.spec.embedding import TokenShift
from gpt.spec.task import Tuning
from gpt.training.loop import train
from gpt.training.tuning.run import tune


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the runs."""
    shutil.copytree(Path(__file__).parent / "format_2", tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> Any:
    """The figures of the version that wrote the runs."""
    return json.loads((folder / "expected.json").read_text())


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_renamed_fields_are_read(folder: Path) -> None:
    """And written under their new names."""
    state = read_checkpoint(folder / "base").state

    assert state.recipe.bpe_dropout == 0.2
    assert state.config.shift == TokenShift(fraction=0.4)
    assert State.from_dict(state.to_dict()) == state


def test_a_run_evaluates_as_before(folder: Path, expected: Any) -> None:
    """The validation split has the same bits per byte."""
    model = read_checkpoint(folder / "base").model()
    split = open_split(open_data(folder / "data"), "val")

    found = evaluate(model, split, runtime=Runtime.choose("cpu", "float32"))

    assert found.bits_per_byte == pytest.approx(expected["bits_per_byte"], rel=1e-5)


def test_a_run_samples_as_before(folder: Path, expected: Any) -> None:
    """Greedily, from the same prompt."""
    checkpoint = read_checkpoint(folder / "base")

    text = generate(
        checkpoint.model(),
        checkpoint.tokenizer(),
        "cat",
        max_tokens=8,
        sampling=Sampling(temperature=0),
    )

    assert "".join(text) == expected["text"]


def test_a_run_resumes(folder: Path, expected: Any) -> None:
    """Its remaining steps have the losses of an uninterrupted run."""
    saved = read_checkpoint(folder / "base").state
    recipe = dataclasses.replace(saved.recipe, data=folder / "data", out=folder / "base")

    outcome = train(recipe)

    assert saved.step == 4
    assert outcome.finished
    # The decay of its rate was rounded to whole steps, 5 of 8, by the version that wrote it.
    assert losses(folder / "base") == pytest.approx(expected["losses"], rel=2e-3)


def test_a_tuned_run_resumes(folder: Path, expected: Any) -> None:
    """With its adapters and the state of their optimizer."""
    saved = read_checkpoint(folder / "tuned").state
    assert isinstance(saved.recipe.task, Tuning)
    recipe = dataclasses.replace(
        saved.recipe,
        task=dataclasses.replace(saved.recipe.task, base=folder / "base"),
        data=folder / "chat",
        out=folder / "tuned",
    )

    tuned = tune(recipe)

    assert saved.step == 3
    assert saved.recipe.task.train_on == "last"
    assert tuned.outcome.finished
    assert losses(folder / "tuned") == pytest.approx(expected["tuned_losses"], rel=1e-4)
