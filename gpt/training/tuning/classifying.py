"""Classification: plan a run of a classifier, train it, and test it on texts that it has not seen.

::

    plan = plan_classifier(Path("runs/base"), data=Path("data"), out=Path("runs/spam"))
    classified = train_classifier(plan)    # the same call resumes
    classified.test.accuracy.rate          # on the test split, if the run is finished

The data is a folder of labeled texts (`gpt.data.labeled_files.prepare_labeled`).
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt.data.labeled_files import TEST, VAL, split_file
from gpt.data.labeled_rows import EncodedTexts
from gpt.data.labeled_texts import USUAL, Columns, check_labels, read_labeled
from gpt.errors import ConfigError
from gpt.evaluation.classes import ClassEvaluation, evaluate_classes
from gpt.parallel.runtime import Runtime
from gpt.report.class_table import write_evaluation
from gpt.report.events import NullReporter, Reporter
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.store import Store, default_store
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.classifier import Classifier, Pooling
from gpt.spec.dropout import Dropout
from gpt.spec.objective import ClassCrossEntropy
from gpt.spec.optimizer import AdamW
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.spec.score import AnyScore, ClassLoss
from gpt.spec.task import Classification, Train
from gpt.training.loop import run
from gpt.training.outcome import Outcome
from gpt.training.tasks.classification import LabeledData
from gpt.training.tasks.starting import STEP_TOKENS
from gpt.training.tuning.planning import STEPS_PER_EPOCH, TuningPlan
from pytok.tokenizer import Tokenizer

BALANCED = "balanced"
"""Class weights by which all classes count the same."""
MOST_ROWS = 16
"""Most texts of a step; chapter 6 of Raschka 2024 has 8."""
RATES: Mapping[Train, float] = {
    "head": 10.0,
    "last-block": 1.0,
    "last-two": 1.0,
    "all": 1.0,
    "lora": 2.0,
}
"""Learning rates, as multiples of that of all weights."""


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Result of a call of `train_classifier`."""

    outcome: Outcome
    test: ClassEvaluation | None = None
    """On the test split, or without one on the validation split. None without either, and until the
    run is finished."""
    split: str | None = None
    """The split that was measured."""


def plan_classifier(
    base: Path,
    *,
    data: Path,
    out: Path | None,
    train: Train = "lora",
    adapter: LoRA | DoRA | None = None,
    pretrained: bool = True,
    token: Pooling = "last",
    causal: bool = True,
    pad_to: int | None = None,
    class_weights: Sequence[float] | str = (),
    score: AnyScore | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
) -> TuningPlan:
    """Choose a complete recipe by the base, by what is trained, and by the number of texts.

    *adapter* is that of ``train="lora"``, by default `LoRA`. Without *causal*, tokens also attend
    to later ones. *class_weights* are in the order of the classes, or `BALANCED`: the number of
    texts, divided by that of the classes and by that of the texts of the class (as scikit-learn
    has it). Raises what `gpt.training.tuning.planning.plan_tuning` raises.
    """
    if epochs is not None and not 0 < epochs < math.inf:
        raise ConfigError(f"epochs must be above 0; got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; got {batch_size}")
    checkpoint = read_checkpoint(base)
    body = checkpoint.config
    if train == "lora" and adapter is None:
        adapter = LoRA()
    task = Classification(base=base, train=train, adapter=adapter, pretrained=pretrained)
    attention = body.attention if causal else body.attention.bidirectional()
    dropout = Dropout(rate=0.1 if train in ("all", "last-two", "last-block") else 0.0)
    model = Classifier.over(
        body, attention=attention, dropout=dropout, token=token, pad_to=pad_to, classes=()
    )
    recipe = Recipe(
        data=data,
        out=out,
        task=task,
        objective=ClassCrossEntropy(),
        score=score or ClassLoss(),
        model=model,
        seed=seed,
    )
    opened = LabeledData.open(recipe, checkpoint, frozenset())
    _, rows, length, _ = opened.layout(recipe, frozenset())
    epochs = epochs or (10 if rows < 2_000 else 5 if rows < 20_000 else 3)
    if batch_size is None:
        # The largest power of two within the limits.
        most = min(STEP_TOKENS // length, rows // STEPS_PER_EPOCH, MOST_ROWS)
        batch_size = 1 << max(0, most.bit_length() - 1)
    steps = max(1, math.ceil(epochs * rows / batch_size))
    rate = 1e-3 * min(1.0, 256 / model.width) * RATES[train]
    # Twice an epoch: overfitting can start within one.
    interval = max(1, steps // math.ceil(2 * epochs))
    recipe = dataclasses.replace(
        recipe,
        model=dataclasses.replace(model, classes=opened.classes),
        objective=ClassCrossEntropy(class_weights=_weights(class_weights, opened)),
        steps=steps,
        batch_size=batch_size,
        optimizer=AdamW(
            lr=rate if lr is None else lr,
            weight_decay=0.1 if adapter is None else 0.0,
            betas=(0.9, 0.99),
        ),
        schedule=Cosine(floor=0.1),
        clip=1.0,
        eval_every=interval,
        checkpoint_every=interval,
        patience=6,
    )
    return TuningPlan(recipe=recipe, base=checkpoint, data=opened)


def train_classifier(
    plan: TuningPlan | Recipe,
    *,
    store: Store | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Classified:
    """Train by *plan*, or resume, then measure the best model on the test split.

    A finished run in a folder has the figures and their plot (`gpt.report.class_table`). For the
    arguments and the errors see `gpt.training.loop.train`.
    """
    reporter = reporter or NullReporter()
    if not isinstance(plan, TuningPlan):
        plan = TuningPlan.open(plan)
    recipe, task = plan.recipe, plan.task()
    store = store or default_store(recipe)
    reporter.notice(task.summary)
    outcome = run(task, store=store, reporter=reporter, stop=stop)
    split = next((each for each in (TEST, VAL) if split_file(recipe.data, each).exists()), None)
    if not outcome.finished or split is None:
        return Classified(outcome=outcome)
    saved = outcome.state.recipe
    result = evaluate_file(
        store.read(),
        split_file(recipe.data, split),
        Runtime.choose(saved.device, saved.dtype),
        tokenizer=plan.base.tokenizer(),
    )
    if store.folder is not None:
        write_evaluation(store.folder, split, result)
    return Classified(outcome=outcome, test=result, split=split)


def evaluate_file(
    checkpoint: Checkpoint,
    file: Path,
    runtime: Runtime,
    *,
    columns: Columns = USUAL,
    tokenizer: Tokenizer | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ClassEvaluation:
    """Measure the classifier of *checkpoint* on the texts of *file*.

    *tokenizer* is that of the checkpoint, if that is in memory. Raises DataError naming the line of
    *file* with a label that the classifier does not know.
    """
    config = checkpoint.classifier_config
    texts = read_labeled(file, columns)
    remedy = "remove these texts, or train a classifier with such"
    check_labels(texts, config.classes, file, remedy)
    encoded = EncodedTexts.of(
        texts,
        config.classes,
        tokenizer or checkpoint.tokenizer(),
        context=config.context,
        pad_to=config.pad_to,
    )
    model = checkpoint.classifier(runtime.device)
    return evaluate_classes(model, encoded, runtime=runtime, progress=progress)


def _weights(given: Sequence[float] | str, data: LabeledData) -> tuple[float, ...]:
    """Return the class weights that are *given*, or balanced ones for the texts of *data*."""
    if not isinstance(given, str):
        return tuple(given)
    if given != BALANCED:
        raise ConfigError(f"class_weights must be numbers or {BALANCED!r}; got {given!r}")
    counts = Counter(each.label for each in data.train)
    return tuple(len(data.train) / (len(counts) * counts[label]) for label in data.classes)
