"""What a model is made of and what it computes: parameters and FLOPs, part by part.

A product of matrices takes two operations a weight and token: a multiplication and an addition. All
else (norms, activations, softmax) is left out, as it is wherever FLOPs of models are told.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from torch import nn

from gpt.model.gpt import GPT

TRAINING = 3
"""A training step computes this many times what a prediction does: each product has two more of its
size in the backward pass, one for either factor."""
MIXING = "attention, token by token"
"""The part that has no weights: queries with keys, and their probabilities with values."""


@dataclass(frozen=True)
class Part:
    """One part of a model, in all layers together."""

    parameters: int
    """Weights; those past the vocabulary, which fill up a multiple of 64, are counted too."""
    flops: int
    """Operations to predict a token, at the end of a full context."""


def parts_of(model: GPT) -> dict[str, Part]:
    """What *model* is made of, by names of parts, in the order of its layers.

    A weight that two parts share is the first one's parameter, and computed in both. A token at the
    end of the context is mixed with all before it, and this is what is counted of all tokens, as
    in PaLM and nanoGPT: hardware computes the half that a causal mask hides, or leaves it out.
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
    seen = sum(min(window, config.context) for window in windows)
    flops[MIXING] = 4 * config.attention.heads * config.head_width * seen
    names = dict.fromkeys([*parameters, MIXING, *flops])
    return {name: Part(parameters[name], flops[name]) for name in names}


def training_flops(model: GPT) -> int:
    """Operations to learn from one token, in the middle of a full batch: forward and backward."""
    return TRAINING * sum(part.flops for part in parts_of(model).values())


def _part(name: str) -> str:
    """The part that the parameter or module *name* is of.

    >>> _part("blocks.3.attention.query.weight"), _part("blocks.0.mlp_norm.weight")
    ('attention', 'norms')
    """
    within = re.sub(r"^blocks\.\d+\.", "", name).split(".")[0]
    return "norms" if within.endswith("norm") else within
