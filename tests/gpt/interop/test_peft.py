"""peft's format, both ways: real peft loads what tuned runs trained, and gpt what peft trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from gpt.interop.adapters import adapted_checkpoint, open_adapter
from gpt.interop.huggingface import export_folder, import_folder
from gpt.interop.peft import export_adapter
from gpt.runs.adapters import adapter_of
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.training.tuning.run import tune
from pytok.chat.template import write_conversations
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import SHAPES, make_run, make_tokenizer
from tests.gpt.interop.published import make_config, save
from tests.gpt.training.tuning import TEMPLATE, conversation, small_recipe

peft = pytest.importorskip("peft")
pytestmark = [
    # Of peft's own code, and of its advice on options.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:peft"),
]
IDS = torch.randint(300, (2, 40), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A tokenizer with GPT-2's pattern."""
    return make_tokenizer()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat of two, to tune on."""
    folder = tmp_path_factory.mktemp("chat")
    TEMPLATE.save(folder / "chat.json")
    write_conversations(folder / "train.jsonl", [conversation(number) for number in range(8)])
    write_conversations(folder / "val.jsonl", [conversation(77)])
    return folder


def tuned(
    base: Checkpoint, talk: Path, out: Path, adapter: Any, rows: Literal["new", "all"] = "new"
) -> Checkpoint:
    """A run of three steps of *adapter*, at a rate that changes the logits."""
    recipe = small_recipe(base.folder, talk, out, steps=3, patience=None)
    optimizer = dataclasses.replace(recipe.optimizer, lr=0.05)
    task: Any = dataclasses.replace(recipe.task, adapter=adapter, train_rows=rows)
    tune(dataclasses.replace(recipe, task=task, optimizer=optimizer))
    return read_checkpoint(out)


def logits_of_peft(base: Checkpoint, adapter: Path, tokens: int, folder: Path) -> Tensor:
    """What peft computes with *adapter* on the exported *base*, resized to *tokens* tokens."""
    export_folder(base, folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if tokens > model.config.vocab_size:
        model.resize_token_embeddings(tokens)
    adapted = peft.PeftModel.from_pretrained(model, adapter).eval()
    logits: Tensor = adapted(IDS).logits
    return logits.detach()


CASES = [
    ("gpt2", LoRA(rank=3)),
    ("gpt2", DoRA(rank=2, targets=("blocks.0.attention.query", "value", "mlp"))),
    ("gpt2-untied", LoRA(rank=3, targets=("all-linear", "position.embedding"))),
    ("llama", LoRA(rank=3, alpha=5.0, scaling="root")),
    ("llama", LoRA(rank=3, scaling="none", alpha=0.7, targets=("query", "blocks.1"))),
    ("llama-tied-biases", DoRA(rank=3)),
    ("qwen3-tied", LoRA(rank=3, dropout=0.2, targets=("output",))),
]


@pytest.mark.parametrize(("shape", "adapter"), CASES, ids=str)
def test_peft_computes_the_logits_of_a_tuned_run(
    shape: str, adapter: LoRA, tokenizer: Tokenizer, talk: Path, tmp_path: Path
) -> None:
    """On the base that transformers loads, with the rows of the new tokens of a chat."""
    base = make_run(tmp_path / "base", SHAPES[shape], tokenizer)
    run = tuned(base, talk, tmp_path / "run", adapter)
    export_adapter(run, tmp_path / "peft")
    tokens = run.config.vocab_size
    theirs = logits_of_peft(base, tmp_path / "peft", tokens, tmp_path / "hf")[..., :tokens]
    ours = run.model()(IDS)
    before = base.model()(IDS)

    assert tokens > base.config.vocab_size
    assert (ours[..., : before.shape[-1]] - before).abs().max() > 0.05
    assert (ours - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize("shape", ["llama", "qwen3-tied"])
def test_all_rows_of_the_tables_are_in_the_adapter(
    shape: str, tokenizer: Tokenizer, talk: Path, tmp_path: Path
) -> None:
    """Of the embedding and the head, if they were trained; peft and gpt compute the same."""
    base = make_run(tmp_path / "base", SHAPES[shape], tokenizer)
    run = tuned(base, talk, tmp_path / "run", LoRA(rank=2), rows="all")
    export_adapter(run, tmp_path / "peft")
    tokens = run.config.vocab_size
    ours = run.model()(IDS)
    theirs = logits_of_peft(base, tmp_path / "peft", tokens, tmp_path / "hf")[..., :tokens]

    assert not torch.equal(
        run.weights["embedding.weight"][:300], base.weights["embedding.weight"][:300]
    )
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    for folder in ("peft", "run"):
        found = adapted_checkpoint(base, tmp_path / folder).model()(IDS)
        torch.testing.assert_close(found, ours, atol=1e-5, rtol=1e-5)


def test_a_tuned_run_that_was_exported_is_read_again(
    tokenizer: Tokenizer, talk: Path, tmp_path: Path
) -> None:
    """Bit for bit, though GPT-2's queries, keys and values are one module of peft."""
    base = make_run(tmp_path / "base", SHAPES["gpt2"], tokenizer)
    adapter = LoRA(rank=2, dropout=0.1, targets=("attention.query", "value", "mlp"))
    run = tuned(base, talk, tmp_path / "run", adapter)
    export_adapter(run, tmp_path / "peft")
    weights, spec, tokens = open_adapter(tmp_path / "peft", base)
    expected = adapter_of(run)

    assert weights.layers.keys() == expected.layers.keys()
    for name, product in expected.layers.items():
        assert torch.equal(weights.layers[name].down, product.down)
        assert torch.equal(weights.layers[name].up, product.up)
        assert weights.layers[name].scale == pytest.approx(product.scale)
    assert torch.equal(weights.rows["embedding"].values, expected.rows["embedding"].values)
    assert tokens.tokenizer().fingerprint == run.tokenizer().fingerprint
    assert (spec.rank, spec.scale, spec.dropout) == (2, adapter.scale, 0.1)


@pytest.mark.parametrize("how", ["run", "peft"])
def test_an_adapter_on_its_base_is_the_tuned_model(
    how: str, tokenizer: Tokenizer, talk: Path, tmp_path: Path
) -> None:
    """Whether it is a tuned run or a folder of peft; the chat comes with it."""
    base = make_run(tmp_path / "base", SHAPES["llama"], tokenizer)
    run = tuned(base, talk, tmp_path / "run", DoRA(rank=2))
    export_adapter(run, tmp_path / "peft")
    found = adapted_checkpoint(base, tmp_path / how)

    torch.testing.assert_close(found.model()(IDS), run.model()(IDS), atol=1e-5, rtol=1e-5)
    assert found.data_files["chat.json"] == run.data_files["chat.json"]
    assert found.tokenizer().n_vocab == run.tokenizer().n_vocab


LAYOUTS = [
    *(("gpt2", True), ("opt", False), ("gpt_neox", True), ("gptj", True), ("codegen", False)),
    *(pytest.param(name, True, marks=pytest.mark.slow) for name in ("phi3", "opt", "codegen")),
    *(pytest.param(name, False, marks=pytest.mark.slow) for name in ("phi3", "gpt2", "mpt")),
]
"""Families whose layers lie in different ways, and whether the adapter is DoRA."""


def theirs_with(name: str, folder: Path, tokenizer: Tokenizer, **settings: Any) -> tuple[Any, Any]:
    """A model of transformers, saved, and the same with noise in its adapters, saved beside it."""
    save(make_config(name), folder / "hf", tokenizer)
    model = AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32)
    config = peft.LoraConfig(r=3, lora_alpha=7, **settings)
    adapted = peft.get_peft_model(model, config).eval()
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
    adapted.save_pretrained(folder / "peft")
    return import_folder(folder / "hf"), adapted


def ours_with(folder: Path, imported: Any) -> Tensor:
    """The logits of the imported model with the adapter that peft has saved in *folder*/peft."""
    from gpt.interop.imported import write_imported

    write_imported(folder / "run", imported.model, imported.tokenizer)
    logits: Tensor = adapted_checkpoint(read_checkpoint(folder / "run"), folder / "peft").model()(
        IDS
    )
    return logits


@pytest.mark.parametrize(("name", "dora"), LAYOUTS)
def test_gpt_computes_the_logits_of_peft(
    name: str, dora: bool, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Of every layout: fused, grouped, interleaved, transposed."""
    imported, adapted = theirs_with(
        name, tmp_path, tokenizer, target_modules="all-linear", use_dora=dora
    )

    torch.testing.assert_close(
        ours_with(tmp_path, imported), adapted(IDS).logits[..., :301], atol=2e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "lm_head"], "use_rslora": True},
        {"target_modules": ["embed_tokens", "v_proj"]},
        {"target_modules": ["v_proj"], "trainable_token_indices": [3, 250, 7]},
        {"target_modules": ["v_proj"], "modules_to_save": ["lm_head", "embed_tokens"]},
        {"target_modules": ["q_proj", "mlp.up_proj"], "alpha_pattern": {"up_proj": 3}},
        {"target_modules": r".*\.1\..*_proj", "rank_pattern": {"q_proj": 5}},
    ],
    ids=str,
)
def test_settings_of_peft_are_read(
    settings: dict[str, Any], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Head, embedding, rows, complete tables, and ranks and alphas of single modules."""
    imported, adapted = theirs_with("llama", tmp_path, tokenizer, **settings)

    torch.testing.assert_close(
        ours_with(tmp_path, imported), adapted(IDS).logits[..., :301], atol=2e-5, rtol=1e-5
    )
