"""`Task`: data, evaluation and first model of a run; all else is in the loop.

Runs differ in nothing but their recipes and tasks. There is a module for each kind of run beside
this one, and the table from spec to task is in `gpt.training.tasks.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gpt.data.batch import Rows
from gpt.errors import ConfigError
from gpt.evaluation.score import Figures
from gpt.model.model import Model
from gpt.model.objectives.loss import Objective
from gpt.parallel.runtime import Runtime
from gpt.parallel.world import ALONE, World
from gpt.spec.recipe import Recipe

Progress: TypeAlias = Callable[[int, int], object]
"""Called with (tokens predicted, all tokens); raises an exception to end the evaluation."""


class Measured(Protocol):
    """What an evaluation returns."""

    @property
    def figures(self) -> Figures:
        """Its figures by name."""


class Collector(Protocol):
    """Makes rows that depend on the model: rollouts, or what they are compared with."""

    watch: Callable[[str, int, int], object]
    """Called with a stage of the work, how much of it is done, and the total, by all processes; can
    raise an exception to end the work. The loop sets it."""

    notice: Callable[[str], object]
    """Shows a line, such as a warning; the loop sets it."""

    def collect(
        self, step: int, model: Model, runtime: Runtime, world: World
    ) -> Mapping[str, tuple[float, float]]:
        """Make the rows of *step* by *model*, in training mode, unless they are made already.

        Returns figures of the rows of this process: for each a sum, and the number of its terms.
        Called before the rows of a step are read, by all processes of *world*. A step can be
        collected again before its update.
        """

    def save(self) -> bytes:
        """Return what a checkpoint keeps, such as rows for steps to come, as safetensors."""

    def restore(self, content: bytes) -> None:
        """Take up what `save` has returned."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run trains on, the model that it starts from, and how it is evaluated."""

    recipe: Recipe
    """The recipe of the run."""
    fingerprint: str
    """Fingerprint of the tokenizer."""
    train_tokens: int
    """Tokens of the training data; a run resumes only on data of the same length."""
    data_files: Mapping[str, bytes]
    """Files to store in each checkpoint, as `gpt.runs.writing.read_data_files` returns."""
    rows: Rows
    """The training rows."""
    seen: Callable[[int], tuple[int, int]]
    """Returns the tokens predicted in so many rows, and their bytes at the mean."""
    evaluate: Callable[..., Measured] | None
    """Evaluates a model on held-out data; None without such data. See `measure`."""
    model: Callable[[], Model]
    """Builds the first model, on the CPU; parameters that require gradients are trained."""
    starts_from_checkpoint: bool
    """Whether the first model is trained already, so that it may be the best of the run."""
    summary: str
    """The data in one line."""
    replayed_tokens: int = 0
    """Tokens of the data of the base from which rows are replayed; a run resumes only on data of
    the same length."""
    objective: Objective | None = None
    """What computes the loss, if the spec of the objective is not enough to build it."""
    cost: str | None = None
    """What a step costs besides training the model, in one line."""
    collector: Collector | None = None
    """Makes the rows, if they depend on the model."""

    def measure(
        self,
        model: Model,
        runtime: Runtime,
        progress: Progress | None = None,
        world: World = ALONE,
    ) -> Figures | None:
        """Return the figures of *model* on the held-out data; None without such data."""
        if self.evaluate is None:
            return None
        return self.evaluate(model, runtime=runtime, progress=progress, world=world).figures


def without_overlap(recipe: Recipe) -> None:
    """Raise ConfigError if *recipe*, of other data than a text, asks for an overlap."""
    if recipe.overlap:
        raise ConfigError(
            f"overlap = {recipe.overlap}: only a text is cut into windows; remove overlap "
            f"(--overlap) for {recipe.data}"
        )
