"""GGUF files, as they are read: ours come back as they were, others' fit or are refused."""

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
from gpt.interop.gguf import PRE, export_file, import_file
from gpt.runs.reading import read_checkpoint
from pytok.patterns import PATTERNS
from tests.gpt.interop.exportable import SHAPES, TEXTS, make_run, make_tokenizer

IDS = torch.arange(2 * 40).reshape(2, 40)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_exported_comes_back(shape: str, tmp_path: Path) -> None:
    """The same logits, ids and fingerprint, as a run."""
    before = make_run(tmp_path / "run", SHAPES[shape], make_tokenizer())
    export_file(before, tmp_path / "m.gguf")
    assert main(["import", str(tmp_path / "m.gguf"), "--out", str(tmp_path / "again")]) == 0
    after = read_checkpoint(tmp_path / "again")
    with torch.inference_mode():
        ours, again = (checkpoint.model()(IDS).logits for checkpoint in (before, after))

    torch.testing.assert_close(again, ours)
    assert after.tokenizer().fingerprint == before.tokenizer().fingerprint
    assert after.tokenizer().encode_batch(TEXTS) == before.tokenizer().encode_batch(TEXTS)
    assert after.state.config.norm == before.state.config.norm or "without" in shape


@pytest.mark.parametrize("pattern", [name for name, regex in PATTERNS.items() if regex in PRE])
def test_patterns_come_back(pattern: str, tmp_path: Path) -> None:
    """By the names that llama.cpp has for them."""
    tokenizer = make_tokenizer(pattern)
    export_file(make_run(tmp_path / "run", SHAPES["llama"], tokenizer), tmp_path / "m.gguf")

    assert import_file(tmp_path / "m.gguf")[1].pattern == tokenizer.pattern


Change = Callable[[dict[str, Any], dict[str, np.ndarray[Any, Any]]], object]


def rewritten(
    source: Path,
    path: Path,
    change: Change = lambda fields, tensors: None,
    quantization: gguf.GGMLQuantizationType | None = None,
) -> Path:
    """*source* written again with another *change*, its matrices in *quantization*."""
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
            half = quantization == gguf.GGMLQuantizationType.F16  # which NumPy has, too
            writer.add_tensor(name, packed, raw_dtype=None if half else quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A llama as a GGUF file."""
    export_file(make_run(tmp_path / "run", SHAPES["llama"], make_tokenizer()), tmp_path / "m.gguf")
    return tmp_path / "m.gguf"


@pytest.mark.parametrize(("name", "within"), [("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 1e-2)])
def test_other_types_are_unpacked(name: str, within: float, exported: Path, tmp_path: Path) -> None:
    """To weights as near to the exact ones as the type has digits."""
    kind = gguf.GGMLQuantizationType[name]
    packed = rewritten(exported, tmp_path / "packed.gguf", quantization=kind)
    exact, near = (import_file(path)[0].state_dict() for path in (exported, packed))
    for parameter, tensor in exact.items():
        largest = float(tensor.abs().max())
        torch.testing.assert_close(near[parameter], tensor, atol=within * largest, rtol=0)


def test_type_that_cannot_be_unpacked_is_refused(exported: Path, tmp_path: Path) -> None:
    """By its name."""
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
        (put("general.architecture", "bert"), "general.architecture is 'bert'; gpt has gpt2"),
        (put("tokenizer.ggml.pre", "deepseek-llm"), "pre is 'deepseek-llm'; pytok splits"),
        (put("tokenizer.ggml.model", "llama"), "gpt reads byte-level BPE"),
        (put("llama.rope.scaling.type", "yarn"), "llama.rope.scaling.type is 'yarn'"),
        (put("llama.expert_count", 8), "llama.expert_count is 8"),
        (put("llama.rope.dimension_count", 8), "rope.dimension_count is 8"),
        (put("llama.block_count", 3), "blk.2.attn_norm.weight is missing"),
        (put("llama.attention.head_count", 5), "heads cannot share"),
        (put("llama.attention.head_count", 0), "a field holds what it cannot: .* zero"),
        (
            lambda fields, tensors: fields["tokenizer.ggml.token_type"].pop(),
            "a field holds what it cannot",
        ),
        (drop("llama.context_length"), "the field context_length is missing"),
        (drop("tokenizer.ggml.merges"), "the field tokenizer.ggml.merges is missing"),
        (drop("blk.1.ffn_up.weight"), "blk.1.ffn_up.weight is missing"),
        (
            lambda fields, tensors: tensors.update({"rope_freqs.weight": np.ones(8, np.float32)}),
            "rope_freqs.weight is nothing that gpt knows",
        ),
        (
            lambda fields, tensors: fields["tokenizer.ggml.merges"].pop(0),
            "m2.gguf: the tokenizer: ",
        ),
    ],
)
def test_what_gpt_would_compute_otherwise_is_refused(
    change: Change, message: str, exported: Path, tmp_path: Path
) -> None:
    """By the field or the tensor, and the file."""
    with pytest.raises(FormatError, match=message) as raised:
        import_file(rewritten(exported, tmp_path / "m2.gguf", change))
    assert str(raised.value).startswith(str(tmp_path / "m2.gguf"))


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.2, 0.6, 0.99])
def test_damaged_files_are_refused(share: float, exported: Path, tmp_path: Path) -> None:
    """Cut anywhere, or not GGUF at all."""
    whole = exported.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: int(len(whole) * share)])
    (tmp_path / "other.gguf").write_bytes(b"nonsense" * 100)

    for name in ("cut.gguf", "other.gguf"):
        with pytest.raises(FormatError, match="not a GGUF file, or a damaged one"):
            import_file(tmp_path / name)
