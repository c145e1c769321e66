"""Specs of tasks: what a run starts from and trains.

A task is an axis of `gpt.spec.recipe.Recipe`. What it does is in `gpt.training.tasks.build`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.checks import above_zero, at_least_zero
from gpt.spec.models import AnyArchitecture
from gpt.spec.objective import CrossEntropy, MaskedLM
from gpt.spec.score import BitsPerByte, ExactMatch, MaskedLoss, TokenAccuracy


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """Train a new model on token shards."""

    COMMAND: ClassVar[str] = "gpt train"
    """The command that plans and resumes such runs."""
    ABOUT_RECIPE: ClassVar[str] = "`gpt train --config` reads it."
    """What a report says of the recipe."""
    READS_CHATS: ClassVar[bool] = False
    """Whether the conversations of a chat are read, if the data has some, instead of its shards."""
    OBJECTIVES: ClassVar[tuple[type, ...]] = (CrossEntropy, MaskedLM)
    """Objectives that its data has rows for."""
    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, MaskedLoss, TokenAccuracy)
    """Scores that it measures, with one of the objectives or another."""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs."""
        if model.reads_pairs:
            raise ConfigError(
                f"{type(model).__name__} reads pairs of a source and a target; set task to Pairs, "
                "or model to Architecture"
            )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Train a new model to write a target, given its source: translation, for example."""

    COMMAND: ClassVar[str] = "gpt train"
    ABOUT_RECIPE: ClassVar[str] = "`gpt train --config` reads it."
    READS_CHATS: ClassVar[bool] = False
    OBJECTIVES: ClassVar[tuple[type, ...]] = (CrossEntropy,)
    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, TokenAccuracy, ExactMatch)

    batch_tokens: int = 2048
    """Tokens of a batch on either side, padding included: as many pairs of about one length as fit.
    Such a batch is one row of batch_size."""
    translations: int = 100
    """Number of held-out pairs that an evaluation translates, for the fraction of exact matches; 0
    for none."""

    def __post_init__(self) -> None:
        above_zero(batch_tokens=self.batch_tokens)
        at_least_zero(translations=self.translations)

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads no sources, or no batch holds its longest pair."""
        if not model.reads_pairs:
            raise ConfigError(
                "a task of pairs needs a model that reads a source: set model to EncoderDecoder or "
                "Recurrent"
            )
        if self.batch_tokens < model.context:
            raise ConfigError(
                f"task.batch_tokens must be at least the model's context, {model.context}; got "
                f"{self.batch_tokens}"
            )


@dataclass(frozen=True, kw_only=True)
class FromBase:
    """Start from a trained model: `model` is that model, its dropout excepted."""

    COMMAND: ClassVar[str] = "gpt tune"
    ABOUT_RECIPE: ClassVar[str] = "As planned by `gpt tune`."
    READS_CHATS: ClassVar[bool] = True
    READS: ClassVar[tuple[str, ...]] = ("base", "initial_adapter")
    """Fields on which it depends what is read from the disk."""
    OBJECTIVES: ClassVar[tuple[type, ...]] = ()
    SCORES: ClassVar[tuple[type, ...]] = ()

    base: Path
    """Run whose model is the starting point, trained or imported. It stays as it is."""
    adapter: LoRA | DoRA | None = field(default_factory=LoRA)
    """Adapters that are trained, besides the embeddings of new tokens; none trains all weights."""
    initial_adapter: Path | None = None
    """Adapter to start from: a folder of peft, or a tuned run of the same base. [default: a new
    one]"""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs."""
        if model.reads_pairs:
            raise ConfigError(f"{type(model).__name__} cannot be tuned yet: it reads pairs")


@dataclass(frozen=True, kw_only=True)
class Tuning(FromBase):
    """Supervised fine-tuning on conversations, or continued pretraining on token shards."""

    READS: ClassVar[tuple[str, ...]] = (*FromBase.READS, "train_on")
    OBJECTIVES: ClassVar[tuple[type, ...]] = (CrossEntropy,)
    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, TokenAccuracy)

    train_on: Literal["mine", "all", "last"] = "mine"
    """Turns of a chat that count in the loss: those of its --me, all, or the last one of --me."""
    row_length: int | None = None
    """Tokens per sequence; longer conversations are cut into windows.
    [default: the context]"""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs, or rows do not fit its context."""
        super().check(model)
        if self.row_length is not None and not 2 <= self.row_length <= model.context:
            raise ConfigError(
                f"task.row_length must be from 2 to the model's context, {model.context}; "
                f"got {self.row_length}"
            )


AnyTuning: TypeAlias = Tuning
"""The tasks that start from a base."""
