"""Losses over a split, by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gpt.config import GPTConfig, GroupedQuery
from gpt.data import open_data, open_split
from gpt.evaluate import evaluate
from gpt.model import GPT
from gpt.runtime import Runtime

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
            dropout=0.5,
        )
    )


def test_evaluation_equals_a_computation_by_hand(model: GPT, data: Path) -> None:
    """Window by window, one row at a time: nats, tokens, and bits over the text's bytes."""
    split = open_split(open_data(data), "val")
    ids = torch.tensor(split.read(0, len(split)).astype("int64"))
    model.eval()
    nats = 0.0
    for start in range(0, len(ids) - 1, 16):
        window = ids[start : start + 17]
        nats += F.cross_entropy(
            model(window[None, :-1]).logits[0], window[1:], reduction="sum"
        ).item()
    text_bytes = int((ids < 256).sum())
    result = evaluate(model, split, runtime=CPU, rows=3)

    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / text_bytes)
    assert result.nats_per_token == pytest.approx(nats / (len(ids) - 1))
    assert result.perplexity == pytest.approx(math.exp(nats / (len(ids) - 1)))
    assert (result.tokens, result.bytes) == (len(ids) - 1, text_bytes)


def test_evaluation_does_not_depend_on_the_batch(model: GPT, data: Path) -> None:
    """One row at a time or a hundred."""
    split = open_split(open_data(data), "val")
    alone, together = (evaluate(model, split, runtime=CPU, rows=rows) for rows in (1, 100))

    assert alone.bits_per_byte == pytest.approx(together.bits_per_byte, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_mode_as_it_was(model: GPT, data: Path, training: bool) -> None:
    """Dropout is off during it and as before after it."""
    model.train(training)
    evaluate(model, open_split(open_data(data), "val"), runtime=CPU)

    assert model.training is training
