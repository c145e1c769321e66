"""`State`: everything of a run that is not a tensor, as ``state.json`` holds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gpt.errors import CheckpointError, ConfigError, DataError
from gpt.runs.older_formats import upgrade
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.recipe import Recipe, check_resumable
from gpt.spec.recurrent import RecurrentConfig
from gpt.spec.serialize import USUAL, from_dict, to_dict

SMOOTHING = 0.1
"""Fraction of the way to the loss of a step by which the smoothed loss moves."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything of a run that is not a tensor.

    The position in the data and all randomness follow from (recipe.seed, step), so no random state
    is kept.
    """

    FORMAT: ClassVar[int] = 3
    """Version of ``state.json``. Format 2 is still read: `gpt.runs.older_formats`."""

    config: GPTConfig | ClassifierConfig | EncoderDecoderConfig | RecurrentConfig = field(
        metadata={USUAL: GPTConfig.__name__}
    )
    """The model."""
    recipe: Recipe
    """The run."""
    step: int
    """Optimizer steps made."""
    seconds: float
    """Training time of these steps, without evaluation."""
    fraction: float | None = None
    """Fraction of the run that is over (`gpt.training.clock`). None if an earlier version wrote it:
    then the run ends by its steps, which that version chose at the start."""
    smoothed_loss: float | None = None
    """Moving average of the losses of the steps (`Recipe.stop_at_loss`). None before the first."""
    fingerprint: str
    """Fingerprint of the tokenizer; shards of another one are rejected."""
    train_tokens: int
    """Tokens of the training split; a split of another length would be read in another order."""
    replayed_tokens: int = 0
    """The same of the data of a base from which rows are replayed."""
    score: float | None = None
    """Score (`Recipe.score`) on the validation split, at the last evaluation."""
    best_score: float | None = None
    """The best of all evaluations."""
    best_step: int | None = None
    """The step of that evaluation; 0 if a tuned model never got better than its base."""
    first_score: float | None = None
    """Score before the first step, if the run started from a trained model."""
    merged_into_original: bool = False
    """Whether the weights have adapters merged into the base before quantization, not after it."""

    @property
    def is_out_of_patience(self) -> bool:
        """Whether `Recipe.patience` evaluations in a row have not improved the score."""
        every, patience = self.recipe.eval_every, self.recipe.patience
        if patience is None or self.best_step is None:
            return False
        return self.step // every - self.best_step // every >= patience

    @property
    def is_over(self) -> bool:
        """Whether the run has ended by its limits, rather than by its patience or a stop."""
        if self.has_reached_loss:
            return True
        if self.fraction is None:
            return self.recipe.steps is not None and self.step >= self.recipe.steps
        return self.fraction >= 1

    @property
    def has_reached_loss(self) -> bool:
        """Whether the smoothed training loss is as low as the recipe asks for."""
        loss, limit = self.smoothed_loss, self.recipe.stop_at_loss
        return loss is not None and limit is not None and loss <= limit

    @property
    def ending(self) -> str:
        """Say that the run has ended by its training loss, and by which."""
        return (
            f"the smoothed training loss, {self.smoothed_loss:.4f} nats per token, has reached "
            f"stop_at_loss = {self.recipe.stop_at_loss:g} at step {self.step}"
        )

    def with_loss(self, loss: float) -> State:
        """Return the state after a step of mean *loss*."""
        last = loss if self.smoothed_loss is None else self.smoothed_loss
        return dataclasses.replace(self, smoothed_loss=last + SMOOTHING * (loss - last))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``state.json``."""
        return {"format": self.FORMAT, **to_dict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> State:
        """Invert `to_dict`, for this format and format 2; raises ConfigError naming a wrong field.

        Raises CheckpointError for another format.
        """
        fields = dict(document)
        version = fields.pop("format", None)
        if version not in (2, cls.FORMAT):
            raise CheckpointError(
                f"format {version}, and this version of gpt reads formats 2 and {cls.FORMAT}; use "
                "the version that wrote it, or train again into another --out"
            )
        return from_dict(cls, upgrade(fields))


def check_fits(saved: State, new: State) -> None:
    """Raise ConfigError or DataError if the run *new* cannot resume from *saved*."""
    check_resumable(saved.recipe, new.recipe)
    data, out = new.recipe.data, new.recipe.out
    if saved.fingerprint != new.fingerprint:
        raise DataError(
            f"{data} was written with another tokenizer than the data of the run in {out}; pass "
            "that run's data, or another --out"
        )
    if saved.train_tokens != new.train_tokens:
        raise DataError(
            f"{data} has {new.train_tokens:,} training tokens, but the run in {out} started with "
            f"{saved.train_tokens:,}; pass the data that it started with, or another --out"
        )
    if saved.replayed_tokens != new.replayed_tokens:
        raise DataError(
            f"the data to replay has {new.replayed_tokens:,} training tokens, but the run in {out} "
            f"started with {saved.replayed_tokens:,}; pass the data that it started with as "
            "--replay-data, or another --out"
        )
    if new.recipe.steps is not None and saved.step > new.recipe.steps:
        raise ConfigError(
            f"{out} is already at step {saved.step}, past steps = {new.recipe.steps}; raise "
            "--steps, or choose another --out"
        )
