"""Specs of tasks: what a run starts from and trains.

A task is an axis of `gpt.spec.recipe.Recipe`. What it does is in `gpt.training.tasks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """Train a new model on token shards."""

    COMMAND: ClassVar[str] = "gpt train"
    """The command that plans and resumes such runs."""
    ABOUT_RECIPE: ClassVar[str] = "`gpt train --config` reads it."
    """What a report says of the recipe."""
    READS_CHATS: ClassVar[bool] = False
    """Whether the conversations of a chat are read, if the data has some, instead of its shards."""

    def check(self, model: Architecture) -> None:
        """Accept any *model*."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Start from a trained model: `model` is that model, its dropout excepted."""

    COMMAND: ClassVar[str] = "gpt tune"
    ABOUT_RECIPE: ClassVar[str] = "As planned by `gpt tune`."
    READS_CHATS: ClassVar[bool] = True

    base: Path
    """Run whose model is the starting point, trained or imported. It stays as it is."""
    adapter: LoRA | DoRA | None = field(default_factory=LoRA)
    """Adapters that are trained, besides the embeddings of new tokens; none trains all weights."""
    train_on: Literal["mine", "all", "last"] = "mine"
    """Turns of a chat that count in the loss: those of its --me, all, or the last one of --me."""
    row_length: int | None = None
    """Tokens of a sequence, of text or of conversations; longer ones are cut into windows.
    [default: the context]"""

    def check(self, model: Architecture) -> None:
        """Raise ConfigError if the rows do not fit the context of *model*."""
        if self.row_length is not None and not 2 <= self.row_length <= model.context:
            raise ConfigError(
                f"task.row_length must be from 2 to the model's context, {model.context}; "
                f"got {self.row_length}"
            )
