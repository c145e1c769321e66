"""Planning: a complete recipe from the data and the machine.

Importing this does not import torch.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.optimizer import Muon
from gpt.spec.presets import HEAD_WIDTH, PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Linear


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a plan needs to know of where it will run."""

    flops: float
    """Operations a second that training reaches, about."""
    seconds: float
    """Training time that a run may take by default."""

    @classmethod
    def cpu(cls, cores: int) -> Machine:
        """Measured on two cores with AVX512-BF16: 1.0e11 to 1.5e11 each, for 4 to 8 layers."""
        return cls(flops=1e11 * cores, seconds=120.0)

    @classmethod
    def here(cls) -> Machine:
        """The one that this runs on."""
        import torch  # here, since `gpt --help` needs no torch

        cuda = torch.cuda.is_available()
        return cls.cuda() if cuda else cls.cpu(torch.get_num_threads())

    @classmethod
    def cuda(cls) -> Machine:
        """A card of the A100's class at a third of what its bfloat16 could do; less is slower."""
        return cls(flops=1e14, seconds=600.0)


EPOCHS = 12
"""Passes over the data that still teach a small model something, with dropout."""
DROPOUT = ((2.5, 0.0), (6.0, 0.1), (math.inf, 0.2))
"""Up to so many passes over the data, so much dropout."""
BPE_DROPOUT = 0.15
"""Chance of tokens to be respelled where data is seen so often that there is dropout."""
WEIGHTS_PER_TOKEN = 16
"""Weights of the blocks beyond which a model learns little data by heart."""


def plan(
    *, data: Path, out: Path, tokens: int, machine: Machine, preset: str, depth: int | None
) -> Recipe:
    """Choose all of a recipe for a training split of *tokens* tokens.

    The depth spends the machine's time on `tokens_per_weight`, within `WEIGHTS_PER_TOKEN`; *depth*
    overrules that. Where the data would be seen more than `EPOCHS` times the run is shorter. The
    batch grows with the tokens that a run sees (nanochat's B ~ D^0.383), the matrices' rate with
    the root of the batch up to a limit, embeddings' and the head's with the root of one over the
    width, and weights are forgotten within half a run (Wang and Aitchison 2024, arXiv:2405.13698).
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
    if depth is not None and depth < 1:
        raise ConfigError(f"depth must be at least 1; got {depth}")
    budget = machine.flops * machine.seconds / 6  # weights x tokens
    wanted = min(math.sqrt(budget / tokens_per_weight(budget)), WEIGHTS_PER_TOKEN * tokens)
    depth = depth or min(24, max(2, round((wanted / _weights(1)) ** (1 / 3))))
    context = _power_of_two(min(1024.0, tokens / 8, 32.0 * depth))
    learnt = min(EPOCHS * tokens, budget / _weights(depth))
    per_step = max(float(context), 2048 * (learnt / 1e6) ** 0.383)
    batch_size = _power_of_two(per_step / context)
    per_step = batch_size * context
    dropout = next(share for most, share in DROPOUT if learnt <= most * tokens)
    model = dataclasses.replace(PRESETS[preset](depth, context), dropout=dropout)
    steps = max(20, round(learnt / per_step))
    rate, narrow = min(0.03, 0.02 * math.sqrt(per_step / 2048)), math.sqrt(128 / model.width)
    optimizer = Muon(
        lr=rate,
        iterations=3,
        weight_decay=min(0.5, 2 / (rate * steps)),
        embedding_lr=0.05 * narrow,
        head_lr=0.01 * narrow,
    )
    return Recipe(
        data=data,
        out=out,
        steps=steps,
        batch_size=batch_size,
        bpe_dropout=BPE_DROPOUT if dropout else 0.0,
        optimizer=optimizer,
        schedule=Linear(decay=0.7),
        eval_every=max(1, steps // 10),
        checkpoint_every=max(1, steps // 10),
        model=model,
    )


def tokens_per_weight(budget: float) -> float:
    """How many tokens to learn from for each weight of the blocks, of *budget* weights x tokens.

    Short runs have fewer steps than small models need, and do better with larger ones: with Muon
    on 0.3 to 0.5M tokens of text 0.1 was best for a second on two cores, 0.3 for one minute, 0.2 to
    0.4 for two. Hoffmann 2022 (arXiv:2203.15556) has 20 for very long ones, nanochat some 10.
    """
    return min(20.0, 0.35 * math.pow(budget / 4e12, 0.2))


def resumed(saved: Recipe, *, preset: str | None, depth: int | None) -> Recipe:
    """Take what a run was planned as; *preset* and *depth* where they are asked for again.

    What was chosen for the machine then stays, so that a run goes on elsewhere.
    """
    model = saved.model
    layers = depth or model.layers
    if preset is None:
        return dataclasses.replace(saved, model=dataclasses.replace(model, layers=layers))
    again = PRESETS[preset](layers, model.context)
    return dataclasses.replace(saved, model=dataclasses.replace(again, dropout=model.dropout))


def described(recipe: Recipe) -> str:
    """One line of what decides *recipe*, picked by `plan` or asked for."""
    model, optimizer = recipe.model, recipe.optimizer
    picked: dict[str, Any] = {
        "layers": model.layers,
        "width": model.width,
        "heads": model.attention.heads,
        "context": model.context,
        "batch": recipe.rows_per_step,
        "steps": recipe.steps,
        "lr": f"{optimizer.lr:.3g}",
        "weight decay": f"{optimizer.weight_decay:.3g}",
        "dropout": model.dropout,
        "bpe_dropout": recipe.bpe_dropout,
        "type": recipe.dtype,
    }
    return ", ".join(f"{name} {value}" for name, value in picked.items())


def _weights(depth: int) -> float:
    """Weights of the blocks' matrices: 12 x depth x width²."""
    return 12.0 * depth * (HEAD_WIDTH * depth) ** 2


def _power_of_two(about: float) -> int:
    """The power of two nearest to *about*, by its logarithm; at least 1."""
    return 1 << max(0, round(math.log2(max(1.0, about))))
