"""Specs of the residual stream: how attention and MLP join it, and what each block takes from it.

A branch is attention or an MLP, with its norm and dropout.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpt.spec.part import Part


@dataclass(frozen=True, kw_only=True)
class PreNorm(Part):
    """Normalize the input of each branch, and the stream before the head (GPT-2, Radford 2019)."""


@dataclass(frozen=True, kw_only=True)
class PostNorm(Part):
    """Normalize the stream after each branch has been added (Vaswani 2017, arXiv:1706.03762)."""


@dataclass(frozen=True, kw_only=True)
class Lambdas(Part):
    """A learned mix of the residual stream and the token embeddings, with two weights per block.

    Jordan 2024, modded-nanogpt.
    """

    embedded: float = 0.0
    """Initial weight of the token embeddings; that of the residual stream is 1."""
