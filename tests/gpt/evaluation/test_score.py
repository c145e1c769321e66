"""Scores: their direction, and what a run does with it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sklearn.metrics import accuracy_score

from gpt.data.shards import open_data, open_split
from gpt.errors import ConfigError
from gpt.evaluation.bits_per_byte import Evaluation, evaluate
from gpt.evaluation.score import SCORES, score_of
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.report.console import ConsoleReporter
from gpt.report.page import write_report
from gpt.report.plot import draw_runs
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.recipe import Recipe
from gpt.spec.score import BitsPerByte, TokenAccuracy
from gpt.spec.task import Pretraining
from gpt.training.loop import train


@pytest.fixture
def accuracies(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the token accuracies of the successive evaluations of a run; bits per byte improve."""

    def set_figures(*figures: float) -> None:
        remaining = iter(figures)

        def evaluate(*arguments: Any, **options: Any) -> Evaluation:
            accuracy = next(remaining)
            return Evaluation(
                nats_per_token=2.0,
                perplexity=1.0,
                bits_per_byte=9 - accuracy,
                tokens=1,
                bytes=1,
                token_accuracy=accuracy,
            )

        monkeypatch.setattr("gpt.training.tasks.pretraining.evaluate", evaluate)

    return set_figures


def test_every_score_is_among_the_figures_of_an_evaluation(data: Path, recipe: Recipe) -> None:
    """By its name, with a value in its range."""
    memory = Memory()
    train(recipe, store=memory)
    figures = memory.rows[-1].val

    assert figures is not None
    measured = {SCORES[each].name for each in Pretraining.SCORES}
    assert measured <= set(figures)
    assert 0 <= score_of(TokenAccuracy()).value(figures) <= 1
    assert memory.state.score == score_of(BitsPerByte()).value(figures)


@pytest.mark.parametrize(
    ("spec", "better", "worse"), [(BitsPerByte(), 1.0, 2.0), (TokenAccuracy(), 0.4, 0.3)], ids=str
)
def test_a_score_has_a_direction(spec: Any, better: float, worse: float) -> None:
    """Any finite value is better than none; a NaN or infinite one is never better."""
    score = score_of(spec)

    assert score.is_better(better, worse)
    assert not score.is_better(worse, better)
    assert not score.is_better(better, better)
    assert score.is_better(worse, None)
    assert not any(score.is_better(value, None) for value in (math.nan, math.inf, -math.inf))


def test_a_score_that_is_not_measured_is_an_error() -> None:
    """The message has what is measured."""
    with pytest.raises(
        ConfigError, match=r"does not measure token_accuracy; .* among loss, margin"
    ):
        score_of(TokenAccuracy()).value({"loss": 1.0, "margin": 0.5})


def test_token_accuracy_equals_that_of_scikit_learn(data: Path, recipe: Recipe) -> None:
    """Over the whole split; padded targets of the last window do not count."""
    memory = Memory()
    train(dataclasses.replace(recipe, steps=60), store=memory)
    model = memory.model()
    split = open_split(open_data(data), "val")
    ids = split.read(0, len(split)).astype("int64")
    predicted: list[int] = []
    for start in range(0, len(ids) - 1, 16):
        predicted += predict(model, ids[start : min(start + 16, len(ids) - 1)])
    found = evaluate(model, split, runtime=Runtime.choose("cpu", "float32"), rows=3)

    assert found.token_accuracy == pytest.approx(accuracy_score(ids[1:], predicted))
    assert found.token_accuracy > 0.2


def predict(model: GPT, ids: Any) -> list[int]:
    """The ids that *model* predicts after each of *ids*: those of the largest logits."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor(ids)[None])
    return [int(each) for each in logits[0].argmax(-1)]


def test_patience_follows_the_direction_of_the_score(recipe: Recipe, accuracies: Any) -> None:
    """Accuracy falls after the second evaluation, so the run ends two later, with its weights."""
    accuracies(0.1, 0.3, 0.2, 0.25)
    scored = dataclasses.replace(recipe, steps=40, patience=2, score=TokenAccuracy())
    state = train(scored).state

    assert (state.step, state.best_step, state.best_score, state.score) == (20, 10, 0.3, 0.25)
    assert read_checkpoint(recipe.out / "best").state.step == 10


def test_reports_show_the_score_of_the_run(
    recipe: Recipe, accuracies: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the console, on the report page, and in a panel and the legend of the plot."""
    accuracies(0.1, 0.3, 0.2)
    console = Console(width=200)
    with ConsoleReporter(console) as reporter:
        train(dataclasses.replace(recipe, score=TokenAccuracy()), reporter=reporter)
    page = write_report(recipe.out).read_text()
    figure = draw_runs([recipe.out])

    assert "validation 0.3000 token accuracy" in capsys.readouterr().out
    assert "| validation | **0.2000 token accuracy** at step 12 |" in page
    assert "| validation bits per byte | 8.8000 |" in page
    assert "| best | 0.3000 token accuracy at step 10 |" in page
    assert "token accuracy" in [axes.get_ylabel() for axes in figure.axes]
    assert figure.legends[0].get_texts()[0].get_text() == "run (0.3000 token accuracy)"


def test_a_run_cannot_resume_with_another_score(recipe: Recipe) -> None:
    """Its best evaluation would be compared with figures of another kind."""
    train(dataclasses.replace(recipe, steps=5))
    with pytest.raises(ConfigError, match=r"score\.kind = BitsPerByte"):
        train(dataclasses.replace(recipe, score=TokenAccuracy()))
