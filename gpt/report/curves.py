"""What a plot of runs shows: losses over steps, and the levels to compare them with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gpt.data.masking import open_run_data
from gpt.errors import DataError
from gpt.evaluation.score import SCORES, Score, score_of
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import read_state
from gpt.runs.retention import find_checkpoint
from gpt.runs.state import State
from gpt.spec.classifier import Classifier
from gpt.spec.objective import NATS_PER_TOKEN, CrossEntropy
from gpt.spec.recipe import Recipe
from gpt.spec.score import BitsPerByte
from pytok.errors import PytokError

BEGINNING = 0.02
"""Initial fraction of a run whose training losses are not drawn: they fall by several nats, and
would compress everything after into a line."""
MEMORY = 20
"""Steps over which the training loss is averaged, about."""
COUNTED = 1 << 22
"""Tokens at the beginning of the training split from which the unigram entropy is computed."""


@dataclass(frozen=True)
class Measure:
    """A vertical axis."""

    label: str
    name: str
    """Name of the validation figure in `Row.val`."""
    training: Callable[[Row], float] | None = None
    """The same for training; None if it is not measured there."""


def in_words(unit: str) -> str:
    """Return *unit*, of a loss, in words.

    >>> in_words("nats/token")
    'nats per token'
    """
    return unit.replace("/", " per ")


BITS = Measure("bits per byte", "bits_per_byte", lambda row: row.bits_per_byte)
NATS = Measure(in_words(CrossEntropy.UNIT), "loss", lambda row: row.loss)


class History:
    """The metrics of a run, and what its newest checkpoint says of it."""

    def __init__(self, run: Path) -> None:
        """Read the folder *run*; raises DataError without metrics."""
        path = run / "metrics.jsonl"
        if not path.is_file():
            raise DataError(f"{path}: not found; a run has one after its first step")
        self.run, self.rows = run, read_metrics(path)
        if not self.rows:
            raise DataError(f"{path}: has no complete line yet; plot it after the first step")
        newest = find_checkpoint(run)
        self.state: State | None = None if newest is None else read_state(newest)

    @property
    def recipe(self) -> Recipe | None:
        """The recipe, if there is a checkpoint."""
        return None if self.state is None else self.state.recipe

    @property
    def score(self) -> Score:
        """The score of the run, or else that of most runs."""
        return SCORES[BitsPerByte] if self.recipe is None else score_of(self.recipe.score)

    @cached_property
    def measures(self) -> list[Measure]:
        """What is drawn of it: its score, and its training loss if that is another figure.

        Bits per byte and nats per token differ by a constant, so one of them is enough.
        """
        if self.recipe is not None and self.recipe.objective.UNIT != NATS_PER_TOKEN:
            loss = Measure("loss", "objective", NATS.training)
            return [Measure(self.score.unit, self.score.name), loss]
        if self.score.name == BITS.name:
            return [BITS]
        if self.score.name == NATS.name:
            return [Measure(self.score.unit, NATS.name, NATS.training)]
        unit = CrossEntropy.UNIT if self.recipe is None else self.recipe.objective.UNIT
        loss = Measure(in_words(unit), NATS.name, NATS.training)
        return [Measure(self.score.unit, self.score.name), loss]

    def evaluations(self, name: str) -> list[tuple[Row, float]]:
        """Return the rows that have the validation figure *name*, with its value."""
        return [(row, row.val[name]) for row in self.rows if row.val and name in row.val]

    def training(self, measure: Measure) -> list[tuple[Row, float]]:
        """Return the rows after the beginning of the run, with the running mean of *measure*."""
        if measure.training is None:
            return []
        smooth = smoothed([measure.training(row) for row in self.rows])
        first = math.floor(len(self.rows) * BEGINNING)
        return list(zip(self.rows, smooth, strict=True))[first:]

    def best(self, name: str) -> tuple[Row, float] | None:
        """Return the best evaluation of the figure *name*, by the rule of the run's score."""
        best = None
        for row, value in self.evaluations(name):
            if self.score.is_better(value, None if best is None else best[1]):
                best = row, value
        return best

    def baselines(self, measure: Measure) -> dict[str, float]:
        """Return levels that *measure* of a model of texts is compared with, by name.

        Those are what a uniform distribution over the vocabulary has and what the frequencies of
        the tokens have (if the data is still there); of a tuned model, what it had before.
        """
        if self.state is None or self.recipe is None or measure.training is None:
            return {}
        if self.state.first_score is not None:
            is_same = measure.name == self.score.name
            return {"before tuning": self.state.first_score} if is_same else {}
        levels = {}
        if isinstance(self.recipe.model, Classifier) and measure.name == NATS.name:
            return {"random guess": math.log(len(self.recipe.model.classes))}
        if isinstance(self.recipe.objective, CrossEntropy) and self.state.train_tokens:
            row = self.rows[-1]
            unit = (row.tokens / row.bytes / math.log(2)) if measure is BITS else 1.0
            levels["random guess"] = unit * math.log(self.state.config.vocab_size)
            if (entropy := _unigram_entropy(self.state)) is not None:
                levels["unigram entropy"] = unit * entropy
        return levels

    def remarks(self) -> list[str]:
        """Return why the training loss can lie above validation, of the same model."""
        reasons = [f"is a mean of some {MEMORY} steps, each before its update"]
        if self.recipe is not None:
            rate = self.recipe.model.dropout.rate
            if rate:
                reasons.append(f"has dropout {rate:g}")
            if self.recipe.bpe_dropout:
                reasons.append(f"has BPE dropout {self.recipe.bpe_dropout:g}")
            if self.recipe.average is not None:
                reasons.append("is that of weights that are not averaged")
        return reasons


def smoothed(values: Sequence[float]) -> list[float]:
    """Return an exponential moving average over some `MEMORY` steps, corrected for its start."""
    decay, result, total, weight = 1 - 1 / MEMORY, [], 0.0, 0.0
    for value in values:
        total, weight = decay * total + value, decay * weight + 1
        result.append(total / weight)
    return result


def _unigram_entropy(state: State) -> float | None:
    """Return the entropy of the tokens of the training split in nats; None without the data."""
    recipe = state.recipe
    if recipe.model.reads_pairs:
        return None
    try:
        split = open_run_data(recipe.data, recipe.objective, state.fingerprint).splits["train"]
        counts = np.bincount(split.read(0, min(len(split), COUNTED)).astype(np.int64))
    except (DataError, PytokError, OSError, KeyError):
        return None
    frequencies = counts[counts > 0] / counts.sum()
    return float(-(frequencies * np.log(frequencies)).sum())
