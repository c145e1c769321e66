"""`gpt show` and `gpt mechanisms`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from gpt.__main__ import main
from gpt.nn.build import MECHANISMS
from gpt.spec.zoo import axes, find
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.interop.published import make_config


def test_a_preset_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With fields that are set, and an image."""
    svg = tmp_path / "block.svg"
    command = ["show", "llama", "--depth", "2", "--set", "model.mlp=Experts", "--svg", str(svg)]

    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("part ")
    assert "block 0 of 2, all alike" in out
    assert "mlp: Experts" in out
    assert svg.read_text().startswith("<svg ")


def test_figures_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With the parameters of each part, and the state in bytes."""
    assert main(["show", "gpt2", "--depth", "12", "--vocab-size", "50257", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    parameters = sum(part["parameters"] for part in figures["parts"].values())

    assert parameters == 124_439_808 + (50304 - 50257) * 768  # GPT-2's, and rows of padding
    assert figures["state"] == 12 * 2 * 768 * 1024 * 4


def test_a_toml_file_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its fields of the model replace those of the preset."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('steps = 3\n[model]\nlayers = 3\nwiring = { kind = "PostNorm" }\n')

    assert main(["show", str(recipe), "--layer", "2"]) == 0
    assert "block 2 of 3" in capsys.readouterr().out


def test_a_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With fields that are set."""
    make_run(tmp_path / "run", SHAPES["llama"], make_tokenizer())

    assert main(["show", str(tmp_path / "run"), "--set", "model.layers=3"]) == 0
    assert "block 0 of 3" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["", "config.json"])
def test_a_config_of_hugging_face_is_shown(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without weights and tokenizer: the parameters are those of transformers' model."""
    make_config("qwen2", vocab_size=320).save_pretrained(tmp_path)
    assert main(["show", str(tmp_path / file), "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"].values()
    theirs = AutoModelForCausalLM.from_config(make_config("qwen2", vocab_size=320))

    assert sum(part["parameters"] for part in parts) == theirs.num_parameters()


def test_a_config_that_is_not_supported_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the name of the file and of the family."""
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')

    assert main(["show", str(tmp_path)]) == 1
    assert "config.json: model_type is 'mamba': they have layers without" in (
        capsys.readouterr().err
    )


def test_a_missing_layer_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """That names those there are."""
    assert main(["show", "fast", "--layer", "4"]) == 2
    assert "the model has layers 0 to 3" in capsys.readouterr().err


def test_an_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """That says what can be shown."""
    assert main(["show", "lama"]) == 2
    assert "lama: neither a preset (fast, gpt2" in capsys.readouterr().err


def test_all_mechanisms_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """In lines of 80 columns."""
    assert main(["mechanisms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {word for line in lines for word in line.split()[:1]}

    assert {kind.__name__ for kind in MECHANISMS} <= listed
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("kind", [kind for axis in axes() for kind in axis.kinds])
def test_each_mechanism_is_described(kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    """With its formula and its fields."""
    assert main(["mechanisms", kind.__name__]) == 0
    out = capsys.readouterr().out

    assert out.startswith(f"{kind.__name__} (model.{find(kind.__name__)[0].name})")
    assert max(map(len, out.splitlines())) <= 80


def test_the_cost_of_a_mechanism_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """In the default model: a vector of 256 numbers for each of 128 positions."""
    assert main(["mechanisms", "Learned"]) == 0

    assert "+32,768 parameters" in " ".join(capsys.readouterr().out.split())


def test_a_misspelled_mechanism_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """That suggests the right name."""
    assert main(["mechanisms", "alibbi"]) == 2
    assert "did you mean ALiBi?" in capsys.readouterr().err
