"""Runs on pairs: they learn, resume bit for bit, and are measured by translations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.data.pair_files import prepare_pairs
from gpt.errors import CheckpointError, ConfigError, DataError
from gpt.runs.averaging import write_average
from gpt.runs.reading import read_checkpoint
from gpt.runs.retention import CHECKPOINTS, list_checkpoints
from gpt.runs.store import Memory
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.mlp import MLP
from gpt.spec.objective import CrossEntropy, MaskedLM
from gpt.spec.optimizer import AdamW
from gpt.spec.pair_presets import PAIR_PRESETS, plan_pairs
from gpt.spec.recipe import Recipe
from gpt.spec.recurrent import Recurrent
from gpt.spec.schedule import Noam
from gpt.spec.score import ExactMatch, MaskedLoss
from gpt.spec.task import Pairs, Pretraining
from gpt.training.loop import train
from gpt.training.tasks.build import build_task
from tests.gpt.data.test_pairs import write
from tests.gpt.training.interrupted import history, renamed, tensors, train_until

TRANSFORMER = EncoderDecoder(
    context=16,
    layers=1,
    width=32,
    attention=GroupedQuery(heads=2, kv_heads=1),
    mlp=MLP(activation="relu"),
    dropout=Dropout(rate=0.1),
)
RECURRENT = Recurrent(context=16, layers=1, width=32, dropout=Dropout(rate=0.1))
LETTERS = "abcdef"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters, and the same in upper case."""
    root = tmp_path_factory.mktemp("pairs")
    texts = [a + b + c for a in LETTERS for b in LETTERS for c in ("", *LETTERS)]
    pairs = [(text, text.upper()) for text in texts[::2] + texts[1::2]]
    pytok.train(["a"], 257).save(root / "bytes.json")
    path = write(root / "pairs.jsonl", pairs)
    return prepare_pairs(path, root / "run", tokenizer=str(root / "bytes.json"), val=0.1)


@pytest.fixture
def pairs(folder: Path, tmp_path: Path) -> Recipe:
    """A run of 12 steps."""
    return Recipe(
        data=folder,
        out=tmp_path / "run",
        task=Pairs(batch_tokens=32, translations=4),
        steps=12,
        batch_size=1,
        accumulate=2,
        eval_every=5,
        checkpoint_every=4,
        keep=3,
        device="cpu",
        dtype="float32",
        threads=1,
        compile=False,
        objective=CrossEntropy(label_smoothing=0.1),
        optimizer=AdamW(lr=3e-3, weight_decay=0.0, betas=(0.9, 0.98), eps=1e-9),
        schedule=Noam(warmup=4),
        model=TRANSFORMER,
    )


@pytest.mark.parametrize("model", [TRANSFORMER, RECURRENT], ids=["transformer", "recurrent"])
@pytest.mark.parametrize("stop_at", [3, 5])
def test_a_stopped_run_resumes_bit_for_bit(pairs: Recipe, model: Any, stop_at: int) -> None:
    """Its metrics, weights and optimizer state equal those of an uninterrupted run."""
    recipe = dataclasses.replace(pairs, model=model)
    uninterrupted = renamed(recipe, "uninterrupted")
    train(uninterrupted)
    stopped = train_until(recipe, stop_at)
    resumed = train(recipe)
    expected, found = (tensors(read_checkpoint(each.out)) for each in (uninterrupted, recipe))

    assert (stopped.finished, resumed.finished) == (False, True)
    assert history(recipe.out) == history(uninterrupted.out)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("model", [TRANSFORMER, RECURRENT], ids=["transformer", "recurrent"])
def test_a_model_learns_to_translate(pairs: Recipe, model: Any) -> None:
    """Letters that it has not seen together."""
    recipe = dataclasses.replace(
        pairs,
        model=dataclasses.replace(model, dropout=Dropout()),
        task=Pairs(batch_tokens=256, translations=100),
        optimizer=AdamW(lr=1e-2, weight_decay=0.0),
        schedule=Noam(warmup=30),
        score=ExactMatch(),
        steps=150,
        eval_every=150,
        checkpoint_every=150,
    )
    memory = Memory()
    train(recipe, store=memory)
    figures = memory.rows[-1].val

    assert figures is not None
    assert figures["exact_match"] == memory.state.score
    assert figures["exact_match"] > 0.5
    assert set(figures) == {"bits_per_byte", "loss", "token_accuracy", "exact_match"}


def test_the_loss_does_not_depend_on_how_a_step_is_divided(pairs: Recipe) -> None:
    """Two batches in one pass, or one after the other: each target has the same weight."""
    losses = []
    for size, accumulate in ((1, 2), (2, 1)):
        recipe = dataclasses.replace(
            pairs,
            batch_size=size,
            accumulate=accumulate,
            steps=2,
            model=dataclasses.replace(TRANSFORMER, dropout=Dropout()),
        )
        memory = Memory()
        train(recipe, store=memory)
        losses.append([row.loss for row in memory.rows])

    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_average_of_checkpoints_is_a_run(pairs: Recipe, tmp_path: Path) -> None:
    """Of the last ones that the run has kept; it is not one that can be resumed."""
    train(pairs)
    out = tmp_path / "average"
    steps = write_average(pairs.out, out, last=2)  # type: ignore[arg-type]
    folders = list_checkpoints(pairs.out / CHECKPOINTS)[-2:]  # type: ignore[operator]
    averaged, parts = read_checkpoint(out), [read_checkpoint(each) for each in folders]

    assert steps == [each.state.step for each in parts]
    for name, weight in averaged.weights.items():
        expected = (parts[0].weights[name] + parts[1].weights[name]) / 2
        torch.testing.assert_close(weight, expected)
    assert averaged.any_model().config == parts[0].state.config
    with pytest.raises(CheckpointError, match="already contains a run"):
        write_average(pairs.out, out, last=2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="last must be at least 2"):
        write_average(pairs.out, tmp_path / "other", last=1)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="has 1 checkpoints, and an average needs two"):
        write_average(out, tmp_path / "other", last=5)
    with pytest.raises(CheckpointError):
        train(dataclasses.replace(pairs, out=out, steps=20))


def test_a_model_of_texts_is_not_built_of_a_run_on_pairs(pairs: Recipe) -> None:
    """The error says what can be done with the run."""
    train(dataclasses.replace(pairs, steps=1))

    with pytest.raises(CheckpointError, match="translates a source to a target"):
        read_checkpoint(pairs.out).model()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": Pretraining()}, "EncoderDecoder reads pairs of a source and a target"),
        ({"model": Recipe(data=Path()).model}, "needs a model that reads a source"),
        ({"task": Pairs(batch_tokens=8)}, "task.batch_tokens must be at least the model's context"),
        ({"objective": MaskedLM()}, "MaskedLM predicts tokens from both sides"),
        ({"score": MaskedLoss()}, "score MaskedLoss is not of this task: use BitsPerByte or"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    pairs: Recipe, changes: dict[str, Any], words: str
) -> None:
    """When the recipe is made."""
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(pairs, **changes)


def test_other_data_is_refused(pairs: Recipe, tmp_path: Path) -> None:
    """A folder that holds no pairs."""
    with pytest.raises(DataError, match="not a folder of pairs"):
        build_task(dataclasses.replace(pairs, data=tmp_path))


@pytest.mark.parametrize("preset", sorted(PAIR_PRESETS))
def test_a_plan_is_a_recipe_that_is_read_back(preset: str) -> None:
    """The context fits the longest side, and what is given is kept."""
    planned = plan_pairs(
        preset=preset,
        depth=3,
        longest=40,
        tokens=100_000,
        given={"steps": 70, "task.batch_tokens": 4096},
        data=Path("d"),
        out=Path("o"),
    )

    assert Recipe.from_dict(planned.to_dict()) == planned
    assert (planned.model.context, planned.model.layers, planned.steps) == (64, 3, 70)
    assert planned.task == Pairs(batch_tokens=4096)
