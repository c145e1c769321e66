"""Options that set the fields of a recipe."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

import gpt
from gpt.__main__ import cli, main
from gpt.commands import tune
from gpt.commands.settings import OptionsError, given_overrides
from gpt.commands.train import train
from gpt.spec.fields import fields_of
from gpt.spec.recipe import Recipe
from gpt.spec.task import Tuning
from gpt.training.tuning.planning import plan_tuning


def given(*arguments: str, config: Path | None = None) -> dict[str, Any]:
    """Return the fields that `gpt train` with *arguments* sets."""
    with train.make_context("train", list(arguments)) as context:
        return dict(given_overrides(context, config).values)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--context", "64"],
        ["--context=64"],
        ["--model.context", "64"],
        ["--model.context=64"],
        ["--set", "model.context=64"],
        ["--set=model.context = 64"],
        ["--context", "64", "--model.context", "64"],
    ],
    ids=" ".join,
)
def test_a_field_can_be_set_in_several_ways(arguments: list[str]) -> None:
    """They are all the same."""
    assert given(*arguments) == {"model.context": 64}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--lr", "0.01"], {"optimizer.lr": 0.01}),
        (["--heads", "2"], {"model.attention.heads": 2}),
        (["--model.attention.kv-heads", "1"], {"model.attention.kv_heads": 1}),
        (["--model.attention.kv_heads=1"], {"model.attention.kv_heads": 1}),
        (["--batch_size", "3"], {"batch_size": 3}),
        (["--recompute"], {"recompute": True}),
        (["--recompute", "--clip", "1"], {"recompute": True, "clip": 1}),
        (["--compile", "False"], {"compile": False}),
        (["--clip", "none"], {"clip": None}),
        (["--model.norm", "RMSNorm"], {"model.norm.kind": "RMSNorm"}),
        (["--optimizer.betas", "0.9,0.99"], {"optimizer.betas": [0.9, 0.99]}),
        (["--steps", "3", "--steps", "4"], {"steps": 4}),
        (
            ["--set", "model.norm=LayerNorm", "--set", "model.norm.bias=false"],
            {"model.norm.kind": "LayerNorm", "model.norm.bias": False},
        ),
    ],
    ids=str,
)
def test_options_set_fields(arguments: list[str], expected: dict[str, Any]) -> None:
    """By everyday names, and by the names of the fields."""
    assert given(*arguments) == expected


def is_of_task(name: str) -> bool:
    """Whether the command determines the field *name*: `gpt train` pretrains."""
    return name.partition(".")[0] == "task"


def test_every_field_has_an_option() -> None:
    """By its own name, for scripts; data and out are arguments of the command."""
    options = {name for parameter in train.params for name in parameter.opts}
    fields = fields_of(Recipe).without(is_of_task)

    assert {f"--{name.replace('_', '-')}" for name in fields.by_name} <= options


def test_options_override_the_file_by_fields(tmp_path: Path) -> None:
    """A kind replaces the file's table, a field only itself."""
    config = tmp_path / "recipe.toml"
    config.write_text(
        'clip = 1.0\n[model]\nnorm = {kind = "LayerNorm", eps = 0.1}\nposition = {theta = 5.0}\n'
    )

    assert given("--model.norm.eps", "0.2", config=config) == {
        "clip": 1.0,
        "model.norm.kind": "LayerNorm",
        "model.norm.eps": 0.2,
        "model.position.theta": 5.0,
    }
    assert given("--set", "model.norm=RMSNorm", "--clip", "2", config=config) == {
        "clip": 2,
        "model.norm.kind": "RMSNorm",
        "model.position.theta": 5.0,
    }


def test_options_that_contradict_each_other_are_refused() -> None:
    """The error has both as they were typed."""
    with pytest.raises(OptionsError, match=r"^--width 64 and --set model.width=32 both set model"):
        given("--width", "64", "--set", "model.width=32")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps = ", r"c.toml: not TOML"),
        ("stepps = 3", r"c.toml: stepps: no such field; did you mean steps\?"),
        ("width = 3", r"c.toml: width: no such field; did you mean model.width\?"),
        ("[model]\nwidth = 1.5", r"c.toml: model.width: expected int; got 1.5"),
        ("a" * 9 + " = " + "[" * 5000, r"c.toml: not TOML: nested too deeply"),
        ("steps = " + "9" * 5000, r"c.toml: not TOML: "),
    ],
)
def test_wrong_file_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """It is named, with the field."""
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(OptionsError, match=words):
        given(config=tmp_path / "c.toml")


def test_help_all_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """With its type, and its default or that it is planned; for each kind of an axis."""
    assert main(["train", "--help-all"]) == 0
    shown = capsys.readouterr().out

    for name in fields_of(Recipe).without(is_of_task).by_name:
        if name in ("data", "out"):
            continue
        assert re.search(rf"^  {re.escape(name)} \S", shown, re.M), name
    assert "optimizer = AdamW:" in shown
    assert "model.norm = RMSNorm:" in shown
    assert re.search(r"steps N +Optimizer steps in total\.  \[planned\]", shown)
    assert re.search(r"accumulate N +[^[]+\[default: 1\]", shown)


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "tr", ["train"]),
        (["train"], "--wi", ["--width"]),
        (["train", "--dtype"], "b", ["bfloat16"]),
        (["train", "--preset"], "q", ["qwen3"]),
        (["train", "--set"], "model.attention.kv_h", ["model.attention.kv_heads="]),
    ],
)
def test_shells_complete(words: list[str], incomplete: str, expected: list[str]) -> None:
    """Commands, options, and values that can be listed."""
    completion = ShellComplete(cli, {}, "gpt", "_GPT_COMPLETE")
    found = completion.get_completions(words, incomplete)

    assert [item.value for item in found] == expected


def test_tuning_sets_what_the_base_leaves_open() -> None:
    """The model is the base's."""
    names = set(tune.SETTINGS.fields.by_name)

    assert {"task.adapter.rank", "task.train_on", "model.dropout.rate", "schedule.warmup"} <= names
    assert not {"task.base", "model.width", "model.mlp.kind"} & names
    with pytest.raises(click.NoSuchOption, match=r"--model\.width"):
        tune.tune.make_context("tune", ["base", "--data", "d", "--out", "o", "--model.width", "8"])


def test_help_of_tuning_marks_what_is_planned(recipe: Recipe, tmp_path: Path) -> None:
    """The fields that `plan_tuning` sets; some are for chats and for other objectives only."""
    gpt.train(dataclasses.replace(recipe, steps=1))
    task = Tuning(base=recipe.out)
    defaults = Recipe(data=recipe.data, out=tmp_path / "tuned", task=task)
    planned = plan_tuning(recipe.out, data=recipe.data, out=defaults.out).recipe
    changed = {
        field.name
        for field in dataclasses.fields(Recipe)
        if getattr(planned, field.name) != getattr(defaults, field.name)
    }

    of_chats = {"task.train_on", "task.row_length"}
    of_objectives = {"task.max_tokens", "score", "accumulate"}
    assert changed == tune.PLANNED - of_chats - of_objectives


@pytest.mark.parametrize("option", ["model.mlp=SwiGLU", "model.mlp.activation=swiglu"])
def test_other_names_of_mlps_are_explained(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the options that make them, which can be typed."""
    assert main(["train", "--data", str(tmp_path), "--set", option]) == 2
    error = " ".join(capsys.readouterr().err.split())

    assert "is --set model.mlp.activation=silu --set model.mlp.gated=true" in error
    assert given("--set", "model.mlp.activation=silu", "--set", "model.mlp.gated=true") == {
        "model.mlp.activation": "silu",
        "model.mlp.gated": True,
    }
