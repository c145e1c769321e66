"""Classifiers that start from a base: their texts, made once in each process, and their test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.adapt.wrapping import merged_weights
from gpt.data.batch import Batch
from gpt.data.labeled_files import Division, prepare_labeled
from gpt.data.labeled_rows import LENGTHS
from gpt.data.labeled_texts import LabeledText
from gpt.errors import TrainingError
from gpt.evaluation.classes import ClassEvaluation
from gpt.lab.apparatus.onebatch import relative_error
from gpt.lab.apparatus.texts import once
from gpt.lab.apparatus.training import held_out_bits
from gpt.lab.checks import Below
from gpt.lab.experiment import TUNING_SEEDS, Check, Figures, Part, Setting, Sizes
from gpt.model.classifier import Classifier
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.store import Memory
from gpt.spec import classifier
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
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
    setting: Setting, base: Path, data: Path, **planned: Any
) -> tuple[ClassEvaluation, Checkpoint] | None:
    """Train a classifier in memory; return its test and itself, or None if it diverged.

    *planned* are arguments of `plan_classifier`: train, token, causal, pad_to.
    """
    plan = plan_classifier(
        base,
        data=data,
        out=None,
        epochs=setting.size["epochs"],
        lr=setting.rate,
        seed=setting.seed,
        **planned,
    )
    steps, on_gpu = plan.recipe.steps, setting.device != "cpu"
    plan = plan.replace(
        device=setting.device,
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


def forgotten(found: tuple[ClassEvaluation, Checkpoint] | None, base: Path, shards: Path) -> float:
    """Return by how many bits per byte *base* predicts text worse with the body of its classifier.

    The text is that which *shards* hold out. It is infinitely worse if the classifier diverged.
    """
    if found is None:
        return math.inf
    gpt = read_checkpoint(base).model()
    before = held_out_bits(gpt, shards)
    weights = merged_weights(found[1].classifier())
    body = {name: each for name, each in weights.items() if not name.startswith("head.")}
    gpt.load_state_dict(body, strict=False)  # its head remains
    return held_out_bits(gpt, shards) - before


def accuracy_part(
    *,
    arms: Sequence[str],
    measure: Callable[[Setting], Figures],
    sizes: Sizes,
    checks: Sequence[Check],
) -> Part:
    """Return the part that trains the classifiers of *arms*, and compares their accuracy."""
    return Part(
        name="accuracy",
        kind="QUALITY",
        arms=arms,
        measure=measure,
        sizes=sizes,
        checks=checks,
        rates=(1e-3, 3e-3, 1e-2),
        chosen_by="loss",
        noise_of="accuracy",
        tuning_seeds=TUNING_SEEDS[:1],
    )


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


def reading(setting: Setting) -> Figures:
    """Compare the logits of texts with what a head is to read of them."""
    token: Pooling = setting.arm  # type: ignore[assignment]
    attention = GroupedQuery(heads=4, kv_heads=4)
    body = Architecture(context=16, layers=2, width=32, attention=attention)
    return {"error": pooling_error(body, token, setting.seed)}


READING = Part(
    name="reading",
    kind="EXACT",
    arms=tuple(POOLS),
    measure=reading,
    sizes={"smoke": {}, "cpu": {}, "gpu": {}},
    checks=[
        Below(
            claim="the head reads the last token, the first or the mean, whatever the padding",
            figure="error",
            bound=1e-6,  # means are taken in float32
        )
    ],
)
"""What the head of a classifier reads of each text of a batch."""
