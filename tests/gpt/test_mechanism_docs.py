"""docs/mechanisms.md has an entry for each mechanism, and its formulas of cost are true."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from gpt.model.anatomy import anatomy_of
from gpt.nn.activation import ACTIVATIONS
from gpt.nn.build import MECHANISMS
from gpt.nn.mechanism import Mechanism, weight_flops
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import Pairwise
from gpt.spec.pattern import Causal
from gpt.spec.scoring import ScaledDot, Softmax
from tests.gpt.models import mechanism
from tests.gpt.nn.test_mechanisms import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "mechanisms.md"
MISSING: dict[str, str] = {}
"""Names of mechanisms without an entry, with the reason."""
ENTRIES = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.M | re.S))
FORMULAS = [
    pytest.param(name, *formula, id=f"{name} {formula[0]}")
    for name, entry in ENTRIES.items()
    for formula in re.findall(r"^- (parameters|FLOPs|state): `(.+)`$", entry, re.M)
]
BYTES = 4


def specs_in(value: Any) -> Iterator[Any]:
    """All specs in *value*."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from specs_in(getattr(value, field.name))
    if isinstance(value, tuple):
        for each in value:
            yield from specs_in(each)


def examples(name: str) -> list[tuple[Any, GPTConfig]]:
    """All different specs called *name* in the models of the tests, each with a model."""
    found: dict[Any, GPTConfig] = {}
    for model in MODELS:
        for spec in specs_in(model.values[0]):
            if type(spec).__name__ == name:
                found.setdefault(spec, model.values[0])
    return list(found.items())


def measured(what: str, spec: Any, config: GPTConfig) -> float:
    """What *spec* costs in the last layer of *config*."""
    if what == "state":
        layers = [n for n in range(config.layers) if config.attention_in(n) == spec]
        return anatomy_of(config).states[max(layers, default=-1)] / BYTES
    layer = config.layers - 1  # the first ones can have no experts
    module: nn.Module = mechanism(spec, config, layer)
    if what == "parameters":
        return sum(each.numel() for each in module.parameters())
    parts = [part for part in module.modules() if isinstance(part, Mechanism)]
    return weight_flops(module) + sum(part.mixing_flops(config.context) for part in parts)


def test_every_mechanism_has_an_entry() -> None:
    """And each entry is of one."""
    assert set(ENTRIES) | set(MISSING) == {spec.__name__ for spec in MECHANISMS}
    assert not set(ENTRIES) & set(MISSING)


@pytest.mark.parametrize(("name", "what", "formula"), FORMULAS)
def test_a_formula_is_the_cost_of_the_module(name: str, what: str, formula: str) -> None:
    """For specs with the defaults of the tests' models, without biases and norms of heads."""
    compared = 0
    for spec, config in examples(name):
        convolved = config.convolution not in (None, spec)
        if config.bias or convolved or not _is_plain(spec):
            continue
        resolved = spec.resolved(config.width) if hasattr(spec, "resolved") else spec
        fields = {each.name: getattr(resolved, each.name) for each in dataclasses.fields(spec)}
        sizes = {
            "context": config.context,
            "width": config.width,
            "layers": config.layers,
            "heads": config.attention.heads,
            "head_width": config.attention_in(config.layers - 1).output_width(config.width),
        }
        assert eval(formula, {**sizes, **fields}) == measured(what, spec, config), spec
        compared += 1

    assert compared


@pytest.mark.parametrize("name", re.findall(r"[\w/]+\.py::\w+", PAGE.read_text()))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    """In its file."""
    file, _, test = name.partition("::")

    assert f"\ndef {test}(" in (PAGE.parents[1] / "tests" / file).read_text()


def _is_plain(spec: Any) -> bool:
    """Whether the formulas are for *spec*: without biases, norms of heads, parameters of f."""
    if not isinstance(spec, Pairwise):
        return not isinstance(ACTIVATIONS.get(getattr(spec, "activation", "")), type)
    plain = dataclasses.replace(spec, pattern=Causal(), score=ScaledDot(), normalizer=Softmax())
    extras = ("qk_norm", "bias", "gate", "value_residual")
    return spec == plain and not any(getattr(spec, name, None) for name in extras)
