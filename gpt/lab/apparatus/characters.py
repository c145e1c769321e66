"""A recurrent network with norms, and a model of characters with it."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.lab.apparatus.norms import norm_of
from gpt.lab.apparatus.texts import english
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm

AnyNorm: TypeAlias = LayerNorm | RMSNorm | BatchNorm | None
CHARACTERS = 128


def norm(spec: AnyNorm, width: int) -> Any:
    """Return a norm of *width* features; the identity for None."""
    return nn.Identity() if spec is None else norm_of(spec, width)


class GRU(nn.Module):
    """A GRU whose products with inputs and states are normalized, as in the paper's supplement."""

    def __init__(self, spec: AnyNorm, width: int) -> None:
        super().__init__()
        self.inputs, self.states = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.width = width
        self.norms = nn.ModuleList(norm(spec, size * width) for size in (2, 1, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the states (B, T, width) after x (B, T, width)."""
        gates, candidates = self.inputs(x).split((2 * self.width, self.width), -1)
        gates, candidates = self.norms[0](gates), self.norms[1](candidates)
        h, found = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            state_gates, state = self.states(h).split((2 * self.width, self.width), -1)
            reset, keep = (gates[:, t] + self.norms[2](state_gates)).sigmoid().chunk(2, -1)
            candidate = torch.tanh(candidates[:, t] + reset * self.norms[3](state))
            h = keep * h + (1 - keep) * candidate
            found.append(h)
        return torch.stack(found, 1)


class CharacterModel(nn.Module):
    """Characters, a GRU and a linear layer."""

    def __init__(self, spec: AnyNorm, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, width)
        self.gru, self.head = GRU(spec, width), nn.Linear(width, CHARACTERS)

    def loss(self, ids: Tensor) -> Tensor:
        """Return the mean loss of ids (B, T + 1) in nats."""
        logits = self.head(self.gru(self.embedding(ids[:, :-1])))
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@functools.cache
def text() -> Tensor:
    """Return the characters of the English text; those that are not ASCII are one."""
    return torch.tensor([min(ord(each), CHARACTERS - 1) for each in english()])


def random_rows(
    begin: int, end: int, count: int, length: int, generator: torch.Generator
) -> Tensor:
    """Return (count, length + 1) characters at random positions from *begin* to *end*."""
    starts = torch.randint(begin, end - length - 1, (count,), generator=generator)
    return text()[starts[:, None] + torch.arange(length + 1)]
