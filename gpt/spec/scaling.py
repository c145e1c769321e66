"""Specs of the scaling of rotary frequencies, by which a model reads longer texts than in training.

R is the number of rotated features, θ the base of the wavelengths.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TypeAlias

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class FrequencyScaling(Part):
    """A scaling of rotary frequencies."""

    def check_rotation(self, theta: float, features: int) -> None:
        """Raise ConfigError if the frequencies of *features* features cannot be scaled."""


@dataclass(frozen=True, kw_only=True)
class Linear(FrequencyScaling):
    """Divide all frequencies: positions are interpolated (Chen 2023, arXiv:2306.15595)."""

    factor: float
    """How many times longer than in training texts can be."""

    def __post_init__(self) -> None:
        above_zero(factor=self.factor)


@dataclass(frozen=True, kw_only=True)
class NTK(FrequencyScaling):
    """Multiply theta by factor^(R / (R - 2)): the lowest frequency is divided by the factor.

    NTK-aware scaling, bloc97 2023; in Peng 2023, arXiv:2309.00071, section 3.1.
    """

    factor: float
    """How many times longer than in training texts can be."""

    def __post_init__(self) -> None:
        above_zero(factor=self.factor)

    def check_rotation(self, theta: float, features: int) -> None:
        """Raise ConfigError if there is one frequency only: the highest is not scaled."""
        _at_least_two_frequencies(features)


@dataclass(frozen=True, kw_only=True)
class Stretched(FrequencyScaling):
    """Scaling that depends on the context of training."""

    original_context: int | None = None
    """Context of training. [default: the context]"""

    def __post_init__(self) -> None:
        above_zero(original_context=self.original_context)

    def extended(self, trained: int) -> Stretched:
        """Return the spec with *trained*, the context of training."""
        return dataclasses.replace(self, original_context=self.original_context or trained)


@dataclass(frozen=True, kw_only=True)
class DynamicNTK(Stretched):
    """Scale theta as NTK does, by the length of each text; up to the original context not at all.

    emozilla 2023. As all rotations change with the length, past the original context no cache of
    keys can be used, so such a model is measured there but does not generate.
    """

    factor: float = 1.0
    """Texts of the original context times x scale as NTK with factor · x - (factor - 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(factor=self.factor)

    def check_rotation(self, theta: float, features: int) -> None:
        """Raise ConfigError if there is one frequency only: the highest is not scaled."""
        _at_least_two_frequencies(features)


@dataclass(frozen=True, kw_only=True)
class YaRN(Stretched):
    """Divide low frequencies, keep high ones, and raise the scores (Peng 2023, arXiv:2309.00071).

    High and low is by how many turns a frequency makes within the original context.
    """

    factor: float
    """How many times longer than in training texts can be."""
    fast: float = 32.0
    """Turns from which frequencies are kept (beta_fast)."""
    slow: float = 1.0
    """Turns up to which they are divided (beta_slow)."""
    truncate: bool = True
    """Round the features between which the two are mixed, outward."""
    magnitude: float | None = None
    """Factor of rotated queries and keys. [default: 0.1 ln(factor) + 1]"""
    mscale: float | None = None
    """With mscale_all, DeepSeek-V2's magnitude: (0.1 mscale ln(factor) + 1) over the same with
    mscale_all (arXiv:2405.04434). [default: the magnitude]"""
    mscale_all: float | None = None
    """See mscale. [default: the magnitude]"""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(factor=self.factor, fast=self.fast, slow=self.slow, magnitude=self.magnitude)
        if self.fast <= self.slow:
            raise ConfigError(f"fast must be above slow, {self.slow}; got {self.fast}")

    def check_rotation(self, theta: float, features: int) -> None:
        """Raise ConfigError if frequencies do not fall: high and low ones mean nothing then."""
        if theta <= 1:
            raise ConfigError(f"position.scaling YaRN needs a position.theta above 1; got {theta}")

    @property
    def rotation_factor(self) -> float:
        """Factor of rotated queries and keys."""
        if self.magnitude is not None:
            return self.magnitude
        if self.mscale and self.mscale_all:
            return self._mscale(self.mscale) / self._mscale(self.mscale_all)
        return self._mscale(1.0)

    @property
    def score_factor(self) -> float:
        """Factor of all scores in DeepSeek-V2 and V3: of `ScaledDot.scale` of an imported model."""
        return self._mscale(self.mscale_all) ** 2 if self.mscale_all else 1.0

    def _mscale(self, slope: float) -> float:
        return 0.1 * slope * math.log(self.factor) + 1 if self.factor > 1 else 1.0


@dataclass(frozen=True, kw_only=True)
class Llama3(Stretched):
    """Divide long wavelengths, keep short ones, mix between (Dubey 2024, arXiv:2407.21783)."""

    factor: float
    """Divisor of the frequencies of long wavelengths."""
    low: float = 1.0
    """Wavelengths above original_context / low are long."""
    high: float = 4.0
    """Wavelengths below original_context / high are short."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(factor=self.factor, low=self.low, high=self.high)
        if self.high <= self.low:
            raise ConfigError(f"high must be above low, {self.low}; got {self.high}")


def _at_least_two_frequencies(features: int) -> None:
    if features < 4:
        raise ConfigError(
            f"position.scaling by NTK needs at least 4 rotated features, and there are {features}"
        )


Scaling: TypeAlias = Linear | NTK | DynamicNTK | YaRN | Llama3
"""All kinds of scaling of rotary frequencies."""
