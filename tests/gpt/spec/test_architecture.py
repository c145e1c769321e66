"""Specs of models and recipes: validation and serialization."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.errors import ConfigError, GPTError
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.head import SoftCap
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.optimizer import AdamW
from gpt.spec.pattern import Causal, Full, Window
from gpt.spec.position import Learned, Rope
from gpt.spec.recipe import MAY_CHANGE, Recipe, check_resumable, read_toml
from gpt.spec.wiring import Lambdas

configs = st.builds(
    GPTConfig,
    vocab_size=st.integers(1, 100_000),
    context=st.integers(1, 4096),
    layers=st.integers(1, 50),
    width=st.sampled_from([64, 128, 384]),
    attention=st.builds(
        GroupedQuery,
        heads=st.sampled_from([4, 8]),
        kv_heads=st.sampled_from([1, 2, 4]),
        pattern=st.sampled_from([Causal(), Full()]) | st.builds(Window, size=st.integers(1, 99)),
        qk_norm=st.booleans(),
    ),
    position=st.sampled_from([Learned(), Rope(theta=5e5, fraction=0.5), None]),
    mlp=st.sampled_from(
        [
            MLP(activation="gelu_tanh"),
            MLP(activation="relu2", hidden=7),
            MLP(activation="silu", gated=True),
        ]
    ),
    norm=st.sampled_from([LayerNorm(bias=False), RMSNorm(eps=1e-3)]),
    residual=st.sampled_from([None, Lambdas(embedded=0.1)]),
    value_embedding=st.sampled_from([None, ValueEmbedding(ends=2)]),
    cap=st.sampled_from([None, SoftCap(limit=30.0)]),
    tie=st.booleans(),
    dropout=st.sampled_from([Dropout(), Dropout(rate=0.25, embedding=0.0, path=0.1)]),
)


@given(config=configs)
def test_config_survives_json(config: GPTConfig) -> None:
    """As in state.json."""
    assert GPTConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_recipe_survives_json(recipe: Recipe) -> None:
    """With paths, tuples and the nested model."""
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layer": 2}, "model.layer: no such field"),
        ({"layers": "2"}, "model.layers: expected int"),
        ({"layers": True}, "model.layers: expected int"),
        ({"layers": 0}, "layers must be above 0"),
        ({"norm": {"eps": 2}}, "model.norm: needs a table with the field kind, one of LayerNorm"),
        ({"mlp": {"kind": "GLU"}}, "model.mlp.kind: expected one of MLP, Experts; got 'GLU'"),
        (
            {"mlp": {"kind": "MLP", "activation": "x"}},
            "model.mlp.activation: expected one of 'identity', 'sigmoid'",
        ),
        ({"mlp": "none"}, "model.mlp: needs a table"),
        ({"dropout": 1.0}, "model.dropout: rate must be at least 0 and below 1"),
        ({"dropout": True}, "model.dropout.rate: expected float"),
        ({"norm": {"kind": "RMSNorm", "eps": "x"}}, "model.norm.eps: expected float"),
        ({"attention": {"kind": "GroupedQuery", "heads": 4}}, "model.attention.kv_heads: missing"),
        (
            {"attention": {"kind": "GroupedQuery", "heads": 4, "kv_heads": 3}},
            "model.attention: 4 heads cannot share 3",
        ),
        ("small", "model: needs a table"),
    ],
)
def test_plain_dict_error_names_the_field(fields: object, words: str) -> None:
    """By its dotted path, as a user finds it in a TOML file."""
    with pytest.raises(ConfigError) as caught:
        Recipe.from_dict({"data": "d", "out": "o", "model": fields})

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 30}, "set attention.head_width"),
        ({"branch_scale": None, "layers": -1}, "layers must be above 0"),
        ({"context": 0}, "context must be above 0"),
        ({"position": Rope(fraction=0.1), "width": 40}, "rotation needs pairs"),
    ],
)
def test_architecture_that_cannot_be_built_is_rejected(
    changes: dict[str, object], words: str
) -> None:
    """When it is created; the message says what to change."""
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(Architecture(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"average": 1.0},
        {"seconds": float("nan")},
        {"seed": -1},
        {"seed": 2**31},
        {"clip": 0.0},
        {"threads": 0},
    ],
)
def test_recipe_value_out_of_range_is_rejected(recipe: Recipe, changes: dict[str, object]) -> None:
    """The message starts with the name of the field."""
    with pytest.raises(ConfigError, match=f"^{next(iter(changes))} "):
        dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


def test_swiglu_has_about_the_parameters_of_a_plain_mlp() -> None:
    """Its three matrices of the default size match two of 4 x width within 10%."""
    gated, plain = (
        Architecture(width=768, mlp=MLP(activation="silu", gated=True)),
        Architecture(width=768),
    )

    assert 3 * gated.mlp.hidden_width(768) == pytest.approx(2 * 4 * plain.width, rel=0.1)


@pytest.mark.parametrize(
    "name", sorted(name for name in MAY_CHANGE - {"data", "out"} if "." not in name)
)
def test_resumed_recipe_can_change_length_and_device(recipe: Recipe, name: str) -> None:
    """And how often the run is evaluated and saved."""
    changed = {"steps": 99, "eval_every": 9, "checkpoint_every": 9, "device": "cuda"}
    changed |= {"dtype": "bfloat16", "compile": True, "threads": 1, "recompute": True}
    changed |= {"keep": 9, "patience": 9, "parallel": "fsdp", "seconds": 9.0, "max_seconds": 9.0}
    changed |= {"overhead": 9.0, "stop_at_loss": 9.0}

    check_resumable(recipe, dataclasses.replace(recipe, **{name: changed[name]}))


def test_resumed_recipe_cannot_change_the_model(recipe: Recipe) -> None:
    """The message names the field by its dotted path."""
    wider = dataclasses.replace(recipe.model, width=64)
    with pytest.raises(ConfigError, match=r"model\.width = 32, and this recipe has 64"):
        check_resumable(recipe, dataclasses.replace(recipe, model=wider))


def test_toml_file_becomes_a_recipe(tmp_path: Path) -> None:
    """A mechanism is chosen by its kind."""
    path = tmp_path / "recipe.toml"
    path.write_text(
        'data = "d"\nout = "o"\noptimizer = {kind = "AdamW", lr = 1}\n'
        '[model]\nlayers = 3\n[model.norm]\nkind = "LayerNorm"\n'
    )
    read = Recipe.from_dict(read_toml(path))

    assert (read.model.layers, read.model.norm) == (3, LayerNorm())
    assert read.optimizer == AdamW(lr=1.0)


@pytest.mark.parametrize("content", [b"data =", b'data = "\xff"', None])
def test_toml_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Malformed, not UTF-8, or missing."""
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"recipe\.toml: "):
        read_toml(path)


def test_errors_have_one_root() -> None:
    """``except GPTError`` catches them all."""
    from gpt import errors

    raised = [cls for cls in vars(errors).values() if isinstance(cls, type)]

    assert all(issubclass(cls, GPTError) for cls in raised)


def test_every_nested_table_is_tagged(recipe: Recipe) -> None:
    """With the name of its class, also where only one is possible."""

    def untagged(table: object, where: str) -> list[str]:
        if not isinstance(table, dict):
            return []
        below = [name for key, value in table.items() for name in untagged(value, f"{where}.{key}")]
        return below if "kind" in table else [where, *below]

    tables = recipe.to_dict().items()
    assert [name for key, table in tables for name in untagged(table, key)] == []
    assert recipe.to_dict()["model"]["attention"]["kind"] == "GroupedQuery"


@pytest.mark.parametrize("absent", [None, "none"])
def test_an_axis_can_be_off(absent: str | None) -> None:
    """TOML has no null, so its text stands for it."""
    config = Architecture(position=Rope(), cap=SoftCap())
    plain = {**GPTConfig.over(config, 50).to_dict(), "position": absent, "cap": absent}
    read = GPTConfig.from_dict(plain)

    assert (read.position, read.cap) == (None, None)
    assert GPTConfig.from_dict(json.loads(json.dumps(read.to_dict()))) == read


def test_the_kind_can_be_omitted_where_one_is_possible() -> None:
    """As in TOML files of before."""
    read = Recipe.from_dict({"data": "d", "out": "o", "model": {"cap": {"limit": 2.0}}})

    assert read.model.cap == SoftCap(limit=2.0)
