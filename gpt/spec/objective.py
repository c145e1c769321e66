"""Specs of objectives: what training minimizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero, below_one, fraction
from gpt.spec.classifier import Classifier
from gpt.spec.models import AnyArchitecture
from gpt.spec.score import (
    BitsPerByte,
    ClassAccuracy,
    ClassLoss,
    ExactMatch,
    MaskedLoss,
    PreferenceAccuracy,
    PreferenceLoss,
    TokenAccuracy,
)

NATS_PER_TOKEN = "nats/token"


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """The negative log-probability of each next token."""

    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, TokenAccuracy, ExactMatch)
    """Scores that are measured with it, if they are of the task."""
    UNIT: ClassVar[str] = NATS_PER_TOKEN
    """Unit of the loss of a step; "" if it has none."""

    label_smoothing: float = 0.0
    """Probability that is divided among all tokens instead of the target (Szegedy 2015,
    arXiv:1512.00567). Evaluations do not have it."""

    def __post_init__(self) -> None:
        below_one(label_smoothing=self.label_smoothing)

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* sees the tokens that it is to predict, or predicts none."""
        if model.classifies:
            raise ConfigError(
                "CrossEntropy predicts tokens, and a Classifier classes; set objective to "
                "ClassCrossEntropy"
            )
        if not model.causal:
            raise ConfigError(
                "model.attention sees the next token, which CrossEntropy predicts; choose a causal "
                "pattern, or the objective MaskedLM"
            )


@dataclass(frozen=True, kw_only=True)
class MaskedLM:
    """Predict tokens that are masked, from those on both sides (Devlin 2018, arXiv:1810.04805).

    Which tokens are chosen depends on the seed and the row, and differs from row to row; special
    tokens are never chosen. Evaluations have masks of their own, always the same.
    """

    SCORES: ClassVar[tuple[type, ...]] = (MaskedLoss, TokenAccuracy)
    UNIT: ClassVar[str] = NATS_PER_TOKEN

    rate: float = 0.15
    """Fraction of the tokens that are predicted. They are replaced by the token that stands for a
    mask, except for the two fractions below."""
    random: float = 0.1
    """Fraction of these that are replaced by a random token instead."""
    keep: float = 0.1
    """Fraction of these that stay as they are."""

    def __post_init__(self) -> None:
        above_zero(rate=self.rate)
        below_one(rate=self.rate)
        fraction(random=self.random, keep=self.keep)
        if self.random + self.keep > 1:
            raise ConfigError(f"random + keep must be at most 1; got {self.random + self.keep}")

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* does not see the tokens after a masked one."""
        if model.causal:
            raise ConfigError(
                "MaskedLM predicts tokens from both sides, and this model sees only those before; "
                "set model.attention.pattern to Full, or the objective to CrossEntropy"
            )


@dataclass(frozen=True, kw_only=True)
class ClassCrossEntropy:
    """The negative log-probability of the class of each text."""

    SCORES: ClassVar[tuple[type, ...]] = (ClassLoss, ClassAccuracy)
    UNIT: ClassVar[str] = "nats/text"

    label_smoothing: float = 0.0
    """Probability that is divided among all classes instead of the right one."""
    class_weights: tuple[float, ...] = ()
    """Weight of the texts of each class, in the order of the classes. [default: 1 each]"""

    def __post_init__(self) -> None:
        below_one(label_smoothing=self.label_smoothing)
        for weight in self.class_weights:
            above_zero(class_weights=weight)

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* predicts no classes, or others than have weights."""
        if not isinstance(model, Classifier):
            raise ConfigError("ClassCrossEntropy predicts classes; set model to Classifier")
        if model.classes and len(self.class_weights) not in (0, len(model.classes)):
            raise ConfigError(
                f"class_weights: {len(self.class_weights)} numbers for {len(model.classes)} "
                f"classes; give one for each of {', '.join(model.classes)}"
            )


class Preference:
    """Learn from completions of which some are preferred; it needs a causal model."""

    SCORES: ClassVar[tuple[type, ...]] = (PreferenceLoss, PreferenceAccuracy)
    PAIRED: ClassVar[bool] = True
    """Whether it compares a chosen with a rejected completion, rather than one with the mean."""
    UNIT: ClassVar[str] = "nats/preference"
    REFERENCE: ClassVar[bool] = True
    """Whether it needs the log-probabilities of completions under the base."""

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* sees the tokens that it is to predict."""
        if not model.causal:
            raise ConfigError(
                f"{type(self).__name__} needs the probabilities of texts, which a model that sees "
                "the next token does not have; tune one whose attention is causal"
            )


@dataclass(frozen=True, kw_only=True)
class DPO(Preference):
    """Direct preference optimization of pairs (Rafailov 2023, arXiv:2305.18290)."""

    beta: float = 0.1
    """How much the model is kept near its base: the factor of log-ratios in rewards."""
    loss: Literal["sigmoid", "sigmoid_norm", "ipo"] = "sigmoid"
    """The loss of a pair: sigmoid; sigmoid_norm, with log-ratios divided by the tokens of their
    completions, against a preference for long ones (Meng 2024, arXiv:2405.14734, section 2.2); ipo,
    with a square, which also divides (Azar 2023, arXiv:2310.12036)."""
    label_smoothing: float = 0.0
    """Probability that a pair is labeled the wrong way around: conservative DPO (Mitchell 2023). Of
    the sigmoid losses."""

    def __post_init__(self) -> None:
        above_zero(beta=self.beta)
        if not 0 <= self.label_smoothing < 0.5:
            raise ConfigError(
                f"label_smoothing must be at least 0 and below 0.5; got {self.label_smoothing}"
            )
        if self.label_smoothing and self.loss == "ipo":
            raise ConfigError("label_smoothing is of the sigmoid losses; remove it, or loss=ipo")


@dataclass(frozen=True, kw_only=True)
class ORPO(Preference):
    """Odds ratio preference optimization: pairs without a base (Hong 2024, arXiv:2403.07691)."""

    REFERENCE: ClassVar[bool] = False

    beta: float = 0.1
    """Weight of the odds ratio beside the cross-entropy of the chosen completion: lambda there."""

    def __post_init__(self) -> None:
        above_zero(beta=self.beta)


@dataclass(frozen=True, kw_only=True)
class KTO(Preference):
    """Kahneman-Tversky optimization: completions labeled good or bad, without pairs.

    Ethayarajh 2024, arXiv:2402.01306. What a completion gains is compared with the KL divergence
    from the base, which completions of other prompts estimate; so a batch has at least two.
    """

    PAIRED: ClassVar[bool] = False

    beta: float = 0.1
    """How much the model is kept near its base: the factor of log-ratios in rewards."""
    desirable_weight: float = 1.0
    """Weight of the completions labeled good. Times their number, it should be 1 to 4/3 times the
    same of the others."""
    undesirable_weight: float = 1.0
    """Weight of the completions labeled bad."""

    def __post_init__(self) -> None:
        above_zero(
            beta=self.beta,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
        )


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Predict as teachers do: one model instead of several, or a smaller one (Hinton 2015).

    The loss is data_weight · cross-entropy + (1 - data_weight) · temperature² · KL(teachers ||
    model), arXiv:1503.02531. The probabilities of several teachers are averaged.
    """

    SCORES: ClassVar[tuple[type, ...]] = (BitsPerByte, TokenAccuracy)
    UNIT: ClassVar[str] = "nats"

    teachers: tuple[Path, ...] = ()
    """Runs with the tokenizer of the data. They stay as they are."""
    digests: tuple[str, ...] = ()
    """Beginnings of the SHA-256 of their weights: a run resumes with the same teachers only.
    [default: as they are]"""
    temperature: float = 1.0
    """Divides the logits of the teachers and of the model before they are compared: above 1,
    improbable tokens matter more."""
    data_weight: float = 0.5
    """Weight of the cross-entropy with the data; the teachers have the rest."""

    def __post_init__(self) -> None:
        above_zero(temperature=self.temperature)
        fraction(data_weight=self.data_weight)
        if self.digests and len(self.digests) != len(self.teachers):
            raise ConfigError(
                f"digests must be one for each of the {len(self.teachers)} teachers; got "
                f"{len(self.digests)}"
            )

    def check(self, model: AnyArchitecture) -> None:
        """Raise ConfigError if *model* sees the tokens that it is to predict."""
        if not model.causal:
            raise ConfigError(
                "model.attention sees the next token, which Distillation predicts; choose a causal "
                "pattern"
            )


AnyObjective: TypeAlias = (
    CrossEntropy | MaskedLM | ClassCrossEntropy | DPO | ORPO | KTO | Distillation
)
"""All objectives."""
