"""The benchmark of time to a loss: its splits, its stopping rule, its ensembles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benches.time_to_loss import RUNGS, climb, prepare
from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.generation.ensemble import Ensemble
from gpt.parallel.runtime import Runtime
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from pytok import shards

TINY = Architecture(context=8, layers=1, width=16, attention=GroupedQuery(heads=1, kv_heads=1))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Shards of two files, with a vocabulary of 280 ids."""
    (tmp_path / "train.txt").write_text("One of these lines after another is learned.\n" * 30)
    (tmp_path / "val.txt").write_text("Une de ces lignes n'est pas apprise: é.\n" * 7)
    prepare(tmp_path / "train.txt", tmp_path / "val.txt", 280, tmp_path / "data-280")
    return tmp_path


def test_the_validation_text_is_held_out(out: Path) -> None:
    """Each split has the bytes of its file."""
    splits = shards.open_shards(out / "data-280").splits

    assert splits["val"].bytes == (out / "val.txt").stat().st_size
    assert splits["train"].bytes == (out / "train.txt").stat().st_size


@pytest.mark.parametrize(("target", "runs"), [(99.0, 1), (0.0, 2)])
def test_longer_runs_follow_until_one_reaches_the_target(
    out: Path, target: float, runs: int
) -> None:
    """The first run that reaches it is the last."""
    short = dataclasses.replace(RUNGS[0], vocab=280, steps=2, rows=1, model=TINY)
    rungs = [short, dataclasses.replace(short, seconds=2, steps=3)]
    ends = climb(out, rungs, target, seed=0)

    assert [row.step for row in ends] == [2, 3][:runs]
    assert all(row.val is not None for row in ends)
    assert (out / "metrics.jsonl").exists()


def test_the_models_of_a_rung_are_evaluated_as_an_ensemble(out: Path) -> None:
    """Its bits per byte are in the last row; rows count the steps and seconds of both models."""
    rung = dataclasses.replace(RUNGS[0], vocab=280, steps=2, rows=1, model=TINY, members=2)
    climb(out, [rung], 0.0, seed=0)
    rows = read_metrics(out / "metrics.jsonl")
    folders = [out / f"seed-0-1s-{member}" for member in range(2)]
    models = [read_checkpoint(folder).model() for folder in folders]
    split = open_split(open_data(out / "data-280"), "val")
    runtime = Runtime.choose()

    assert [row.step for row in rows] == [1, 2, 3, 4]
    assert rows == sorted(rows, key=lambda row: row.seconds)
    assert (
        rows[-1].val["bits_per_byte"]
        == evaluate(Ensemble(models), split, runtime=runtime).bits_per_byte
    )
