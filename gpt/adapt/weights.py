"""Weights of an adapter apart from a model: taken from one, and put into another.

Names are those of a plain model. Shapes as in `gpt.adapt.lora`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from gpt.adapt.dora import DoRALinear
from gpt.adapt.rows import EmbeddingRows, HeadRows
from gpt.adapt.wrapping import ADAPTERS, Wrapper, adaptable, check_supported, set_module
from gpt.errors import ConfigError
from gpt.nn.mechanism import Mechanism
from gpt.spec.adapter import DoRA, LoRA


class Product(NamedTuple):
    """The adapter of one layer: s B A, and DoRA's magnitudes."""

    down: Tensor
    """A"""
    up: Tensor
    """B"""
    scale: float
    """s"""
    magnitude: Tensor | None = None
    """m of DoRA, float (outputs,), or (inputs,) if its axis is that; None for LoRA."""

    @property
    def rank(self) -> int:
        """Rank of the product."""
        return self.up.shape[-1]

    def padded(self, rank: int, scale: float, down: Tensor) -> Product:
        """Return the same product with a higher *rank* and another *scale*.

        The rows of A that are added are those of *down*, a complete A; those columns of B are zero.
        """
        missing = self.up.new_zeros(*self.up.shape[:-1], rank - self.rank)
        up = torch.cat([self.up * (self.scale / scale), missing], dim=-1)
        rows = down[..., self.rank :, :].to(self.down)
        return self._replace(down=torch.cat([self.down, rows], dim=-2), up=up, scale=scale)


class Rows(NamedTuple):
    """Rows of a table, those of some tokens."""

    ids: Tensor
    """int64 (n,)"""
    values: Tensor
    """float (n, width)"""


@dataclass(frozen=True, kw_only=True)
class AdapterWeights:
    """The trained weights of an adapter."""

    layers: Mapping[str, Product]
    """By the name of the layer."""
    rows: Mapping[str, Rows] = field(default_factory=dict)
    """By the name of the table; tables that share their weight are all there."""
    axis: Any = "out"
    """`gpt.spec.adapter.DoRA.axis` of the magnitudes."""


def detached(model: nn.Module) -> AdapterWeights:
    """Return copies of the weights of the adapters of *model*, and of tables that are trained."""
    layers: dict[str, Product] = {}
    rows: dict[str, Rows] = {}
    axis = "out"
    for name, part in model.named_modules():
        if isinstance(part, EmbeddingRows | HeadRows):
            values = part.rows.weight.detach().clone()
            rows[name] = Rows(torch.arange(part.start, part.start + len(values)), values)
        elif isinstance(part, Mechanism) and part.TOKEN_ROWS and _is_trained(part):
            table = cast(nn.Linear, part).weight.detach().clone()
            rows[name] = Rows(torch.arange(len(table)), table)
        elif isinstance(part, Wrapper) and name.rpartition(".")[0] not in layers:
            magnitude: Tensor | None = None
            lora: Any = part
            if isinstance(part, DoRALinear):
                magnitude, lora = part.magnitude.detach().clone(), part.lora
                axis = "out" if part.dim == 1 else "in"
            down, up = (each.detach().clone() for each in (lora.down, lora.up))
            layers[name] = Product(down, up, lora.scale, magnitude)
    return AdapterWeights(layers=layers, rows=rows, axis=axis)


def _is_trained(table: Mechanism) -> bool:
    """Return whether the weight of *table* itself is trained, rather than an adapter of it."""
    weight = dict(table.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.requires_grad


def attach(model: nn.Module, adapter: AdapterWeights) -> None:
    """Wrap the layers of *model* that *adapter* has, and set its rows, which need not be trained.

    Raises ConfigError for a layer that *model* has not, or whose shape is another.
    """
    layers = adaptable(model)
    for name, product in adapter.layers.items():
        if name not in layers:
            raise ConfigError(f"the adapter is of another model: this one has no layer {name}")
        layer: Any = model.get_submodule(name)
        spec = LoRA(rank=product.rank, alpha=product.scale, scaling="none")
        if product.magnitude is not None:
            spec = DoRA(rank=product.rank, alpha=product.scale, scaling="none", axis=adapter.axis)
        check_supported(name, layers[name], type(spec))
        set_module(model, name, ADAPTERS[layers[name], type(spec)](layer, spec, torch.Generator()))
    fill(model, adapter)


@torch.no_grad()
def fill(model: nn.Module, adapter: AdapterWeights) -> None:
    """Set the adapters of *model* to those of *adapter*, whose ranks are as high or lower.

    Rows are set where they are: among the trained rows of a table, or in the table itself. Raises
    ConfigError for a layer that is not adapted, or whose shape is another.
    """
    modules = dict(model.named_modules())
    for name, product in adapter.layers.items():
        part = modules.get(name)
        if not isinstance(part, Wrapper):
            raise ConfigError(f"the adapter has {name}, which targets do not; add it to targets")
        lora, magnitude = (
            (part.lora, part.magnitude) if isinstance(part, DoRALinear) else (part, None)
        )
        if (magnitude is None) != (product.magnitude is None):
            raise ConfigError(
                f"the adapter of {name} is {'LoRA' if magnitude is not None else 'DoRA'}"
            )
        rank = lora.up.shape[-1]
        if product.rank > rank:
            raise ConfigError(f"the adapter of {name} has rank {product.rank}, above {rank}")
        if product.rank < rank or not math.isclose(product.scale, lora.scale):
            product = product.padded(rank, lora.scale, lora.down)
        pairs = [(lora.down, product.down), (lora.up, product.up)]
        if magnitude is not None and product.magnitude is not None:
            pairs.append((magnitude, product.magnitude))
        for own, other in pairs:
            if own.shape != other.shape:
                raise ConfigError(
                    f"the adapter is of another model: {name} has a tensor of shape "
                    f"{tuple(other.shape)}, and here it is {tuple(own.shape)}"
                )
            own.copy_(other)
    for name, rows in adapter.rows.items():
        set_rows(modules[name], rows)


def set_rows(table: Any, rows: Rows) -> None:
    """Set *rows* of *table*: an embedding or a linear layer, plain or with trained rows."""
    if not isinstance(table, EmbeddingRows | HeadRows):
        table.weight[rows.ids] = rows.values.to(table.weight)
        return
    stop = table.start + table.rows.num_embeddings
    new = (rows.ids >= table.start) & (rows.ids < stop)
    table.rows.weight[rows.ids[new] - table.start] = rows.values[new].to(table.rows.weight)
    table.base[rows.ids[~new]] = rows.values[~new].to(table.base)
