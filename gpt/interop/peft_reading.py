"""Reading adapters of peft for a model of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from gpt.adapt.weights import AdapterWeights, Product, Rows
from gpt.adapt.wrapping import shortest_targets
from gpt.errors import FormatError
from gpt.interop.families.table import FAMILIES, family_of
from gpt.interop.huggingface import read_object
from gpt.interop.peft import (
    DOWN,
    MAGNITUDE,
    PREFIX,
    ROWS,
    TABLE_DOWN,
    TABLE_UP,
    UP,
    WEIGHTS,
    PeftModule,
    peft_modules,
)
from gpt.interop.peft_config import CONFIG, PeftConfig, is_end, read_config
from gpt.model.shapes import without_memory
from gpt.runs.tensor_files import load_tensors
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import GPTConfig
from pytok.text import cut

_ENDS = (DOWN, UP, MAGNITUDE, TABLE_DOWN, TABLE_UP, ROWS, "base_layer.weight", "weight")
"""Ends of the names of tensors; the last two are complete tables."""


class PeftAdapter(NamedTuple):
    """An adapter of peft, by the names of our model."""

    weights: AdapterWeights
    spec: LoRA | DoRA
    """A spec of which it is an instance, or becomes one by padding its products."""


def is_peft(folder: Path) -> bool:
    """Return whether *folder* has an adapter of peft."""
    return (folder / CONFIG).exists()


def read_adapter(folder: Path, config: GPTConfig) -> PeftAdapter:
    """Read the adapter in *folder* for a model of *config*.

    Raises FormatError for a file that is missing or damaged, for an adapter that does not fit, and
    for what gpt does not have, by its name.
    """
    path = folder / CONFIG
    settings = read_config(path, read_object(path, "pass a folder that peft has written"))
    tensors = _read_tensors(folder)
    try:
        return _adapter(tensors, settings, config)
    except FormatError as error:
        raise FormatError(f"{folder / WEIGHTS}: {error}") from None


def _read_tensors(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each module, by the end of their names, as float32."""
    path = folder / WEIGHTS
    if not path.exists():
        raise FormatError(f"{path}: not found; adapters in pickled files are not supported")
    try:
        tensors = load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path}: not a safetensors file: {cut(str(error), 200)}") from error
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        end = next((end for end in _ENDS if name.endswith(f".{end}")), None)
        if end is None or not name.startswith(PREFIX):
            raise FormatError(f"{path}: tensor {name} is of no kind of adapter that gpt has")
        module = name.removeprefix(PREFIX).removesuffix(f".{end}").removesuffix(".token_adapter")
        modules.setdefault(module, {})[end] = tensor.to(torch.float32)
    return modules


def _adapter(
    tensors: Mapping[str, Mapping[str, Tensor]], settings: PeftConfig, config: GPTConfig
) -> PeftAdapter:
    """Convert *tensors*, by module and end of name."""
    known = _modules_with(tensors, config)
    layers: dict[str, Product] = {}
    rows: dict[str, Rows] = {}
    for name, found in tensors.items():
        module = known[name]
        if DOWN in found or TABLE_DOWN in found:
            layers.update(_products(module, found, settings))
        elif ROWS in found:
            rows[module.layers[0]] = Rows(_ids(module, settings, found[ROWS]), found[ROWS])
        elif (table := found.get("weight", found.get("base_layer.weight"))) is not None:
            rows[module.layers[0]] = _whole(module, table)
    return PeftAdapter(AdapterWeights(layers=layers, rows=rows), _spec(layers, settings, config))


def _modules_with(names: Mapping[str, object], config: GPTConfig) -> dict[str, PeftModule]:
    """Return the modules of the first family of *config* that has all *names*."""
    first = family_of(config)
    for family in (first, *FAMILIES.values()):
        if family is first or not family.mismatches(config):
            modules = peft_modules(config, family)
            if all(name in modules for name in names):
                return modules
    known = peft_modules(config, first)
    missing = min(name for name in names if name not in known)
    raise FormatError(
        f"the adapter has {missing}, which is no linear layer or embedding of the base, a "
        f"{first.name} model"
    )


def _products(
    module: PeftModule, found: Mapping[str, Tensor], settings: PeftConfig
) -> dict[str, Product]:
    """Return the products of the layers of *module*; raises FormatError for wrong shapes."""
    try:
        down, up = (
            (found[TABLE_DOWN], found[TABLE_UP]) if module.is_table else (found[DOWN], found[UP])
        )
    except KeyError as error:
        raise FormatError(f"{module.name} has no tensor {error.args[0]}") from None
    rank, inputs = down.shape if down.ndim == 2 else (0, 0)
    if not rank or up.ndim != 2 or up.shape[1] != rank:
        raise FormatError(f"{module.name} has products of shapes {[*up.shape]} and {[*down.shape]}")
    scale = settings.scale(module.name, rank)
    if module.is_table:
        (rows,) = module.split(down.T)
        return {module.layers[0]: Product(_padded(module, rows).T, up, scale)}
    if inputs != module.shapes[0][1]:
        raise FormatError(
            f"the adapter of {module.name} has {inputs} inputs, but the base has "
            f"{module.shapes[0][1]}"
        )
    ups = module.split(up)
    magnitudes: list[Tensor | None] = [None] * len(ups)
    if settings.dora:
        if MAGNITUDE not in found:
            raise FormatError(f"{module.name} has no tensor {MAGNITUDE}, and use_dora is true")
        magnitudes = [*module.split(found[MAGNITUDE].flatten())]
    products = {}
    for layer, part, magnitude in zip(module.layers, ups, magnitudes, strict=True):
        # Of several layers in one, each has the rows of A that it uses.
        used = part.any(dim=0)
        if len(ups) == 1 or not up.any() or (magnitude is not None and not used.any()):
            used = torch.ones_like(used)
        if used.any():
            products[layer] = Product(down[used], _padded(module, part)[:, used], scale, magnitude)
    return products


def _padded(module: PeftModule, rows: Tensor) -> Tensor:
    """Return *rows* and, if they are of tokens, those of zeros past the vocabulary."""
    missing = max(0, module.token_rows - len(rows))
    return torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])


def _ids(module: PeftModule, settings: PeftConfig, values: Tensor) -> Tensor:
    """Return the ids of the trained rows *values* of *module*."""
    found = [ids for name, ids in settings.tokens.items() if not name or is_end(name, module.name)]
    if not found or len(found[0]) != len(values):
        raise FormatError(
            f"{module.name} has {len(values)} trained rows, but trainable_token_indices has "
            f"{len(found[0]) if found else 0}"
        )
    return torch.tensor(found[0])


def _whole(module: PeftModule, table: Tensor) -> Rows:
    """Return all rows of a complete *table* of modules_to_save."""
    return Rows(torch.arange(len(table)), table)


def _spec(layers: Mapping[str, Product], settings: PeftConfig, config: GPTConfig) -> LoRA | DoRA:
    """Return the spec that has the layers, the highest rank and the commonest scale."""
    if not layers:
        raise FormatError("there is no low-rank product in it")
    rank = max(product.rank for product in layers.values())
    ((scale, _),) = Counter(product.scale for product in layers.values()).most_common(1)
    kind = DoRA if settings.dora else LoRA
    return kind(
        rank=rank,
        alpha=scale * (rank**0.5 if settings.rslora else rank),
        scaling="root" if settings.rslora else "rank",
        dropout=settings.dropout,
        targets=shortest_targets(without_memory(config), layers),
    )
