"""Presets, and plans for some data and a machine."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig
from gpt.spec.machine import Machine, Shape
from gpt.spec.optimizer import Muon
from gpt.spec.planning import PLANNED, described, plan, resumed
from gpt.spec.presets import EXPORTABLE, PRESETS
from gpt.spec.recipe import Recipe, check_resumable

TWO_CORES = Machine.cpu(2)


def planned(tokens: int = 300_000, **changes: Any) -> Recipe:
    chosen: dict[str, Any] = {"machine": TWO_CORES, "preset": "fast", "depth": None, **changes}
    chosen = {"vocab_size": 4096, **chosen}
    return plan(data=Path("data"), out=Path("run"), tokens=tokens, **chosen)


@pytest.mark.parametrize("name", ["steps", "seconds", "batch_size", "model.layers", "model.width"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_plan_is_not_made_around_an_impossible_size(name: str, value: int) -> None:
    """The recipe refuses it, with the name of the option."""
    assert planned(given={name: value}) == planned()


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_preset_is_a_model_of_its_depth(name: str, depth: int) -> None:
    """It can be built and returns logits."""
    architecture = PRESETS[name](depth, 8)
    model = GPT(GPTConfig.over(architecture, 50))

    assert architecture.layers == depth
    assert model(torch.zeros(1, 8, dtype=torch.int64)).shape == (1, 8, 50)


def reference(name: str, config: GPTConfig) -> torch.nn.Module:
    """Return the model of transformers with the sizes of *config*."""
    sizes = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.mlp.hidden_width(config.width),
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.attention.heads,
        "num_key_value_heads": config.attention.kv_heads,
        "head_dim": config.head_width,
        "tie_word_embeddings": config.tie,
    }
    models: dict[str, Any] = {
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=config.vocab_size,
                n_positions=config.context,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.attention.heads,
            )
        ),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes)),
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**sizes)),
    }
    assert models.keys() == EXPORTABLE.keys()
    model: torch.nn.Module = models[name]()
    return model


@pytest.mark.parametrize("name", sorted(EXPORTABLE))
def test_exportable_preset_has_the_weights_of_transformers(name: str) -> None:
    """The number of parameters is equal, for a vocabulary that needs no padding."""
    config = GPTConfig.over(EXPORTABLE[name](2, 16), 128)
    ours = sum(parameter.numel() for parameter in GPT(config).parameters())

    assert ours == sum(parameter.numel() for parameter in reference(name, config).parameters())


@given(
    tokens=st.integers(100, 10**10),
    cores=st.integers(1, 128),
    depth=st.none() | st.integers(1, 12),
    name=st.sampled_from(sorted(PRESETS)),
)
def test_plan_fits_the_data(tokens: int, cores: int, depth: int | None, name: str) -> None:
    """For all arguments: a recipe that survives JSON, and data that fills its rows."""
    recipe = planned(tokens, machine=Machine.cpu(cores), preset=name, depth=depth)

    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.model.context < tokens
    assert depth in (None, recipe.model.layers)
    assert f"batch {recipe.rows_per_step}" in described(recipe)


@pytest.mark.parametrize("tokens", [10**5, 10**6, 10**8])
def test_more_time_gets_no_smaller_model(tokens: int) -> None:
    """From a second to a day; nor does a faster machine."""
    times = [10**power for power in range(6)]
    sizes = [planned(tokens, given={"seconds": seconds}).model for seconds in times]
    weights = [model.layers * model.width**2 for model in sizes]

    assert weights == sorted(weights)
    assert weights[0] < weights[-1]


def shape(recipe: Recipe) -> Shape:
    """The shape of a step of *recipe*."""
    model = recipe.model
    tokens = recipe.rows_per_step * model.context
    return Shape(model.layers, model.width, model.context, 4096, tokens)


def test_plan_avoids_what_was_measured_to_be_slow() -> None:
    """A model that does not fit into memory, say."""
    usual = planned()
    slow = TWO_CORES.measured("float32", shape(usual), math.inf)

    assert shape(planned(machine=slow)) != shape(usual)


def test_plan_has_the_dtype_in_which_its_steps_were_measured() -> None:
    """Until then the run chooses."""
    machine, recipe = TWO_CORES, planned()
    assert recipe.dtype == "auto"
    for _ in range(20):
        seconds = TWO_CORES.step_seconds(shape(recipe))
        machine = machine.measured("float32", shape(recipe), seconds)
        recipe = planned(machine=machine)

    assert recipe.dtype == "float32"


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({}, (None, 120.0)),
        ({"seconds": 30.0}, (None, 30.0)),
        ({"max_seconds": 30.0}, (None, 30.0)),
        ({"max_seconds": 300.0}, (None, 120.0)),
        ({"steps": 77}, (77, None)),
    ],
    ids=str,
)
def test_a_run_ends_by_the_limit_that_is_given(
    given: dict[str, Any], limits: tuple[int | None, float | None]
) -> None:
    """The machine's time, unless another is; a plan by steps has no time."""
    recipe = planned(10**8, given=given)

    assert (recipe.steps, recipe.seconds) == limits


def test_small_data_ends_a_run_by_its_epochs() -> None:
    """Unless a time was asked for."""
    recipe = planned(20_000)
    steps = recipe.steps or 0

    assert steps * recipe.rows_per_step * recipe.model.context <= 12 * 20_000
    assert recipe.seconds == 120.0
    assert planned(20_000, given={"seconds": 600.0}).steps is None


@pytest.mark.parametrize("steps", [20, 200, 2000])
def test_given_steps_are_those_of_a_plan_by_time(steps: int) -> None:
    """The model of a run of 20 steps is as small as that of a run that takes as long."""
    recipe = planned(10**7, given={"steps": steps})
    seconds = steps * TWO_CORES.step_seconds(shape(recipe))
    by_time = planned(10**7, given={"seconds": seconds})

    assert recipe.eval_every == steps // 10
    assert abs(recipe.model.layers - by_time.model.layers) <= 1


@pytest.mark.parametrize(("tokens", "often"), [(100_000, True), (10_000_000, False)])
def test_data_seen_often_gets_dropout(tokens: int, often: bool) -> None:
    """And BPE dropout, against overfitting; data seen once needs neither."""
    recipe = planned(tokens)

    assert (recipe.model.dropout.rate > 0) is often
    assert (recipe.bpe_dropout > 0) is often


def test_depth_sets_width_heads_and_rates() -> None:
    """Wider models have smaller rates of embeddings and head, by the root of the width."""
    thin, thick = planned(depth=2), planned(depth=8)

    assert (thin.model.width, thick.model.width) == (128, 512)
    assert thick.model.attention.heads == 4 * thin.model.attention.heads
    assert isinstance(thin.optimizer, Muon)
    assert isinstance(thick.optimizer, Muon)
    assert thick.optimizer.embedding_lr == pytest.approx(thin.optimizer.embedding_lr / 2)
    assert thick.optimizer.head_lr == pytest.approx(thin.optimizer.head_lr / 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "gpt5"}, "no preset is called 'gpt5'; there are fast, gpt2"),
        ({"depth": 0}, "depth"),
    ],
)
def test_impossible_plan_is_refused(changes: dict[str, Any], words: str) -> None:
    """The error lists the presets."""
    with pytest.raises(ConfigError, match=words):
        planned(**changes)


def test_other_limits_replace_those_of_a_saved_run() -> None:
    """A run that was planned for a time can be continued to a number of steps."""
    saved = dataclasses.replace(planned(), steps=500, seconds=120.0)

    def limits(**given: Any) -> tuple[int | None, float | None]:
        recipe = resumed(saved, preset=None, depth=None, given=given)
        return recipe.steps, recipe.seconds

    assert limits() == limits(seconds=120.0) == limits(steps=500) == (500, 120.0)
    assert limits(steps=900) == (900, None)
    assert limits(seconds=240.0) == (None, 240.0)


def test_longer_runs_have_longer_contexts() -> None:
    """An eighth of the data at most."""
    times = [10**power for power in range(6)]
    contexts = [planned(10**8, given={"seconds": seconds}).model.context for seconds in times]

    assert contexts == sorted(contexts)
    assert contexts[0] < contexts[-1]
    assert planned(1000, given={"seconds": 10**5}).model.context <= 128


@pytest.mark.parametrize("seconds", [5.0, 20.0, 60.0, 200.0])
def test_run_of_any_planned_width_resumes_with_its_preset(seconds: float) -> None:
    """The preset's own width is 64 a layer."""
    saved = planned(given={"seconds": seconds})

    check_resumable(saved, resumed(saved, preset="fast", depth=None))


def test_run_resumes_with_or_without_its_preset_and_depth() -> None:
    """On another machine, too."""
    saved = planned(preset="qwen3", depth=3)
    for again in ({"preset": None, "depth": None}, {"preset": "qwen3", "depth": 3}):
        check_resumable(saved, resumed(saved, **again))


@pytest.mark.parametrize(
    ("again", "field"),
    [
        ({"preset": "llama", "depth": None}, r"model\.attention\."),
        ({"preset": None, "depth": 2}, r"model\.layers"),
        ({"preset": "qwen3", "depth": 2}, r"model\."),
    ],
)
def test_run_of_another_preset_or_depth_is_refused(again: dict[str, Any], field: str) -> None:
    """The error names the field that differs."""
    saved = planned(preset="qwen3", depth=4)
    with pytest.raises(ConfigError, match=field):
        check_resumable(saved, resumed(saved, **again))


def test_planned_fields_are_those_that_a_plan_chooses() -> None:
    """All others have their defaults."""
    defaults = Recipe(data=Path("data"), out=Path("run"))
    chosen = {
        field.name
        for tokens in (10**3, 10**7)
        for field in dataclasses.fields(Recipe)
        if getattr(planned(tokens), field.name) != getattr(defaults, field.name)
    }

    assert chosen | {"dtype"} == {name for name in PLANNED if "." not in name}


@pytest.mark.parametrize("name", ["seconds", "max_seconds"])
def test_plan_fits_the_given_time(name: str) -> None:
    """It is the plan of a machine with that much time; max_seconds is a limit only."""
    short = dataclasses.replace(TWO_CORES, seconds=10.0)

    assert planned(10**8, given={name: 10.0}) == planned(10**8, machine=short)
    assert (planned(10**8, given={name: 1e4}) == planned(10**8)) is (name == "max_seconds")


def test_plan_is_made_around_given_fields() -> None:
    """A longer context has fewer rows; a model, a batch and passes of the data stay as given."""
    usual = planned()
    context = 4 * usual.model.context
    long = planned(given={"model.context": context})
    large = planned(given={"model.layers": 7, "model.width": 896})

    assert long.rows_per_step < usual.rows_per_step
    assert (long.model.context, large.model.layers) == (context, 7)
    assert planned(given={"batch_size": 3}).batch_size == 3
    assert planned(given={"accumulate": 8}).batch_size <= usual.batch_size / 8


def test_weight_decay_follows_the_learning_rate() -> None:
    """Their product stays the same."""
    usual = planned(given={"seconds": 600.0}).optimizer
    half = planned(given={"seconds": 600.0, "optimizer.lr": usual.lr / 2}).optimizer

    assert half.lr == usual.lr / 2
    assert isinstance(usual, Muon)
    assert isinstance(half, Muon)
    assert half.weight_decay == pytest.approx(2 * usual.weight_decay)


@pytest.mark.parametrize("given", [{"model.width": 64}, {"model.width": 16}, {"model.layers": 5}])
def test_layers_and_width_follow_each_other(given: dict[str, Any]) -> None:
    """A narrow model is not deep, and a deep one not narrow."""
    model = planned(10**7, given=given).model

    assert model.layers == given.get("model.layers", 2)
    assert model.width >= min(32 * model.layers, given.get("model.width", 10**6))
