"""MLPs: what is computed for each token on its own."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.checks import above_zero


@dataclass(frozen=True, kw_only=True)
class Gelu:
    """Two linears with GELU between them (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""

    hidden: int | None = None
    """Size between the linears; None: 4 x width."""
    tanh: bool = False
    """The tanh approximation, as GPT-2 has it, instead of the exact function."""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class Relu2:
    """Two linears with the square of ReLU between them (So 2021, Primer, arXiv:2109.08668)."""

    hidden: int | None = None
    """Size between the linears; None: 4 x width."""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class SwiGLU:
    """A linear gated by the SiLU of another (Shazeer 2020, arXiv:2002.05202)."""

    hidden: int | None = None
    """Size between the linears; None: 8/3 x width, rounded up to a multiple of 64, which has
    about the parameters of a plain MLP of 4 x width."""

    def __post_init__(self) -> None:
        above_zero(hidden=self.hidden)
