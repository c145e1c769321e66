"""Specs of gates of the outputs of attention."""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class HeadGate(Part):
    """Multiply the output of each head by a sigmoid of the input (Qiu 2025, arXiv:2505.06708).

    A head can then attend without an effect, which attention sinks are for otherwise.
    """

    per_feature: bool = False
    """A gate for each feature of a head instead of one for the head, as in Qwen3-Next."""
