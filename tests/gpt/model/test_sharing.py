"""`gpt convert`: multi-head attention to grouped-query attention."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gpt.__main__ import main
from gpt.errors import ConfigError
from gpt.interop.huggingface import export_folder
from gpt.model.gpt import GPT
from gpt.model.sharing import share_heads
from gpt.runs.reading import read_checkpoint
from gpt.spec.attention import GroupedQuery, Interleaved, Latent
from gpt.spec.attention_base import POOLS, Pool
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.linear_attention import LinearAttention
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.models import perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

ATTENTIONS = {
    "multi-head": GroupedQuery(heads=8, kv_heads=8),
    "grouped": GroupedQuery(heads=8, kv_heads=4, qk_norm=True, bias="all"),
    "normalized across": GroupedQuery(heads=8, kv_heads=4, qk_norm=True, qk_norm_over="heads"),
    "linear": LinearAttention(heads=8, kv_heads=4),
    "interleaved": Interleaved(
        layers=(GroupedQuery(heads=8, kv_heads=8), GroupedQuery(heads=4, kv_heads=2))
    ),
}


def model_of(name: str) -> GPT:
    """A model with value embeddings, which have kv heads, too."""
    config = dataclasses.replace(
        SMALL, attention=ATTENTIONS[name], value_embedding=ValueEmbedding()
    )
    return perturbed(config)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", ["multi-head", "grouped"])
def test_as_many_heads_are_the_same_model(name: str, pool: Pool) -> None:
    """Bit for bit."""
    model = model_of(name)
    same = share_heads(model, model.config.attention.kv_heads, pool)  # type: ignore[union-attr]
    tensors = model.state_dict()

    assert same.config == model.config
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in same.state_dict().items())


@pytest.mark.parametrize("pool", ["mean", "first"])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_equal_heads_give_equal_logits(name: str, pool: Pool) -> None:
    """So do the new model's own heads, repeated."""
    few = share_heads(model_of(name), 2, pool)
    repeated = GPT(dataclasses.replace(few.config, attention=ATTENTIONS[name])).eval()
    tensors = few.state_dict()
    with torch.no_grad():
        for key, tensor in repeated.state_dict().items():
            value = tensors[key]
            for axis in range(value.ndim):
                factor = tensor.shape[axis] // value.shape[axis]
                if factor > 1:
                    heads = value.unflatten(axis, (2, -1)).repeat_interleave(factor, axis)
                    value = heads.flatten(axis, axis + 1)
            tensor.copy_(value)
    ids = random_ids(2, 16)

    torch.testing.assert_close(repeated(ids), few(ids))
    again = share_heads(repeated, 2, pool)
    torch.testing.assert_close(again.state_dict(), tensors)


def test_heads_are_means_firsts_or_new() -> None:
    """Of keys, in the first layer."""
    model = model_of("multi-head")
    old = model.blocks[0].attention.key.weight.view(2, 4, 4, 32)
    new = {
        pool: share_heads(model, 2, pool, seed=3).blocks[0].attention.key.weight.view(2, 4, 32)
        for pool in POOLS
    }
    initial = GPT(share_heads(model, 2).config, seed=3).blocks[0].attention.key.weight

    torch.testing.assert_close(new["mean"], old.mean(1))
    assert torch.equal(new["first"], old[:, 0])
    assert torch.equal(new["random"], initial.view(2, 4, 32))


def test_all_other_weights_stay() -> None:
    """Those of queries, outputs and MLPs."""
    model = model_of("multi-head")
    tensors, new = model.state_dict(), share_heads(model, 1).state_dict()
    changed = {key for key in new if new[key].shape != tensors[key].shape}

    assert {key.rsplit(".", 2)[-2] for key in changed if "values" not in key} == {"key", "value"}
    assert all(torch.equal(new[key], tensors[key]) for key in new.keys() - changed)


@pytest.mark.parametrize(
    ("attention", "kv_heads", "words"),
    [
        (ATTENTIONS["grouped"], 3, r"4 heads cannot share 3 kv_heads; set kv_heads to one of \[1,"),
        (ATTENTIONS["grouped"], 8, r"4 heads cannot share 8 kv_heads"),
        (ATTENTIONS["grouped"], 0, r"kv_heads must be above 0; got 0"),
        (Latent(heads=4), 2, r"Latent attention has no kv_heads to share"),
    ],
)
def test_heads_that_cannot_be_shared_are_refused(attention: Any, kv_heads: int, words: str) -> None:
    """With what is possible."""
    model = GPT(dataclasses.replace(SMALL, attention=attention))
    with pytest.raises(ConfigError, match=words):
        share_heads(model, kv_heads)


def test_converted_runs_equal_transformers(tmp_path: Path) -> None:
    """With heads repeated; the run has the data of the first one, and cannot be overwritten."""
    fields = {**SHAPES["llama"], "attention": GroupedQuery(heads=4, kv_heads=4)}
    before = make_run(tmp_path / "before", fields, make_tokenizer())
    arguments = ["convert", str(tmp_path / "before"), "--kv-heads", "2"]
    assert main([*arguments, "--out", str(tmp_path / "after")]) == 0
    after = read_checkpoint(tmp_path / "after")
    export_folder(after, tmp_path / "exported")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path / "exported").eval()
    repeated = LlamaConfig(**{**theirs.config.to_dict(), "num_key_value_heads": 4})
    wide = LlamaForCausalLM(repeated).eval()
    weights = theirs.state_dict()
    for name, tensor in wide.state_dict().items():
        factor = tensor.shape[0] // weights[name].shape[0]
        heads = weights[name] if factor == 1 else weights[name].view(2, -1, tensor.shape[-1])
        weights[name] = heads.repeat_interleave(factor, 0).view(tensor.shape)
    wide.load_state_dict(weights)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        ours = after.model()(ids)

        torch.testing.assert_close(ours, theirs(ids).logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours, wide(ids).logits, rtol=1e-4, atol=1e-4)
    assert after.state.recipe.data == before.state.recipe.data
    assert main([*arguments, "--out", str(tmp_path / "after")]) == 1
    assert main(["convert", str(tmp_path / "before"), "--kv-heads", "3", "--out", "x"]) == 1
