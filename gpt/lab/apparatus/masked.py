"""Trials that train a small encoder to predict masked tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpt.errors import TrainingError
from gpt.lab.apparatus.training import DIVERGED, Training, recipe_of, steps_of
from gpt.lab.experiment import TUNING_SEEDS, Check, Cost, Figures, Part, Setting, Sizes
from gpt.report.events import NullReporter
from gpt.runs.store import Memory
from gpt.spec.architecture import Architecture
from gpt.spec.objective import MaskedLM
from gpt.training.loop import train

LOSS, ACCURACY = "loss", "accuracy"


@dataclass(frozen=True, kw_only=True)
class MaskedTraining:
    """The trials that train the encoder of an arm, for steps of rows, as its size says."""

    model: Callable[[Setting], Architecture]

    def __call__(self, setting: Setting) -> Figures:
        """Train an arm; return the loss of masked tokens of held-out text, and % predicted."""
        assert setting.rate is not None  # a part of trainings has a grid of rates
        how = dataclasses.replace(
            steps_of(setting), rows=setting.size["rows"], objective=MaskedLM()
        )
        recipe = recipe_of(self.model(setting), how, seed=setting.seed, rate=setting.rate)
        store = Memory()
        try:
            train(recipe, store=store, reporter=NullReporter())
        except TrainingError:
            return {LOSS: DIVERGED, ACCURACY: 0.0}
        val = store.rows[-1].val
        assert val is not None
        return {LOSS: val["loss"], ACCURACY: 100 * val["token_accuracy"]}

    def cost(self, setting: Setting) -> Cost:
        """Return the parameters of a model, and the FLOPs of its training."""
        return Training(model=self.model).cost(setting)


def masked_part(
    *, arms: Sequence[str], training: MaskedTraining, sizes: Sizes, checks: Sequence[Check]
) -> Part:
    """Return the part that trains *arms*, and compares the loss of masked tokens."""
    return Part(
        name="loss",
        kind="QUALITY",
        arms=arms,
        measure=training,
        sizes=sizes,
        checks=checks,
        rates=(1e-3, 3e-3, 1e-2),
        chosen_by=LOSS,
        cost=training.cost,
        noise_of=LOSS,
        tuning_seeds=TUNING_SEEDS[:1],
    )
