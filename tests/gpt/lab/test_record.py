"""Records keep figures, and only those of the same experiment."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from gpt.lab import digest
from gpt.lab.experiment import Setting
from gpt.lab.record import Record
from tests.gpt.lab import small

CODE = """
def measure(setting):
    \"\"\"A docstring.\"\"\"
    return {"y": setting.seed}  # a comment

EXPERIMENT = Experiment(bounds="none")
"""


def test_figures_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    """In a file that is JSON to every reader, before and after the end."""
    experiment, setting = small.experiment(), Setting(arm="base", size={}, rate=0.1)
    record = Record(tmp_path, experiment, "cpu")
    record.add("loss", setting, {"loss": math.inf, "steps": [1.0, math.nan]}, 1.0)
    lines = Record(tmp_path, experiment, "cpu")
    record.finish({"verdict": "none"})
    whole = Record(tmp_path, experiment, "cpu")

    for each in (lines, whole):
        (trial,) = each.trials.values()
        assert trial.figures["loss"] == math.inf
        assert str(trial.figures["steps"]) == "[1.0, nan]"

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(record.path.read_bytes(), parse_constant=refuse)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("A docstring", "Another", True),
        ("a comment", "another", True),
        ('bounds="none"', 'bounds="some"', True),
        ("setting.seed", "-setting.seed", False),
    ],
)
def test_only_code_counts(old: str, new: str, same: bool) -> None:
    """Words of an experiment may change without its trials being made again."""
    assert (digest._code(CODE) == digest._code(CODE.replace(old, new))) is same


def test_a_size_counts_for_its_part(tmp_path: Path) -> None:
    """Trials of other parts stay."""
    setting = Setting(arm="base", size={}, rate=0.1)
    record = Record(tmp_path, small.experiment(), "cpu")
    record.add("loss", setting, {"loss": 1.0}, 1.0)
    record.add("equality", setting, {"error": 1.0}, 1.0)
    sizes = {name: {"steps": 4} for name in ("smoke", "cpu", "gpu")}
    changed = Record(tmp_path, small.experiment(sizes=sizes), "cpu")

    assert [part for part, *_ in changed.trials] == ["equality"]
