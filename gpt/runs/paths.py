"""Paths in the state of a run: found from any working folder, and after the run has moved.

The data of most runs is in their own folder, and moves with it. A path elsewhere is written as an
absolute one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gpt.runs.state import State
from gpt.spec.objective import Distillation
from gpt.spec.recipe import Recipe


def written(state: State) -> State:
    """Return *state* as it is written: paths outside of the run are absolute."""
    recipe = state.recipe
    task: Any = recipe.task
    paths = {name: at.absolute() for name, at in vars(task).items() if isinstance(at, Path)}
    recipe = dataclasses.replace(recipe, task=dataclasses.replace(task, **paths))
    objective = recipe.objective
    if isinstance(objective, Distillation):
        teachers = tuple(teacher.absolute() for teacher in objective.teachers)
        objective = dataclasses.replace(objective, teachers=teachers)
    recipe = dataclasses.replace(recipe, objective=objective)
    if recipe.data != Path() and _inside(recipe) is None:  # an imported run has no data
        recipe = dataclasses.replace(recipe, data=recipe.data.absolute())
    return dataclasses.replace(state, recipe=recipe)


def read(state: State, run: Path) -> State:
    """Return *state*, read in the folder *run*, with the data where it is now."""
    inside = _inside(state.recipe)
    if inside is None:
        return state
    recipe = dataclasses.replace(state.recipe, data=run / inside, out=run)
    return dataclasses.replace(state, recipe=recipe)


def _inside(recipe: Recipe) -> Path | None:
    """Return the path of the data of *recipe* in its run folder; None if it is elsewhere."""
    if recipe.out is None or not recipe.data.is_relative_to(recipe.out):
        return None
    return recipe.data.relative_to(recipe.out)
