"""Runs of classifiers: they learn, train what is asked for, resume bit for bit, and are tested."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gpt.data.labeled_files import Division, prepare_labeled, read_classes
from gpt.data.labeled_rows import LABELS
from gpt.data.labeled_texts import LabeledText
from gpt.errors import ConfigError, DataError
from gpt.model.classifier import Classifier
from gpt.model.objectives.build import build_objective
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.objective import ClassCrossEntropy, CrossEntropy
from gpt.spec.recipe import Recipe
from gpt.spec.score import BitsPerByte, ClassAccuracy
from gpt.spec.task import Classification, Pretraining, Train
from gpt.training.loop import train
from gpt.training.tasks.build import build_task
from gpt.training.tuning.classifying import BALANCED, plan_classifier, train_classifier
from tests.gpt.classifiers import BODY, letters, write_base
from tests.gpt.data.test_labeled_texts import write_tabs
from tests.gpt.model.test_classifier import batch_of, config_of, ragged_rows, randomized
from tests.gpt.training.interrupted import StopAfter, history, tensors


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that classifiers start from."""
    return write_base(tmp_path_factory.mktemp("base") / "run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labeled texts, divided."""
    root = tmp_path_factory.mktemp("labels")
    return prepare_labeled(write_tabs(root / "texts.tsv", letters()), root / "run")


def small(base: Path, folder: Path, out: Path | None = None, **options: Any) -> Recipe:
    """A run of a second, with evaluations and checkpoints at different steps."""
    changes = {
        "steps": 10,
        "batch_size": 4,
        "eval_every": 3,
        "checkpoint_every": 4,
        "device": "cpu",
        "dtype": "float32",
        "compile": False,
        "threads": 1,
        "patience": None,
    }
    options.setdefault("train", "last-block")
    own = {name: options.pop(name) for name in list(options) if name in changes}
    plan = plan_classifier(base, data=folder, out=out, **options)
    return plan.replace(**(changes | own)).recipe


def test_a_classifier_learns(base: Path, folder: Path, tmp_path: Path) -> None:
    """And its run has the figures of the test split, and their plot."""
    recipe = small(base, folder, tmp_path / "run", train="all", steps=60, eval_every=20)

    result = train_classifier(recipe)

    assert result.split == "test"
    assert result.test is not None
    assert result.test.accuracy.rate > 0.9
    assert result.test.texts == 13
    checkpoint = read_checkpoint(tmp_path / "run")
    assert checkpoint.classifier_config.classes == ("no", "yes") == read_classes(folder)
    written = json.loads((tmp_path / "run/classification.json").read_text())
    assert written["evaluation"]["loss"] == result.test.loss
    assert (tmp_path / "run/calibration.png").read_bytes().startswith(b"\x89PNG")


KINDS = {
    "head": ("head.",),
    "last-block": ("head.", "norm.", "blocks.2."),
    "last-two": ("head.", "norm.", "blocks.1.", "blocks.2."),
    "all": ("",),
    "lora": ("head.",),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trained_changes_and_nothing_else(kind: Train, base: Path, folder: Path) -> None:
    """Against the weights of the base; LoRA changes the layers that it adapts."""
    store = Memory()
    recipe = small(base, folder, train=kind, steps=2)
    assert recipe.task.adapter == (LoRA() if kind == "lora" else None)  # type: ignore[union-attr]

    train(recipe, store=store)

    before, after = read_checkpoint(base).weights, store.read().weights
    changed = {name for name in after if name not in before or not after[name].equal(before[name])}
    changed -= {"head.weight"}
    trained = {name for name in after if name.startswith(KINDS[kind])} - {"head.weight"}
    if kind == "lora":
        trained = {name for name in after if ".attention." in name or ".mlp." in name}
        trained = {name for name in trained if after[name].ndim == 2}
    assert changed == trained


@pytest.mark.parametrize("adapter", [None, LoRA(rank=2, dropout=0.1), DoRA(rank=2)])
def test_a_stopped_run_resumes_bit_for_bit(
    adapter: LoRA | None, base: Path, folder: Path, tmp_path: Path
) -> None:
    """Weights, optimizer, metrics and best evaluation."""
    kind: Train = "last-block" if adapter is None else "lora"
    one, other = (
        small(base, folder, tmp_path / name, train=kind, adapter=adapter) for name in "ab"
    )
    train_classifier(one)

    for step in (2, 7):
        stop = StopAfter(step)
        result = train_classifier(other, reporter=stop, stop=stop)
        assert not result.outcome.finished
        assert result.test is None
    train_classifier(other)

    assert history(tmp_path / "a") == history(tmp_path / "b")
    ours, theirs = (tensors(read_checkpoint(tmp_path / name)) for name in "ab")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_patience_keeps_the_best_model(base: Path, folder: Path) -> None:
    """By the loss of the validation split, or by accuracy if that is asked for."""
    recipe = small(
        base, folder, train="all", score=ClassAccuracy(), lr=0.02, steps=60, eval_every=5
    )

    result = train_classifier(dataclasses.replace(recipe, patience=2), store=Memory())

    state = result.outcome.state
    assert state.best_step is not None
    assert state.step < 60
    assert state.step == state.best_step + 10
    assert state.best_score is not None
    assert state.best_score == 1.0


def test_new_weights_are_those_of_the_seed(base: Path, folder: Path) -> None:
    """To compare with the weights of the base."""
    recipe = small(base, folder, pretrained=False, seed=5)

    model = build_task(recipe).model()

    config = cast(Any, recipe.model).with_vocabulary(257)
    expected = dict(Classifier(config, 5).named_parameters())
    assert all(torch.equal(value, expected[name]) for name, value in model.named_parameters())


def test_the_loss_is_that_of_torch_with_class_weights() -> None:
    """Its mean and the gradient, also with label smoothing, in two batches."""
    model = randomized(config_of("llama"))
    spec = ClassCrossEntropy(class_weights=(1.0, 0.5, 4.0), label_smoothing=0.1)
    objective = build_objective(spec, model.config)
    batches = [batch_of(ragged_rows(seed)) for seed in (1, 2)]

    weight = sum(objective.weight(batch) for batch in batches)
    losses = [model(batch, objective) for batch in batches]
    total = sum(loss.sum for loss in losses) / weight

    logits = torch.cat([model(batch) for batch in batches])
    labels = torch.cat([batch.given[LABELS] for batch in batches])
    weights = torch.tensor(spec.class_weights, dtype=logits.dtype)
    expected = F.cross_entropy(logits, labels, weights, label_smoothing=0.1)
    torch.testing.assert_close(total, expected)
    (ours,), (theirs,) = (
        torch.autograd.grad(loss, [model.head.weight], retain_graph=True)
        for loss in (total, expected)
    )
    torch.testing.assert_close(ours, theirs)
    hits, count = sum(loss.means["accuracy"] for loss in losses).tolist()
    assert hits / count == (logits.argmax(-1) == labels).double().mean()


def test_balanced_weights_are_those_of_scikit_learn(base: Path, folder: Path) -> None:
    """The number of texts, divided by that of classes and by that of texts of the class."""
    from sklearn.utils.class_weight import compute_class_weight

    recipe = small(base, folder, class_weights=BALANCED)

    lines = (folder / "train.jsonl").read_text().splitlines()
    labels = [json.loads(line)["label"] for line in lines]
    expected = compute_class_weight("balanced", classes=np.array(["no", "yes"]), y=labels)
    assert Counter(labels) == {"no": 33, "yes": 11}
    assert recipe.objective.class_weights == pytest.approx(expected)  # type: ignore[union-attr]


@pytest.fixture
def wrong(base: Path, folder: Path) -> Recipe:
    """A recipe to spoil."""
    return small(base, folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": Pretraining()}, "use `gpt classify train`"),
        ({"objective": CrossEntropy()}, "set objective to ClassCrossEntropy"),
        ({"model": BODY}, "needs a model of classes"),
        ({"score": BitsPerByte()}, "use ClassLoss or ClassAccuracy"),
        ({"objective": ClassCrossEntropy(class_weights=(1.0,))}, "1 numbers for 2 classes"),
    ],
)
def test_a_recipe_that_does_not_fit_is_an_error(
    changes: dict[str, Any], words: str, wrong: Recipe
) -> None:
    """By what it needs."""
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(wrong, **changes)


def test_other_classes_than_those_of_the_run_are_an_error(
    base: Path, folder: Path, tmp_path: Path
) -> None:
    """The data was exchanged after the plan."""
    recipe = small(base, folder)
    other = [LabeledText(each.text, each.label.upper()) for each in letters()]
    path = write_tabs(tmp_path / "other.tsv", other)
    data = prepare_labeled(path, tmp_path / "run", Division())

    with pytest.raises(DataError, match="has the classes NO, YES, but the model no, yes"):
        build_task(dataclasses.replace(recipe, data=data))


def test_an_adapter_goes_with_lora() -> None:
    """Both or neither."""
    with pytest.raises(ConfigError, match="goes with"):
        Classification(base=Path("x"), train="all", adapter=LoRA())
    with pytest.raises(ConfigError, match="goes with"):
        Classification(base=Path("x"), train="lora", adapter=None)
