"""The loop: what it learns, what it writes, and that it goes on as if it had not stopped."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt.commands.interruption import Interruption
from gpt.errors import ConfigError, DataError, TrainingError
from gpt.evaluation.bits_per_byte import evaluate
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.report.events import NullReporter
from gpt.runs.metrics import MetricsFile, Row, read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.training.loop import Outcome, _Run, train
from pytok import shards


class Until(NullReporter):
    """A reporter and a `stop`, which says so after *step*."""

    def __init__(self, step: int) -> None:
        self.step, self.made = step, 0

    def row(self, row: Row, steps: int) -> None:
        """Hear of a step."""
        self.made = row.step

    def __call__(self) -> bool:
        """Whether it is time."""
        return self.made >= self.step


class Within(Until):
    """One that says so in the middle of the evaluation of *step*."""

    calls = 0

    def __call__(self) -> bool:
        """Whether it is time."""
        self.calls = self.calls + 1 if self.made == self.step - 1 else 0
        return self.calls > 2  # the first is before the step, the second before a batch


class Killed(Exception):
    """In place of a kill."""


class Killer(NullReporter):
    """A reporter that kills the run when it hears of *step*."""

    def __init__(self, step: int) -> None:
        self.step = step

    def row(self, row: Row, steps: int) -> None:
        """Hear of a step."""
        if row.step == self.step:
            raise Killed


def train_until(recipe: Recipe, step: int) -> Outcome:
    """Stop *recipe* after *step*."""
    until = Until(step)
    return train(recipe, reporter=until, stop=until)


def history(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl but for their times."""
    rows = [dataclasses.asdict(row) for row in read_metrics(run / "metrics.jsonl")]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def moved(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """*recipe* into another folder beside its own."""
    return dataclasses.replace(recipe, out=recipe.out.with_name(name), **changes)


@pytest.fixture
def whole(recipe: Recipe) -> Recipe:
    """A run that was never stopped."""
    whole = moved(recipe, "whole")
    train(whole)
    return whole


@pytest.mark.parametrize("optimizer", [AdamW(), Muon()], ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("stop_at", [1, 4, 7, 11])
def test_stopped_run_goes_on_bit_for_bit(
    recipe: Recipe, stop_at: int, average: float | None, optimizer: Any
) -> None:
    """Losses, rates, evaluations, weights and averages equal those of the run without a stop."""
    recipe = dataclasses.replace(recipe, optimizer=optimizer, average=average)
    whole = moved(recipe, "whole")
    train(whole)
    stopped = train_until(recipe, stop_at)
    resumed = train(recipe)
    there, here = read_checkpoint(whole.out), read_checkpoint(recipe.out)

    assert (stopped.finished, stopped.state.step, resumed.finished) == (False, stop_at, True)
    assert history(recipe.out) == history(whole.out)
    assert all(torch.equal(here.weights[name], there.weights[name]) for name in there.weights)
    assert all(
        torch.equal(here.optimizer_state[name], there.optimizer_state[name])
        for name in there.optimizer_state
    )


def test_killed_run_goes_on_from_its_last_checkpoint(recipe: Recipe, whole: Recipe) -> None:
    """Rows of the metrics past the checkpoint, half a row, and half a checkpoint are dropped."""
    with pytest.raises(Killed):
        train(recipe, reporter=Killer(7))
    with (recipe.out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "tok')
    half = recipe.out / "checkpoints" / "step-00000008.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert read_checkpoint(recipe.out).state.step == 5
    train(recipe)

    assert history(recipe.out) == history(whole.out)
    assert not half.exists()


@pytest.mark.parametrize("writes", [0, 1, 5, 7, 8])
def test_checkpoint_survives_a_kill_at_any_write(
    recipe: Recipe, whole: Recipe, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Left at once after 0 to 8 writes to the disk, a run has its last one or the new one."""
    train_until(recipe, 4)
    left = iter(range(writes))

    def fsync(descriptor: int) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    survived = read_checkpoint(recipe.out).state.step
    train(recipe)

    assert survived == (5 if writes == 8 else 4)
    assert history(recipe.out) == history(whole.out)


@pytest.mark.parametrize("at", [5, 10, 12])
def test_stop_within_an_evaluation_loses_nothing(recipe: Recipe, whole: Recipe, at: int) -> None:
    """The step has its checkpoint, and the evaluation is made when the run goes on."""
    within = Within(at)
    stopped = train(recipe, reporter=within, stop=within)
    cut_off = history(recipe.out)
    resumed = train(recipe)

    assert (stopped.finished, stopped.state.step, resumed.finished) == (False, at, True)
    assert read_checkpoint(recipe.out).state.val_bpb == read_checkpoint(whole.out).state.val_bpb
    assert (cut_off[-1]["step"], cut_off[-1]["val_bpb"]) == (at, None)
    assert history(recipe.out) == history(whole.out)
    assert resumed.state.best_step == read_checkpoint(whole.out).state.best_step


@pytest.mark.parametrize("at", [5, 10, 12])
def test_evaluation_made_up_for_is_in_the_checkpoint(recipe: Recipe, at: int) -> None:
    """With the weights that it found to be the best, also where the run is killed at once."""
    recipe = dataclasses.replace(recipe, patience=9, keep=9)
    whole = moved(recipe, "whole")
    train(whole)
    within = Within(at)
    train(recipe, reporter=within, stop=within)
    with pytest.raises(Killed):
        train(recipe, reporter=Killer(at))
    there = read_checkpoint(whole.out / "checkpoints" / f"step-{at:08}")
    here = read_checkpoint(recipe.out / "best")

    assert (here.state.step, here.state.best_step) == (at, there.state.best_step)
    assert here.state.val_bpb == there.state.val_bpb
    assert all(torch.equal(here.weights[name], there.weights[name]) for name in there.weights)


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_checkpoint_survives_a_kill_as_it_is_replaced(
    recipe: Recipe, whole: Recipe, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Its step is there after 0, 1 and 2 of the renames, and nothing is left over in the end."""
    within = Within(12)
    train(recipe, reporter=within, stop=within)
    left, rename = iter(range(renames)), Path.rename

    def killed(path: Path, target: Path | None = None) -> Path:
        if target is None or next(left, None) is None:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)
    survived = read_checkpoint(recipe.out).state
    train(recipe)

    assert (survived.step, survived.best_step == 12) == (12, renames == 2)
    assert history(recipe.out) == history(whole.out)
    assert all(
        path.name.removeprefix("step-").isdigit() for path in (recipe.out / "checkpoints").iterdir()
    )


@pytest.mark.parametrize("compile", [None, False])
def test_run_stopped_before_its_first_step_leaves_no_checkpoint(
    recipe: Recipe, compile: bool | None
) -> None:
    """While it times steps to choose by, or after; the same command begins it."""
    recipe = dataclasses.replace(recipe, compile=compile)
    outcome = train(recipe, stop=lambda: True)

    assert (outcome.finished, outcome.state.step, outcome.checkpoint) == (False, 0, None)
    assert train(recipe).finished


def test_longer_run_goes_on_where_the_shorter_ended(recipe: Recipe) -> None:
    """Its steps may change; the reporter hears that the schedule does."""
    notices: list[str] = []

    class Listener(NullReporter):
        def notice(self, text: str) -> None:
            notices.append(text)

    train(recipe)
    longer = dataclasses.replace(recipe, steps=15)
    outcome = train(longer, reporter=Listener())

    assert outcome.state.step == 15
    assert [row["step"] for row in history(recipe.out)] == list(range(1, 16))
    assert any("steps 12 -> 15" in text for text in notices)


@pytest.mark.parametrize("bound", ["seconds", "max_seconds"])
def test_run_that_fills_a_time_keeps_its_number_of_steps(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Chosen once, by timing; the run resumes to the same end however fast the machine is then."""
    ticks = itertools.count()  # by this clock a step takes a second
    monkeypatch.setattr("gpt.training.loop.time.perf_counter", lambda: float(next(ticks)))
    timed = dataclasses.replace(recipe, **{bound: 5.0})  # type: ignore[arg-type]

    first = train_until(timed, 1)
    second = train(dataclasses.replace(timed, steps=99))

    assert (first.state.step, first.state.recipe.steps) == (1, 5)
    assert (second.state.step, second.finished) == (5, True)


def test_run_that_needs_less_than_its_most_seconds_makes_its_steps(recipe: Recipe) -> None:
    """They bound a run, and do not lengthen it."""
    assert train(dataclasses.replace(recipe, max_seconds=1e6)).state.step == recipe.steps


@pytest.mark.parametrize(
    ("seconds", "chosen"), [({"bfloat16": 1, "float32": 9}, "bfloat16"), ({}, "float32")], ids=str
)
def test_type_of_products_is_the_faster_one(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, int], chosen: str
) -> None:
    """By the clock, where the processor has both; the run keeps it, and resumes in it."""
    monkeypatch.setattr("gpt.parallel.runtime._has_bfloat16", lambda device: True)
    monkeypatch.setattr(_Run, "_probe", lambda self, runtime: seconds.get(runtime.name, 5))
    if not seconds:
        seconds["bfloat16"] = 6
    either = dataclasses.replace(recipe, dtype="auto")
    first = train_until(either, 2).state.recipe.dtype
    monkeypatch.setattr(_Run, "_probe", lambda self, runtime: 0)

    assert first == chosen
    assert train(either).state.recipe.dtype == chosen
    asked = moved(recipe, "asked", dtype=chosen)
    train(asked)
    assert history(asked.out) == history(either.out)


@pytest.mark.parametrize(("pays", "chosen"), [(0.0, True), (1e9, False)])
def test_run_is_compiled_where_it_lasts_long_enough(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, pays: float, chosen: bool
) -> None:
    """By the time that its steps will take."""
    compiled: list[GPT] = []
    monkeypatch.setattr("gpt.training.loop.COMPILE_PAYS", pays)
    monkeypatch.setattr("torch.compile", lambda model: compiled.append(model) or model)
    outcome = train(dataclasses.replace(recipe, compile=None, steps=2))

    assert outcome.state.recipe.compile is chosen
    assert bool(compiled) is chosen


def test_two_processes_do_not_train_in_one_folder(recipe: Recipe) -> None:
    """The second would remove the checkpoints of the first."""

    def train_again() -> bool:
        with pytest.raises(ConfigError, match="another process is training in"):
            train(recipe)
        return True

    assert train(recipe, stop=train_again).state.step == 0


def test_finished_run_is_left_as_it_is(whole: Recipe) -> None:
    """Asked again, it makes no step."""
    before = history(whole.out)

    assert train(whole).finished
    assert history(whole.out) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": Muon(lr=0.1)}, r"optimizer\.lr = 0.0"),
        ({"schedule": Cosine()}, r"schedule\."),
        ({"seed": 5}, "seed = 0"),
        ({"steps": 3}, "3"),
    ],
)
def test_run_of_another_recipe_is_refused(
    whole: Recipe, changes: dict[str, Any], words: str
) -> None:
    """The message names the field and its old value."""
    with pytest.raises(ConfigError, match=words):
        train(dataclasses.replace(whole, **changes))


def test_run_with_an_average_is_measured_and_used_by_it(recipe: Recipe) -> None:
    """The model of its checkpoint has the weights that were evaluated, not those that go on."""
    outcome = train(dataclasses.replace(recipe, average=0.9))
    found = read_checkpoint(recipe.out)
    used = found.model().embedding.weight
    result = evaluate(
        found.model(),
        shards.open_shards(recipe.data).splits["val"],
        runtime=Runtime.choose("cpu", "float32"),
    )

    assert result.bits_per_byte == pytest.approx(outcome.state.val_bpb)
    assert torch.equal(used, found.optimizer_state["embedding.weight:average"])
    assert torch.equal(used, found.weights["embedding.weight"])
    assert not torch.equal(used, found.optimizer_state["embedding.weight:weight"])


@pytest.mark.parametrize("end", [256, 300])
def test_run_on_other_data_is_refused(
    whole: Recipe, tokenizer: Any, tmp_path: Path, end: int
) -> None:
    """Of another tokenizer, or of the same one and another length."""
    (tmp_path / "other.txt").write_text("something else entirely, and not much of it\n" * 9)
    shards.write(tmp_path / "other.txt", type(tokenizer)(end), tmp_path / "other")
    with pytest.raises(DataError, match="another --out"):
        train(dataclasses.replace(whole, data=tmp_path / "other"))


def test_run_learns_a_small_text_by_heart(recipe: Recipe) -> None:
    """A hundred steps on a few sentences: the loss goes from ln 257 to nearly nothing."""
    small = dataclasses.replace(
        recipe.model, context=32, width=64, dropout=0.0, attention=recipe.model.attention
    )
    outcome = train(moved(recipe, "small", steps=150, batch_size=8, accumulate=1, model=small))
    losses = [row.loss for row in read_metrics(outcome.checkpoint.parent.parent / "metrics.jsonl")]

    assert losses[0] == pytest.approx(5.55, abs=0.3)
    assert losses[-1] < 0.35
    assert outcome.state.val_bpb is not None
    assert outcome.state.val_bpb < 0.6


def test_accumulated_gradients_equal_those_of_one_batch(recipe: Recipe) -> None:
    """Two halves averaged are the whole: the same weights after a step, up to rounding."""
    still = dataclasses.replace(recipe.model, dropout=0.0)
    halves = moved(recipe, "halves", steps=3, model=still)
    at_once = moved(recipe, "at-once", steps=3, model=still, batch_size=4, accumulate=1)
    train(halves)
    train(at_once)

    ours, theirs = read_checkpoint(halves.out).weights, read_checkpoint(at_once.out).weights
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_metrics_count_tokens_and_bytes(whole: Recipe, data: Path) -> None:
    """64 tokens a step, as bytes at the split's mean; evaluation at 5, 10 and the end."""
    rows = read_metrics(whole.out / "metrics.jsonl")
    split = shards.open_shards(data).splits["train"]

    assert [row.tokens for row in rows] == [64 * step for step in range(1, 13)]
    assert rows[-1].bytes == round(64 * 12 * split.bytes / len(split))
    assert [row.step for row in rows if row.val_bpb is not None] == [5, 10, 12]
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)


def test_run_without_a_validation_split_is_not_evaluated(
    recipe: Recipe, tokenizer: Any, tmp_path: Path
) -> None:
    """It trains all the same."""
    (tmp_path / "text.txt").write_text("no split is held out of this\n" * 9)
    shards.write(tmp_path / "text.txt", tokenizer, tmp_path / "all", val=0)

    assert train(dataclasses.replace(recipe, data=tmp_path / "all")).state.val_bpb is None


def test_batch_that_does_not_fit_in_memory_ends_the_run(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which fields to change."""

    def full(*arguments: object, **named: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(GPT, "forward", full)
    with pytest.raises(TrainingError, match="halve batch_size and double accumulate"):
        train(recipe)


def test_training_leaves_the_callers_random_state(recipe: Recipe) -> None:
    """What the caller draws next does not depend on whether it trained."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(moved(recipe, "aside", steps=2))

    assert torch.equal(torch.rand(3), expected)


def test_bfloat16_run_learns(recipe: Recipe) -> None:
    """Autocast on the CPU, emulated where the processor lacks it."""
    train(dataclasses.replace(recipe, dtype="bfloat16", steps=30))
    losses = [row["loss"] for row in history(recipe.out)]

    assert losses[-1] < losses[0] - 1


@pytest.mark.gpu
def test_cuda_run_goes_on_where_it_stopped(recipe: Recipe) -> None:
    """The optimizer's state comes back to the device."""
    on_gpu = dataclasses.replace(recipe, device="cuda")
    train_until(on_gpu, 5)

    assert train(on_gpu).finished


@pytest.mark.slow
def test_compiled_run_learns_what_an_eager_one_does(recipe: Recipe) -> None:
    """Up to rounding; its checkpoints have the same names."""
    still = dataclasses.replace(recipe.model, dropout=0.0)
    eager, compiled = moved(recipe, "eager", model=still), moved(recipe, "compiled", model=still)
    train(eager)
    train(dataclasses.replace(compiled, compile=True))
    losses = [[row["loss"] for row in history(run.out)] for run in (eager, compiled)]

    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert read_checkpoint(compiled.out).weights.keys() == read_checkpoint(eager.out).weights.keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_notes_the_first_signal(number: signal.Signals) -> None:
    """And gives the handlers back, so that the second one acts at once."""
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.signal is None
        os.kill(os.getpid(), number)

        assert interruption.signal == number
        assert signal.getsignal(number) is before


def test_metrics_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    """By file and line."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl:1: not a row of a run: tokens: missing"):
        read_metrics(path)


def test_metrics_that_do_not_fit_on_the_disk_are_named(tmp_path: Path) -> None:
    """The line that was cut off is gone when the file is opened again."""
    path = tmp_path / "metrics.jsonl"
    rows = [Row(step=s, tokens=s, bytes=s, seconds=s / 2, loss=1 / s, lr=0.1) for s in (1, 2)]
    file = MetricsFile(path, keep=0)
    file.append(rows[0])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 9, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            file.append(rows[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        file.close()

    assert caught.value.filename == str(path)
    assert not path.read_bytes().endswith(b"\n")
    MetricsFile(path, keep=9).close()
    assert read_metrics(path) == rows[:1]
    assert path.read_bytes().endswith(b"\n")


def test_metrics_file_keeps_rows_up_to_a_step(tmp_path: Path) -> None:
    """Later ones are dropped when it is opened."""
    path = tmp_path / "metrics.jsonl"
    rows = [Row(step=s, tokens=s, bytes=s, seconds=s / 2, loss=1 / s, lr=0.1) for s in (1, 2, 3)]
    path.write_text("".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in rows))
    file = MetricsFile(path, keep=2)
    file.append(rows[0])
    file.close()

    assert read_metrics(path) == [rows[0], rows[1], rows[0]]
