"""Specs of scores: the figure by which evaluations of a run are compared.

Their names, directions and units are in `gpt.evaluation.score`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class BitsPerByte:
    """Loss in bits, divided by the bytes of the text: comparable between tokenizers."""


@dataclass(frozen=True, kw_only=True)
class TokenAccuracy:
    """Fraction of the targets that have the largest logit: comparable with one tokenizer only."""


@dataclass(frozen=True, kw_only=True)
class MaskedLoss:
    """Loss of a masked token in nats: comparable with one tokenizer and one rate of masking."""


@dataclass(frozen=True, kw_only=True)
class ClassLoss:
    """Negative log-probability of the class of a text in nats."""


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """Fraction of the texts whose likeliest class is theirs."""


@dataclass(frozen=True, kw_only=True)
class ExactMatch:
    """Fraction of the translated pairs whose translation is the target, character by character."""


@dataclass(frozen=True, kw_only=True)
class PreferenceLoss:
    """Loss of the objective on held-out preferences: comparable with the same objective only."""


@dataclass(frozen=True, kw_only=True)
class PreferenceAccuracy:
    """Fraction of the held-out pairs whose chosen completion has the larger reward; ties are half.

    Without pairs, of the completions whose reward is on the right side of the KL divergence.
    """


AnyScore: TypeAlias = (
    BitsPerByte
    | TokenAccuracy
    | MaskedLoss
    | ClassLoss
    | ClassAccuracy
    | ExactMatch
    | PreferenceLoss
    | PreferenceAccuracy
)
"""All scores."""
