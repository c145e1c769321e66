"""Hugging Face folders: transformers loads ours, and gpt loads those of transformers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    LlamaConfig,
    PreTrainedModel,
    Qwen3Config,
)

from gpt.__main__ import main
from gpt.errors import FormatError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.interop.families import family_of
from gpt.interop.huggingface import export_folder, import_folder
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.attention import GroupedQuery, Window
from gpt.spec.mlp import MLP
from gpt.spec.norm import RMSNorm
from gpt.spec.position import Rope
from pytok.chat.template import Conversation, Template, Turn
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer

IDS = torch.randint(300, (2, 64), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A tokenizer with GPT-2's pattern."""
    return make_tokenizer()


@pytest.fixture(params=SHAPES)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path, tokenizer: Tokenizer) -> Checkpoint:
    """A run of each shape."""
    return make_run(tmp_path / "run", SHAPES[request.param], tokenizer)


def load(folder: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def test_transformers_computes_the_same_logits(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Within 1e-5 in float32, over a full context, without rows past the vocabulary."""
    export_folder(checkpoint, tmp_path / "hf")
    theirs = load(tmp_path / "hf")(IDS).logits
    ours = checkpoint.model()(IDS)

    assert theirs.shape == ours.shape
    assert (theirs - ours).abs().max() <= 1e-5


def test_a_chat_model_is_exported_with_its_template(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """It produces the same ids, and generation stops at the end of a turn."""
    template = Template(("Ada", "Bo"), me="Ada")
    extended = template.extend(tokenizer)
    run = make_run(tmp_path / "run", SHAPES["llama"], extended)
    run = replace(run, data_files={**run.data_files, "chat.json": template.to_json().encode()})
    turns = Turn("Bo", "The cat"), Turn("Ada", "sat"), Turn("Bo", "where?")
    conversation = Conversation(turns)

    export_folder(run, tmp_path / "hf")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")
    messages = [{"role": turn.speaker, "content": turn.text} for turn in turns]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)

    assert ids["input_ids"] == template.prompt(conversation, extended, "Ada")
    assert load(tmp_path / "hf").generation_config.eos_token_id == [
        extended.eot_token,
        extended.special_tokens["<|end|>"],
    ]


def test_another_model_is_exported_without_a_template(tmp_path: Path, tokenizer: Tokenizer) -> None:
    export_folder(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "hf")

    assert AutoTokenizer.from_pretrained(tmp_path / "hf").chat_template is None


def test_transformers_generates_the_same_text(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The same greedy continuation, each with its own tokenizer."""
    export_folder(checkpoint, tmp_path / "hf")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")
    given = theirs("The cat", return_tensors="pt")
    written = load(tmp_path / "hf").generate(**given, max_new_tokens=30, do_sample=False)
    new = written[0, given["input_ids"].shape[1] :]
    ours = generate(
        checkpoint.model(),
        checkpoint.tokenizer(),
        "The cat",
        max_tokens=30,
        sampling=Sampling(temperature=0),
    )

    assert "".join(ours) == theirs.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize(
    "pattern", ["gpt2", "cl100k", "o200k", "llama3", "qwen2", r"\p{L}+|[^\p{L}]+"]
)
@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen3"])
def test_transformers_encodes_to_the_same_ids(shape: str, pattern: str, tmp_path: Path) -> None:
    """It uses the pattern of the tokenizer, not that of the family."""
    tokenizer = make_tokenizer(pattern)
    export_folder(make_run(tmp_path / "run", SHAPES[shape], tokenizer), tmp_path / "hf")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")

    for text in TEXTS:
        assert theirs(text)["input_ids"] == tokenizer.encode_ordinary(text)
        assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs.eos_token_id == tokenizer.special_tokens["<|endoftext|>"]


def test_import_inverts_export(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The commands restore the same logits and the same tokenizer."""
    run, folder, back = str(tmp_path / "run"), str(tmp_path / "hf"), str(tmp_path / "back")

    assert main(["export", run, "--to", "hf", folder]) == 0
    assert main(["import", folder, "--out", back]) == 0
    again = read_checkpoint(tmp_path / "back")
    assert again.state.fingerprint == checkpoint.state.fingerprint
    torch.testing.assert_close(again.model()(IDS), checkpoint.model()(IDS))


def test_an_imported_run_generates_text(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gpt sample` works as with a trained run."""
    make_run(tmp_path / "run", SHAPES["llama"], tokenizer)
    given = ["--prompt", "The cat", "--tokens", "5", "--device", "cpu"]

    assert main(["sample", str(tmp_path / "run"), *given]) == 0
    assert capsys.readouterr().out.startswith("The cat")


SIZES = {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {
    "gpt2": GPT2Config(vocab_size=320, n_positions=64, n_embd=64, n_layer=2, n_head=4),
    "gpt2-exact-gelu": GPT2Config(
        vocab_size=320,
        n_positions=64,
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_inner=80,
        activation_function="gelu",
    ),
    "llama": LlamaConfig(
        **SIZES, num_key_value_heads=2, intermediate_size=100, max_position_embeddings=64
    ),
    "llama-biases": LlamaConfig(
        **SIZES,
        intermediate_size=100,
        max_position_embeddings=64,
        attention_bias=True,
        mlp_bias=True,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    ),
    "qwen3": Qwen3Config(
        **SIZES,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=100,
        max_position_embeddings=64,
    ),
}


@pytest.fixture
def save_with_transformers(tmp_path: Path, tokenizer: Tokenizer) -> Any:
    """Return a function that saves a random model of a config of transformers, and a tokenizer."""

    def save(config: Any) -> tuple[PreTrainedModel, Path]:
        for name in ("bos_token_id", "eos_token_id"):
            setattr(config, name, 300)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / "saved"
        model.save_pretrained(folder)
        tokenizer.save(folder / "tokenizer.json")
        return model.eval(), folder

    return save


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_of_transformers_computes_the_same_logits(
    save_with_transformers: Any, name: str
) -> None:
    """Rows past the tokenizer's ids are dropped."""
    theirs, folder = save_with_transformers(CONFIGS[name])
    ours, tokenizer = import_folder(folder)

    assert ours.config.vocab_size == tokenizer.n_vocab == 301
    expected = theirs(IDS).logits[..., :301]
    torch.testing.assert_close(ours(IDS), expected, rtol=1e-5, atol=1e-5)


def test_the_first_gpt2_files_are_read(save_with_transformers: Any) -> None:
    """Their tensors have no prefix, and include the causal mask."""
    theirs, folder = save_with_transformers(CONFIGS["gpt2"])
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(tensors, folder / "model.safetensors")
    ours, _ = import_folder(folder)

    torch.testing.assert_close(ours(IDS), theirs(IDS).logits[..., :301])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "model_type must be one of gpt2, llama, qwen3"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"mlp_bias": True}, "mlp_bias is True"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type is 'yarn'"),
        ({"vocab_size": 300}, "vocab_size is 300"),
        ({"num_hidden_layers": 3}, "missing tensor model.layers.2.input_layernorm.weight"),
        ({"num_hidden_layers": 1}, "unexpected tensor model.layers.1.input_layernorm.weight"),
        ({"intermediate_size": 64}, r"gate_proj.weight has shape \(100, 64\)"),
        ({"hidden_size": None}, "width: expected int"),
        ({"num_attention_heads": None}, "missing or malformed"),
    ],
)
def test_a_model_that_gpt_does_not_support_is_rejected(
    save_with_transformers: Any, change: dict[str, Any], message: str
) -> None:
    """The error has the file, and the field or the tensor."""
    _, folder = save_with_transformers(CONFIGS["llama"])
    fields = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(fields))

    with pytest.raises(FormatError, match=f"^{folder}.*{message}"):
        import_folder(folder)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_a_one_line_error(
    save_with_transformers: Any, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No run is written."""
    _, folder = save_with_transformers(CONFIGS["llama"])
    (folder / missing).unlink()
    capsys.readouterr()  # discard the output of transformers

    assert main(["import", str(folder), "--out", str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        (
            "llama",
            {"attention": GroupedQuery(heads=4, kv_heads=2, pattern=Window(size=8))},
            "attention.pattern.kind is Window",
        ),
        (
            "llama",
            {"mlp": MLP(activation="relu2")},
            r"mlp.activation is relu2",
        ),
        ("llama", {"position": Rope(fraction=0.5)}, "position.fraction is 0.5"),
        ("qwen3", {"norm": RMSNorm(eps=1e-5)}, r"norm.eps is 1e-05 \(qwen3: 1e-06\)"),
        ("qwen3", {"bias": True}, r"bias is True \(qwen3: not supported\)"),
        ("gpt2", {"position": None}, "position.kind is None"),
        ("gpt2", {"attention": GroupedQuery(heads=4, kv_heads=2)}, "attention.kv_heads is 2"),
    ],
)
def test_a_model_that_no_family_supports_is_rejected(
    shape: str, fields: dict[str, Any], message: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """The error names the field, and nothing is written."""
    checkpoint = make_run(tmp_path / "run", {**SHAPES[shape], **fields}, tokenizer)

    with pytest.raises(FormatError, match=message):
        export_folder(checkpoint, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_the_family_follows_from_the_config(checkpoint: Checkpoint, request: Any) -> None:
    """No other information is needed."""
    shape = request.node.callspec.params["checkpoint"]

    assert family_of(checkpoint.state.config).name == shape.split("-")[0]


def test_a_folder_with_files_is_not_overwritten(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """The files belong to the user."""
    checkpoint = make_run(tmp_path / "run", SHAPES["gpt2"], tokenizer)

    with pytest.raises(FormatError, match="not empty"):
        export_folder(checkpoint, tmp_path)


def test_an_existing_run_is_not_overwritten(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """The files belong to the user."""
    make_run(tmp_path / "run", SHAPES["gpt2"], tokenizer)

    with pytest.raises(FormatError, match="already contains a run"):
        make_run(tmp_path / "run", SHAPES["gpt2"], tokenizer)
