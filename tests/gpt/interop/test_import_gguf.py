"""Importing GGUF files: an export is restored, and unsupported files are rejected."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from gpt.__main__ import main
from gpt.data.boundaries import Boundaries
from gpt.errors import FormatError
from gpt.interop.gguf import export_file, import_file, read_tensor
from gpt.interop.gguf_tokenizer import PRE_TOKENIZERS
from gpt.runs.reading import read_checkpoint
from pytok.definition import AddedToken
from pytok.patterns import PATTERNS
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer

IDS = torch.arange(2 * 40).reshape(2, 40)


@pytest.mark.parametrize("shape", SHAPES)
def test_import_inverts_export(shape: str, tmp_path: Path) -> None:
    """The run has the same logits, ids and fingerprint."""
    before = make_run(tmp_path / "run", SHAPES[shape], make_tokenizer())
    export_file(before, tmp_path / "m.gguf")
    assert main(["import", str(tmp_path / "m.gguf"), "--out", str(tmp_path / "again")]) == 0
    after = read_checkpoint(tmp_path / "again")
    with torch.inference_mode():
        ours, again = (checkpoint.model()(IDS) for checkpoint in (before, after))

    torch.testing.assert_close(again, ours)
    assert after.tokenizer().fingerprint == before.tokenizer().fingerprint
    assert after.tokenizer().encode_batch(TEXTS) == before.tokenizer().encode_batch(TEXTS)
    assert after.state.config.norm == before.state.config.norm or "without" in shape


@pytest.mark.parametrize(
    "pattern", [name for name, regex in PATTERNS.items() if regex in PRE_TOKENIZERS]
)
def test_patterns_are_restored(pattern: str, tmp_path: Path) -> None:
    """From the names that llama.cpp has for them."""
    tokenizer = make_tokenizer(pattern)
    export_file(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "m.gguf")

    assert import_file(tmp_path / "m.gguf").tokenizer.pattern == tokenizer.pattern


def test_added_tokens_that_are_not_special_are_restored(tmp_path: Path) -> None:
    """Software that reads the file finds them in every text, and shows them."""
    think = AddedToken("<think>", 301, special=False)
    tokenizer = make_tokenizer().with_special_tokens([think, "<|end|>"])
    export_file(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "m.gguf")

    again = import_file(tmp_path / "m.gguf").tokenizer

    assert set(again.added_tokens) == set(tokenizer.added_tokens)
    assert again.encode("a<think>") == tokenizer.encode("a<think>")


Change = Callable[[dict[str, Any], dict[str, np.ndarray[Any, Any]]], object]


def rewritten(
    source: Path,
    path: Path,
    change: Change = lambda fields, tensors: None,
    quantization: gguf.GGMLQuantizationType | None = None,
) -> Path:
    """Write *source* to *path* with *change* applied, its matrices in *quantization*."""
    reader = gguf.GGUFReader(source)
    fields = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    change(fields, tensors)
    writer = gguf.GGUFWriter(path, fields.pop("general.architecture"))
    for name, value in fields.items():
        kind = {str: gguf.GGUFValueType.STRING, float: gguf.GGUFValueType.FLOAT32}
        if isinstance(value, list):
            writer.add_array(name, value)
        else:
            default = gguf.GGUFValueType.BOOL if isinstance(value, bool) else None
            wide = kind.get(type(value), default or gguf.GGUFValueType.UINT32)
            writer.add_key_value(name, value, wide)
    for name, tensor in tensors.items():
        if quantization is None or tensor.ndim == 1:
            writer.add_tensor(name, tensor)
        else:
            packed = gguf.quants.quantize(tensor, quantization)
            half = quantization == gguf.GGMLQuantizationType.F16  # a dtype of NumPy
            writer.add_tensor(name, packed, raw_dtype=None if half else quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A Llama model as a GGUF file."""
    export_file(make_run(tmp_path / "run", SHAPES["llama"], make_tokenizer()), tmp_path / "m.gguf")
    return tmp_path / "m.gguf"


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("F16", 1e-3),
        ("BF16", 1e-2),
        ("Q8_0", 1e-2),
        ("Q5_0", 0.1),
        ("Q5_1", 0.1),
        ("Q4_0", 0.2),
        ("Q4_1", 0.2),
        ("MXFP4", 0.3),
    ],
)
def test_other_types_are_dequantized(
    name: str, within: float, exported: Path, tmp_path: Path
) -> None:
    """To weights as close to the exact ones as the precision of the type allows."""
    kind = gguf.GGMLQuantizationType[name]
    packed = rewritten(exported, tmp_path / "packed.gguf", quantization=kind)
    exact, rounded = (import_file(path).model.state_dict() for path in (exported, packed))
    for parameter, tensor in exact.items():
        largest = float(tensor.abs().max())
        torch.testing.assert_close(rounded[parameter], tensor, atol=within * largest, rtol=0)


QUANTIZED = sorted(gguf.quants._type_traits, key=lambda kind: kind.name)
"""All types that the package can dequantize."""


@pytest.mark.parametrize("kind", QUANTIZED, ids=lambda kind: kind.name)
def test_every_quantized_type_is_read_in_parts(
    kind: gguf.GGMLQuantizationType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it were dequantized at once: blocks of random bytes, some rows at a time."""
    monkeypatch.setattr("gpt.interop.gguf._DEQUANTIZED", 1200)
    shape = (7, 512)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    generator = np.random.default_rng(0)
    raw = generator.integers(0, 256, (7, 512 // block * size), dtype=np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("t", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tensor,) = gguf.GGUFReader(tmp_path / "m.gguf").tensors

    with np.errstate(all="ignore"):  # random bytes are also scales that are not finite
        found = read_tensor(tensor).numpy()
        expected = gguf.quants.dequantize(raw, kind)
    assert found.shape == shape
    np.testing.assert_array_equal(found, expected)


def test_a_type_that_cannot_be_dequantized_is_rejected(exported: Path, tmp_path: Path) -> None:
    """The error names it."""
    path = tmp_path / "packed.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    packed = np.zeros((2, 40), dtype=np.uint8)
    writer.add_tensor("token_embd.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    with pytest.raises(FormatError, match="Q8_1"):
        import_file(path)


def drop(name: str) -> Change:
    return lambda fields, tensors: (fields.pop(name, None), tensors.pop(name, None))


def put(name: str, value: Any) -> Change:
    return lambda fields, tensors: fields.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("general.architecture", "bert"), "general.architecture is 'bert'; supported: gpt2"),
        (put("tokenizer.ggml.pre", "deepseek-llm"), "pre is 'deepseek-llm'; supported: gpt-2"),
        (put("tokenizer.ggml.model", "llama"), "supported: 'gpt2', byte-level BPE"),
        (put("llama.rope.scaling.type", "longrope"), "rope.scaling.type is 'longrope'"),
        (put("llama.expert_count", 8), "expert_used_count is missing"),
        (put("llama.rope.dimension_count", 7), "rotation needs pairs of features"),
        (put("llama.block_count", 10**7), "asks for 10000000 layers"),
        (put("llama.embedding_length", 1 << 30), "token_embd.weight has shape"),
        (put("llama.feed_forward_length", 1 << 31), "ffn_gate.weight has shape"),
        (put("llama.attention.sliding_window", 8), "sliding_window is 8"),
        (put("llama.block_count", 3), "asks for 3 layers, but there are tensors of 2"),
        (put("llama.attention.head_count", 5), "heads cannot share"),
        (put("llama.attention.head_count", 0), "heads must be above 0"),
        (
            lambda fields, tensors: fields["tokenizer.ggml.token_type"].pop(),
            "invalid value of a field",
        ),
        (drop("llama.context_length"), "context_length is missing"),
        (drop("tokenizer.ggml.merges"), "missing field tokenizer.ggml.merges"),
        (drop("blk.1.ffn_up.weight"), "missing tensor blk.1.ffn_up.weight"),
        (
            lambda fields, tensors: tensors.update(
                {"rope_freqs.weight": np.arange(1, 9, dtype=np.float32)}
            ),
            "rope_freqs.weight is not Llama 3's scaling",
        ),
        (
            lambda fields, tensors: fields["tokenizer.ggml.merges"].append("unknown tokens"),
            "m2.gguf: the tokenizer: ",
        ),
    ],
)
def test_a_model_that_gpt_does_not_support_is_rejected(
    change: Change, message: str, exported: Path, tmp_path: Path
) -> None:
    """The error has the file, and the field or the tensor."""
    with pytest.raises(FormatError, match=message) as raised:
        import_file(rewritten(exported, tmp_path / "m2.gguf", change))
    assert str(raised.value).startswith(str(tmp_path / "m2.gguf"))


@pytest.mark.parametrize("fraction", [0.0, 0.0001, 0.01, 0.2, 0.6, 0.99])
def test_damaged_files_are_rejected(fraction: float, exported: Path, tmp_path: Path) -> None:
    """A truncated file, and one that is not GGUF."""
    content = exported.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[: int(len(content) * fraction)])
    (tmp_path / "other.gguf").write_bytes(b"nonsense" * 100)

    for name in ("cut.gguf", "other.gguf"):
        with pytest.raises(FormatError, match="not a GGUF file, or damaged"):
            import_file(tmp_path / name)


def test_an_unknown_architecture_is_rejected_before_a_tensor_is_read(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dequantizing a model of some gigabytes takes minutes."""
    path = rewritten(exported, tmp_path / "m2.gguf", put("general.architecture", "mamba"))
    monkeypatch.setattr(gguf.quants, "dequantize", None)

    with pytest.raises(FormatError, match=r"general\.architecture is 'mamba'"):
        import_file(path)


def test_a_context_of_any_length_takes_no_memory(exported: Path, tmp_path: Path) -> None:
    """Tables of positions grow with the text."""
    path = rewritten(exported, tmp_path / "m2.gguf", put("llama.context_length", 1 << 31))
    model = import_file(path).model

    assert model.context == 1 << 31
    torch.testing.assert_close(model(IDS), import_file(exported).model(IDS))


def test_biases_of_attention_alone_are_read(tmp_path: Path) -> None:
    """Such is Qwen2."""
    shape = SHAPES["llama-tied-biases"]
    export_file(make_run(tmp_path / "run", shape, make_tokenizer()), tmp_path / "m.gguf")

    def without(fields: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> None:
        for name in [name for name in tensors if re.search("(output|ffn).*bias", name)]:
            del tensors[name]

    model = import_file(rewritten(tmp_path / "m.gguf", tmp_path / "m2.gguf", without)).model
    state = model.state_dict()

    assert state["blocks.0.attention.query.bias"].any()
    assert "blocks.0.mlp.input.bias" not in state
    assert "blocks.1.attention.output.bias" not in state


@pytest.mark.parametrize("adds", [True, False])
def test_the_ends_of_texts_are_restored(adds: bool, exported: Path, tmp_path: Path) -> None:
    """BOS, whether it is before each text, EOS, and the ends of turns and messages."""

    def change(fields: dict[str, Any], tensors: object) -> None:
        fields |= {"tokenizer.ggml.add_bos_token": adds, "tokenizer.ggml.eot_token_id": 7}
        fields["tokenizer.chat_template"] = "{{ messages }}"

    imported = import_file(rewritten(exported, tmp_path / "m2.gguf", change))
    end = imported.tokenizer.eot_token

    assert Boundaries.of(imported.tokenizer).prefix == [end] * adds
    assert imported.tokenizer.eos_token_id == end
    assert imported.generation == {"bos_token_id": end, "eos_token_id": [end, 7]}
    assert imported.tokenizer.definition.settings.config["chat_template"] == "{{ messages }}"
