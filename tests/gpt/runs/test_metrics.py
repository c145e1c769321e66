"""metrics.jsonl: rows are appended, dropped after a kill, and checked."""

from __future__ import annotations

import dataclasses
import json
import resource
from pathlib import Path

import pytest

from gpt.errors import DataError
from gpt.runs.metrics import MetricsFile, Row, read_metrics


def test_an_invalid_line_of_the_metrics_is_reported(tmp_path: Path) -> None:
    """By file and line."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl:1: not a row of a run: tokens: missing"):
        read_metrics(path)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """By file; the incomplete line is dropped when the file is opened again."""
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


def test_metrics_keep_rows_up_to_a_step(tmp_path: Path) -> None:
    """Later rows are dropped when the file is opened."""
    path = tmp_path / "metrics.jsonl"
    rows = [Row(step=s, tokens=s, bytes=s, seconds=s / 2, loss=1 / s, lr=0.1) for s in (1, 2, 3)]
    path.write_text("".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in rows))
    file = MetricsFile(path, keep=2)
    file.append(rows[0])
    file.close()

    assert read_metrics(path) == [rows[0], rows[1], rows[0]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"val_bpb": 2.5, "val_loss": 5.2}, {"bits_per_byte": 2.5, "loss": 5.2}),
        ({"val_bpb": 2.5}, {"bits_per_byte": 2.5}),
        ({"val_bpb": None, "val_loss": None}, None),
        ({}, None),
        ({"val": {"token_accuracy": 0.5}}, {"token_accuracy": 0.5}),
        ({"val": None}, None),
    ],
    ids=str,
)
def test_rows_of_earlier_versions_are_read(
    tmp_path: Path, fields: dict[str, object], expected: dict[str, float] | None
) -> None:
    """Their figures had fields of their own."""
    path = tmp_path / "metrics.jsonl"
    row = Row(step=1, tokens=2, bytes=3, seconds=4.0, loss=5.0, lr=0.1, gradient_norm=0.5)
    plain = {name: value for name, value in dataclasses.asdict(row).items() if name != "val"}
    path.write_text(json.dumps({**plain, **fields}) + "\n")

    assert read_metrics(path) == [dataclasses.replace(row, val=expected)]
