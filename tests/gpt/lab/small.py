"""A small experiment, whose trials are arithmetic: figures of an arm, a rate and a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpt.lab.checks import Below, Less
from gpt.lab.experiment import Bars, Check, Experiment, Figures, Part, Setting, Source

GAINS = {"base": 0.0, "better": 0.5, "same": 0.0, "broken": math.nan}


def loss(setting: Setting) -> Figures:
    """A loss with noise of the seed, shared by the arms, and its minimum at the rate 0.1."""
    assert setting.rate is not None
    noise = math.sin(100.0 * setting.seed + len(setting.arm)) * 0.01
    tuned = abs(math.log10(setting.rate) + 1)
    return {"loss": 2 - GAINS[setting.arm] + tuned + noise + setting.seed % 7}


def equality(setting: Setting) -> Figures:
    """An error that is small, except for the arm that is broken."""
    return {"error": 1.0 if setting.arm == "broken" else 1e-9}


def failing(setting: Setting) -> Figures:
    """A trial that cannot be made."""
    raise ValueError("no such thing")


def experiment(
    arms: Sequence[str] = ("base", "better"), checks: Sequence[Check] | None = None, **options: Any
) -> Experiment:
    """An experiment that compares the losses of *arms*."""
    sizes: Any = {name: {"steps": 3} for name in ("smoke", "cpu", "gpu")}
    than = Less(claim="better is better", arm=arms[1], than=arms[0], figure="loss")
    fields: dict[str, Any] = {
        "name": "loss",
        "kind": "QUALITY",
        "arms": arms,
        "measure": loss,
        "sizes": sizes,
        "checks": [than] if checks is None else checks,
        "rates": (0.01, 0.1, 1.0),
        "chosen_by": "loss",
        "noise_of": "loss",
    }
    return Experiment(
        id="small",
        question="Is it better?",
        source=Source(paper="Nobody 2026", link="none", where="nowhere"),
        claim="It is better.",
        parts=[
            Part(
                name="equality",
                kind="EXACT",
                arms=["base"],
                measure=equality,
                sizes=sizes,
                checks=[Below(claim="it is exact", arm="base", figure="error", bound=1e-6)],
            ),
            Part(**(fields | options)),
        ],
        panels=[Bars(part="loss", figure="loss", label="loss")],
        bounds="It is arithmetic.",
    )
