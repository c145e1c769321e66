"""Specs of objectives: what training minimizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

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


AnyObjective: TypeAlias = CrossEntropy | MaskedLM | ClassCrossEntropy
"""All objectives."""
