"""Planning: a complete recipe for some data and a machine.

A plan is the best of many candidates: models from 2 x 64 to 24 x 1536, steps of 512 tokens and
more, by the loss that each is expected to reach in the time, given how long its steps take on the
machine. Importing this does not import torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture
from gpt.spec.dropout import Dropout
from gpt.spec.machine import Machine, Shape, block_weights
from gpt.spec.optimizer import Muon
from gpt.spec.overrides import Overrides
from gpt.spec.presets import HEAD_WIDTH, OBJECTIVES, PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Linear

EPOCHS = 12
"""Epochs up to which a small model with dropout still improves."""
DROPOUT = ((2.5, 0.0), (6.0, 0.1), (math.inf, 0.2))
"""Pairs of a number of epochs and the dropout up to it."""
BPE_DROPOUT = 0.15
"""BPE dropout of runs with so many epochs that they have dropout."""
WEIGHTS_PER_TOKEN = 16
"""Weights of the blocks per training token; a larger model overfits small data."""
SIZES = (
    *((2, 64), (2, 128), (2, 192), (2, 256), (3, 192), (3, 256), (4, 256), (5, 320), (6, 384)),
    *((7, 448), (8, 512), (10, 640), (12, 768), (16, 1024), (20, 1280), (24, 1536)),
)
"""Layers and widths that a plan chooses from."""
NARROWEST = 32
"""Width of a model per layer at the least. All `SIZES` have it; a width or a number of layers that
is given limits the other."""
REPEATED = 0.21
"""What repeated tokens are worth at most, in epochs."""
LEAST_STEPS = 20
"""Steps that a run should have at the least, in time and epochs."""
TOKENS_PER_STEP = tuple(1 << power for power in range(9, 21))
"""Tokens of a step that a plan chooses from."""
CONTEXT = 128
"""Context of a run that sees a million tokens; it grows with their root. On 2 MB of documentation
64 tokens were better than 128 after 0.4 million, by 0.009 and 0.013 bits per byte for 2 x 128 and
3 x 192, and worse after 1.2 million, by 0.018."""
LONGEST = 1024
"""The longest context that a plan chooses."""
PLANNED = frozenset(
    {"steps", "seconds", "batch_size", "bpe_dropout", "optimizer", "schedule", "model", "dtype"}
    | {"eval_every", "checkpoint_every"}
    | {f"model.{each.name}" for each in dataclasses.fields(Architecture)}
)
"""Fields that `plan` chooses; all others have their defaults."""
LIMITS = ("steps", "seconds", "max_seconds")
"""Fields that end a run."""


@dataclass(frozen=True)
class _Candidate:
    """A model and the length of its training."""

    shape: Shape
    steps: int
    tokens: int
    """Tokens of the training split."""

    @property
    def seen(self) -> int:
        """Tokens that are seen in training."""
        return self.steps * self.shape.tokens

    @property
    def is_noisy(self) -> bool:
        """Whether its steps have less than three quarters of nanochat's tokens, B ~ D^0.383.

        `expected_loss` does not know that more steps are worth nothing then.
        """
        return self.shape.tokens < 1536 * math.pow(self.seen / 1e6, 0.383)

    @property
    def loss(self) -> float:
        """What `expected_loss` says of it."""
        weights = block_weights(self.shape.layers, self.shape.width)
        return expected_loss(weights, self.seen, self.tokens, self.steps)


_SIZES = {
    *("steps", "seconds", "max_seconds", "batch_size"),
    *("model.layers", "model.width", "model.context"),
}
"""Fields that a plan is made around, and that it divides by."""


def _is_possible(name: str, value: Any) -> bool:
    return name not in _SIZES or not isinstance(value, int | float) or value > 0


def plan(
    *,
    data: Path,
    out: Path,
    tokens: int,
    vocab_size: int,
    machine: Machine,
    preset: str,
    depth: int | None,
    given: Mapping[str, Any] | None = None,
) -> Recipe:
    """Choose a complete recipe for a training split of *tokens* tokens.

    The model and the tokens of a step are those with the least `expected_loss` within the time, on
    *machine*; a set *depth* leaves the tokens of a step to choose. The run follows the time, and
    ends after `EPOCHS` epochs even if time is left. The learning rate of matrices grows with the
    root of the batch up to a limit, those of embeddings and head fall with the root of the width.
    The weight decay forgets weights within half a run (Wang and Aitchison 2024, arXiv:2405.13698).

    *given* are values of fields that will replace those of the plan, by dotted name: the plan is
    made around them. With ``steps`` it is the plan of the time in which that many steps would be
    made; ``seconds`` is the time itself, which then ends the run alone; ``max_seconds`` shortens
    the time of *machine*.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
    if depth is not None and depth < 1:
        raise ConfigError(f"depth must be at least 1; got {depth}")
    # The recipe refuses values out of range, with the name of the option.
    given = {name: value for name, value in (given or {}).items() if _is_possible(name, value)}
    usual = min(machine.seconds, given.get("max_seconds") or math.inf)
    seconds, steps = given.get("seconds") or usual, given.get("steps")

    def epochs_end(shape: Shape) -> float:
        """Return the number of steps after which all epochs are over."""
        end = max(LEAST_STEPS, EPOCHS * tokens // shape.tokens)
        return math.inf if "seconds" in given else end

    def candidate(shape: Shape, seconds: float) -> _Candidate:
        steps = min(seconds / machine.step_seconds(shape), epochs_end(shape))
        return _Candidate(shape, int(steps), tokens)

    def best_within(seconds: float) -> _Candidate:
        first = [candidate(shape, seconds) for shape in _shapes(tokens, vocab_size, depth, given)]
        shapes = (_with_context(each.shape, each.seen, tokens, given) for each in first)
        candidates = [candidate(shape, seconds) for shape in shapes]
        long_enough = [each for each in candidates if each.steps >= LEAST_STEPS]
        if long_enough:
            largest = max(each.shape.tokens for each in long_enough)
            calm = (e for e in long_enough if not e.is_noisy or e.shape.tokens == largest)
            return min(calm, key=lambda each: each.loss)
        shortest = min(candidates, key=lambda each: machine.step_seconds(each.shape))
        return dataclasses.replace(shortest, steps=max(1, shortest.steps))

    best = best_within(seconds)
    if steps and "seconds" in given:
        best = dataclasses.replace(best, steps=min(steps, best.steps))
    elif steps:
        # The plan of the time that so many steps take, not the largest model that they can train.
        plans = (best_within(seconds * 1.25**power) for power in range(-40, 41))
        best = min(plans, key=lambda each: abs(math.log(each.steps / steps)))
        best = dataclasses.replace(best, steps=steps)
    shape = best.shape
    dropout = next(rate for most, rate in DROPOUT if best.seen <= most * tokens)
    model = PRESETS[preset](depth or shape.layers, shape.context)
    lr = given.get("optimizer.lr") or min(0.03, 0.02 * math.sqrt(shape.tokens / 2048))
    narrow = math.sqrt(128 / shape.width)
    most = epochs_end(shape)
    recipe = Recipe(
        data=data,
        out=out,
        # As a limit, the number of epochs matters only if the run may come near it.
        steps=steps or (int(most) if most < 2 * best.steps else None),
        seconds=None if steps else seconds,
        batch_size=given.get("batch_size") or _rows(shape, given),
        bpe_dropout=BPE_DROPOUT if dropout else 0.0,
        optimizer=Muon(
            lr=lr,
            iterations=3,
            weight_decay=min(0.5, 2 / (lr * best.steps)),
            embedding_lr=0.05 * narrow,
            head_lr=0.01 * narrow,
        ),
        schedule=Linear(decay=0.7),
        eval_every=max(1, best.steps // 10),
        checkpoint_every=max(1, best.steps // 10),
        dtype=machine.dtype(shape) if machine.steps else "auto",
        model=dataclasses.replace(model, dropout=Dropout(rate=dropout)),
        **OBJECTIVES.get(preset, {}),
    )
    return recipe if "model.width" in given else _widened(recipe, shape.width)


def expected_loss(weights: float, seen: float, tokens: float, steps: float) -> float:
    """Return a figure that is the lower, the lower the loss of a run is expected to be.

    It has the form of Kaplan 2020 (arXiv:2001.08361, equation 1.5) with a term for short runs:
    0.115 (N / 1e6)^-0.53 + 2.04 (D / 1e5)^-0.53 + 0.14 (S / 100)^-0.88, for N *weights* of the
    blocks, S *steps* and D tokens. Of *seen* tokens those after the *tokens* of the data are
    repeated, and each further epoch is worth less (Muennighoff 2023, arXiv:2305.16264): D = U +
    0.21 U (1 - exp(-(seen - U) / 0.21 U)). Bits per byte are linear in its 0.35th power.

    Fitted to some 40 runs of `fast` on two texts of 1 and 2 MB, from 2 x 128 to 6 x 384, 512 to
    4,096 tokens a step, 40 to 800 steps; the root of the mean squared residual is 0.012 bits per
    byte on one of them, 0.019 on both. With one exponent for N and D, which was no worse, the best
    models of long runs see 23 tokens a weight; Hoffmann 2022 (arXiv:2203.15556) has 20.
    """
    unique = min(seen, tokens)
    worth = unique + REPEATED * tokens * (1 - math.exp((unique - seen) / (REPEATED * tokens)))
    too_small = 0.115 * math.pow(weights / 1e6, -0.53)
    too_little = 2.04 * math.pow(worth / 1e5, -0.53)
    too_short = 0.14 * math.pow(steps / 100, -0.88)
    return too_small + too_little + too_short


def _shapes(
    tokens: int, vocab_size: int, depth: int | None, given: Mapping[str, Any]
) -> Iterator[Shape]:
    """Yield the shapes of a step to choose from, around the *given* fields."""
    sizes = [(depth, HEAD_WIDTH * depth)] if depth else list(SIZES)
    layers, width = given.get("model.layers"), given.get("model.width")
    sizes = [(layers or each[0], width or each[1]) for each in sizes]
    if not (layers and width):  # the one that is not given follows the other
        shaped = [size for size in sizes if size[1] >= NARROWEST * size[0]]
        sizes = shaped or [min(sizes, key=lambda size: size[0] / size[1])]
    fits = [size for size in sizes if block_weights(*size) <= WEIGHTS_PER_TOKEN * tokens]
    context = given.get("model.context") or _power_of_two(min(CONTEXT, tokens / 8))
    row = context * given.get("accumulate", 1)
    # Steps that fit into the epochs.
    most = EPOCHS * tokens / LEAST_STEPS
    choices = [per_step for per_step in TOKENS_PER_STEP if row <= per_step <= most] or [row]
    if "batch_size" in given:
        choices = [row * given["batch_size"]]
    for size in dict.fromkeys(fits or sizes[:1]):
        for per_step in choices:
            yield Shape(*size, context, vocab_size, per_step)


def _with_context(shape: Shape, seen: float, tokens: int, given: Mapping[str, Any]) -> Shape:
    """Return *shape* with the context for a run that sees *seen* tokens, if none is given.

    It is at most an eighth of the data, for enough different rows.
    """
    if given.get("model.context"):
        return shape
    accumulate, rows = given.get("accumulate", 1), given.get("batch_size")
    about = min(CONTEXT * math.sqrt(seen / 1e6), LONGEST, tokens / 8)
    if rows is None:
        context = _power_of_two(min(about, shape.tokens / accumulate))
        return dataclasses.replace(shape, context=context)
    context = _power_of_two(about)
    return dataclasses.replace(shape, context=context, tokens=rows * accumulate * context)


def _rows(shape: Shape, given: Mapping[str, Any]) -> int:
    """Return the rows of a forward pass."""
    accumulate: int = given.get("accumulate", 1)
    return max(1, shape.tokens // (shape.context * accumulate))


def resumed(
    saved: Recipe,
    *,
    preset: str | None,
    depth: int | None,
    given: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return the recipe of the run *saved*, with the model of *preset* and *depth* if they are set.

    All that was planned for the machine stays, so a run can be resumed on another one. A limit
    among the fields *given* (other steps, another time) replaces the limits that were planned.
    """
    given, model = given or {}, saved.model
    if any(name in given and given[name] != getattr(saved, name) for name in LIMITS):
        limits: dict[str, Any] = {name: given.get(name) for name in LIMITS}
        saved = dataclasses.replace(saved, **limits)
    layers = depth or model.layers
    if preset is None:
        return dataclasses.replace(saved, model=dataclasses.replace(model, layers=layers))
    again = dataclasses.replace(PRESETS[preset](layers, model.context), dropout=model.dropout)
    return _widened(dataclasses.replace(saved, model=again), again.width if depth else model.width)


def described(recipe: Recipe) -> str:
    """Return one line with the main choices of *recipe* for training, planned or set."""
    optimizer = recipe.optimizer
    chosen: dict[str, Any] = {
        **{name: getattr(recipe, name) for name in LIMITS if getattr(recipe, name) is not None},
        "batch": recipe.rows_per_step,
        "lr": f"{optimizer.lr:.3g}",
        "weight decay": f"{optimizer.weight_decay:.3g}",
        "dropout": recipe.model.dropout.rate,
        "BPE dropout": recipe.bpe_dropout,
        "dtype": recipe.dtype,
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())


def _widened(recipe: Recipe, width: int) -> Recipe:
    """Return *recipe* with a model of *width*, whose heads are about as wide as before."""
    if width == recipe.model.width:
        return recipe
    return Overrides({"model.width": width}).over(recipe)


def _power_of_two(about: float) -> int:
    """The power of two nearest to *about*, by its logarithm; at least 1."""
    return 1 << max(0, round(math.log2(max(1.0, about))))
