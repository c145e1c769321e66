"""Specs of tasks: what a run starts from and trains.

A task is an axis of `gpt.spec.recipe.Recipe`. What it does is in `gpt.training.tasks.build`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.checks import above_zero, at_least_zero, below_one
from gpt.spec.classifier import Classifier
from gpt.spec.models import AnyArchitecture
from gpt.spec.objective import (
    DPO,
    GRPO,
    KTO,
    ORPO,
    ClassCrossEntropy,
    CrossEntropy,
    Distillation,
    MaskedLM,
)
from gpt.spec.problems import Addition, AnyProblems
from gpt.spec.quantization import FP4, NF4, Int4, Int8
from gpt.spec.score import (
    BitsPerByte,
    ClassAccuracy,
    ClassLoss,
    ExactMatch,
    MaskedLoss,
    PreferenceAccuracy,
    PreferenceLoss,
    Reward,
    TokenAccuracy,
)

NewRows: TypeAlias = Literal["mean", "ends", "average", "random"]
"""How the rows of new tokens begin."""


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """Train a new model on token shards."""

    COMMAND: ClassVar[str] = "gpt train"
    """The command that plans and resumes such runs."""
    ABOUT_RECIPE: ClassVar[str] = "`gpt train --config` reads it."
    """What a report says of the recipe."""
    READS_CHATS: ClassVar[bool] = False
    """Whether the conversations of a chat are read, if the data has some, instead of its shards."""
    OBJECTIVES: ClassVar[tuple[type, ...]] = (CrossEntropy, MaskedLM, Distillation)
    """Objectives that its data has rows for."""
    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, MaskedLoss, TokenAccuracy)
    """Scores that it measures, with one of the objectives or another."""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs, or predicts classes."""
        if model.reads_pairs:
            raise ConfigError(
                f"{type(model).__name__} reads pairs of a source and a target; set task to Pairs, "
                "or model to Architecture"
            )
        if model.classifies:
            raise ConfigError("a Classifier starts from a trained model: use `gpt classify train`")


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


Train: TypeAlias = Literal["head", "last-block", "last-two", "all", "lora"]
"""What of a classifier is trained."""


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
    train_rows: Literal["new", "all"] = "new"
    """Rows of the embeddings and the head that are trained besides adapters: those of new tokens,
    or all. Text of another domain is learned better with all."""
    quantize: NF4 | FP4 | Int4 | Int8 | None = None
    """Quantize the linear layers of the base, which are frozen (QLoRA, Dettmers 2023,
    arXiv:2305.14314): with NF4, to 4.127 bits per weight."""
    merge_aware: bool = False
    """At the end, also measure the adapters merged into the base as it was before quantization, and
    keep the better of the two merged models."""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* is no language model, or a quantized base has no adapter."""
        if model.reads_pairs:
            raise ConfigError(f"{type(model).__name__} cannot be tuned yet: it reads pairs")
        if model.classifies:
            raise ConfigError("a Classifier predicts no tokens: use `gpt classify train`")
        if self.quantize is not None and self.adapter is None:
            raise ConfigError(
                "task.quantize freezes the linear layers of the base, so that adapters are "
                "trained; remove it, or set task.adapter"
            )
        if self.merge_aware and self.quantize is None:
            raise ConfigError("task.merge_aware is about a quantized base: set task.quantize")


@dataclass(frozen=True, kw_only=True)
class Tuning(FromBase):
    """Supervised fine-tuning on conversations, or continued pretraining on token shards."""

    READS: ClassVar[tuple[str, ...]] = (*FromBase.READS, "train_on", "template", "val")
    OBJECTIVES: ClassVar[tuple[type, ...]] = (CrossEntropy, Distillation)
    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, TokenAccuracy)

    train_on: Literal["mine", "all", "last", "text"] = "mine"
    """What counts in the loss: the turns of the assistant or --me, all turns, the last one of the
    assistant or --me, or all texts without template tokens."""
    template: Literal["ours", "chatml", "llama3"] | None = None
    """Chat template for conversations of a user and an assistant: pytok's, ChatML or Llama 3's.
    [default: the base's, or else ours]"""
    val: float = 0.1
    """Fraction of the conversations in a file to hold out: the same with every seed."""
    row_length: int | None = None
    """Tokens per sequence; longer conversations are cut into windows.
    [default: the context]"""
    new_rows: NewRows = "mean"
    """How the embedding and the head begin for a new token that is text: the mean of the rows of
    the tokens that spell it; its ends, so the last of them in the embedding and the first in the
    head; the average of all rows; or at random, as in a new model. New special tokens begin as the
    average of all rows, or at random."""
    replay: float = 0.0
    """Fraction of the rows that are from the data of the base, against forgetting."""
    replay_data: Path | None = None
    """Token shards that these rows are from. [default: the data of the base]"""

    def __post_init__(self) -> None:
        below_one(val=self.val, replay=self.replay)
        if self.replay_data is not None and not self.replay:
            raise ConfigError("replay_data is set, and replay is 0; set the fraction of its rows")

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs, or rows do not fit its context."""
        super().check(model)
        _check_row_length(self.row_length, model)


@dataclass(frozen=True, kw_only=True)
class Classification(FromBase):
    """Train a head over classes on the body of a trained model, and some of that model's weights.

    The model is a Classifier with that body, which can also attend to later tokens.
    """

    COMMAND: ClassVar[str] = "gpt classify train"
    ABOUT_RECIPE: ClassVar[str] = "As planned by `gpt classify train`."
    READS_CHATS: ClassVar[bool] = False
    OBJECTIVES: ClassVar[tuple[type, ...]] = (ClassCrossEntropy,)
    SCORES: ClassVar[tuple[type, ...]] = (ClassLoss, ClassAccuracy)

    train: Train = "lora"
    """Weights that are trained besides the head: none, those of the last block or the last two with
    the last norm, all, or adapters in all blocks."""
    adapter: LoRA | DoRA | None = field(default_factory=LoRA)
    """Adapters that are trained; none unless train is lora."""
    pretrained: bool = True
    """Start with the weights of the base; otherwise with new ones, to compare."""

    def __post_init__(self) -> None:
        if (self.train == "lora") != (self.adapter is not None):
            raise ConfigError(
                "task.adapter goes with task.train=lora: set both, or neither of them"
            )

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* predicts no classes, or has too few blocks."""
        if not isinstance(model, Classifier):
            raise ConfigError("a task of classification needs a model of classes: a Classifier")
        if self.train == "last-two" and model.layers < 2:
            raise ConfigError("task.train is last-two, but the model has one block; use last-block")


@dataclass(frozen=True, kw_only=True)
class Preferences(FromBase):
    """Learn from preferences: completions that are better or worse than others."""

    READS_CHATS: ClassVar[bool] = False
    OBJECTIVES: ClassVar[tuple[type, ...]] = (DPO, ORPO, KTO)
    SCORES: ClassVar[tuple[type, ...]] = (PreferenceLoss, PreferenceAccuracy)

    val: float = 0.1
    """Fraction of the prompts to hold out, with all of their completions; the seed chooses them."""
    row_length: int | None = None
    """Most tokens of a prompt with a completion; longer ones lose the beginning of the prompt.
    [default: the context]"""

    def __post_init__(self) -> None:
        below_one(val=self.val)

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs, or rows do not fit its context."""
        super().check(model)
        _check_row_length(self.row_length, model)


def _check_row_length(length: int | None, model: AnyArchitecture) -> None:
    """Raise ConfigError if rows of *length* do not fit the context of *model*."""
    if length is not None and not 2 <= length <= model.context:
        raise ConfigError(
            f"task.row_length must be from 2 to the model's context, {model.context}; got {length}"
        )


@dataclass(frozen=True, kw_only=True)
class Reinforcement(FromBase):
    """Sample completions of problems, and learn from their rewards."""

    READS_CHATS: ClassVar[bool] = False
    READS: ClassVar[tuple[str, ...]] = ("base", "problems")
    OBJECTIVES: ClassVar[tuple[type, ...]] = (GRPO,)
    SCORES: ClassVar[tuple[type, ...]] = (Reward,)

    problems: AnyProblems = field(default_factory=Addition)
    """Where prompts and rewards come from."""
    group: int = 8
    """Completions of each prompt. A step has rows_per_step / group prompts."""
    max_tokens: int | None = None
    """Most tokens of a completion. [default: 64, at most half the context]"""
    updates: int = 1
    """Optimizer steps on the same completions."""
    mask_truncated: bool = True
    """Do not learn from completions that are cut off at max_tokens (Yu 2025, DAPO,
    arXiv:2503.14476). Their reward of 0 still counts in the mean of their group."""
    held_out: int = 256
    """Held-out problems of an evaluation."""

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ConfigError(
                f"group must be at least 2; got {self.group}: a completion is compared with the "
                "others of its prompt"
            )
        above_zero(max_tokens=self.max_tokens, updates=self.updates, held_out=self.held_out)

    def longest(self, context: int) -> int:
        """Return the most tokens of a completion by a model of *context* tokens."""
        return min(64, context // 2) if self.max_tokens is None else self.max_tokens

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* reads pairs, or completions do not fit its context."""
        super().check(model)
        if self.longest(model.context) >= model.context:
            raise ConfigError(
                f"task.max_tokens must be below the model's context, {model.context}, since a "
                f"prompt comes first; got {self.max_tokens}"
            )


AnyTuning: TypeAlias = Reinforcement | Tuning | Classification | Preferences
"""The tasks that start from a base."""
