"""Classifiers that start from a base: their texts, made once in each process, and their test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.data.batch import Batch
from gpt.data.labeled_files import Division, prepare_labeled
from gpt.data.labeled_rows import LENGTHS
from gpt.data.labeled_texts import LabeledText
from gpt.errors import TrainingError
from gpt.evaluation.classes import ClassEvaluation
from gpt.lab.apparatus.onebatch import relative_error
from gpt.lab.apparatus.texts import once
from gpt.model.classifier import Classifier
from gpt.runs.reading import Checkpoint
from gpt.runs.store import Memory
from gpt.spec import classifier
from gpt.spec.architecture import Architecture
from gpt.spec.classifier import Pooling
from gpt.training.tuning.classifying import plan_classifier, train_classifier


def labeled(name: str, train: Iterable[LabeledText], test: Iterable[LabeledText]) -> Path:
    """Return the folder of labeled texts *train* and *test*; *name* says which they are."""

    def make(folder: Path) -> None:
        for split, texts in (("train", train), ("test", test)):
            lines = "".join(f"{each.label}\t{each.text}\n" for each in texts)
            (folder / f"{split}.tsv").write_text(lines, encoding="utf-8")
        division = Division(val=0.05, test_data=folder / "test.tsv")
        prepare_labeled(folder / "train.tsv", folder / "data", division)

    return once(name, make) / "data/data"


def classified(
    base: Path, data: Path, *, rate: float, seed: int, device: str = "cpu", **planned: Any
) -> tuple[ClassEvaluation, Checkpoint] | None:
    """Train a classifier in memory; return its test and itself, or None if it diverged.

    *planned* are arguments of `plan_classifier`: train, token, causal, pad_to, epochs.
    """
    plan = plan_classifier(base, data=data, out=None, lr=rate, seed=seed, **planned)
    steps, on_gpu = plan.recipe.steps, device != "cpu"
    plan = plan.replace(
        device=device,
        dtype="bfloat16" if on_gpu else "float32",
        compile=on_gpu,
        threads=1,
        eval_every=steps,
        checkpoint_every=steps,
        patience=None,
    )
    store = Memory()
    try:
        result = train_classifier(plan, store=store)
    except TrainingError:
        return None
    assert result.test is not None
    return result.test, store.read()


def figures(found: tuple[ClassEvaluation, Checkpoint] | None) -> dict[str, float]:
    """Return accuracy, error and loss of a test; the worst if the classifier diverged."""
    if found is None:
        return {"accuracy": 0.0, "error": 1.0, "loss": math.inf}
    accuracy = found[0].accuracy.rate
    return {"accuracy": accuracy, "error": 1 - accuracy, "loss": found[0].loss}


def pooling_error(body: Architecture, token: Pooling, seed: int) -> float:
    """Return how far logits of padded texts are from the head on each text alone, in float64."""
    spec = classifier.Classifier.over(body, classes=("no", "yes", "maybe"), token=token)
    model = Classifier(spec.with_vocabulary(64), seed).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2, generator=generator)
        ids, lengths = torch.randint(64, (3, 16), generator=generator), torch.tensor((16, 9, 1))
        ours = model(Batch(ids, lengths, given={LENGTHS: lengths}))
        alone = [
            POOLS[token](model.hidden(row[None, :length])[0][0])
            for row, length in zip(ids, lengths.tolist(), strict=True)
        ]
        return relative_error(ours, torch.stack(alone) @ model.head.weight.T)


POOLS: Mapping[Pooling, Callable[[Tensor], Tensor]] = {
    "last": lambda hidden: hidden[-1],
    "first": lambda hidden: hidden[0],
    "mean": lambda hidden: hidden.mean(0),
}
"""What the head reads of the vectors (T, width) of a text."""
