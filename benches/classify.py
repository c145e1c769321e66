"""What of a classifier matters: the rows of Raschka 2024, chapter 6, on made-up messages.

``python -m benches.classify --out DIR`` trains a small base on messages without labels, and from it
classifiers that differ in one choice each, with several seeds: of the split, the head, the order of
the texts, and dropout. As in the chapter, there are as many messages of spam as of ham: 747 each,
of which 70% are trained on. All are tested on the same new messages. The table is Markdown; the
interval is that of the mean over the seeds (Student). A run that is repeated with the same DIR
continues where it was.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from scipy.stats import t as student
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gpt.data.example_messages import example_messages
from gpt.data.labeled_files import TRAIN, Division, prepare_labeled, split_file
from gpt.data.labeled_texts import LabeledText, read_labeled
from gpt.data.sources import prepare
from gpt.runs.retention import find_checkpoint
from gpt.runs.store import Memory
from gpt.spec.attention import GroupedQuery
from gpt.spec.optimizer import AdamW
from gpt.spec.presets import PRESETS
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tuning.classifying import plan_classifier, train_classifier

MESSAGES = 5574
"""Labeled messages, of which 747 are spam: as many as the SMS Spam Collection has."""
CONTEXT = 64
TEST_SEED, UNLABELED_SEED = 999, 100
WORDS = "no model: logistic regression of words"
LAST_BLOCK: dict[str, Any] = {"train": "last-block"}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "last block, last token": LAST_BLOCK,
    "the first token": LAST_BLOCK | {"token": "first"},
    "the mean of all tokens": LAST_BLOCK | {"token": "mean"},
    "the head only": {"train": "head"},
    "the last two blocks": {"train": "last-two"},
    "all weights": {"train": "all"},
    "LoRA in all blocks": {"train": "lora"},
    "all weights, random at first": {"train": "all", "pretrained": False},
    "filled to the context": LAST_BLOCK | {"pad_to": CONTEXT},
    "attention to later tokens, too": LAST_BLOCK | {"causal": False},
}
"""Arguments of `plan_classifier` by the name of the row; each is the first row with one change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """A classifier of one seed."""

    row: str
    seed: int
    accuracy: float
    loss: float
    calibration_error: float
    seconds: float


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--base", type=click.Path(path_type=Path), help="A base instead of a new one.")
@click.option("--seeds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--epochs", type=float, default=6.0, show_default=True)
@click.option("--tests", type=click.IntRange(2), default=2000, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def main(out: Path, base: Path | None, seeds: int, epochs: float, tests: int, threads: int) -> None:
    """Train and test all rows, then print the table."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "test.tsv", list(example_messages(tests, seed=TEST_SEED, spam=0.5)))
    _write(out / "spam.tsv", list(example_messages(MESSAGES)))
    base = base or _base(out, threads)
    path = out / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    results = [Result(**json.loads(line)) for line in lines]
    done = {(each.row, each.seed) for each in results}
    for seed in range(seeds):
        division = Division(test_data=out / "test.tsv", balance=True, seed=seed)
        data = prepare_labeled(out / "spam.tsv", out / f"seed-{seed}", division)
        for row in (WORDS, *ROWS):
            if (row, seed) in done:
                continue
            result = _words(data, out / "test.tsv", seed) if row == WORDS else None
            result = result or _classifier(row, base, data, seed, epochs, threads)
            results.append(result)
            with path.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(result)) + "\n")
            click.echo(f"{result}", err=True)
    click.echo(table(results))


def table(results: Sequence[Result]) -> str:
    """Return the Markdown table of *results*: means over the seeds with 95% intervals."""
    lines = ["| | accuracy | loss | calibration error | seconds |", "|---|---|---|---|---|"]
    for row in (*ROWS, WORDS):
        found = [each for each in results if each.row == row]
        if len(found) < 2:
            continue
        accuracy = _interval([each.accuracy for each in found])
        loss = _interval([each.loss for each in found])
        error = statistics.fmean(each.calibration_error for each in found)
        seconds = statistics.fmean(each.seconds for each in found)
        shown = "" if math.isnan(error) else f"{error:.3f}"
        lines.append(f"| {row} | {accuracy} | {loss} | {shown} | {seconds:.0f} |")
    return "\n".join(lines)


def _interval(values: Sequence[float]) -> str:
    """Return the mean of *values* with half the width of its 95% interval."""
    if any(map(math.isnan, values)):
        return ""
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values)
    return f"{statistics.fmean(values):.3f} ± {half / math.sqrt(len(values)):.3f}"


def _base(out: Path, threads: int) -> Path:
    """Train the base on messages without labels, unless it is there."""
    base, texts = out / "base", out / "unlabeled.jsonl"
    if find_checkpoint(base):
        return base
    messages = example_messages(12_000, seed=UNLABELED_SEED)
    texts.write_text("".join(json.dumps({"text": each.text}) + "\n" for each in messages))
    model = dataclasses.replace(
        PRESETS["llama"](3, CONTEXT), width=96, attention=GroupedQuery(heads=4, kv_heads=4)
    )
    recipe = Recipe(
        data=prepare(texts, base),
        out=base,
        steps=500,
        batch_size=16,
        optimizer=AdamW(),
        threads=threads,
        dtype="float32",
        compile=False,
        model=model,
    )
    train(recipe)
    return base


def _classifier(row: str, base: Path, data: Path, seed: int, epochs: float, threads: int) -> Result:
    """Train and test the classifier of *row*."""
    plan = plan_classifier(base, data=data, out=None, epochs=epochs, seed=seed, **ROWS[row])
    # Once an epoch: evaluations are the smaller part of the time.
    every = math.ceil((plan.recipe.steps or 1) / epochs)
    plan = plan.replace(
        dtype="float32", compile=False, threads=threads, eval_every=every, checkpoint_every=10**6
    )
    begin = time.process_time()
    classified = train_classifier(plan, store=Memory())
    assert classified.test is not None
    return Result(
        row=row,
        seed=seed,
        accuracy=classified.test.accuracy.rate,
        loss=classified.test.loss,
        calibration_error=classified.test.calibration_error,
        seconds=time.process_time() - begin,
    )


def _words(data: Path, test: Path, seed: int) -> Result:
    """Return the accuracy of logistic regression of the counts of words."""
    begin = time.process_time()
    model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
    known, new = read_labeled(split_file(data, TRAIN)), read_labeled(test)
    model.fit([each.text for each in known], [each.label for each in known])
    rate = model.score([each.text for each in new], [each.label for each in new])
    seconds = time.process_time() - begin
    nothing = math.nan
    return Result(
        row=WORDS,
        seed=seed,
        accuracy=float(rate),
        loss=nothing,
        calibration_error=nothing,
        seconds=seconds,
    )


def _write(path: Path, messages: Sequence[LabeledText]) -> None:
    path.write_text("".join(f"{each.label}\t{each.text}\n" for each in messages))


if __name__ == "__main__":
    main()
