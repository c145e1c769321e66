"""Adapters: a few trained weights in a model whose other weights are frozen.

`adapt` wraps linear layers by name; `train_rows` wraps tables of which some rows are new. Both work
on any model, and freeze only what they wrap. A wrapped module has the adapted `weight`, so code
that reads the weight of a linear layer works unchanged. `merge` replaces wrapped modules by plain
ones.

An adapter is a spec in `gpt.spec.adapter`, a class whose docstring has the formula and the source,
and a row in `ADAPTERS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from gpt.adapt.dora import DoRALinear
from gpt.adapt.lora import LoRAExperts, LoRALinear
from gpt.adapt.rows import EmbeddingRows, HeadRows
from gpt.errors import ConfigError
from gpt.nn.expert_linear import ExpertLinear
from gpt.optim.parameters import saved_tensors
from gpt.spec.adapter import DoRA, LoRA

# linear layer, spec, generator of the initial weights
ADAPTERS: dict[type, Callable[[nn.Linear, Any, torch.Generator], LoRALinear | DoRALinear]] = {
    LoRA: LoRALinear,
    DoRA: DoRALinear,
}
EXPERTS: dict[type, Callable[[ExpertLinear, Any, torch.Generator], LoRAExperts]] = {
    LoRA: LoRAExperts,
}
"""The same of linear layers of experts."""

Adapted: TypeAlias = LoRALinear | LoRAExperts | DoRALinear | EmbeddingRows | HeadRows


def adapt(model: nn.Module, spec: LoRA, seed: int) -> list[str]:
    """Wrap the linear layers of *model* that *spec* targets; return their names.

    The initial weights are a function of *seed*, and change no output. Raises ConfigError for a
    target that is in no layer's name, for a layer that shares its weight, and for the matrices of
    experts if the adapter is not in `EXPERTS`.
    """
    kinds = (nn.Linear, ExpertLinear)
    linears = {name: part for name, part in model.named_modules() if isinstance(part, kinds)}
    for name, part in linears.items():
        found = sorted(set(name.split(".")) & set(spec.targets))
        if found and isinstance(part, ExpertLinear) and type(spec) not in EXPERTS:
            raise ConfigError(
                f"targets: {name} has the matrices of several experts, which "
                f"{type(spec).__name__} does not support; replace {' and '.join(found)}, or use "
                f"{' or '.join(kind.__name__ for kind in EXPERTS)}"
            )
    words = {word for name in linears for word in name.split(".")}
    for target in spec.targets:
        if target not in words:
            known = ", ".join(sorted(word for word in words if not word.isdigit()))
            raise ConfigError(
                f"targets: no linear layer has {target!r} in its name; choose from {known}"
            )
    uses = Counter(id(part) for _, part in model.named_parameters(remove_duplicate=False))
    generator = torch.Generator().manual_seed(seed)
    names = [name for name in linears if set(name.split(".")) & set(spec.targets)]
    for name in names:
        if uses[id(linears[name].weight)] > 1:
            raise ConfigError(f"targets: {name} shares its weight; remove it from targets")
        linear = linears[name]
        adapter: nn.Module = (
            EXPERTS[type(spec)](linear, spec, generator)
            if isinstance(linear, ExpertLinear)
            else ADAPTERS[type(spec)](linear, spec, generator)
        )
        _set_module(model, name, adapter)
    return names


def train_rows(model: nn.Module, names: list[str], start: int, stop: int) -> None:
    """Train only rows *start* to *stop* - 1 of the embeddings and linear layers *names*.

    Tables that share their weight also share the trained rows.
    """
    trained: dict[nn.Parameter, nn.Embedding] = {}
    for name in names:
        table = model.get_submodule(name)
        weight: Any = table.weight
        if weight not in trained:
            rows = weight.detach()[start:stop].clone()
            trained[weight] = nn.Embedding(stop - start, rows.shape[1], _weight=rows)
        wrapper = EmbeddingRows if isinstance(table, nn.Embedding) else HeadRows
        _set_module(model, name, wrapper(weight, trained[weight], start))


def merge(
    model: nn.Module, weight_of: Callable[[Adapted], Tensor] = lambda part: part.weight
) -> dict[str, Adapted]:
    """Replace each adapted module by a plain one with its adapted weight; return the adapted.

    *weight_of* returns the weight of the plain one instead.
    """
    adapted: dict[str, Adapted] = {}
    for name, part in model.named_modules():
        # A DoRALinear contains a LoRALinear, which is not replaced separately.
        if isinstance(part, Adapted) and name.rpartition(".")[0] not in adapted:
            adapted[name] = part
    weights: dict[Tensor, nn.Parameter] = {}
    for name, part in adapted.items():
        if part.base not in weights:  # two tables can share it
            weights[part.base] = nn.Parameter(weight_of(part).detach(), requires_grad=False)
        weight = weights[part.base]
        plain: nn.Embedding | nn.Linear | ExpertLinear
        if isinstance(part, EmbeddingRows):
            rows, width = weight.shape
            plain = nn.Embedding(rows, width, device="meta")
        elif isinstance(part, LoRAExperts):
            experts, outputs, inputs = weight.shape
            plain = ExpertLinear(experts, part.active, inputs, outputs, bias=False)
            plain.bias = part.bias
        else:
            outputs, inputs = weight.shape
            plain = nn.Linear(inputs, outputs, bias=False, device="meta")
            plain.register_parameter("bias", cast("nn.Parameter | None", part.bias))
        plain.weight = weight
        _set_module(model, name, plain.train(part.training))
    return adapted


def unmerge(model: nn.Module, adapted: Mapping[str, Adapted]) -> None:
    """Put back the modules that `merge` returned: bit for bit, since nothing was subtracted."""
    for name, part in adapted.items():
        _set_module(model, name, part.train(model.get_submodule(name).training))


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Merge the adapters of *model*, if it has any, inside the context."""
    adapted = merge(model)
    try:
        yield
    finally:
        unmerge(model, adapted)


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Remove the adapters of *model* inside the context: it is the base, without a copy."""
    adapted = merge(model, lambda part: part.base)
    try:
        yield
    finally:
        unmerge(model, adapted)


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights of *model* with adapters merged, by the names of a plain model.

    These are its parameters and saved buffers. Those that are not adapted are no copies.
    """
    with merged(model):
        return saved_tensors(model)


def _set_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the submodule of *model* with the dotted *name* by *module*."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
