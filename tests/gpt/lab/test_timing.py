"""How long an experiment takes follows from what its trials took, here or elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt.lab import timing
from gpt.lab.experiment import Setting
from gpt.lab.record import Record
from gpt.lab.running import Options
from tests.gpt.lab import small

TRIALS = 27
"""Of the part "loss": 3 rates on 2 seeds and 5 seeds for both arms, 5 again for the baseline."""


def test_what_was_not_timed_has_no_time(tmp_path: Path) -> None:
    """Nothing is guessed."""
    assert timing.minutes(small.experiment(), tmp_path, Options()) is None


def test_trials_here_say_how_long_others_take(tmp_path: Path) -> None:
    """An hour each, of which two are made; equalities take none. Two jobs halve the rest."""
    record = Record(tmp_path, small.experiment(), "cpu")
    for arm in ("base", "better"):
        record.add("loss", Setting(arm=arm, size={}, rate=0.1), {"loss": 1.0}, 3600)
    record.add("equality", Setting(arm="base", size={}), {"error": 0.0}, 0)

    assert timing.minutes(small.experiment(), tmp_path, Options()) == 60 * (TRIALS - 2)
    assert timing.minutes(small.experiment(), tmp_path, Options(jobs=2)) == 30 * (TRIALS - 2)


def test_trials_elsewhere_are_scaled_by_the_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine half as fast takes twice as long; other sizes say nothing."""
    path = tmp_path / "timings.json"
    seconds = {"loss": {"base": 60, "better": 60}, "equality": {"base": 0}}
    path.write_text(json.dumps({"small": {"speed": 80, "seconds": seconds}}))
    monkeypatch.setattr(timing, "TIMINGS", path)
    monkeypatch.setattr(timing, "speed", lambda: 40.0)

    assert timing.minutes(small.experiment(), tmp_path, Options()) == 2 * TRIALS
    assert timing.minutes(small.experiment(), tmp_path, Options(size="gpu")) is None
