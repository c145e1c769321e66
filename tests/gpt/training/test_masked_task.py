"""Runs of masked language models: from shards to a checkpoint, and what it is compared with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

from gpt.data.batch import IGNORED, Batch
from gpt.data.masking import open_run_data
from gpt.errors import ConfigError, DataError
from gpt.generation.filling import fill
from gpt.model.gpt import GPT
from gpt.model.objectives.build import build_objective
from gpt.runs.reading import read_checkpoint
from gpt.runs.store import Memory
from gpt.spec.attention import GroupedQuery
from gpt.spec.objective import MaskedLM
from gpt.spec.optimizer import AdamW
from gpt.spec.pattern import Full
from gpt.spec.presets import bert
from gpt.spec.recipe import Recipe
from gpt.spec.score import BitsPerByte, MaskedLoss
from gpt.training.loop import train
from tests.gpt.training.interrupted import history, renamed, tensors, train_until


@pytest.fixture
def masked(recipe: Recipe) -> Recipe:
    """`recipe`, for a bidirectional model of masked tokens."""
    attention = GroupedQuery(heads=2, kv_heads=1, pattern=Full())
    return dataclasses.replace(
        recipe,
        objective=MaskedLM(),
        score=MaskedLoss(),
        model=dataclasses.replace(recipe.model, attention=attention),  # type: ignore[arg-type]
    )


def test_a_stopped_run_resumes_bit_for_bit(masked: Recipe) -> None:
    """Its masks follow from seed and row."""
    uninterrupted = renamed(masked, "uninterrupted")
    train(uninterrupted)
    train_until(masked, 5)
    train(masked)
    expected, found = (tensors(read_checkpoint(each.out)) for each in (uninterrupted, masked))

    assert history(masked.out) == history(uninterrupted.out)  # type: ignore[arg-type]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_loss_of_held_out_masks_falls(masked: Recipe) -> None:
    """It is the score, with the accuracy beside it; other scores are not measured."""
    memory = Memory()
    train(
        dataclasses.replace(masked, steps=100, eval_every=50, optimizer=AdamW(lr=1e-2)),
        store=memory,
    )
    first, last = (row.val for row in memory.rows if row.val is not None)

    assert set(last) == {"loss", "token_accuracy"}
    assert last["loss"] < first["loss"] < 5.6
    assert memory.state.score == last["loss"]
    with pytest.raises(ConfigError, match="score BitsPerByte is not of this task: use MaskedLoss"):
        dataclasses.replace(masked, score=BitsPerByte())
    with pytest.raises(ConfigError, match=r"set model\.attention\.pattern to Full"):
        dataclasses.replace(masked, model=Recipe(data=Path()).model)


def test_the_checkpoint_has_a_tokenizer_with_a_mask(masked: Recipe) -> None:
    """Of one id more than the shards; the data is recognized all the same."""
    train(dataclasses.replace(masked, steps=1))
    checkpoint = read_checkpoint(masked.out)  # type: ignore[arg-type]
    tokenizer = checkpoint.tokenizer()
    shards = open_run_data(masked.data, masked.objective, checkpoint.state.fingerprint)

    assert tokenizer.special_tokens["<|mask|>"] == 257
    assert checkpoint.model().vocab_size == 258
    assert shards.vocab_size == 257
    with pytest.raises(DataError, match="another tokenizer"):
        open_run_data(masked.data, masked.objective, "other")
    with pytest.raises(ConfigError, match="cannot generate text token by token"):
        checkpoint.model().new_cache(1)


def test_masks_of_a_text_are_filled_in(masked: Recipe) -> None:
    """By ordinary tokens; what is not masked stays."""
    train(dataclasses.replace(masked, steps=1))
    checkpoint = read_checkpoint(masked.out)  # type: ignore[arg-type]
    model, tokenizer = checkpoint.model(), checkpoint.tokenizer()
    filled = fill(model, tokenizer, "cat <|mask|> <|mask|>w")

    assert filled.startswith("cat ")
    assert filled.endswith("w")
    assert "<|" not in filled
    with pytest.raises(ConfigError, match=r"write <\|mask\|> where"):
        fill(model, tokenizer, "cat")
    with pytest.raises(ConfigError, match="17 tokens, and the model reads 16"):
        fill(model, tokenizer, "x" * 16 + "<|mask|>")


def bert_names(layer: int) -> dict[str, str]:
    """The modules of a layer of BERT, by our names."""
    names = {
        "attention.query": "attention.self.query",
        "attention.key": "attention.self.key",
        "attention.value": "attention.self.value",
        "attention.output": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "mlp.input": "intermediate.dense",
        "mlp.output": "output.dense",
        "mlp_norm": "output.LayerNorm",
    }
    return {
        f"blocks.{layer}.{ours}": f"bert.encoder.layer.{layer}.{theirs}"
        for ours, theirs in names.items()
    }


def test_equals_bert_for_masked_lm() -> None:
    """Loss and gradients with copied weights; its norm of embeddings and its head are omitted."""
    config = dataclasses.replace(bert(2, 16).with_vocabulary(64), width=32)
    config = dataclasses.replace(
        config, attention=GroupedQuery(heads=4, kv_heads=4, pattern=Full())
    )
    theirs: Any = BertForMaskedLM(
        BertConfig(
            vocab_size=64,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=16,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.3,
            layer_norm_eps=1e-5,
        )
    ).double()
    theirs.bert.embeddings.LayerNorm = nn.Identity()
    theirs.cls.predictions.transform = nn.Identity()
    nn.init.zeros_(theirs.bert.embeddings.token_type_embeddings.weight)
    names = {
        "embedding": "bert.embeddings.word_embeddings",
        "position.embedding": "bert.embeddings.position_embeddings",
        **bert_names(0),
        **bert_names(1),
    }
    model = GPT(config).double()
    with torch.no_grad():
        for ours, their_name in names.items():
            source = theirs.get_submodule(their_name)
            for name, parameter in model.get_submodule(ours).named_parameters():
                parameter.copy_(dict(source.named_parameters())[name])
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 64, (3, 16), generator=random)  # theirs has no gradient for 0
    targets = torch.where(torch.rand(3, 16, generator=random) < 0.3, ids.flip(1), IGNORED)
    batch = Batch(ids, targets)
    objective = build_objective(MaskedLM(), config)
    loss = model(batch, objective).sum / objective.weight(batch)
    expected = theirs(input_ids=ids, labels=targets).loss
    loss.backward()
    expected.backward()

    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    for ours, their_name in names.items():
        source = dict(theirs.get_submodule(their_name).named_parameters())
        for name, parameter in model.get_submodule(ours).named_parameters():
            torch.testing.assert_close(parameter.grad, source[name].grad, rtol=1e-4, atol=1e-6)
