"""The task of classification: a head over classes on the body of a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from gpt.adapt.wrapping import adapt
from gpt.data.labeled_files import TRAIN, VAL, read_classes, split_file
from gpt.data.labeled_rows import EncodedTexts, LabeledRows
from gpt.data.labeled_texts import LabeledText, check_labels, read_labeled
from gpt.errors import ConfigError, DataError
from gpt.evaluation.classes import evaluate_classes
from gpt.model.classifier import Classifier
from gpt.optim.parameters import saved_tensors
from gpt.runs.reading import Checkpoint
from gpt.spec import classifier as spec
from gpt.spec.recipe import Recipe
from gpt.spec.task import Classification, Train
from gpt.training.tasks.starting import Layout
from gpt.training.tasks.task import Task
from pytok.chat.template import TEMPLATE_FILE
from pytok.counted import counted


@dataclass(frozen=True, kw_only=True)
class LabeledData:
    """A folder of labeled texts, for the tokenizer of *base*."""

    base: Checkpoint
    classes: tuple[str, ...]
    train: list[LabeledText]
    val: list[LabeledText]

    @classmethod
    def open(cls, recipe: Recipe, base: Checkpoint, chosen: frozenset[str]) -> LabeledData:
        """Read the folder of *recipe*; raises DataError for what is wrong with it."""
        folder = recipe.data
        classes = read_classes(folder)
        files = {name: split_file(folder, name) for name in (TRAIN, VAL)}
        texts = {name: read_labeled(file) if file.exists() else [] for name, file in files.items()}
        for name, file in files.items():
            check_labels(texts[name], classes, file, "restore the folder, or make it again")
        return cls(base=base, classes=classes, train=texts[TRAIN], val=texts[VAL])

    def layout(self, recipe: Recipe, chosen: frozenset[str]) -> Layout:
        """Return the task with the number of texts, and a length that 95% of them have at most."""
        assert isinstance(recipe.task, Classification)
        sizes = sorted(map(len, self.encoded(recipe, self.train).ids))
        return Layout(recipe.task, len(sizes), sizes[len(sizes) * 19 // 20])

    def encoded(self, recipe: Recipe, texts: list[LabeledText]) -> EncodedTexts:
        """Return *texts* as the model of *recipe* reads them."""
        model = recipe.model
        assert isinstance(model, spec.Classifier)
        return EncodedTexts.of(
            texts,
            self.classes,
            self.base.tokenizer(),
            context=model.context,
            pad_to=model.pad_to,
        )

    def task(self, recipe: Recipe) -> Task:
        """Return the task of *recipe*; raises DataError if its model has other classes."""
        model = recipe.model
        assert isinstance(model, spec.Classifier)
        if model.classes != self.classes:
            raise DataError(
                f"{recipe.data} has the classes {', '.join(self.classes)}, but the model "
                f"{', '.join(model.classes)}; choose another --out"
            )
        train = self.encoded(recipe, self.train)
        held_out = self.encoded(recipe, self.val) if self.val else None

        def seen(rows: int) -> tuple[int, int]:
            epochs = rows / len(train)
            return round(epochs * train.tokens), round(epochs * train.bytes)

        cut = f"; {counted(train.truncated, 'text')} cut at their end to fit"
        return Task(
            recipe=recipe,
            fingerprint=self.base.state.fingerprint,
            train_tokens=train.tokens,
            data_files={
                name: content
                for name, content in self.base.data_files.items()
                if name != TEMPLATE_FILE  # it does not chat
            },
            rows=LabeledRows(train, recipe.seed),
            seen=seen,
            evaluate=None if held_out is None else partial(evaluate_classes, texts=held_out),
            model=lambda: starting_classifier(self.base, recipe),
            starts_from_checkpoint=False,  # its head is new
            summary=f"{counted(len(train), 'text')} of {len(self.classes):,} classes, "
            f"{counted(train.tokens, 'token')}" + (cut if train.truncated else ""),
        )


def starting_classifier(base: Checkpoint, recipe: Recipe) -> Classifier:
    """Build the model before the first step; only what is trained requires gradients.

    Raises ConfigError if the body has not the weights of the base.
    """
    task, model_spec = recipe.task, recipe.model
    assert isinstance(task, Classification)
    assert isinstance(model_spec, spec.Classifier)
    model = Classifier(model_spec.with_vocabulary(base.config.vocab_size), recipe.seed)
    if task.pretrained:
        copy_body(base, model)
    model.requires_grad_(False)
    for part in TRAINED[task.train](model):
        part.requires_grad_(True)
    if task.adapter is not None:
        adapt(model, task.adapter, recipe.seed)
    return model


@torch.no_grad()
def copy_body(base: Checkpoint, model: Classifier) -> None:
    """Set the weights of the body of *model* to those of *base*."""
    weights = saved_tensors(base.model())
    for name, tensor in saved_tensors(model).items():
        if name.startswith("head."):
            continue
        if name not in weights or weights[name].shape != tensor.shape:
            raise ConfigError(
                f"{base.folder}: its {name} does not fit the classifier, whose attention differs; "
                "remove --no-causal"
            )
        tensor.copy_(weights[name])


def last_blocks(count: int) -> Callable[[Classifier], list[nn.Module]]:
    """Return the function that returns the last *count* blocks of a model, and what follows."""
    return lambda model: [*model.units[-count:], model.norm, model.head]


TRAINED: Mapping[Train, Callable[[Classifier], Iterable[nn.Module]]] = {
    "head": lambda model: [model.head],
    "last-block": last_blocks(1),
    "last-two": last_blocks(2),
    "all": lambda model: [model],
    "lora": lambda model: [model.head],
}
"""For each choice of `Classification.train`, the modules whose weights are trained."""
