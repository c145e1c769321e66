"""All experiments, by id. To add one, write its file in `gpt.lab.experiments`, and its id here."""

from __future__ import annotations

import difflib
import importlib

from gpt.errors import ConfigError
from gpt.lab.experiment import Experiment

IDS = ("glu", "linear", "mla", "preln", "swa")


def experiment(id: str) -> Experiment:
    """Return the experiment called *id*; raises ConfigError if there is none."""
    if id not in IDS:
        near = difflib.get_close_matches(id, IDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(IDS)}"
        raise ConfigError(f"there is no experiment {id!r}: {hint}")
    found: Experiment = importlib.import_module(f"gpt.lab.experiments.{id}").EXPERIMENT
    return found


def experiments() -> list[Experiment]:
    """Return all experiments."""
    return [experiment(id) for id in IDS]
