"""Rows of new tokens: how they begin, by hand; and that old tokens stay as they are."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt.adapt.wrapping import merged, train_rows
from gpt.model.gpt import GPT
from gpt.model.vocabulary import grow_vocabulary, token_tables
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.task import NewRows
from tests.gpt.models import perturbed

OLD, NEW = 50, 56
SPELLING = {50: [3, 4, 5], 51: [7], 53: [48, 2], 54: []}
"""52 and 55 are in no text; 54 is special."""


def config_of(**changes: Any) -> GPTConfig:
    """A small model that has a row of each token in several tables."""
    attention = GroupedQuery(heads=1, kv_heads=1)
    small = Architecture(context=8, layers=2, width=16, attention=attention, tie=False)
    architecture = dataclasses.replace(small, value_embedding=ValueEmbedding(), head_bias=True)
    return dataclasses.replace(architecture, **changes).with_vocabulary(OLD)


def tables(model: GPT) -> dict[str, Tensor]:
    """All tables of tokens by name, also the bias of the head."""
    modules = token_tables(model)
    named = model.named_parameters()
    return {name: each for name, each in named if name.rpartition(".")[0] in modules}


def grown(model: GPT, new_rows: NewRows) -> GPT:
    config = dataclasses.replace(model.config, vocab_size=NEW)
    return grow_vocabulary(model, config, seed=7, spelling=SPELLING, new_rows=new_rows).eval()


def test_a_row_is_the_mean_of_the_rows_that_spell_it() -> None:
    """In every table, the bias included; computed by hand."""
    model = perturbed(config_of())
    old, new = tables(model), tables(grown(model, "mean"))

    assert {"embedding.weight", "head.weight", "head.bias"} < old.keys()
    for name, table in old.items():
        torch.testing.assert_close(new[name][50], (table[3] + table[4] + table[5]) / 3)
        torch.testing.assert_close(new[name][51], table[7])
        torch.testing.assert_close(new[name][53], (table[48] + table[2]) / 2)


@pytest.mark.parametrize("tie", [False, True])
def test_ends_are_the_first_for_the_head_and_the_last_elsewhere(tie: bool) -> None:
    """A table that both share is read, so it has the last."""
    model = perturbed(config_of(tie=tie))
    old, new = tables(model), tables(grown(model, "ends"))
    for name, table in old.items():
        piece = 3 if name.startswith("head.") else 5
        assert torch.equal(new[name][50], table[piece]), name


@pytest.mark.parametrize("new_rows", ["mean", "ends", "average"])
def test_tokens_without_a_spelling_begin_near_the_average(new_rows: NewRows) -> None:
    """Special tokens, and all of them with `average`."""
    model = perturbed(config_of())
    old, new = tables(model), tables(grown(model, new_rows))
    ids = [52, 54, 55] if new_rows != "average" else range(OLD, NEW)
    for name, table in old.items():
        for id in ids:
            distance = (new[name][id] - table[:OLD].mean(0)).abs()
            assert (distance < 0.6 * table[:OLD].std(0)).all(), name


def test_random_rows_are_those_of_a_new_model() -> None:
    """Of the same seed."""
    model = perturbed(config_of())
    new = grown(model, "random")
    fresh = tables(GPT(new.config, seed=7))
    for name, table in tables(new).items():
        assert torch.equal(table[OLD:NEW], fresh[name][OLD:NEW]), name


@pytest.mark.parametrize("new_rows", ["mean", "ends", "average", "random"])
def test_old_tokens_stay_as_they_are(new_rows: NewRows) -> None:
    """Their rows and their logits; what pads the tables is zero."""
    model = perturbed(config_of())
    new, ids = grown(model, new_rows), torch.arange(8)[None]

    torch.testing.assert_close(new(ids)[..., :OLD], model(ids))
    for name, table in tables(new).items():
        assert torch.equal(table[:OLD], tables(model)[name][:OLD])
        assert not table[NEW:].any()


def test_the_bias_of_the_head_stays_while_rows_are_trained() -> None:
    """Logits are the same before the first step."""
    model, ids = grown(perturbed(config_of()), "mean"), torch.arange(8)[None]
    before = model(ids)
    model.requires_grad_(False)
    train_rows(model, token_tables(model), OLD, NEW)

    torch.testing.assert_close(model(ids), before)
    with merged(model):
        torch.testing.assert_close(model(ids), before)
