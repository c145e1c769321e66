"""Presets of models that read pairs, and how each is trained unless asked otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import ConfigError
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm
from gpt.spec.objective import CrossEntropy
from gpt.spec.optimizer import AdamW
from gpt.spec.position import Sinusoidal
from gpt.spec.presets import HEAD_WIDTH
from gpt.spec.recipe import Recipe
from gpt.spec.recurrent import Recurrent
from gpt.spec.schedule import Linear, Noam
from gpt.spec.task import Pairs
from gpt.spec.wiring import PostNorm

WARMUP = 0.1
"""Fraction of the steps over which the rate rises; Vaswani's 4,000 are 0.04 of theirs."""
STEEPEST = 2e-3
"""Highest peak of a learning rate. The paper's formula, for 4,000 steps of warm-up and a width of
512, has 7e-4; for the few steps of a short run it would be several times this."""


@dataclass(frozen=True, kw_only=True)
class PairPreset:
    """A model, and how it is trained."""

    model: Callable[[int, int], EncoderDecoder | Recurrent]
    """Returns the model of (depth, context)."""
    training: Callable[[int, int], Mapping[str, Any]]
    """Returns the fields of a recipe for a model of (width, steps)."""


def transformer(depth: int, context: int) -> EncoderDecoder:
    """The encoder-decoder of Vaswani 2017, arXiv:1706.03762; its base has 6 + 6 layers of 512.

    Post-norm, sinusoids, an MLP of ReLU with four times the width, biases, one embedding for
    source, target and head, dropout 0.1.
    """
    return EncoderDecoder(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=depth, kv_heads=depth),
        position=Sinusoidal(),
        mlp=MLP(activation="relu"),
        norm=LayerNorm(),
        wiring=PostNorm(),
        bias=True,
        dropout=Dropout(rate=0.1),
    )


def luong(depth: int, context: int) -> Recurrent:
    """The recurrent encoder-decoder of Luong 2015, arXiv:1508.04025; the paper's has 4 x 1000.

    Global attention with the general score, and input feeding.
    """
    return Recurrent(context=context, layers=depth, width=HEAD_WIDTH * depth)


def transformer_training(width: int, steps: int) -> dict[str, Any]:
    """Section 5 of the paper, with a warm-up of `WARMUP` of the steps."""
    warmup = max(1, round(WARMUP * steps))
    rate = min(STEEPEST, 1 / math.sqrt(width * warmup))
    return {
        "objective": CrossEntropy(label_smoothing=0.1),
        "optimizer": AdamW(lr=rate, weight_decay=0.0, betas=(0.9, 0.98), eps=1e-9),
        "schedule": Noam(warmup=warmup),
    }


def luong_training(width: int, steps: int) -> dict[str, Any]:
    """Adam instead of the paper's gradient descent, with its clipping and late decay."""
    return {
        "optimizer": AdamW(lr=2e-3, weight_decay=0.0, betas=(0.9, 0.999)),
        "schedule": Linear(warmup=0.02, decay=0.5),
        "clip": 5.0,
    }


PAIR_PRESETS: Mapping[str, PairPreset] = {
    "transformer": PairPreset(model=transformer, training=transformer_training),
    "luong": PairPreset(model=luong, training=luong_training),
}

DEPTH = 2
"""Layers of encoder and decoder, unless asked otherwise."""
STEPS = 2000
"""Steps, unless asked otherwise or the epochs end before."""
EPOCHS = 30
"""Epochs after which a run ends, if it is not asked for a number of steps or a time."""
LONGEST = 512
"""The longest context that a plan chooses: longer pairs are omitted."""
BATCH_TOKENS = 2048
"""Tokens of a batch on either side."""


def plan_pairs(
    *,
    preset: str,
    depth: int | None,
    longest: int,
    tokens: int,
    given: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Recipe:
    """Choose a complete recipe for pairs whose *longest* side has so many tokens.

    *tokens* are those of all targets. *given* are values of fields that will replace those of the
    plan, by dotted name, and *fields* those of the recipe that are not planned, such as its data.
    """
    if preset not in PAIR_PRESETS:
        raise ConfigError(f"no preset of pairs is called {preset!r}; there are transformer, luong")
    given, chosen = given or {}, PAIR_PRESETS[preset]
    context = given.get("model.context")
    if context is None:
        context = min(LONGEST, 1 << max(3, (longest - 1).bit_length()))
    model = chosen.model(depth or DEPTH, max(1, context))
    batch_tokens = max(given.get("task.batch_tokens", BATCH_TOKENS), context)
    epochs = max(1, EPOCHS * tokens // batch_tokens)
    steps = given.get("steps") or min(STEPS, epochs)
    interval = max(1, steps // 10)
    width = given.get("model.width", model.width)
    return Recipe(
        task=Pairs(batch_tokens=batch_tokens),
        steps=None if given.get("seconds") and "steps" not in given else steps,
        seconds=given.get("seconds"),
        batch_size=1,
        eval_every=interval,
        checkpoint_every=interval,
        keep=5,
        compile=False,
        model=model,
        **chosen.training(max(1, width), steps),
        **fields,
    )
