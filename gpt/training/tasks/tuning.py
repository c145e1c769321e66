"""The tasks that start from a base: what reads their data, by the spec of the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpt.data.conversations import is_chat
from gpt.runs.reading import Checkpoint
from gpt.spec.recipe import Recipe
from gpt.spec.task import Classification, Preferences, Reinforcement, Tuning
from gpt.training.tasks.classification import LabeledData
from gpt.training.tasks.continuing import ShardData
from gpt.training.tasks.conversations import ChatData, RenderedChat
from gpt.training.tasks.preferences import PreferenceData
from gpt.training.tasks.reinforcement import ProblemData
from gpt.training.tasks.starting import TuningData, base_of, open_start
from gpt.training.tasks.task import Task

# recipe, base, fields of its task that were chosen
Opener = Callable[[Recipe, Checkpoint, frozenset[str]], TuningData]


def open_tuning_data(recipe: Recipe, base: Checkpoint, chosen: frozenset[str]) -> TuningData:
    """Open the data of *recipe*, a recipe of `Tuning`: a chat or token shards.

    Raises ChatError and DataError for data that cannot be read, or that does not fit *base*.
    """
    assert isinstance(recipe.task, Tuning)
    if not is_chat(recipe.data):
        return ShardData.open(recipe.data, base)
    chat = RenderedChat.open(recipe.data, base, recipe.task, chosen)
    return ChatData(base=base, chat=chat)


OPENERS: Mapping[type, Opener] = {
    Tuning: open_tuning_data,
    Classification: LabeledData.open,
    Preferences: PreferenceData.open,
    Reinforcement: lambda recipe, base, chosen: ProblemData.open(recipe, base),
}
"""For each spec of a task that starts from a base, what opens its data."""


def open_base(recipe: Recipe) -> Checkpoint:
    """Read the base of *recipe*; raises ConfigError without one, and what `open_start` raises."""
    spec = base_of(recipe)
    return open_start(spec.base, spec.initial_adapter)


def open_tuning(recipe: Recipe, base: Checkpoint, chosen: Any = None) -> TuningData:
    """Open the data of *recipe* for *base*.

    *chosen* are the fields of its task that are not to be chosen by the data; default: all.
    """
    fields = frozenset(vars(recipe.task)) if chosen is None else frozenset(chosen)
    return OPENERS[type(recipe.task)](recipe, base, fields)


def tuning_from_disk(recipe: Recipe) -> Task:
    """Open the base and the data of *recipe*, and return its task."""
    return open_tuning(recipe, open_base(recipe)).task(recipe)
