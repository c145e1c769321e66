"""Fields that a user sets, and the planned ones that follow them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpt.errors import ConfigError
from gpt.spec.machine import Machine
from gpt.spec.norm import RMSNorm
from gpt.spec.optimizer import AdamW
from gpt.spec.overrides import Overrides
from gpt.spec.planning import plan
from gpt.spec.presets import EXPORTABLE
from gpt.spec.recipe import Recipe

presets = st.sampled_from(sorted({"fast", *EXPORTABLE}))
depths = st.integers(1, 24)


def planned(preset: str = "fast", depth: int = 3) -> Recipe:
    return plan(
        data=Path("d"),
        out=Path("o"),
        tokens=10**6,
        machine=Machine.cpu(2),
        vocab_size=4096,
        preset=preset,
        depth=depth,
    )


def over(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    sources = {name: f"--{name} {value}" for name, value in values.items()}
    return Overrides(values, sources).over(recipe)


def test_values_replace_those_of_the_plan() -> None:
    """A mechanism that is set replaces the whole table of the planned one."""
    recipe = planned()
    changed = over(recipe, {"clip": 1.0, "optimizer.kind": "AdamW", "model.norm.kind": "RMSNorm"})

    assert changed == dataclasses.replace(
        recipe,
        clip=1.0,
        optimizer=AdamW(),
        model=dataclasses.replace(recipe.model, norm=RMSNorm()),
    )
    assert over(recipe, {}) == recipe


@given(preset=presets, depth=depths, half=st.integers(1, 2000))
def test_heads_follow_the_width(preset: str, depth: int, half: int) -> None:
    """Any even width alone gives a model; heads keep their size if it divides the width."""
    recipe = planned(preset, depth)
    model = over(recipe, {"model.width": 2 * half}).model

    assert model.width == 2 * half
    if model.width % recipe.model.head_width == 0:
        assert model.head_width == recipe.model.head_width


@given(preset=presets, depth=depths, heads=st.integers(1, 64))
def test_width_follows_the_heads(preset: str, depth: int, heads: int) -> None:
    """Any number of heads alone gives a model of about the planned width."""
    recipe = planned(preset, depth)
    model = over(recipe, {"model.attention.heads": heads}).model

    assert model.attention.heads == heads
    assert abs(model.width - recipe.model.width) <= 4 * heads or model.head_width == 8


@given(preset=presets, depth=depths, kv_heads=st.integers(1, 32))
def test_heads_follow_the_key_heads(preset: str, depth: int, kv_heads: int) -> None:
    """Any number of them alone gives a model."""
    model = over(planned(preset, depth), {"model.attention.kv_heads": kv_heads}).model

    assert model.attention.kv_heads == kv_heads


@given(preset=presets, depth=depths, width=st.integers(1, 64), heads=st.integers(1, 8))
def test_fields_that_follow_stay_when_a_run_is_resumed(
    preset: str, depth: int, width: int, heads: int
) -> None:
    """The same overrides change nothing in the recipe that they made."""
    values = {"model.width": 2 * width * heads, "model.attention.heads": heads}
    for names in (["model.width"], ["model.attention.heads"], list(values)):
        some = {name: values[name] for name in names}
        recipe = over(planned(preset, depth), some)

        assert over(recipe, some) == recipe


@given(warmup=st.floats(0, 1))
def test_decay_follows_the_warmup(warmup: float) -> None:
    """The two never exceed the run."""
    schedule: Any = over(planned(), {"schedule.warmup": warmup}).schedule

    assert schedule.warmup == warmup
    assert schedule.decay == min(0.7, 1 - warmup)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 0}, "^--steps 0: steps must be at least 1"),
        (
            {"model.width": 64, "model.attention.heads": 3, "seed": 1},
            "^--model.width 64 --model.attention.heads 3: model: width 64 does not divide",
        ),
        ({"model.mlp.tanh": True}, "^--model.mlp.tanh True: model.mlp.tanh: no such field"),
        ({"schedule.warmup": 0.5, "schedule.decay": 0.7}, "warmup . decay must be at most 1"),
        ({"model.width": -2}, "width must be above 0"),
    ],
)
def test_errors_name_the_options(values: dict[str, Any], words: str) -> None:
    """As they were written, and no others."""
    with pytest.raises(ConfigError, match=words):
        over(planned(), values)


@given(preset=presets, steps=st.integers(1, 10), seed=st.integers(0, 10))
def test_resumed_run_keeps_its_fields(preset: str, steps: int, seed: int) -> None:
    """Except those that may change; the error names the option."""
    saved = planned(preset)
    Overrides({"steps": steps, "seed": saved.seed}).check_resumable(saved)
    assume(seed != saved.seed)
    with pytest.raises(ConfigError, match=f"^--seed {seed}: o holds a run with seed = 0; set that"):
        Overrides({"seed": seed}, {"seed": f"--seed {seed}"}).check_resumable(saved)


@pytest.mark.parametrize("kind", ["GroupedQuery", "Longformer", "Latent", "LinearAttention"])
@pytest.mark.parametrize("given", [{}, {"model.width": 128}, {"model.attention.heads": 2}])
def test_heads_follow_the_plan_if_only_the_kind_is_given(kind: str, given: dict[str, Any]) -> None:
    """Of attention that keeps no values, no value embedding is planned."""
    recipe = planned()
    model = over(recipe, {"model.attention.kind": kind, **given}).model

    assert model.attention.heads == given.get("model.attention.heads", 2 if given else 3)
    assert (model.value_embedding is None) is (kind == "Latent")


def test_an_error_has_the_option_to_type() -> None:
    """Whatever the spec calls the field."""
    with pytest.raises(ConfigError, match=r"--set model\.attention\.head_width=VALUE, or width"):
        over(planned(), {"model.width": 100, "model.attention.heads": 3})
    with pytest.raises(ConfigError, match=r"kv_heads=VALUE, one of \[1, 2, 4\]"):
        over(planned(), {"model.attention.heads": 4, "model.attention.kv_heads": 3})
