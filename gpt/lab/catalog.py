"""All experiments, by id: the modules of `gpt.lab.experiments`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from gpt.errors import ConfigError
from gpt.lab import experiments as folder
from gpt.lab.experiment import Experiment

IDS = tuple(sorted(module.name for module in pkgutil.iter_modules(folder.__path__)))


def experiment(id: str) -> Experiment:
    """Return the experiment called *id*; raises ConfigError if there is none."""
    if id not in IDS:
        near = difflib.get_close_matches(id, IDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(IDS)}"
        raise ConfigError(f"there is no experiment {id!r}: {hint}")
    found: Experiment = importlib.import_module(f"{folder.__name__}.{id}").EXPERIMENT
    return found


def experiments() -> list[Experiment]:
    """Return all experiments."""
    return [experiment(id) for id in IDS]
