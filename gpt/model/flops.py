"""Parameters and FLOPs of a model, part by part.

A matrix product takes two operations per weight and token: a multiplication and an addition.
Everything else (norms, activations, softmax) is not counted, as is customary.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from torch import nn

from gpt.model.gpt import GPT

TRAINING_FACTOR = 3
"""FLOPs of a training step as a multiple of those of a prediction: the backward pass has two more
products of the same size for each, one for the gradient of either factor."""
ATTENTION_MATMULS = "attention matmuls"
"""The part that has no weights: queries with keys, and probabilities with values."""


@dataclass(frozen=True)
class Part:
    """One part of a model, summed over all layers."""

    parameters: int
    """Number of parameters, with the rows that pad the vocabulary to a multiple of 64."""
    flops: int
    """FLOPs to predict one token at the end of a full context."""


def parts_of(model: GPT) -> dict[str, Part]:
    """Return the parts of *model* by name, in the order of its layers.

    A weight shared by two parts counts as a parameter of the first, and in the FLOPs of both. All
    tokens are counted as attending to the full context, as in PaLM and nanoGPT, although a kernel
    can omit the half that the causal mask hides.
    """
    config = model.config
    parameters: Counter[str] = Counter()
    flops: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        parameters[_part(name)] += parameter.numel()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            # Rows past the vocabulary are not computed in training.
            outputs = config.vocab_size if module is model.head else module.out_features
            flops[_part(name)] += 2 * module.in_features * outputs
    windows = (config.window(layer) or config.context for layer in range(config.layers))
    attended = sum(min(window, config.context) for window in windows)
    flops[ATTENTION_MATMULS] = 4 * config.attention.heads * config.head_width * attended
    names = dict.fromkeys([*parameters, ATTENTION_MATMULS, *flops])
    return {name: Part(parameters[name], flops[name]) for name in names}


def training_flops(model: GPT) -> int:
    """Return the FLOPs per token of a training step on full rows: forward and backward."""
    return TRAINING_FACTOR * sum(part.flops for part in parts_of(model).values())


def _part(name: str) -> str:
    """Return the part that the parameter or module *name* belongs to.

    >>> _part("blocks.3.attention.query.weight"), _part("blocks.0.mlp_norm.weight")
    ('attention', 'norms')
    """
    part = re.sub(r"^blocks\.\d+\.", "", name).split(".")[0]
    return "norms" if part.endswith("norm") else part
