"""The benchmark of plans: its arms, its table, and what it does not repeat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import pytok
from benches import plans
from pytok import shards


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Shards of a few thousand tokens."""
    text = "One of these lines after another is learned.\n"
    (tmp_path / "text.txt").write_text(text * 800)
    tokenizer = pytok.train([text], 280, special_tokens=("<|endoftext|>",))
    shards.write(tmp_path / "text.txt", tokenizer, tmp_path / "data", val=0.1)
    return tmp_path / "data"


def test_each_run_is_made_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call prints the table of the results of the first."""
    monkeypatch.setattr(plans, "SHORT", ((1, 16, 256),))
    out = tmp_path / "plans.jsonl"
    arguments = [str(data), "--seconds", "0.3", "--seeds", "1", "--steps-of", "--out", str(out)]
    first = CliRunner().invoke(plans.main, arguments, catch_exceptions=False)
    results = [json.loads(line) for line in out.read_text().splitlines()]
    second = CliRunner().invoke(plans.main, arguments, catch_exceptions=False)

    assert [each["arm"] for each in results] == [plans.PLAN, "1 x 16, 256 tokens"]
    assert all(each["steps"] >= 1 for each in results)
    assert f"| {plans.PLAN} |" in first.output
    assert out.read_text().count("\n") == 2
    assert second.output.strip() in first.output
