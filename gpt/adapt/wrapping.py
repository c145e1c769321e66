"""Adapters: a few trained weights in a model whose other weights are frozen.

`adapt` wraps layers by name; `train_rows` wraps tables of which some rows are new. Both work
on any model, and freeze only what they wrap. A wrapped module has the adapted `weight`, so code
that reads the weight of a linear layer works unchanged. `merge` replaces wrapped modules by plain
ones.

An adapter is a spec in `gpt.spec.adapter`, a class whose docstring has the formula and the source,
and rows in `ADAPTERS`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from gpt.adapt.dora import DoRALinear
from gpt.adapt.lora import LoRAEmbedding, LoRAExperts, LoRALinear
from gpt.adapt.rows import EmbeddingRows, HeadRows
from gpt.errors import ConfigError
from gpt.nn.expert_linear import ExpertLinear
from gpt.nn.quantized.linear import QuantizedExperts, QuantizedLinear, stored_weight
from gpt.nn.quantized.weight import QuantizedWeight
from gpt.optim.parameters import saved_tensors
from gpt.parallel.sharded import is_sharded
from gpt.spec.adapter import ALL_LINEAR, DoRA, LoRA

Wrapper: TypeAlias = LoRALinear | LoRAExperts | LoRAEmbedding | DoRALinear
"""A layer with an adapter."""
Adapted: TypeAlias = Wrapper | EmbeddingRows | HeadRows | QuantizedLinear | QuantizedExperts
"""What `merge` replaces."""

# kind of layer, kind of spec: what wraps the layer, made of it, the spec and a generator
ADAPTERS: dict[tuple[type, type], Callable[[Any, Any, torch.Generator], Wrapper]] = {
    (nn.Linear, LoRA): LoRALinear,
    (nn.Linear, DoRA): DoRALinear,
    (ExpertLinear, LoRA): LoRAExperts,
    (QuantizedLinear, LoRA): LoRALinear,
    (QuantizedLinear, DoRA): DoRALinear,
    (QuantizedExperts, LoRA): LoRAExperts,
    (nn.Embedding, LoRA): LoRAEmbedding,
}
_KINDS = {
    nn.Linear: "is a linear layer",
    ExpertLinear: "has the matrices of several experts",
    QuantizedLinear: "is a linear layer",
    QuantizedExperts: "has the matrices of several experts",
    nn.Embedding: "is an embedding",
}
"""What errors say of a layer of each kind."""


def adapt(model: nn.Module, spec: LoRA, seed: int) -> list[str]:
    """Wrap the layers of *model* that *spec* targets; return their names.

    The initial weights are a function of *seed*, and change no output. Raises ConfigError for a
    target that selects no layer, for a layer that shares its weight or has trained rows, and for a
    kind of layer that has no row in `ADAPTERS`.
    """
    layers = adaptable(model)
    for target in spec.targets:
        if not _selected(layers, dataclasses.replace(spec, targets=(target,))):
            words = {word for name in layers for word in name.split(".") if not word.isdigit()}
            raise ConfigError(
                f"targets: no layer has {target!r} in its name; choose from {ALL_LINEAR}, "
                f"{', '.join(sorted(words))}, or complete names such as {next(iter(layers))}"
            )
    uses = Counter(id(part) for _, part in model.named_parameters(remove_duplicate=False))
    names = _selected(layers, spec)
    for name in names:  # all, before the first is wrapped
        layer, kind = model.get_submodule(name), layers[name]
        if isinstance(layer, EmbeddingRows | HeadRows):
            raise ConfigError(f"targets: {name} has new tokens, whose rows are trained; remove it")
        if uses[id(stored_weight(layer))] > 1:
            raise ConfigError(f"targets: {name} shares its weight; remove it from targets")
        check_supported(name, kind, type(spec))
    generator = torch.Generator().manual_seed(seed)
    for name in names:
        layer = model.get_submodule(name)
        set_module(model, name, ADAPTERS[layers[name], type(spec)](layer, spec, generator))
    return names


def check_supported(name: str, kind: type, spec: type) -> None:
    """Raise ConfigError if no *spec* is for layers of *kind*, that of the layer *name*."""
    if (kind, spec) not in ADAPTERS:
        others = " or ".join(each.__name__ for part, each in ADAPTERS if part is kind)
        raise ConfigError(
            f"targets: {name} {_KINDS[kind]}, which {spec.__name__} does not support; remove it "
            f"from targets, or use {others}"
        )


def adaptable(model: nn.Module) -> dict[str, type]:
    """Return the kind of each layer of *model* that can be a target, by its name.

    It is a key of `ADAPTERS`. Tables with trained rows are included, and what they consist of not.
    """
    layers: dict[str, type] = {}
    tables = (EmbeddingRows, HeadRows)
    for name, part in model.named_modules():
        if isinstance(part, tables):
            layers[name] = nn.Embedding if isinstance(part, EmbeddingRows) else nn.Linear
        elif name.rpartition(".")[0] not in layers:
            layers.update((name, kind) for kind in _KINDS if isinstance(part, kind))
    return layers


def _selected(layers: Mapping[str, type], spec: LoRA) -> list[str]:
    """Return the names of *layers* that *spec* targets."""
    return [
        name
        for name, kind in layers.items()
        if spec.selects(name, is_head=name == "head", is_table=kind is nn.Embedding)
    ]


def shortest_targets(model: nn.Module, names: Collection[str]) -> tuple[str, ...]:
    """Return targets that select exactly the layers *names* of *model*: last names where possible.

    >>> shortest_targets(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ["0"])
    ('0',)
    """
    layers = adaptable(model)
    targets: dict[str, None] = {}
    for name in names:
        last = name.rpartition(".")[2]
        selected = _selected(layers, LoRA(targets=(last,)))
        targets[last if set(selected) <= set(names) else name] = None
    return tuple(targets)


def train_tables(model: nn.Module, names: list[str]) -> None:
    """Train all rows of the embeddings and linear layers *names*; a bias stays as it is."""
    for name in names:
        table: Any = model.get_submodule(name)
        table.weight.requires_grad_(True)


def train_rows(model: nn.Module, names: list[str], start: int, stop: int) -> None:
    """Train only rows *start* to *stop* - 1 of the embeddings and linear layers *names*.

    Tables that share their weight also share the trained rows.
    """
    trained: dict[nn.Parameter, nn.Embedding] = {}
    for name in names:
        table: Any = model.get_submodule(name)
        weight = table.weight
        if weight not in trained:
            rows = weight.detach()[start:stop].clone()
            trained[weight] = nn.Embedding(stop - start, rows.shape[1], _weight=rows)
        wrapped: nn.Module = (
            EmbeddingRows(weight, trained[weight], start)
            if isinstance(table, nn.Embedding)
            else HeadRows(weight, trained[weight], start, cast("nn.Parameter | None", table.bias))
        )
        set_module(model, name, wrapped)


def merge(
    model: nn.Module,
    *,
    quantized: bool = True,
    weight_of: Callable[[Adapted], Tensor] = lambda part: part.weight,
) -> dict[str, Adapted]:
    """Replace each adapted module by a plain one with its adapted weight; return the adapted.

    A quantized weight is dequantized, also if it has no adapter; without *quantized*, modules with
    such weights stay as they are. *weight_of* returns the weight of the plain one instead.
    """
    adapted: dict[str, Adapted] = {}
    for name, part in model.named_modules():
        # A DoRALinear contains a LoRALinear, which is not replaced separately.
        if isinstance(part, Adapted) and name.rpartition(".")[0] not in adapted:
            adapted[name] = part
    if not quantized:
        adapted = {
            name: part
            for name, part in adapted.items()
            if not isinstance(part.base, QuantizedWeight)
        }
    weights: dict[Any, nn.Parameter] = {}
    for name, part in adapted.items():
        if part.base not in weights:  # two tables can share it
            weights[part.base] = nn.Parameter(weight_of(part).detach(), requires_grad=False)
        weight = weights[part.base]
        plain: nn.Embedding | nn.Linear | ExpertLinear
        if isinstance(part, EmbeddingRows | LoRAEmbedding):
            rows, width = weight.shape
            plain = nn.Embedding(rows, width, device="meta")
        elif isinstance(part, LoRAExperts | QuantizedExperts):
            experts, outputs, inputs = weight.shape
            plain = ExpertLinear(experts, part.active, inputs, outputs, bias=False)
            plain.bias = part.bias
        else:
            outputs, inputs = weight.shape
            plain = nn.Linear(inputs, outputs, bias=False, device="meta")
            plain.register_parameter("bias", cast("nn.Parameter | None", part.bias))
        plain.weight = weight
        set_module(model, name, plain.train(part.training))
    return adapted


def unmerge(model: nn.Module, adapted: Mapping[str, Adapted]) -> None:
    """Put back the modules that `merge` returned: bit for bit, since nothing was subtracted."""
    for name, part in adapted.items():
        set_module(model, name, part.train(model.get_submodule(name).training))


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Merge the adapters of *model*, if it has any, inside the context.

    FSDP gathers the parameters that it was given, so they stay apart in a model that it shards.
    Those of quantized weights do, too: a dequantized model would need the memory that is saved.
    """
    adapted = {} if is_sharded(model.parameters()) else merge(model, quantized=False)
    try:
        yield
    finally:
        unmerge(model, adapted)


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Remove the adapters of *model* inside the context: it is the base, without a copy.

    Quantized weights are dequantized.
    """
    adapted = merge(
        model,
        weight_of=lambda part: part.base if isinstance(part.base, Tensor) else part.base.dense(),
    )
    try:
        yield
    finally:
        unmerge(model, adapted)


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights of *model* with adapters merged, by the names of a plain model.

    These are its parameters and saved buffers. Those that are not adapted are no copies. Quantized
    weights are dequantized.
    """
    adapted = merge(model)
    try:
        return saved_tensors(model)
    finally:
        unmerge(model, adapted)


def merged_bytes(model: nn.Module) -> int:
    """Return the bytes that the adapters of *model* take merged, besides those that they have."""
    bases: dict[int, Tensor] = {}
    for part in model.modules():
        if isinstance(part, Adapted) and isinstance(part.base, Tensor):
            bases[id(part.base)] = part.base
    return sum(base.numel() * base.itemsize for base in bases.values())


def set_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the submodule of *model* with the dotted *name* by *module*."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
