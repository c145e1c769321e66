"""The program for a GPU runs, with a tiny model on the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benches.gpu import Stages, main


def test_every_stage_runs_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the tests, which have a process of their own; nothing is compiled."""
    monkeypatch.setattr(torch, "compile", lambda module: module)
    monkeypatch.setattr(Stages, "tests", lambda stages: {})
    out = tmp_path / "gpu.json"
    result = CliRunner().invoke(main, ["--quick", "--device", "cpu", "--out", str(out)])

    assert result.exit_code == 0, result.output
    records = {record["name"]: record for record in json.loads(out.read_text())["records"]}
    assert {record["state"] for record in records.values()} == {"measured"}
    assert records["train gpt2"]["figures"]["tokens/s"] > 0
    assert records["equality llama"]["figures"]["gradient difference"] == 0


def test_a_stage_that_fails_is_reported_and_the_others_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1."""

    def fail(*arguments: object) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(Stages, "evaluation", fail)
    out = tmp_path / "gpu.json"
    options = ["--quick", "--device", "cpu", "--out", str(out)]
    names = ["evaluation", "generation, 1"]
    result = CliRunner().invoke(main, [*options, *(f"--only={name}" for name in names)])

    assert result.exit_code == 1
    states = [record["state"] for record in json.loads(out.read_text())["records"]]
    assert states == ["failed", "measured"]
    assert "RuntimeError: no kernel image" in result.output
