"""Presets, and plans for some data and a machine."""

from __future__ import annotations

import dataclasses
import json
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
from gpt.spec.optimizer import Muon
from gpt.spec.planning import PLANNED, Machine, described, plan, resumed
from gpt.spec.presets import EXPORTABLE, PRESETS
from gpt.spec.recipe import Recipe, check_resumable

TWO_CORES = Machine.cpu(2)


def planned(tokens: int = 300_000, **changes: Any) -> Recipe:
    chosen: dict[str, Any] = {"machine": TWO_CORES, "preset": "fast", "depth": None, **changes}
    return plan(data=Path("data"), out=Path("run"), tokens=tokens, **chosen)


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
    assert f"layers {recipe.model.layers}" in described(recipe)


@given(tokens=st.integers(10**4, 10**9), cores=st.integers(1, 64))
def test_faster_machine_gets_no_smaller_model(tokens: int, cores: int) -> None:
    """Nor a smaller batch."""
    slow, quick = (planned(tokens, machine=Machine.cpu(n)) for n in (cores, 2 * cores))

    assert quick.model.layers >= slow.model.layers


@pytest.mark.parametrize(("tokens", "often"), [(100_000, True), (10_000_000, False)])
def test_data_seen_often_gets_dropout(tokens: int, often: bool) -> None:
    """And BPE dropout, against overfitting; data seen once needs neither."""
    recipe = planned(tokens)

    assert (recipe.model.dropout > 0) is often
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

    assert chosen == PLANNED


@pytest.mark.parametrize("name", ["seconds", "max_seconds"])
def test_plan_fits_the_given_time(name: str) -> None:
    """It is the plan of a machine with that much time; max_seconds is a limit only."""
    short = dataclasses.replace(TWO_CORES, seconds=10.0)

    assert planned(given={name: 10.0}) == planned(machine=short)
    assert (planned(given={name: 1e4}) == planned()) is (name == "max_seconds")


def test_plan_is_made_around_given_fields() -> None:
    """A longer context has fewer rows, a larger model fewer steps, fewer steps more evaluations."""
    usual = planned()
    long = planned(given={"model.context": 4 * usual.model.context})
    large = planned(given={"model.layers": 24, "model.width": 2 * usual.model.width})
    quick = planned(given={"steps": 20})

    assert long.rows_per_step == usual.rows_per_step // 4
    assert large.steps < usual.steps
    assert (quick.steps, quick.eval_every, quick.model.dropout) == (20, 2, 0.0)
    assert planned(given={"batch_size": 2 * usual.batch_size}).steps == round(usual.steps / 2)


def test_weight_decay_follows_the_learning_rate() -> None:
    """Their product stays the same."""
    usual, half = planned().optimizer, planned(given={"optimizer.lr": planned().optimizer.lr / 2})

    assert half.optimizer.lr == usual.lr / 2
    assert half.optimizer.weight_decay == pytest.approx(2 * usual.weight_decay)
