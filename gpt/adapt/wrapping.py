"""Adapters: few weights that are trained in place of many, which stay as they are.

`adapt` wraps linears by name, `train_rows` tables of which some rows are new; they know no model,
and freeze what they wrap, and nothing else. Wrapped modules have the adapted `weight`, so what
reads the weight of a linear reads theirs. `merge` puts plain modules in their place.

An adapter is a spec in `gpt.spec.adapter`, a class whose docstring is its formula and its source,
and a row in `ADAPTERS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from gpt.adapt.linears import DoRALinear, LoRALinear
from gpt.adapt.rows import EmbeddingRows, HeadRows
from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA

# linear, spec, source of its first weights
ADAPTERS: dict[type, Callable[[nn.Linear, Any, torch.Generator], LoRALinear | DoRALinear]] = {
    LoRA: LoRALinear,
    DoRA: DoRALinear,
}

Adapted: TypeAlias = LoRALinear | DoRALinear | EmbeddingRows | HeadRows


def adapt(model: nn.Module, spec: LoRA, seed: int) -> list[str]:
    """Wrap the linears of *model* that *spec* names; return their names.

    The first weights are a function of *seed*, and change no output. Raises ConfigError for a
    target that no linear has in its name, and for a linear that shares its weight.
    """
    linears = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    parts = {part for name in linears for part in name.split(".")}
    for target in spec.targets:
        if target not in parts:
            known = ", ".join(sorted(part for part in parts if not part.isdigit()))
            raise ConfigError(f"targets: no linear is called {target!r}; there are {known}")
    uses = Counter(id(part) for _, part in model.named_parameters(remove_duplicate=False))
    generator = torch.Generator().manual_seed(seed)
    names = [name for name in linears if set(name.split(".")) & set(spec.targets)]
    for name in names:
        if uses[id(linears[name].weight)] > 1:
            raise ConfigError(f"targets: {name} shares its weight; leave it out")
        _put(model, name, ADAPTERS[type(spec)](linears[name], spec, generator))
    return names


def train_rows(model: nn.Module, names: list[str], first: int, stop: int) -> None:
    """Of the embeddings and linears *names* train rows *first* to *stop* - 1, and no others.

    Tables that share their weight go on sharing it, and the new rows.
    """
    shared: dict[nn.Parameter, nn.Embedding] = {}
    for name in names:
        table = model.get_submodule(name)
        weight: Any = table.weight
        if weight not in shared:
            rows = weight.detach()[first:stop].clone()
            shared[weight] = nn.Embedding(stop - first, rows.shape[1], _weight=rows)
        wrapped = EmbeddingRows if isinstance(table, nn.Embedding) else HeadRows
        _put(model, name, wrapped(weight, shared[weight], first))


def merge(model: nn.Module) -> dict[str, Adapted]:
    """Put a plain module with the adapted weight in place of each adapted one; return these."""
    adapted: dict[str, Adapted] = {}
    for name, part in model.named_modules():
        if isinstance(part, Adapted) and name.rpartition(".")[0] not in adapted:
            adapted[name] = part
    weights: dict[Tensor, nn.Parameter] = {}
    for name, part in adapted.items():
        if part.base not in weights:  # tables may share it
            weights[part.base] = nn.Parameter(part.weight.detach(), requires_grad=False)
        weight = weights[part.base]
        plain: nn.Embedding | nn.Linear
        if isinstance(part, EmbeddingRows):
            rows, width = weight.shape
            plain = nn.Embedding(rows, width, device="meta")
        else:
            outputs, inputs = weight.shape
            plain = nn.Linear(inputs, outputs, bias=False, device="meta")
            plain.register_parameter("bias", cast("nn.Parameter | None", part.bias))
        plain.weight = weight
        _put(model, name, plain.train(part.training))
    return adapted


def unmerge(model: nn.Module, adapted: Mapping[str, Adapted]) -> None:
    """Put what `merge` returned in its place again: bit for bit, since nothing was subtracted."""
    for name, part in adapted.items():
        _put(model, name, part.train(model.get_submodule(name).training))


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Have *model* merged for a while; nothing happens to one without adapters."""
    adapted = merge(model)
    try:
        yield
    finally:
        unmerge(model, adapted)


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters of *model* as those of a plain one, by name.

    What is not adapted is the parameter itself, not a copy.
    """
    with merged(model):
        return dict(model.named_parameters())


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Let *module* be what *model* calls by the dotted *name*."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)
