"""Weights of 16 bits, and in several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from gpt.__main__ import main
from gpt.errors import FormatError
from gpt.interop.huggingface import import_folder
from gpt.interop.weight_files import bytes_of, in_dtype
from gpt.runs.reading import Checkpoint
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer

IDS = torch.arange(20)[None]


@pytest.fixture
def run(tmp_path: Path) -> Checkpoint:
    """A run of Llama's shape."""
    return make_run(tmp_path / "run", SHAPES["llama"], make_tokenizer())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_16_bits_are_those_of_the_run_rounded(
    run: Checkpoint, tmp_path: Path, dtype: str
) -> None:
    """Transformers loads them in that type, and computes the logits of the rounded weights."""
    assert (
        main(
            ["export", str(tmp_path / "run"), str(tmp_path / "hf"), "--to", "hf", "--dtype", dtype]
        )
        == 0
    )
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    model = run.model()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(getattr(torch, dtype)).float()

    assert theirs.dtype == getattr(torch, dtype)
    with torch.no_grad():
        torch.testing.assert_close(theirs.float()(IDS).logits, model(IDS), rtol=0, atol=1e-5)


def test_files_are_no_larger_than_asked_and_load_as_one_model(
    run: Checkpoint, tmp_path: Path
) -> None:
    """Here and in transformers; the index has each tensor once."""
    size = ["--max-shard-size", "100kB"]
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "hf"), "--to", "hf", *size]) == 0
    files = sorted((tmp_path / "hf").glob("*.safetensors"))
    index = json.loads((tmp_path / "hf" / "model.safetensors.index.json").read_bytes())
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")

    assert len(files) > 1
    assert {path.name for path in files} == set(index["weight_map"].values())
    with torch.no_grad():
        expected = run.model()(IDS)
        torch.testing.assert_close(theirs(IDS).logits, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(import_folder(tmp_path / "hf").model(IDS), expected)


def test_a_number_that_float16_cannot_hold_is_an_error() -> None:
    """Not an infinity in the file."""
    with pytest.raises(FormatError, match="tensor a has numbers that float16 cannot hold"):
        in_dtype({"a": torch.tensor([70000.0])}, "float16")


@pytest.mark.parametrize("size", ["", "5", "0GB", "-1MB", "5 apples"])
def test_a_size_that_is_none_is_an_error(size: str) -> None:
    """With examples of sizes."""
    with pytest.raises(FormatError, match="write 500MB or 5GB"):
        bytes_of(size)


def test_a_gguf_file_has_no_such_options(
    run: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are refused, not ignored."""
    arguments = ["export", str(run.folder), str(tmp_path / "x.gguf"), "--to", "gguf"]

    assert main([*arguments, "--dtype", "float16"]) == 1
    assert "--dtype and --max-shard-size are for --to hf" in capsys.readouterr().err
