"""Encoders that predict masked tokens: models of transformers in, and the same models out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM

from gpt.errors import FormatError
from gpt.interop.huggingface import export_folder, import_folder
from gpt.interop.imported import write_imported
from gpt.runs.reading import read_checkpoint
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import make_tokenizer
from tests.gpt.interop.published import MASKED, make_config, save

IDS = torch.randint(2, 300, (2, 64), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A tokenizer with GPT-2's pattern and 301 ids."""
    return make_tokenizer()


@pytest.mark.parametrize("name", MASKED)
def test_a_model_is_the_same_here_and_written_back(
    name: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Its logits are those of transformers within 1e-4, before and after."""
    theirs: Any = save(make_config(name), tmp_path / "in", tokenizer, auto=AutoModelForMaskedLM)
    with torch.no_grad():
        expected = theirs(IDS).logits[..., :301]
    model, _, generation = import_folder(tmp_path / "in")
    write_imported(tmp_path / "run", model, tokenizer, generation=generation)
    family = export_folder(read_checkpoint(tmp_path / "run"), tmp_path / "out")
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()

    # A RoBERTa whose head has the activation of its blocks is a BERT, too.
    assert family.name == ("roberta" if name == "roberta-silu" else "bert")
    assert 1 < expected.std() < 12
    torch.testing.assert_close(model(IDS), expected, rtol=0, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(again(IDS).logits, expected, rtol=0, atol=1e-4)


def test_heads_of_other_tasks_are_not_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The pooler, and the prediction of the next sentence; others are refused."""
    save(make_config("bert"), tmp_path, tokenizer, auto=AutoModelForMaskedLM)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    more = {"bert.pooler.dense.weight": torch.ones(64, 64)}
    save_file(tensors | more, file, metadata={"format": "pt"})
    before = import_folder(tmp_path).model(IDS)
    save_file(tensors | {"classifier.weight": torch.ones(2, 64)}, file, metadata={"format": "pt"})

    assert before.shape == (2, 64, 301)
    with pytest.raises(FormatError, match=r"unexpected tensor classifier\.weight"):
        import_folder(tmp_path)


def test_types_of_tokens_that_are_missing_are_refused_by_name(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """They are part of the positions here."""
    save(make_config("bert"), tmp_path, tokenizer, auto=AutoModelForMaskedLM)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["bert.embeddings.token_type_embeddings.weight"]
    save_file(tensors, file, metadata={"format": "pt"})

    with pytest.raises(FormatError, match=r"token_type_embeddings\.weight is missing"):
        import_folder(tmp_path)
