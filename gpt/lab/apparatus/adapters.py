"""What must hold of adapters: their definition, their beginning, merging, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gpt.adapt.dora import DoRALinear
from gpt.adapt.wrapping import adapt, merge, unmerge
from gpt.lab.apparatus.probes import random_ids, random_model
from gpt.lab.checks import Below
from gpt.lab.experiment import Figures, Setting
from gpt.model.shapes import without_memory
from gpt.optim.build import build_optimizer
from gpt.spec.adapter import ALL_LINEAR, DoRA, LoRA
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.optimizer import AdamW

RANK, ALPHA, ALL = 4, 8, (ALL_LINEAR,)
ADAPTERS: dict[str, LoRA] = {
    "LoRA": LoRA(rank=RANK, alpha=ALPHA, targets=ALL),
    "LoRA, scale alpha": LoRA(rank=RANK, alpha=ALPHA, targets=ALL, scaling="none", init="normal"),
    "rsLoRA": LoRA(rank=RANK, alpha=ALPHA, targets=ALL, scaling="root"),
    "DoRA": DoRA(rank=RANK, alpha=ALPHA, targets=ALL),
    "DoRA, axis in": DoRA(rank=RANK, alpha=ALPHA, targets=ALL, axis="in"),
}
SCALES = {"LoRA, scale alpha": ALPHA, "rsLoRA": ALPHA / RANK**0.5}
"""Factor of B A; that of the others is alpha / rank."""
AXES = {"DoRA": 1, "DoRA, axis in": 0}
"""Axis of W (outputs, inputs) over which DoRA's norm sums: inputs, or outputs."""
MODEL = Architecture(context=16, layers=2, width=32, attention=GroupedQuery(heads=4, kv_heads=4))
GPT3 = Architecture(
    context=2048,
    layers=96,
    width=12288,
    attention=GroupedQuery(heads=96, kv_heads=96),
    mlp=MLP(activation="gelu", gated=False),
)
GPT3_VOCAB = 50_257
ERRORS = {
    "at first": ("an adapter changes no output at first", 1e-12),
    "definition": ("a model with one equals that of the weights by their definition", 1e-12),
    "merged": ("merged it equals itself", 1e-12),
    "unmerged": ("unmerging restores it bit for bit", 0.0),
}
"""What is claimed of each error of `algebra`, and its bound."""
IDENTITIES = [
    Below(claim=claim, figure=figure, bound=bound) for figure, (claim, bound) in ERRORS.items()
]
"""The checks of these errors."""


def defined(arm: str, weight: Tensor, down: Tensor, up: Tensor, magnitude: Tensor | None) -> Tensor:
    """Return the adapted weight by the definitions of the papers, W + s B A and m V / ‖V‖."""
    changed: Tensor = weight + SCALES.get(arm, ALPHA / RANK) * up @ down
    if magnitude is None:
        return changed
    axis = AXES[arm]
    norm: Tensor = changed.square().sum(axis, keepdim=True).sqrt()
    return changed / norm * magnitude.unsqueeze(axis)


@torch.no_grad()
def algebra(setting: Setting) -> Figures:
    """Compare a model with an adapter of `ADAPTERS` with its base, its definition, and merged.

    All is in float64. Differences are fractions of the largest logit, except ``unmerged``.
    """
    gpt, plain = (random_model(MODEL, 64, setting.seed) for _ in range(2))
    ids = random_ids(gpt, 2, MODEL.context)
    base = gpt(ids)
    names = adapt(gpt, ADAPTERS[setting.arm], setting.seed)
    gpt.double().eval()
    first = gpt(ids)
    generator, formula, trained = torch.Generator().manual_seed(1), 0, []
    for name in names:
        layer = gpt.get_submodule(name)
        lora, magnitude = (
            (layer.lora, layer.magnitude) if isinstance(layer, DoRALinear) else (layer, None)
        )
        down, up = lora.get_parameter("down"), lora.get_parameter("up")
        up.normal_(std=0.2, generator=generator)  # zero at first
        if magnitude is not None:
            magnitude.mul_(torch.rand(len(magnitude), generator=generator) + 0.5)
        weight = plain.get_parameter(f"{name}.weight")
        formula += RANK * sum(weight.shape)
        weight.copy_(defined(setting.arm, weight, down, up, magnitude))
        trained += [down, up]
    found, expected = gpt(ids), plain(ids)
    adapted = merge(gpt)
    merged = gpt(ids)
    unmerge(gpt, adapted)
    size = float(expected.abs().max())
    return {
        "at first": _difference(first, base) / float(base.abs().max()),
        "definition": _difference(found, expected) / size,
        "merged": _difference(merged, found) / size,
        "unmerged": _difference(gpt(ids), found),
        "surplus": float(sum(each.numel() for each in trained) - formula),
        "state": state_bytes(trained) / formula,
    }


def state_bytes(parameters: Sequence[Tensor]) -> float:
    """Return the bytes that AdamW keeps for matrices in float32, its counters excepted."""
    layers = nn.ModuleList()
    for matrix in parameters:
        layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
        layer.weight.grad = torch.zeros_like(layer.weight)
        layers.append(layer)
    optimizer = build_optimizer(AdamW(), layers, torch.float32)
    optimizer.step()
    kept = (tensor for state in optimizer.state.values() for tensor in state.values())
    return float(sum(each.numel() * each.itemsize for each in kept if each.numel() > 1))


def gpt3(rank: int) -> Figures:
    """Count what is trained of GPT-3, with adapters on queries and values.

    ``memory`` is what weights, gradients and Adam's state take, in float32, of all weights over
    that of adapters.
    """
    gpt = without_memory(GPTConfig.over(GPT3, GPT3_VOCAB)).requires_grad_(False)
    total = sum(each.numel() for each in gpt.parameters())
    adapt(gpt, LoRA(rank=rank, targets=("query", "value")), seed=0)
    trained = sum(each.numel() for each in gpt.parameters() if each.requires_grad)
    memory = 16 * total / (4 * total + 16 * trained)
    return {"trained": float(trained), "fewer": total / trained, "memory": memory}


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max())
