"""Table of tasks: from the type of a spec in `gpt.spec.task` to what opens the task of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpt.spec.recipe import Recipe
from gpt.spec.task import Pairs, Pretraining, Tuning
from gpt.training.finetune_tasks import tuning_from_disk
from gpt.training.pair_task import pairs_task
from gpt.training.task import Task, pretraining

TASKS: Mapping[type, Callable[[Recipe], Task]] = {
    Pretraining: pretraining,
    Pairs: pairs_task,
    Tuning: tuning_from_disk,
}
"""For each spec of a task, the function that opens what the recipe names and returns the task."""


def build_task(recipe: Recipe) -> Task:
    """Open the data of *recipe*, and its base if it has one; raises DataError, CheckpointError."""
    return TASKS[type(recipe.task)](recipe)
