"""llama.cpp reads exported GGUF files."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from gpt.__main__ import main
from gpt.errors import FormatError
from gpt.generation.decoder import Decoder
from gpt.interop.gguf import export_file, import_file
from gpt.interop.gguf_tokenizer import PRE_TOKENIZERS
from gpt.interop.huggingface import import_folder
from gpt.interop.imported import write_imported
from gpt.runs.reading import read_checkpoint
from gpt.spec.mlp import MLP
from pytok.chat.template import Conversation, Template, Turn
from pytok.chat.templates import KNOWN
from pytok.definition import AddedToken, Split
from pytok.patterns import PATTERNS
from pytok.tokenizer import Tokenizer
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer
from tests.gpt.interop.published import make_config, save

xllamacpp = pytest.importorskip("xllamacpp", reason="no wheel of llama.cpp")

MORE_TEXTS = [
    *TEXTS,
    "  leading and trailing  ",
    "tabs\tand\r\nnewlines\n\n\n",
    "don't WON'T I'll 12345 1 22 333 x=1;",
    "Ünïcödé, Привет мир, 漢字かな交じり, العربية, 🙂🙃 👍🏽",
]


@contextmanager
def llama_cpp(path: Path) -> Iterator[Any]:
    """Serve *path*; yield a function that posts fields to an endpoint and returns the response."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 64
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = False
    params.cpuparams.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def post(endpoint: str, **fields: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{server.listening_address}/{endpoint}",
            json.dumps(fields).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            found: dict[str, Any] = json.load(response)
        return found

    yield post


@pytest.mark.parametrize("shape", SHAPES)
def test_llama_cpp_generates_the_same_text(shape: str, tmp_path: Path) -> None:
    """The same ids for the prompt, and the same greedy continuation."""
    tokenizer = make_tokenizer()
    checkpoint = make_run(tmp_path / "run", SHAPES[shape], tokenizer)
    assert main(["export", str(tmp_path / "run"), "--to", "gguf", str(tmp_path / "m.gguf")]) == 0
    prompt = tokenizer.encode_ordinary("The cat sat")
    decoder, expected = Decoder(checkpoint.model(), [prompt]), list[int]()
    for _ in range(30):
        expected += decoder.logits.argmax(-1).tolist()
        decoder.append(expected[-1:])

    with llama_cpp(tmp_path / "m.gguf") as post:
        assert post("tokenize", content="The cat sat")["tokens"] == prompt
        response = post(
            "completion",
            prompt="The cat sat",
            n_predict=30,
            temperature=0,
            ignore_eos=True,
            return_tokens=True,
        )
    assert response["tokens"] == expected


UNCHANGED: dict[str, Any] = {}
FAMILIES = {
    **dict.fromkeys(("gpt_bigcode", "qwen2", "arcee", "ernie4_5", "stablelm"), UNCHANGED),
    **dict.fromkeys(
        ("stablelm-qk_norm", "nemotron", "stablelm-parallel", "olmo2", "cohere", "bloom"), UNCHANGED
    ),
    **dict.fromkeys(("granite", "gemma", "llama-attention-bias", "qwen3_moe"), UNCHANGED),
    **dict.fromkeys(("llama-linear", "llama-yarn", "llama-llama3"), UNCHANGED),
    "starcoder2": {"sliding_window": None},
    "phi3": {"sliding_window": None},
    "gpt_neox": {"hidden_act": "gelu_new"},
    "falcon": {"activation": "gelu_new"},
    "mixtral": UNCHANGED,
    "deepseek_v2": UNCHANGED,
    "gpt_oss": {"rope_parameters": {"rope_theta": 900.0}, "swiglu_limit": 7.0},
    "phi": UNCHANGED,
    "cohere2": UNCHANGED,
    "gemma3_text": {
        "num_hidden_layers": 7,
        "layer_types": None,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 9000.0},
        },
    },
    "gemma2-full": {"query_pre_attn_scalar": 32, "sliding_window": 64},
    "gemma2": {"query_pre_attn_scalar": 32},
}
"""Models of `CONFIGS`, and what they need to be stored in GGUF."""


@pytest.mark.parametrize("name", FAMILIES)
def test_llama_cpp_computes_what_transformers_models_compute(name: str, tmp_path: Path) -> None:
    """A model of each architecture, from transformers: the same greedy text, and read back."""
    tokenizer = make_tokenizer()
    save(make_config(name.removesuffix("-full"), **FAMILIES[name]), tmp_path / "hf", tokenizer)
    model, _, generation = import_folder(tmp_path / "hf")
    write_imported(tmp_path / "run", model, tokenizer, generation=generation)
    export_file(read_checkpoint(tmp_path / "run"), tmp_path / "m.gguf")
    prompt = tokenizer.encode_ordinary("The cat sat")
    decoder, expected = Decoder(model, [prompt]), list[int]()
    for _ in range(12):
        logits = decoder.logits.clone()
        logits[:, tokenizer.eot_token] = -torch.inf  # as llama.cpp with ignore_eos
        expected += logits.argmax(-1).tolist()
        decoder.append(expected[-1:])
    again = import_file(tmp_path / "m.gguf").model
    with torch.inference_mode():
        ids = torch.arange(64).reshape(1, 64)
        torch.testing.assert_close(again(ids), model(ids))

    with llama_cpp(tmp_path / "m.gguf") as post:
        response = post(
            "completion",
            prompt=prompt,
            n_predict=12,
            temperature=0,
            ignore_eos=True,
            return_tokens=True,
        )
    assert response["tokens"] == expected


@pytest.mark.parametrize(
    "pattern", [name for name, regex in PATTERNS.items() if regex in PRE_TOKENIZERS]
)
def test_llama_cpp_encodes_to_the_same_ids(pattern: str, tmp_path: Path) -> None:
    """With each pattern that it supports."""
    tokenizer = make_tokenizer(pattern)
    export_file(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "m.gguf")

    with llama_cpp(tmp_path / "m.gguf") as post:
        for text in MORE_TEXTS:
            assert post("tokenize", content=text)["tokens"] == tokenizer.encode_ordinary(text)
        special = post("tokenize", content="a<|endoftext|>", parse_special=True)["tokens"]
    assert special[-1] == tokenizer.special_tokens["<|endoftext|>"]


@pytest.mark.parametrize(
    ("pattern", "fields", "message"),
    [
        ("o200k", {}, "pattern is o200k; llama.cpp supports only gpt2, llama3, qwen2"),
        (r"\p{L}+|[^\p{L}]+", {}, "pattern is "),
        (
            "gpt2",
            {"mlp": MLP(activation="gelu")},
            r"mlp.activation is gelu \(gpt2: gelu_tanh\)",
        ),
        ("gpt2", {"mlp": MLP(activation="relu2")}, "mlp.activation is relu2"),
    ],
)
def test_a_model_that_llama_cpp_does_not_support_is_rejected(
    pattern: str, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """No file is written, not even a part of one."""
    shape = SHAPES["gpt2"] | fields
    checkpoint = make_run(tmp_path / "run", shape, make_tokenizer(pattern))

    with pytest.raises(FormatError, match=message):
        export_file(checkpoint, tmp_path / "m.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": (("NFC",),)}, "normalizes text"),
        ({"splits": (Split("x"),)}, "splits text several times"),
        ({"prefix_space": True}, "puts a space in front"),
        ({"added_tokens": (AddedToken("<m>", 301, lstrip=True),)}, "lstrip, rstrip or single_word"),
    ],
)
def test_a_tokenizer_that_gguf_cannot_express_is_rejected(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """llama.cpp would encode text to other ids."""
    definition = replace(make_tokenizer().definition, **change)
    tokenizer = Tokenizer.from_definition(definition)
    checkpoint = make_run(tmp_path / "run", SHAPES["gpt2"], tokenizer)

    with pytest.raises(FormatError, match=message):
        export_file(checkpoint, tmp_path / "m.gguf")


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    """No temporary file is left."""
    checkpoint = make_run(tmp_path / "run", SHAPES["gpt2"], make_tokenizer())
    (tmp_path / "m.gguf").write_text("old")
    export_file(checkpoint, tmp_path / "m.gguf")

    assert (tmp_path / "m.gguf").read_bytes()[:4] == b"GGUF"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "m.gguf"}


@pytest.mark.parametrize("name", ["ours", "chatml", "llama3"])
def test_llama_cpp_renders_the_chat_template(name: str, tmp_path: Path) -> None:
    """The same ids as `gpt chat`, and it knows the token that ends a turn."""
    ours = Template(("user", "assistant"), "assistant")
    template = {"ours": ours, **KNOWN}[name]  # type: ignore[dict-item]
    tokenizer = template.extend(make_tokenizer())
    model = make_run(tmp_path / "base", next(iter(SHAPES.values())), tokenizer).model()
    write_imported(tmp_path / "run", model, tokenizer, template.files())
    assert main(["export", str(tmp_path / "run"), "--to", "gguf", str(tmp_path / "m.gguf")]) == 0
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "The cat?"},
        {"role": "assistant", "content": "sat"},
        {"role": "user", "content": "Where?"},
    ]
    turns = tuple(Turn(each["role"], each["content"]) for each in messages[1:])
    prompt = template.prompt(Conversation(turns, "Be brief."), tokenizer, "assistant")

    with llama_cpp(tmp_path / "m.gguf") as post:
        rendered = post("apply-template", messages=messages)["prompt"]
        assert post("tokenize", content=rendered, parse_special=True)["tokens"] == prompt
    fields = gguf.GGUFReader(tmp_path / "m.gguf").fields
    [end] = template.end_ids(tokenizer) - {tokenizer.eos_token_id}
    assert fields["tokenizer.ggml.eot_token_id"].contents() == end
