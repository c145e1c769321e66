"""The table of objectives: from the type of a spec to what computes it.

To add one, write a spec in `gpt.spec.objective`, a class beside this whose docstring has the
formula and the source, and a row in the table. The tests are parametrized by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpt.model.objectives.classes import ClassCrossEntropy
from gpt.model.objectives.loss import Objective
from gpt.model.objectives.masked import MaskedLM
from gpt.model.objectives.next_token import CrossEntropy
from gpt.model.objectives.preferences import DPO, KTO, ORPO
from gpt.spec import objective
from gpt.spec.models import AnyArchitecture

OBJECTIVES: dict[type, Callable[[Any], Objective]] = {
    objective.CrossEntropy: CrossEntropy,
    objective.MaskedLM: MaskedLM,
    objective.ClassCrossEntropy: ClassCrossEntropy,
    objective.DPO: DPO,
    objective.ORPO: ORPO,
    objective.KTO: KTO,
}


def build_objective(spec: objective.AnyObjective, model: AnyArchitecture) -> Objective:
    """Return the objective of *spec*; raises ConfigError if it does not fit *model*."""
    spec.check(model)
    return OBJECTIVES[type(spec)](spec)
