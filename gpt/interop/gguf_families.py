"""The model families of GGUF files: the architectures of llama.cpp.

Names of tensors are those of Hugging Face, translated by the table of the `gguf` package. In a GGUF
file matrices are (outputs, inputs), the weights of norms are whole, and fused queries, keys and
values follow each other; the order of rotated features is that of the architecture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gguf

from gpt.errors import FormatError
from gpt.interop.families import gpt2, layer_norm, llama
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Codec, Equal, Field, Fields, Only, SameAs
from gpt.interop.layouts import Entry
from gpt.interop.tensor_names import Names
from pytok.text import quoted

DERIVED = ("tie_word_embeddings", "bias.qkv", "bias.output", "bias.mlp")
"""Fields that are in no file: they follow from which tensors it has."""


@dataclass(frozen=True)
class _Rotary:
    """Rotary positions: base and number of rotated features."""

    theirs: tuple[str, ...] = ("rope.freq_base", "rope.dimension_count", "rope.scaling.type")

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read them."""
        if (kind := fields.values.get("rope.scaling.type", "none")) != "none":
            raise FormatError(f"rope.scaling.type is {quoted(kind)}; supported: 'none'")
        head_width = ours.get("attention.head_width") or ours["width"] // ours["attention.heads"]
        rotated = fields.get("rope.dimension_count", int, head_width)
        ours |= {
            "position.kind": "Rope",
            "position.theta": fields.get("rope.freq_base", float, 10_000.0),
            "position.fraction": rotated / head_width,
        }

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write them."""
        if ours.get("position.kind") != "Rope":
            return {}
        rotated = round(ours["attention.head_width"] * ours["position.fraction"])
        return {"rope.freq_base": ours["position.theta"], "rope.dimension_count": rotated}


@dataclass(frozen=True)
class _NoWindow:
    """A window, which must not be shorter than the context: llama.cpp would ignore it."""

    theirs: tuple[str, ...] = ("attention.sliding_window",)

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Check it."""
        window = fields.get("attention.sliding_window", int, 0)
        if 0 < window < ours["context"]:
            raise FormatError(
                f"attention.sliding_window is {window}, and gpt computes full attention over the "
                f"{ours['context']} positions"
            )

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write nothing."""
        return {}


_SIZES: tuple[Codec, ...] = (
    Field("vocab_size", "vocab_size"),
    Field("context_length", "context"),
    Field("embedding_length", "width"),
    Field("block_count", "layers"),
    Field("feed_forward_length", "mlp.hidden"),
    Field("attention.head_count", "attention.heads"),
    Field("attention.head_count_kv", "attention.kv_heads", otherwise="attention.head_count"),
    Field("tie_word_embeddings", "tie", bool),
    Biases(qkv="bias.qkv", output="bias.output", mlp="bias.mlp"),
    _NoWindow(),
)
_ROTARY: tuple[Codec, ...] = (
    Field("attention.key_length", "attention.head_width", default=None),
    SameAs("attention.value_length", "attention.key_length", "attention.head_width"),
    _Rotary(),
)
_RMS: tuple[Codec, ...] = (Field("attention.layer_norm_rms_epsilon", "norm.eps", float),)
_LAYER: tuple[Codec, ...] = (Field("attention.layer_norm_epsilon", "norm.eps", float),)


def _architecture(
    name: str,
    family: Family,
    *fields: Codec,
    activation: str,
    interleaved: bool = False,
) -> Family:
    """Return the architecture *name* of llama.cpp, in which models of *family* are stored."""
    return Family(
        name=name,
        fixed={**family.fixed, "mlp.activation": activation},
        fields=(*_SIZES, *fields),
        names=_translated(name, family.names, interleaved=interleaved),
        adds_biases=family.adds_biases,
    )


def _translated(architecture: str, names: Names, *, interleaved: bool) -> dict[str, Entry]:
    """Return *names*, those of Hugging Face, as GGUF files of *architecture* have them."""
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(kinds[architecture], 1)
    translated = {}
    for theirs, value in names.items():
        entry = value if isinstance(value, Entry) else Entry((value,))
        name = table.get_name(theirs.replace("{layer}", "0"))
        if name is not None:
            rotated = entry.modules[0].endswith((".query", ".key"))
            translated[name.replace("blk.0.", "blk.{layer}.")] = dataclasses.replace(
                entry,
                transposed=False,
                grouped=False,
                offset=0.0,
                interleaved=interleaved and rotated,
            )
    return translated


ARCHITECTURES: dict[str, Family] = {
    family.name: family
    for family in (
        _architecture("gpt2", gpt2.GPT2, *_LAYER, activation="gelu_tanh"),
        _architecture(
            "qwen3",
            llama.QWEN3,
            *_ROTARY,
            *_RMS,
            Equal("attention.qk_norm_eps", "norm.eps"),
            activation="silu",
        ),
        _architecture("llama", llama.LLAMA, *_ROTARY, *_RMS, activation="silu", interleaved=True),
        _architecture("qwen2", llama.QWEN2, *_ROTARY, *_RMS, activation="silu"),
        _architecture("phi3", llama.PHI3, *_ROTARY, *_RMS, activation="silu"),
        _architecture("arcee", llama.ARCEE, *_ROTARY, *_RMS, activation="relu2", interleaved=True),
        _architecture("starcoder", gpt2.GPT_BIGCODE, *_LAYER, activation="gelu_tanh"),
        _architecture("stablelm", layer_norm.STABLELM, *_ROTARY, *_LAYER, activation="silu"),
        _architecture(
            "starcoder2", layer_norm.STARCODER2, *_ROTARY, *_LAYER, activation="gelu_tanh"
        ),
        _architecture("nemotron", layer_norm.NEMOTRON, *_ROTARY, *_LAYER, activation="relu2"),
        _architecture(
            "gptneox",
            layer_norm.GPT_NEOX,
            *_ROTARY,
            *_LAYER,
            Only("use_parallel_residual", False),
            activation="gelu_tanh",
        ),
    )
}
"""By general.architecture. A model that several support is written as the first of them."""
