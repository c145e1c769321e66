"""Losses over a split, against a computation by hand and transformers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from gpt.__main__ import main
from gpt.data.shards import open_data, open_split
from gpt.evaluation.bits_per_byte import evaluate
from gpt.interop.huggingface import export_folder
from gpt.model.gpt import GPT
from gpt.parallel.runtime import Runtime
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from pytok.streams import adopt
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer

CPU = Runtime.choose("cpu", "float32")


@pytest.fixture
def model() -> GPT:
    """A model with dropout, which an evaluation must not apply."""
    return GPT(
        GPTConfig(
            vocab_size=257,
            context=16,
            layers=1,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=2),
            dropout=Dropout(rate=0.5),
        )
    )


def test_evaluation_equals_a_computation_by_hand(model: GPT, data: Path) -> None:
    """One window at a time: nats, tokens, and bits per byte of the text."""
    split = open_split(open_data(data), "val")
    ids = torch.tensor(split.read(0, len(split)).astype("int64"))
    model.eval()
    nats = 0.0
    for start in range(0, len(ids) - 1, 16):
        window = ids[start : start + 17]
        nats += F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="sum").item()
    text_bytes = int((ids < 256).sum())
    result = evaluate(model, split, runtime=CPU, rows=3)

    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / text_bytes)
    assert result.nats_per_token == pytest.approx(nats / (len(ids) - 1))
    assert result.perplexity == pytest.approx(math.exp(nats / (len(ids) - 1)))
    assert (result.tokens, result.bytes) == (len(ids) - 1, text_bytes)


def test_stride_1_predicts_each_token_from_a_full_context(model: GPT, data: Path) -> None:
    """From as many tokens before it as there are, at most the context."""
    split = open_split(open_data(data), "val")
    ids = torch.tensor(split.read(0, len(split)).astype("int64"))
    model.eval()
    nats = [
        F.cross_entropy(model(ids[None, max(0, at - 16) : at])[0, -1:], ids[at : at + 1])
        for at in range(1, len(ids))
    ]
    result = evaluate(model, split, runtime=CPU, rows=7, stride=1)

    assert result.nats_per_token == pytest.approx(torch.stack(nats).mean().item())


def test_evaluation_does_not_depend_on_the_batch_size(model: GPT, data: Path) -> None:
    """1 row or 100."""
    split = open_split(open_data(data), "val")
    small, large = (evaluate(model, split, runtime=CPU, rows=rows) for rows in (1, 100))

    assert small.bits_per_byte == pytest.approx(large.bits_per_byte, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_restores_the_training_mode(model: GPT, data: Path, training: bool) -> None:
    """Dropout is off only during the evaluation."""
    model.train(training)
    evaluate(model, open_split(open_data(data), "val"), runtime=CPU)

    assert model.training is training


def by_transformers(folder: Path, text: str) -> tuple[float, int]:
    """Return the nats of *text* and its number of targets, in windows of a full context."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor(tokenizer(f"<|endoftext|>{text}").input_ids)
    nats = 0.0
    for start in range(0, len(ids) - 1, 64):
        window = ids[start : start + 65]
        with torch.inference_mode():
            probabilities = model(window[None, :-1]).logits[0].log_softmax(-1)
        nats -= probabilities.gather(-1, window[1:, None]).sum().item()
    return nats, len(ids) - 1


@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen3"])
def test_losses_equal_those_of_transformers(
    shape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Perplexity and bits per byte of an imported model, on a text with CRLF line ends."""
    checkpoint = make_run(tmp_path / "run", SHAPES[shape], make_tokenizer())
    export_folder(checkpoint, tmp_path / "hf")
    text = "".join(f"The cat sat {n} times, déjà vu: 日本語!\r\n" for n in range(20))
    (tmp_path / "text.txt").write_bytes(text.encode())
    given = ["eval", str(tmp_path / "run"), "--data", str(tmp_path / "text.txt")]
    code = main([*given, "--dtype", "float32", "--json"])
    found = json.loads(capsys.readouterr().out)
    nats, tokens = by_transformers(tmp_path / "hf", text)

    assert code == 0
    assert (found["tokens"], found["bytes"]) == (tokens, len(text.encode()))
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / len(text.encode()))


def test_an_imported_model_needs_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is one line."""
    make_run(tmp_path / "run", SHAPES["gpt2"], make_tokenizer())

    assert main(["eval", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == (
        "gpt: the model was imported and has no data of its own; pass --data: a text or shards\n"
    )


def test_invalid_utf8_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error has the byte, and what to do, since this command has no --errors."""
    make_run(tmp_path / "run", SHAPES["gpt2"], make_tokenizer())
    (tmp_path / "text.txt").write_bytes(b"caf\xe9")
    code = main(["eval", str(tmp_path / "run"), "--data", str(tmp_path / "text.txt")])
    printed = capsys.readouterr().err

    assert code == 1
    assert printed.count("\n") == 1
    assert "text.txt: byte 3 is not UTF-8" in printed
    assert "that `pytok shard --errors replace` makes" in printed


@pytest.mark.parametrize("option", ["--split", "--against"])
def test_an_option_without_effect_is_rejected(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text has no splits, and --against applies to --style only."""
    run, text = tmp_path / "run", tmp_path / "text.txt"
    make_run(run, SHAPES["gpt2"], make_tokenizer())
    text.write_text("The cat sat.", encoding="utf-8")
    code = main(["eval", str(run), "--data", str(text), option, str(run)])
    printed = capsys.readouterr().err

    assert code == 1
    assert option in printed
    assert printed.count("\n") == 1


def test_a_split_without_text_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Third-party token files can have end-of-text tokens only: zero bytes to divide by."""
    tokenizer = make_tokenizer()
    make_run(tmp_path / "run", SHAPES["gpt2"], tokenizer)
    (tmp_path / "tokens").mkdir()
    for name, id in (("train", 0), ("val", tokenizer.eot_token)):
        np.full(40, id, np.uint16).tofile(tmp_path / "tokens" / f"{name}.bin")
    shards = adopt(tmp_path / "tokens", tokenizer, tmp_path / "shards").folder
    code = main(["eval", str(tmp_path / "run"), "--data", str(shards)])
    printed = capsys.readouterr().err

    assert code == 1
    assert printed.startswith(f"gpt: {shards}: the split val has no text")
    assert printed.count("\n") == 1
