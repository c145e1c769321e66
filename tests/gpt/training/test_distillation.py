"""Distilled runs: their loss, that they resume with the same teachers only, and which fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

import pytok
from gpt.__main__ import main
from gpt.errors import CheckpointError, ConfigError
from gpt.generation.ensemble import Ensemble
from gpt.model.objectives.distillation import Distillation as Objective
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import Distillation
from gpt.spec.recipe import Recipe
from gpt.training.loop import train
from gpt.training.tasks.build import build_task
from gpt.training.tuning.run import tune
from pytok import shards
from pytok.tokenizer import Tokenizer
from tests.gpt.conftest import TEXT
from tests.gpt.training.interrupted import Notices, history, tensors, train_until
from tests.gpt.training.tuning import small_recipe


@pytest.fixture
def student(base: Path, tmp_path: Path) -> Recipe:
    """A smaller model that learns from the run `base` and has its data."""
    taught = read_checkpoint(base).state.recipe
    return dataclasses.replace(
        taught,
        out=tmp_path / "student",
        steps=6,
        checkpoint_every=4,
        eval_every=3,
        objective=Distillation(teachers=(base,), temperature=2.0, data_weight=0.25),
        model=dataclasses.replace(
            taught.model,
            layers=1,
            width=16,
            context=16,
            attention=GroupedQuery(heads=1, kv_heads=1),
            value_embedding=None,
        ),
    )


def with_objective(recipe: Recipe, out: Path | None = None, **changes: Any) -> Recipe:
    """*recipe* with other fields of its objective."""
    objective = dataclasses.replace(recipe.objective, **changes)
    return dataclasses.replace(recipe, objective=objective, out=out or recipe.out)


def test_a_distilled_run_resumes_bit_for_bit(student: Recipe, tmp_path: Path) -> None:
    """With its figures; dropout of the teacher is off, so nothing of it is random."""
    uninterrupted = dataclasses.replace(student, out=tmp_path / "uninterrupted")
    train(uninterrupted)
    train_until(student, 2)
    train(student)
    ours, theirs = (tensors(read_checkpoint(each.out)) for each in (student, uninterrupted))

    assert history(student.out) == history(uninterrupted.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_loss_of_a_step_is_made_of_its_figures(student: Recipe) -> None:
    """Weighted as the spec says: w · cross-entropy + (1 - w) · T² · divergence."""
    train(student)
    for row in read_metrics(student.out / "metrics.jsonl"):
        assert row.figures is not None
        nats, divergence = row.figures["cross_entropy"], row.figures["divergence"]
        assert row.loss == pytest.approx(0.25 * nats + 0.75 * 4 * divergence, rel=1e-5)


def test_the_teachers_are_the_ensemble(base: Path, student: Recipe, tmp_path: Path) -> None:
    """The divergence is from the average of their probabilities, as in `gpt eval --ensemble`."""
    second = dataclasses.replace(
        read_checkpoint(base).state.recipe, out=tmp_path / "second", seed=1, steps=5
    )
    train(second)
    recipe = with_objective(student, teachers=(base, second.out), temperature=1.0, data_weight=0.0)
    task = build_task(recipe)
    model, batch = task.model().eval(), task.rows.batch(0, 3)
    assert task.objective is not None
    loss = model(batch, task.objective)
    ensemble = Ensemble([read_checkpoint(each).model() for each in (base, second.out)])
    taught = ensemble(batch.inputs)
    ours = torch.log_softmax(model(batch.inputs), -1)

    expected = (taught.exp() * (taught - ours)).sum()
    torch.testing.assert_close(loss.sum, expected)


def test_a_teacher_stays_as_it_is(base: Path, student: Recipe) -> None:
    """It is frozen, in evaluation mode, and its files are not written to."""
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    objective = build_task(student).objective
    train(student)

    assert isinstance(objective, Objective)
    assert not any(each.training for each in objective.teachers)
    assert not any(p.requires_grad for each in objective.teachers for p in each.parameters())
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_a_student_comes_close_to_its_teacher(student: Recipe) -> None:
    """The divergence falls, and what it costs is said before the first step."""
    notices = Notices()
    recipe = dataclasses.replace(student, steps=40, eval_every=40)
    train(recipe, reporter=notices)
    rows = read_metrics(recipe.out / "metrics.jsonl")

    assert rows[-1].figures["divergence"] < 0.5 * rows[0].figures["divergence"]
    assert "1 teacher of" in notices
    assert "times as many as without" in notices


def test_a_run_resumes_with_the_same_teachers_only(
    base: Path, student: Recipe, tmp_path: Path
) -> None:
    """Wherever they are; other weights are refused, also with their digests."""
    train_until(student, 2)
    moved = tmp_path / "moved"
    moved.symlink_to(base)
    digests = read_checkpoint(student.out).state.recipe.objective.digests
    other = dataclasses.replace(read_checkpoint(base).state.recipe, out=tmp_path / "other", steps=1)
    train(other)

    with pytest.raises(ConfigError, match="digests"):
        train(with_objective(student, teachers=(other.out,)))
    with pytest.raises(
        ConfigError, match=r"other weights .* than the teacher that the run started"
    ):
        train(with_objective(student, teachers=(other.out,), digests=digests))
    assert train(with_objective(student, teachers=(moved,))).finished


def test_a_teacher_of_another_tokenizer_is_refused(
    base: Path, student: Recipe, tmp_path: Path
) -> None:
    """The message names both folders and both fingerprints."""
    other = pytok.train([TEXT], 270)
    (tmp_path / "corpus.txt").write_text(TEXT, encoding="utf-8")
    shards.write(tmp_path / "corpus.txt", other, tmp_path / "data", val=0.2)
    mark = read_checkpoint(base).state.fingerprint[:12]

    with pytest.raises(ConfigError, match="the same one") as caught:
        train(dataclasses.replace(student, data=tmp_path / "data"))
    for part in (str(base), mark, str(tmp_path / "data"), other.fingerprint[:12]):
        assert part in str(caught.value)


def test_a_teacher_reads_whole_rows(student: Recipe) -> None:
    """One with a shorter context than the student cannot."""
    longer = dataclasses.replace(student.model, context=64)

    with pytest.raises(ConfigError, match="reads at most 32 tokens, and rows have 64"):
        train(dataclasses.replace(student, model=longer))


def test_distillation_needs_a_teacher(student: Recipe, tmp_path: Path) -> None:
    """None is named, or it is not there."""
    with pytest.raises(ConfigError, match="teachers is empty: name runs to learn from"):
        train(with_objective(student, teachers=()))
    with pytest.raises(CheckpointError, match="no checkpoint found"):
        train(with_objective(student, teachers=(tmp_path / "nowhere",)))


def test_a_tuned_model_can_learn_from_a_teacher(base: Path, tmp_path: Path, bpe: Tokenizer) -> None:
    """A run that starts from a base, with adapters, on the base's own text."""
    recipe = small_recipe(base, base.parent / "data", tmp_path / "run", batch_size=2)
    recipe = dataclasses.replace(recipe, objective=Distillation(teachers=(base,)))
    tuned = tune(recipe)
    first = read_metrics(recipe.out / "metrics.jsonl")[0]

    assert tuned.outcome.finished
    assert first.figures is not None
    assert first.figures["divergence"] == pytest.approx(0, abs=1e-4)  # it starts as its teacher


def test_the_command_distills_with_the_tokenizer_of_the_teacher(
    base: Path, tmp_path: Path, bpe: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text is tokenized with it. The run resumes also without the option."""
    text = tmp_path / "more.txt"
    text.write_text(TEXT * 2, encoding="utf-8")
    command = ["train", "--data", str(text), "--out", str(tmp_path / "run"), "--sample-every", "0"]
    sizes = ["--depth", "1", "--context", "16", "--batch-size", "2", "--eval-every", "2"]
    machine = ["--device", "cpu", "--dtype", "float32", "--compile", "False"]
    distilled = [*command, "--distill", str(base)]
    codes = [main([*distilled, *sizes, *machine, "--steps", "2"])]
    printed = capsys.readouterr().err
    codes += [main([*each, "--steps", steps]) for each, steps in ((command, "3"), (distilled, "4"))]
    state = read_checkpoint(tmp_path / "run").state

    assert codes == [0, 0, 0]
    assert "1 teacher of" in printed
    assert "divergence" in printed
    assert state.step == 4
    assert state.fingerprint == bpe.fingerprint
    assert state.recipe.objective.teachers == (base.absolute(),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["train", "--distill", "a", "--set", "objective=CrossEntropy"], "exclude each other"),
        (["train", "--distill", "nowhere"], "nowhere: no checkpoint found"),
        (["tune", "BASE", "--teachers", "a"], "applies to --objective distillation only; add it"),
        (["tune", "BASE", "--objective", "distillation"], "objective.teachers is empty"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    """It says what to do."""
    (tmp_path / "corpus.txt").write_text(TEXT * 4, encoding="utf-8")
    options = [str(base) if each == "BASE" else each for each in options]
    code = main([*options, "--data", str(tmp_path / "corpus.txt"), "--out", str(tmp_path / "run")])
    printed = capsys.readouterr().err

    assert code in (1, 2)
    assert message in printed
    assert not (tmp_path / "run" / "checkpoints").exists()
