"""Importing GGUF files: an export is restored, and unsupported files are rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from gpt.__main__ import main
from gpt.errors import FormatError
from gpt.interop.gguf import PRE_TOKENIZERS, export_file, import_file
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

    assert import_file(tmp_path / "m.gguf")[1].pattern == tokenizer.pattern


def test_added_tokens_that_are_not_special_are_restored(tmp_path: Path) -> None:
    """Software that reads the file finds them in every text, and shows them."""
    think = AddedToken("<think>", 301, special=False)
    tokenizer = make_tokenizer().with_special_tokens([think, "<|end|>"])
    export_file(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "m.gguf")

    again = import_file(tmp_path / "m.gguf")[1]

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


@pytest.mark.parametrize(("name", "within"), [("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 1e-2)])
def test_other_types_are_dequantized(
    name: str, within: float, exported: Path, tmp_path: Path
) -> None:
    """To weights as close to the exact ones as the precision of the type allows."""
    kind = gguf.GGMLQuantizationType[name]
    packed = rewritten(exported, tmp_path / "packed.gguf", quantization=kind)
    exact, rounded = (import_file(path)[0].state_dict() for path in (exported, packed))
    for parameter, tensor in exact.items():
        largest = float(tensor.abs().max())
        torch.testing.assert_close(rounded[parameter], tensor, atol=within * largest, rtol=0)


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
        (put("llama.rope.scaling.type", "yarn"), "llama.rope.scaling.type is 'yarn'"),
        (put("llama.expert_count", 8), "llama.expert_count is 8"),
        (put("llama.rope.dimension_count", 8), "rope.dimension_count is 8"),
        (put("llama.block_count", 3), "missing tensor blk.2.attn_norm.weight"),
        (put("llama.attention.head_count", 5), "heads cannot share"),
        (put("llama.attention.head_count", 0), "invalid value of a field: .* zero"),
        (
            lambda fields, tensors: fields["tokenizer.ggml.token_type"].pop(),
            "invalid value of a field",
        ),
        (drop("llama.context_length"), "missing field context_length"),
        (drop("tokenizer.ggml.merges"), "missing field tokenizer.ggml.merges"),
        (drop("blk.1.ffn_up.weight"), "missing tensor blk.1.ffn_up.weight"),
        (
            lambda fields, tensors: tensors.update({"rope_freqs.weight": np.ones(8, np.float32)}),
            "unexpected tensor rope_freqs.weight",
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
