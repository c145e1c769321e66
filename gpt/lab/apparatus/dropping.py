"""Schedules of dropout beside the code of their authors, and what they drop.

Liu 2023, arXiv:2303.01500; github.com/facebookresearch/dropout.
"""

from __future__ import annotations

import numpy as np
import torch

from gpt.lab.checks import Below
from gpt.lab.experiment import Figures, Part, Setting
from gpt.nn.dropout import Dropout, set_dropout
from gpt.optim.build import DROPOUT_SCHEDULES
from gpt.spec.schedule import EarlyDropout, LateDropout

P, STEPS, FIRST = 0.1, 100, 20
"""Probability of dropout, the steps of a schedule, and those until it changes."""
SCHEDULES: dict[str, EarlyDropout | LateDropout] = {
    "early": EarlyDropout(cutoff=FIRST / STEPS),
    "late": LateDropout(start=FIRST / STEPS),
}


def schedule(setting: Setting) -> Figures:
    """Compare the factors of all steps with the authors' code, and what is dropped with p."""
    early, spec = setting.arm == "early", SCHEDULES[setting.arm]
    ours = [DROPOUT_SCHEDULES[type(spec)](spec, (step + 1) / STEPS) for step in range(STEPS)]
    first = np.linspace(1, 0, FIRST) if early else np.zeros(FIRST)
    published = [*first, *np.full(STEPS - FIRST, 0.0 if early else 1.0)]
    module, ones, errors = Dropout(P).train(), torch.ones(1 << 18), []
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        for factor in ours[:: STEPS // 10]:
            set_dropout(module, factor)
            y = module(ones).double()
            errors += [(y == 0).double().mean() - P * factor, y.mean() - 1]
    return {
        "difference": float(np.abs(np.subtract(ours, published)).max()),
        "dropped": float(torch.stack(errors).abs().max()),
    }


SCHEDULE = Part(
    name="schedule",
    kind="EXACT",
    arms=list(SCHEDULES),
    measure=schedule,
    sizes={"smoke": {}, "cpu": {}, "gpu": {}},
    checks=[
        Below(
            claim="early dropout is that of facebookresearch/dropout, up to one step",
            arm="early",
            figure="difference",
            bound=1 / FIRST + 1e-9,
        ),
        Below(claim="late dropout equals it", arm="late", figure="difference", bound=0),
        Below(claim="p times the factor is dropped", figure="dropped", bound=4e-3),
    ],
)
"""Factors of p over the steps of a run, and the fraction that is dropped."""
