"""Parameters and FLOPs of a model, part by part.

Everything but matrix products (norms, activations, softmax) is not counted, as is customary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from gpt.model.model import Model
from gpt.nn.mechanism import Mechanism, weight_flops
from gpt.nn.norm import Norm

TRAINING_FACTOR = 3
"""FLOPs of a training step as a multiple of those of a prediction: the backward pass has two more
products of the same size for each, one for the gradient of either factor."""


@dataclass(frozen=True)
class Part:
    """One part of a model, summed over all layers."""

    parameters: int
    """Number of parameters, with the rows that pad the vocabulary to a multiple of 64."""
    active: int
    """Number of those that a token uses: all but the experts that are not chosen for it."""
    flops: int
    """FLOPs to predict one token at the end of a full context."""


def parts_of(model: Model) -> dict[str, Part]:
    """Return the parts of *model* by name, in the order of its layers.

    Products without weights, as of queries with keys, are parts of their own. A weight shared by
    two parts counts as a parameter of the first, and in the FLOPs of both. All tokens are counted
    as attending to all that their pattern has at the end of a full context, as in PaLM and nanoGPT,
    although a kernel can omit the half that the causal mask hides.
    """
    parameters: Counter[str] = Counter()
    active: Counter[str] = Counter()
    flops: Counter[str] = Counter()
    seen: set[int] = set()
    for name, module in _named_parts(model):
        new = [each for each in module.parameters() if id(each) not in seen]
        seen.update(map(id, new))
        mechanisms = [each for each in module.modules() if isinstance(each, Mechanism)]
        count = sum(each.numel() for each in new)
        count += sum(each.packed_parameters() for each in mechanisms)
        parameters[name] += count
        active[name] += count
        active[name] -= sum(each.idle_parameters() for each in mechanisms)
        flops[name] += weight_flops(module)
        mixing = sum(each.mixing_flops(model.context) for each in mechanisms)
        if mixing:
            flops[f"{name} matmuls"] += mixing
    parts = {name: Part(parameters[name], active[name], flops[name]) for name in flops}
    return {name: part for name, part in parts.items() if part.parameters or part.flops}


def training_flops(model: Model) -> int:
    """Return the FLOPs per token of a training step on full rows: forward and backward."""
    return TRAINING_FACTOR * sum(part.flops for part in parts_of(model).values())


def _named_parts(model: Model) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of *model*, and of each of its blocks, by name; all norms as one part.

    Those of a model that is a part of it, such as an encoder, have its name before theirs.
    """
    for name, child in model.named_children():
        if isinstance(child, Model):
            yield from ((f"{name} {part}", module) for part, module in _named_parts(child))
            continue
        blocks = child.children() if isinstance(child, nn.ModuleList) else ()
        for part, module in [(name, child), *(each for b in blocks for each in b.named_children())]:
            if not isinstance(module, nn.ModuleList):
                yield "norms" if isinstance(module, Norm) else part, module
