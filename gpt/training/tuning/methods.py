"""Kinds of tuning, by the name that `gpt tune --objective` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gpt.spec.objective import AnyObjective, CrossEntropy
from gpt.spec.task import AnyTuning, Tuning


@dataclass(frozen=True, kw_only=True)
class Method:
    """A kind of tuning: its task, its objective, and what a plan needs to know of it."""

    task: Callable[..., AnyTuning]
    """The spec of its task, with a base and an adapter."""
    objective: Callable[[], AnyObjective]
    """The spec of its objective."""
    rate: float = 1.0
    """Learning rate as a multiple of that of supervised fine-tuning."""


METHODS: Mapping[str, Method] = {
    "sft": Method(task=Tuning, objective=CrossEntropy),
}
