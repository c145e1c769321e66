"""Planning: a complete recipe for some data and a machine.

Importing this does not import torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
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
    """The speed of a machine, and the time that it is used for."""

    flops: float
    """Floating-point operations per second that training reaches, about."""
    seconds: float
    """Training time of a run, unless another is asked for."""

    @classmethod
    def cpu(cls, cores: int) -> Machine:
        """Measured on two cores with AVX512-BF16: 1.0e11 to 1.5e11 each, for 4 to 8 layers."""
        return cls(flops=1e11 * cores, seconds=120.0)

    @classmethod
    def here(cls) -> Machine:
        """Return the machine that this runs on."""
        import torch  # here, since `gpt --help` needs no torch

        cuda = torch.cuda.is_available()
        return cls.cuda() if cuda else cls.cpu(torch.get_num_threads())

    @classmethod
    def cuda(cls) -> Machine:
        """A GPU like the A100, at a third of its bfloat16 peak; the machine's may be slower."""
        return cls(flops=1e14, seconds=600.0)


EPOCHS = 12
"""Epochs up to which a small model with dropout still improves."""
DROPOUT = ((2.5, 0.0), (6.0, 0.1), (math.inf, 0.2))
"""Pairs of a number of epochs and the dropout up to it."""
BPE_DROPOUT = 0.15
"""BPE dropout of runs with so many epochs that they have dropout."""
WEIGHTS_PER_TOKEN = 16
"""Weights of the blocks per training token; a larger model overfits small data."""
DEPTHS = range(2, 25)
"""Depths that a plan chooses from."""
PLANNED = frozenset(
    {"steps", "batch_size", "bpe_dropout", "optimizer", "schedule", "model"}
    | {"eval_every", "checkpoint_every"}
)
"""Fields that `plan` chooses; all others have their defaults."""


def plan(
    *,
    data: Path,
    out: Path,
    tokens: int,
    machine: Machine,
    preset: str,
    depth: int | None,
    given: Mapping[str, Any] | None = None,
) -> Recipe:
    """Choose a complete recipe for a training split of *tokens* tokens.

    The depth spends the machine's time on `tokens_per_weight`, within `WEIGHTS_PER_TOKEN`, unless
    *depth* is set. A run ends after `EPOCHS` epochs even if time is left. The batch grows with the
    tokens seen in the run (nanochat's B ~ D^0.383), the learning rate of matrices with the root of
    the batch up to a limit, those of embeddings and head with the root of 1 / width. The weight
    decay forgets weights within half a run (Wang and Aitchison 2024, arXiv:2405.13698).

    *given* are values of fields that will replace those of the plan, by dotted name: the plan is
    made around them. A longer context has fewer rows, a wider model makes fewer steps.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
    if depth is not None and depth < 1:
        raise ConfigError(f"depth must be at least 1; got {depth}")
    given = given or {}
    seconds = given.get("seconds") or min(machine.seconds, given.get("max_seconds") or math.inf)
    budget = machine.flops * seconds / 6  # weights x tokens: 6 operations for each

    # The model: as large as pays in the time, and no larger than the data allows.
    wanted = min(math.sqrt(budget / tokens_per_weight(budget)), WEIGHTS_PER_TOKEN * tokens)
    by_size = round((wanted / _weights(1, HEAD_WIDTH)) ** (1 / 3))
    depth = depth or min(max(by_size, DEPTHS[0]), DEPTHS[-1])
    layers, width = given.get("model.layers", depth), given.get("model.width", HEAD_WIDTH * depth)
    context = given.get("model.context") or _power_of_two(min(1024.0, tokens / 8, 32.0 * depth))

    # The run: how many tokens it sees, and in what steps.
    seen = min(EPOCHS * tokens, budget / _weights(layers, width))
    row = context * given.get("accumulate", 1)
    per_step = max(float(row), 2048 * (seen / 1e6) ** 0.383)
    batch_size = given.get("batch_size") or _power_of_two(per_step / row)
    per_step = batch_size * row
    steps = given.get("steps") or max(20, round(seen / per_step))
    if "steps" in given:
        seen = steps * per_step

    dropout = next(rate for most, rate in DROPOUT if seen <= most * tokens)
    model = dataclasses.replace(PRESETS[preset](depth, context), dropout=dropout)
    lr = given.get("optimizer.lr") or min(0.03, 0.02 * math.sqrt(per_step / 2048))
    narrow = math.sqrt(128 / width)
    optimizer = Muon(
        lr=lr,
        iterations=3,
        weight_decay=min(0.5, 2 / (lr * steps)),
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
    """Return the training tokens for each weight of the blocks, for *budget* weights x tokens.

    Short runs have fewer steps than small models need, and do better with larger ones: with Muon
    on 0.3 to 0.5M tokens of text 0.1 was best for a second on two cores, 0.3 for one minute, 0.2 to
    0.4 for two. Hoffmann 2022 (arXiv:2203.15556) has 20 for very long ones, nanochat some 10.
    """
    return min(20.0, 0.35 * math.pow(budget / 4e12, 0.2))


def resumed(saved: Recipe, *, preset: str | None, depth: int | None) -> Recipe:
    """Return the recipe of the run *saved*, with the model of *preset* and *depth* if they are set.

    All that was planned for the machine stays, so a run can be resumed on another one.
    """
    model = saved.model
    layers = depth or model.layers
    if preset is None:
        return dataclasses.replace(saved, model=dataclasses.replace(model, layers=layers))
    again = PRESETS[preset](layers, model.context)
    return dataclasses.replace(saved, model=dataclasses.replace(again, dropout=model.dropout))


def described(recipe: Recipe) -> str:
    """Return one line with the main choices of *recipe*, planned or set."""
    model, optimizer = recipe.model, recipe.optimizer
    chosen: dict[str, Any] = {
        "layers": model.layers,
        "width": model.width,
        "heads": model.attention.heads,
        "context": model.context,
        "batch": recipe.rows_per_step,
        "steps": recipe.steps,
        "lr": f"{optimizer.lr:.3g}",
        "weight decay": f"{optimizer.weight_decay:.3g}",
        "dropout": model.dropout,
        "BPE dropout": recipe.bpe_dropout,
        "dtype": recipe.dtype,
    }
    return ", ".join(f"{name} {value}" for name, value in chosen.items())


def _weights(layers: int, width: int) -> float:
    """Weights of the blocks' matrices: 12 x layers x width²."""
    return 12.0 * layers * width**2


def _power_of_two(about: float) -> int:
    """The power of two nearest to *about*, by its logarithm; at least 1."""
    return 1 << max(0, round(math.log2(max(1.0, about))))
