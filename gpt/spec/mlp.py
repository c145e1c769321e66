"""Specs of MLPs."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class Gelu:
    """Two linear layers with GELU between them (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""

    hidden: int | None = None
    """Width of the hidden layer. [default: 4 x width]"""
    tanh: bool = False
    """Use the tanh approximation of GELU, as GPT-2 does."""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class Relu2:
    """Two linear layers with squared ReLU between them (So 2021, Primer, arXiv:2109.08668)."""

    hidden: int | None = None
    """Width of the hidden layer. [default: 4 x width]"""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class SwiGLU:
    """A linear layer gated by the SiLU of another (Shazeer 2020, arXiv:2002.05202)."""

    hidden: int | None = None
    """Width of the hidden layer. [default: 8/3 x width, rounded up to a multiple of 64, which has
    about as many parameters as a plain MLP of 4 x width]"""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)
