"""The model families of GGUF files: the architectures of llama.cpp.

Names of tensors are those of Hugging Face, translated by the table of the `gguf` package. In a GGUF
file matrices are (outputs, inputs), the weights of norms are whole, and fused queries, keys and
values follow each other; the order of rotated features is that of the architecture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gguf

from gpt.errors import FormatError
from gpt.interop.factors import Cap, Factor, ScoreScale
from gpt.interop.families import deepseek, gpt2, gptj, layer_norm, llama, mixture, normed
from gpt.interop.family import Family
from gpt.interop.fields import (
    Biases,
    Codec,
    Equal,
    Field,
    Fields,
    NormedHeads,
    Only,
    ParallelBranches,
    SameAs,
)
from gpt.interop.gguf_rotary import DIVISORS, LatentRotary, Rotary, RotaryByWindow
from gpt.interop.layouts import Entry
from gpt.interop.rotary import PositionsInWindows
from gpt.interop.tensor_names import EXPERT, Names
from gpt.interop.windows import Windows
from pytok.text import quoted

DERIVED = ("qk_norm", "tie_word_embeddings", "bias.qkv", "bias.output", "bias.mlp", DIVISORS)
"""Fields that are in no file: they follow from which tensors it has."""


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
    Field("attention.head_count", "attention.heads"),
    Field("tie_word_embeddings", "tie", bool),
)
_KV_HEADS = Field("attention.head_count_kv", "attention.kv_heads", otherwise="attention.head_count")
_HIDDEN = Field("feed_forward_length", "mlp.hidden")
_BIASES = Biases(qkv="bias.qkv", output="bias.output", mlp="bias.mlp")
_ROTARY: tuple[Codec, ...] = (
    Field("attention.key_length", "attention.head_width", default=None),
    SameAs("attention.value_length", "attention.key_length", "attention.head_width"),
    Rotary(),
)
_LLAMA3: tuple[Codec, ...] = (*_ROTARY[:-1], Rotary(divided=True))
_RMS: tuple[Codec, ...] = (Field("attention.layer_norm_rms_epsilon", "norm.eps", float),)
_LAYER: tuple[Codec, ...] = (Field("attention.layer_norm_epsilon", "norm.eps", float),)


def _key(family: Family) -> tuple[str, bool]:
    """Return that of *family* among the architectures."""
    return family.name, family.fixed["mlp.kind"] == "Experts"


def architecture_of(fields: Mapping[str, Any]) -> Family:
    """Return the architecture of a file with *fields*; raises FormatError."""
    name = fields.get("general.architecture")
    names = list(dict.fromkeys(name for name, _ in ARCHITECTURES))
    if not isinstance(name, str) or name not in names:
        raise FormatError(f"general.architecture is {quoted(name)}; supported: {', '.join(names)}")
    having = bool(fields.get(f"{name}.expert_count"))
    # With experts or without where there is no such architecture, its fields are an error.
    return ARCHITECTURES.get((name, having)) or ARCHITECTURES[name, not having]


def _architecture(
    name: str,
    family: Family,
    *fields: Codec,
    fixed: Mapping[str, Any],
    interleaved: bool = False,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Family:
    """Return the architecture *name* of llama.cpp, in which models of *family* are stored.

    *fields* are those besides sizes, and *fixed* ours that no field of the file says. In an
    *interleaved* one the rotated features 2i and 2i + 1 are a pair, unlike in *family*. *names* are
    those of tensors that are others there, by the names of llama.cpp.
    """
    translated = _translated(name, family.names, interleaved=interleaved)
    others = set(names.values())
    return Family(
        name=name,
        fixed={**family.fixed, **fixed},
        fields=(
            *_SIZES,
            *((_KV_HEADS, *_biases(fields)) if _has_kv_heads(family) else ()),
            *(() if family.fixed["mlp.kind"] == "Experts" else (_HIDDEN,)),
            *(() if Windows in map(type, fields) else (_NoWindow(),)),
            *fields,
        ),
        names={
            **{key: one for key, one in translated.items() if others.isdisjoint(one.modules)},
            **names,
        },
        adds_biases=family.adds_biases,
        source=family,
    )


def _has_kv_heads(family: Family) -> bool:
    """Return whether attention has heads of keys, and biases of them; latent attention has not."""
    return bool(family.fixed["attention.kind"] != "Latent")


def _biases(fields: tuple[Codec, ...]) -> list[Codec]:
    """Return the codec of biases if *fields* have none."""
    return [] if Biases in map(type, fields) else [_BIASES]


def _translated(architecture: str, names: Names, *, interleaved: bool) -> dict[str, Entry]:
    """Return *names*, those of Hugging Face, as GGUF files of *architecture* have them."""
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(kinds[architecture], 1)
    translated = {}
    for theirs, value in names.items():
        entry = value if isinstance(value, Entry) else Entry((value,))
        # The table has some names with the prefix of a model, and some without.
        full = theirs.replace("{layer}", "0").replace(".norms", "").replace(f".{EXPERT}", "")
        name = table.get_name(full) or table.get_name(full.partition(".")[2])
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


def _in_block(names: Mapping[str, str]) -> dict[str, str]:
    """Return *names*, those of one block on both sides, for all blocks."""
    return {f"blk.{{layer}}.{theirs}": f"blocks.{{layer}}.{ours}" for theirs, ours in names.items()}


_EXPERTS: tuple[Codec, ...] = (
    Field("expert_count", "mlp.count"),
    Field("expert_used_count", "mlp.top_k"),
)
_SILU = {"mlp.activation": "silu"}
_GELU = {"mlp.activation": "gelu_tanh"}
"""llama.cpp computes the approximation for all architectures with GELU."""

_COHERE2_WINDOWS = Windows("attention.sliding_window", every=4, needed=True)
_GEMMA3_WINDOWS = Windows("attention.sliding_window", every=6, needed=True)
"""llama.cpp has the windows of all layers but each fourth, or sixth."""

ARCHITECTURES: dict[tuple[str, bool], Family] = {
    _key(family): family
    for family in (
        _architecture("gpt2", gpt2.GPT2, *_LAYER, fixed=_GELU),
        _architecture(
            "qwen3",
            llama.QWEN3,
            *_ROTARY,
            *_RMS,
            Equal("attention.qk_norm_eps", "norm.eps"),
            Biases(),
            fixed=_SILU,
        ),
        _architecture("llama", llama.LLAMA, *_LLAMA3, *_RMS, fixed=_SILU, interleaved=True),
        _architecture(
            "llama",
            mixture.MIXTRAL,
            *_ROTARY,
            *_RMS,
            *_EXPERTS,
            Field("feed_forward_length", "mlp.expert.hidden"),
            Biases(),
            fixed={"mlp.expert.activation": "silu"},
            interleaved=True,
        ),
        _architecture("qwen2", llama.QWEN2, *_ROTARY, *_RMS, fixed=_SILU),
        _architecture("phi3", llama.PHI3, *_ROTARY, *_RMS, fixed=_SILU),
        _architecture(
            "arcee",
            llama.ARCEE,
            *_ROTARY,
            *_RMS,
            fixed={"mlp.activation": "relu2"},
            interleaved=True,
        ),
        _architecture("ernie4_5", llama.ERNIE, *_ROTARY, *_RMS, Biases(), fixed=_SILU),
        _architecture("starcoder", gpt2.GPT_BIGCODE, *_LAYER, fixed=_GELU),
        _architecture(
            "stablelm",
            layer_norm.STABLELM,
            *_ROTARY,
            *_LAYER,
            NormedHeads("qk_norm"),
            ParallelBranches("use_parallel_residual", default=False, shared_norm=True),
            fixed=_SILU,
        ),
        _architecture("starcoder2", layer_norm.STARCODER2, *_ROTARY, *_LAYER, fixed=_GELU),
        _architecture(
            "nemotron",
            layer_norm.NEMOTRON,
            *_ROTARY,
            *_LAYER,
            fixed={"mlp.activation": "relu2"},
        ),
        _architecture(
            "gptneox",
            layer_norm.GPT_NEOX,
            *_ROTARY,
            *_LAYER,
            ParallelBranches("use_parallel_residual", default=True),
            fixed=_GELU,
        ),
        _architecture(
            "command-r",
            layer_norm.COHERE,
            *_ROTARY,
            *_LAYER,
            Factor("logit_scale", "logit_scale"),
            fixed=_SILU,
        ),
        _architecture(
            "bloom", layer_norm.BLOOM, *_LAYER, Equal("embedding_norm.eps", "norm.eps"), fixed=_GELU
        ),
        _architecture("falcon", layer_norm.FALCON, *_ROTARY, *_LAYER, fixed=_GELU),
        _architecture(
            "granite",
            normed.GRANITE,
            *_ROTARY,
            *_RMS,
            Factor("embedding_scale", "embedding_scale"),
            Factor("residual_scale", "branch_scale"),
            Factor("logit_scale", "logit_scale", divides=True),
            ScoreScale("attention.scale", 1.0),
            fixed=_SILU,
            interleaved=True,
        ),
        _architecture(
            "olmo2",
            normed.OLMO2,
            *_ROTARY,
            *_RMS,
            Equal("attention.qk_norm_eps", "norm.eps"),
            fixed=_SILU,
        ),
        _architecture(
            "qwen3moe",
            mixture.QWEN3_MOE,
            *_ROTARY,
            *_RMS,
            Equal("attention.qk_norm_eps", "norm.eps"),
            *_EXPERTS,
            # That of layers without experts, which llama.cpp wants and no layer has.
            Field("feed_forward_length", "mlp.expert.hidden", default=None),
            Field("expert_feed_forward_length", "mlp.expert.hidden"),
            Biases(),
            fixed={"mlp.expert.activation": "silu", "mlp.renormalize": True},
        ),
        _architecture(
            "gpt-oss",
            mixture.GPT_OSS,
            *_ROTARY,
            *_RMS,
            *_EXPERTS,
            Field("feed_forward_length", "mlp.expert.hidden", default=None),
            Field("expert_feed_forward_length", "mlp.expert.hidden"),
            Biases(qkv=True, output=True, mlp=True),
            Windows("attention.sliding_window", every=2, needed=True),
            fixed={"mlp.expert.limit": 7.0},
            names=_in_block(
                {
                    "attn_sinks.weight": "attention.pairwise.normalizer.sink",
                    "ffn_gate_exps": "mlp.routed.gate",
                    "ffn_up_exps": "mlp.routed.input",
                    "ffn_down_exps": "mlp.routed.output",
                }
            ),
        ),
        _architecture(
            "deepseek2",
            deepseek.DEEPSEEK_V2,
            SameAs("attention.head_count_kv", "attention.head_count", "attention.heads"),
            Field("attention.kv_lora_rank", "attention.kv_rank"),
            Field("attention.q_lora_rank", "attention.query_rank", default=None),
            Field("attention.value_length", "attention.head_width"),
            LatentRotary(),
            *_RMS,
            *_EXPERTS,
            Field("leading_dense_block_count", "mlp.first_dense", default=0),
            Field("feed_forward_length", "mlp.dense_hidden", default=None),
            Field("expert_feed_forward_length", "mlp.expert.hidden"),
            Field("expert_shared_count", "mlp.shared", default=0),
            Field("expert_weights_scale", "mlp.scale", float, 1.0),
            Only("expert_weights_norm", False),
            Only("expert_gating_func", 1, default=1, reason="the softmax"),
            fixed={"mlp.expert.activation": "silu"},
        ),
        _architecture("phi2", gptj.PHI, *_ROTARY, *_LAYER, fixed=_GELU),
        _architecture(
            "cohere2",
            layer_norm.COHERE2,
            *_ROTARY,
            *_LAYER,
            Factor("logit_scale", "logit_scale"),
            _COHERE2_WINDOWS,
            PositionsInWindows(_COHERE2_WINDOWS),
            fixed=_SILU,
        ),
        _architecture(
            "gemma3",
            normed.GEMMA3,
            *_ROTARY[:-1],
            *_RMS,
            Equal("attention.qk_norm_eps", "norm.eps"),
            _GEMMA3_WINDOWS,
            RotaryByWindow(_GEMMA3_WINDOWS),
            fixed={**_GELU, "attention.score.kind": "ScaledDot"},
        ),
        _architecture("gemma", normed.GEMMA, *_ROTARY, *_RMS, fixed=_GELU),
        _architecture(
            "gemma2",
            normed.GEMMA2,
            *_ROTARY,
            *_RMS,
            Cap("attn_logit_softcapping", "attention.score.cap", 50.0),
            Cap("final_logit_softcapping", "cap.limit", 30.0, kind="SoftCap"),
            Windows("attention.sliding_window", 4096, every=2, needed=True),
            fixed={**_GELU, "attention.score.kind": "ScaledDot"},
        ),
    )
}
"""By general.architecture, and whether there are experts. A model that several support is written
as the first of them."""
