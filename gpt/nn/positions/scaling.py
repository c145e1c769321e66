"""Scaling of rotary frequencies, for longer texts than in training.

f_i = θ^(-2i/R) is the frequency, in radians per token, of pair i of the R rotated features, L the
context of training, and s the factor. Frequencies are (R / 2,), float64.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from gpt.nn.site import Site
from gpt.spec import scaling


class Scaling:
    """Scaled frequencies, which rotate queries and keys."""

    dynamic: ClassVar[bool] = False
    """Whether the frequencies of rows longer than `original_context` depend on their length."""
    rotation_factor: float = 1.0
    """Factor of rotated queries and keys."""

    def __init__(self, spec: Any, site: Site) -> None:
        self.factor: float = spec.factor
        self.original_context: int = (
            getattr(spec, "original_context", None) or site.architecture.context
        )

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return *frequencies*, which follow from *theta*, scaled for rows of *tokens* tokens."""
        raise NotImplementedError


class LinearScaling(Scaling):
    """f → f / s. Chen 2023, arXiv:2306.15595."""

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return the frequencies, divided."""
        return frequencies / self.factor


class NTKScaling(Scaling):
    """θ → θ s^(R / (R - 2)), so f_i → f_i s^(-2i / (R - 2)). bloc97 2023."""

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return the frequencies; the first is unchanged, the last divided by the factor."""
        return frequencies * self.factor ** -torch.linspace(0, 1, len(frequencies)).double()


class DynamicNTKScaling(NTKScaling):
    """NTK with s T / L - (s - 1) instead of s for rows of T > L tokens. emozilla 2023."""

    dynamic = True

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return the frequencies for rows of *tokens* tokens."""
        length = max(tokens, self.original_context) / self.original_context
        factor = self.factor * length - (self.factor - 1)
        return frequencies * factor ** -torch.linspace(0, 1, len(frequencies)).double()


class YaRNScaling(Scaling):
    """f_i → (1 - r_i) f_i + r_i f_i / s, r_i a ramp from 0 to 1; q, k → m q, m k.

    Peng 2023, arXiv:2309.00071. The ramp runs from the pair that makes `fast` turns in L tokens to
    that with `slow` turns. m = 0.1 ln s + 1 or DeepSeek's ratio: `gpt.spec.scaling.YaRN`.
    """

    def __init__(self, spec: scaling.YaRN, site: Site) -> None:
        super().__init__(spec, site)
        self.turns, self.truncate = (spec.fast, spec.slow), spec.truncate
        self.rotation_factor = spec.rotation_factor

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return the frequencies, the lower the more divided."""
        features = 2 * len(frequencies)
        first, last = (
            features * math.log(self.original_context / (turns * 2 * math.pi)) / 2 / math.log(theta)
            for turns in self.turns
        )
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, features - 1)
        if first == last:
            last += 0.001  # the ramp is a step
        ramp = ((torch.arange(len(frequencies)).double() - first) / (last - first)).clamp(0, 1)
        return torch.lerp(frequencies, frequencies / self.factor, ramp)


class Llama3Scaling(Scaling):
    """f → (1 - m) f / s + m f, m = (L f / 2π - low) / (high - low), clipped to 0 to 1.

    Dubey 2024, arXiv:2407.21783: L f / 2π is the number of turns in L tokens.
    """

    def __init__(self, spec: scaling.Llama3, site: Site) -> None:
        super().__init__(spec, site)
        self.low, self.high = spec.low, spec.high

    def scaled(self, frequencies: Tensor, theta: float, tokens: int) -> Tensor:
        """Return the frequencies, those of long wavelengths divided."""
        turns = self.original_context * frequencies / (2 * math.pi)
        kept = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return torch.lerp(frequencies / self.factor, frequencies, kept)
