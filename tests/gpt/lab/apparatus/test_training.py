"""A grid of learning rates, by trainings whose figures are known."""

from __future__ import annotations

import math
from typing import Any

from gpt.lab.apparatus.training import BITS, LEAK, RateGrid
from gpt.lab.experiment import Figures, Setting

TRAINED = {
    0.1: {BITS: 3.0, LEAK: 0.0, "losses": [5.0, 2.5]},
    0.2: {BITS: 3.1, LEAK: 0.5, "losses": [4.0, 2.0]},
    0.4: {BITS: 3.6, LEAK: 0.0, "losses": [1.0, 6.0]},
    0.8: {BITS: math.inf, LEAK: 0.0, "losses": []},
}


def training(setting: Setting) -> Figures:
    """The last run diverges; that before it is best in the beginning only."""
    assert setting.rate is not None
    return TRAINED[setting.rate]


def test_the_best_rate_is_that_of_the_smallest_training_loss_in_the_end() -> None:
    """And not of the held-out loss; a leak at any rate is one, and failures are counted."""
    measure: Any = training
    grid = RateGrid(training=measure, worst=3.5)

    assert grid(Setting(arm="any", size={"rates": tuple(TRAINED)})) == {
        BITS: 3.1,
        LEAK: 0.5,
        "failed": 0.5,
        "rates": [0.1, 0.2, 0.4, 0.8],
        "bits": [3.0, 3.1, 3.6, math.inf],
    }
