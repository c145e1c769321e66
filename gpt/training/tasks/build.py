"""Table of tasks: from the type of a spec in `gpt.spec.task` to what opens the task of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpt.spec.recipe import Recipe
from gpt.spec.task import Pairs, Pretraining
from gpt.training.tasks.pairs import pairs_task
from gpt.training.tasks.pretraining import pretraining
from gpt.training.tasks.task import Task
from gpt.training.tasks.tuning import OPENERS, tuning_from_disk

TASKS: Mapping[type, Callable[[Recipe], Task]] = {
    Pretraining: pretraining,
    Pairs: pairs_task,
    **dict.fromkeys(OPENERS, tuning_from_disk),
}
"""For each spec of a task, the function that opens what the recipe names and returns the task."""


def build_task(recipe: Recipe) -> Task:
    """Open the data of *recipe*, and its base if it has one; raises DataError, CheckpointError."""
    return TASKS[type(recipe.task)](recipe)
