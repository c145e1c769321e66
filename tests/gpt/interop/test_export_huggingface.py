"""Hugging Face folders: transformers loads ours, and gpt loads those of transformers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedModel,
)

import pytok
from gpt.__main__ import main
from gpt.errors import FormatError
from gpt.generation.sampling import Sampling
from gpt.generation.text import generate
from gpt.interop.families.table import family_of
from gpt.interop.huggingface import export_folder, import_folder
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import MLP
from gpt.spec.norm import RMSNorm
from gpt.spec.pattern import Full
from gpt.spec.position import Rope
from pytok.chat.template import Conversation, Template, Turn
from pytok.definition import Settings
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer
from tests.gpt.interop.published import SIZES, make_config, save

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


@pytest.fixture
def save_with_transformers(tmp_path: Path, tokenizer: Tokenizer) -> Any:
    """Return a function that saves a random model of a config of transformers, and a tokenizer."""
    folder = tmp_path / "saved"
    return lambda config: (save(config, folder, tokenizer), folder)


def test_the_first_gpt2_files_are_read(save_with_transformers: Any) -> None:
    """Their tensors have no prefix, and include the causal mask."""
    theirs, folder = save_with_transformers(make_config("gpt2"))
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(tensors, folder / "model.safetensors")
    ours = import_folder(folder).model

    torch.testing.assert_close(ours(IDS), theirs(IDS).logits[..., :301])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "xlnet"}, "model_type is 'xlnet'; supported: gpt2, qwen3, llama, qwen2"),
        ({"model_type": ["llama"]}, r"model_type is \['llama'\], not a string"),
        ({"hidden_act": "xielu"}, "hidden_act is 'xielu'"),
        ({"mlp_bias": True}, "missing tensor model.layers.0.mlp.gate_proj.bias"),
        ({"mlp_bias": "no"}, "mlp_bias is 'no', not true or false"),
        ({"rope_parameters": "x"}, "rope_parameters is 'x', not an object"),
        ({"rope_parameters": None, "rope_theta": "x"}, "rope_theta is 'x', not a number"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "factor is missing"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "rope_type is 'longrope'; supported: def"),
        ({"vocab_size": 300}, "vocab_size is 300"),
        ({"vocab_size": "x"}, "vocab_size is 'x', not an integer"),
        ({"vocab_size": [9] * 9000}, r"vocab_size is \[9, 9[9, ]{50,70}\.\.\., not an integer"),
        ({"num_hidden_layers": 3}, "asks for 3 layers, but there are tensors of 2"),
        ({"num_hidden_layers": 10**7}, "asks for 10000000 layers"),
        ({"hidden_size": 10**9}, "embed_tokens.weight has shape"),
        ({"hidden_size": 10**30}, "a size is too large: .*width 1"),
        ({"num_attention_heads": 10**10 + 1}, "heads cannot share"),
        ({"intermediate_size": 64}, r"gate_proj.weight has shape \(100, 64\)"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"num_attention_heads": None}, "num_attention_heads is missing"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is set"),
        ({"model_type": "mistral", "sliding_window": "x"}, "sliding_window is 'x'"),
        (
            {"model_type": "qwen2", "layer_types": ["sliding_attention"]},
            "layer_types has 'sliding_attention'",
        ),
    ],
)
def test_a_model_that_gpt_does_not_support_is_rejected(
    save_with_transformers: Any, change: dict[str, Any], message: str
) -> None:
    """The error has the file, and the field or the tensor."""
    _, folder = save_with_transformers(make_config("llama"))
    fields = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(fields))

    with pytest.raises(FormatError, match=f"^{folder}.*{message}"):
        import_folder(folder)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_a_one_line_error(
    save_with_transformers: Any, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No run is written."""
    _, folder = save_with_transformers(make_config("llama"))
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
            {"attention": GroupedQuery(heads=4, kv_heads=2, pattern=Full())},
            "attention.pattern.kind is Full",
        ),
        (
            "llama",
            {"mlp": MLP(activation="relu2", gated=True), "shift": TokenShift()},
            r"shift.kind is TokenShift",
        ),
        ("qwen3", {"position": Rope(fraction=0.5)}, "position.fraction is 0.5"),
        ("qwen3", {"norm": RMSNorm(eps=1e-5)}, r"attention.qk_norm_eps is 1e-06 \(qwen3: 1e-05\)"),
        ("qwen3", {"bias": True}, r"bias is True \(qwen3: False\)"),
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


def test_frequencies_that_older_files_hold_are_ignored(save_with_transformers: Any) -> None:
    """As transformers does: they follow from the config."""
    theirs, folder = save_with_transformers(make_config("llama"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    save_file(tensors, folder / "model.safetensors")

    expected = theirs(IDS).logits[..., :301]
    torch.testing.assert_close(import_folder(folder).model(IDS), expected, rtol=0, atol=1e-4)


def test_a_byte_order_mark_is_ignored(save_with_transformers: Any) -> None:
    """An editor on Windows has written it."""
    _, folder = save_with_transformers(make_config("llama"))
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert import_folder(folder).model.config.width == 64


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[1]", b"\xff", b"{"])
def test_a_damaged_config_is_named(content: bytes, save_with_transformers: Any) -> None:
    """Also one that is nested so deeply that no parser reads it."""
    _, folder = save_with_transformers(make_config("llama"))
    (folder / "config.json").write_bytes(content)

    with pytest.raises(FormatError, match=f"^{folder}/config.json: not "):
        import_folder(folder)


def test_a_file_that_the_index_lists_must_be_there(save_with_transformers: Any) -> None:
    """The error names it, and not the first tensor that is missing."""
    _, folder = save_with_transformers(make_config("llama"))
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(FormatError, match=r"model-00002-of-00002\.safetensors: not found"):
        import_folder(folder)


BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"


@pytest.fixture
def with_ends(save_with_transformers: Any) -> Any:
    """A model of transformers and its folder, whose texts begin and end as Llama 3's."""
    sizes = SIZES | {"vocab_size": 301}  # no row of padding, which transformers could choose
    config = LlamaConfig(**sizes)
    theirs, folder = save_with_transformers(config)
    tokenizer = pytok.train(TEXTS, vocab_size=301, special_tokens=[EOS, BOS])
    bos, eos = tokenizer.special_tokens[BOS], tokenizer.special_tokens[EOS]
    first = {"SpecialToken": {"id": BOS, "type_id": 0}}
    text, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    processor = {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, other],
        "special_tokens": {BOS: {"id": BOS, "ids": [bos], "tokens": [BOS]}},
    }
    settings = Settings(post_processor=processor, config={"bos_token": BOS, "eos_token": EOS})
    tokenizer = Tokenizer.from_definition(replace(tokenizer.definition, settings=settings))
    (folder / "tokenizer.json").unlink()
    tokenizer.save(folder)
    generation = {"bos_token_id": bos, "eos_token_id": [eos, 9], "temperature": 0.6}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return theirs, folder


def sampled(run: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `gpt sample` prints, greedily."""
    given = ["--temperature", "0", "--device", "cpu", *options]
    assert main(["sample", str(run), *given]) == 0
    return capsys.readouterr().out.removesuffix("\n")


def test_an_imported_model_begins_with_its_own_token(
    with_ends: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text is that of transformers, whose tokenizer puts BOS before the prompt."""
    _, folder = with_ends
    theirs, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    given = tokenizer("The cat", return_tensors="pt")
    written = theirs.generate(**given, max_new_tokens=12, do_sample=False)[0]
    assert main(["import", str(folder), "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()

    expected = tokenizer.decode(written, skip_special_tokens=True)
    given_options = ("--prompt", "The cat", "--tokens", "12", "--no-heal")
    assert sampled(tmp_path / "run", capsys, *given_options) == expected
    assert sampled(tmp_path / "run", capsys, "--tokens", "3")  # an empty prompt begins with BOS


@pytest.mark.parametrize("id", [None, 9], ids=["EOS", "of-generation-config"])
def test_an_imported_model_ends_at_its_own_tokens(
    id: int | None, with_ends: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At EOS, and at the others of generation_config.json."""
    theirs, folder = with_ends
    id = AutoTokenizer.from_pretrained(folder).eos_token_id if id is None else id
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.zero_()
        theirs.model.norm.weight.fill_(1)
        theirs.model.embed_tokens.weight[:, 0] = 1
        theirs.lm_head.weight[id, 0] = 5
    theirs.save_pretrained(tmp_path / "weights")
    shutil.copy(tmp_path / "weights" / "model.safetensors", folder)
    assert main(["import", str(folder), "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()

    assert sampled(tmp_path / "run", capsys, "--prompt", "The", "--tokens", "5") == "The"


def test_ends_and_settings_survive_import_and_export(with_ends: Any, tmp_path: Path) -> None:
    """Ids, names, post-processor and generation_config.json."""
    _, folder = with_ends
    run, back = str(tmp_path / "run"), tmp_path / "back"
    assert main(["import", str(folder), "--out", run]) == 0
    assert main(["export", run, str(back), "--to", "hf"]) == 0
    before, after = map(AutoTokenizer.from_pretrained, (folder, back))
    config = json.loads((back / "config.json").read_text())

    assert after("The cat")["input_ids"] == before("The cat")["input_ids"]
    assert after.eos_token == EOS
    assert config["eos_token_id"] == before.eos_token_id
    assert json.loads((back / "generation_config.json").read_text()) == json.loads(
        (folder / "generation_config.json").read_text()
    )
