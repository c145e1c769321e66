"""A recurrent network with norms, and a model of characters with it."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt.lab.apparatus.digits import seeded
from gpt.lab.apparatus.norms import EXACT, difference, norm_of, random
from gpt.lab.apparatus.texts import english
from gpt.lab.checks import Above, Below
from gpt.lab.experiment import Figures, Part, Setting
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm

AnyNorm: TypeAlias = LayerNorm | RMSNorm | BatchNorm | None
NORMS: dict[str, AnyNorm] = {"none": None, "layer": LayerNorm(), "batch": BatchNorm(leaks=True)}
CHARACTERS = 128
EVERY = 10
"""Steps between two looks at the held-out text."""


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


def cell(setting: Setting) -> Figures:
    """Compare the network with torch's GRU, and with itself with larger weights."""
    ours, x = seeded(0, lambda: GRU(NORMS[setting.arm], 16)).double(), random(4, 8, 16)
    for linear in (ours.inputs, ours.states):
        nn.init.zeros_(linear.bias)
    theirs = nn.GRU(16, 16, batch_first=True).double()
    weights = (ours.inputs.weight, ours.states.weight, ours.inputs.bias, ours.states.bias)
    with torch.no_grad():
        for parameter, weight in zip(theirs.parameters(), weights, strict=True):
            parameter.copy_(weight)
        before, plain = ours(x), theirs(x)[0]
        ours.states.weight.mul_(3)
        return {"torch": difference(before, plain), "scaled": difference(ours(x), before)}


CELL = Part(
    name="cell",
    kind="EXACT",
    arms=["none", "layer"],
    measure=cell,
    sizes=EXACT,
    checks=[
        Below(claim="none: torch's GRU", arm="none", figure="torch", bound=1e-12),
        Above(claim="layer: another", arm="layer", figure="torch", bound=0.01),
        Above(claim="none: weights x 3 matter", arm="none", figure="scaled", bound=0.01),
        Below(claim="layer: they do not", arm="layer", figure="scaled", bound=1e-3),
    ],
)
"""What normalization changes of a GRU."""


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


def fit_characters(
    model: CharacterModel, rate: float, *, steps: int, length: int, seed: int
) -> tuple[list[float], list[float]]:
    """Train on nine tenths of the text; return steps, and losses on the rest after them in nats.

    A step has 16 rows of *length* predictions; *seed* decides which.
    """
    held_out, device = len(text()) * 9 // 10, model.head.weight.device
    fixed = random_rows(held_out, len(text()), 64, length, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    evaluated, losses = [], []
    for step in range(1, steps + 1):
        batch = random_rows(0, held_out, 16, length, generator)
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(batch.to(device)))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % EVERY == 0:
            evaluated.append(float(step))
            with torch.no_grad():
                losses.append(float(model.loss(fixed.to(device))))
    return evaluated, losses
