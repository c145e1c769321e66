"""How long an experiment takes here: by the trials that were made here, or on another machine.

`TIMINGS` has what the trials of the results in docs/lab took, and how fast their machine was.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from gpt.lab.experiment import Experiment
from gpt.lab.machine import speed
from gpt.lab.record import Record, Trial
from gpt.lab.running import Options, planned

Seconds: TypeAlias = Mapping[str, Mapping[str, float]]
"""Seconds of a trial, on average, by part and arm."""
TIMINGS = Path(__file__).with_name("timings.json")
"""By experiment: the `Seconds` at the size `cpu`, and the speed in GFLOP/s of the machine."""


def seconds_of(trials: Iterable[Trial]) -> dict[str, dict[str, float]]:
    """Return the seconds of *trials*, on average, by part and arm."""
    found: dict[str, dict[str, list[float]]] = {}
    for trial in trials:
        part, arm, *_ = trial.key
        found.setdefault(part, {}).setdefault(arm, []).append(trial.seconds)
    return {
        part: {arm: round(statistics.fmean(each), 3) for arm, each in arms.items()}
        for part, arms in found.items()
    }


def minutes(experiment: Experiment, folder: Path, options: Options) -> float | None:
    """Return the minutes that the trials of *experiment* take that *folder* has not.

    None if none like them were timed, at this size.
    """
    record = Record(folder, experiment.at(options.size), options.size)
    timed = seconds_of(record.trials.values())
    elsewhere = _elsewhere(experiment) if options.size == "cpu" else None
    total = 0.0
    for arm in planned(experiment, options):
        part = arm.part
        made = sum(key[:2] == (part.name, arm.arm) for key in record.trials)
        seconds = timed.get(part.name, {}).get(arm.arm)
        if seconds is None and elsewhere is not None:
            seconds = elsewhere.get(part.name, {}).get(arm.arm)
        if seconds is None:
            return None
        jobs = 1 if part.kind == "SPEED" else options.jobs
        total += max(0, arm.trials - made) * seconds / jobs
    return total / 60


def _elsewhere(experiment: Experiment) -> dict[str, dict[str, float]] | None:
    """Return the seconds of trials on the machine of docs/lab, as they would be here."""
    found = json.loads(TIMINGS.read_text(encoding="utf-8")).get(experiment.id)
    if found is None:
        return None
    slower = found["speed"] / speed()
    return {
        part: {arm: seconds * slower for arm, seconds in arms.items()}
        for part, arms in found["seconds"].items()
    }
