"""Families with experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.errors import FormatError
from gpt.interop.families.llama import ATTENTION_BLOCK, BLOCK, EPS, QWEN_WINDOWS, TOP
from gpt.interop.families.shared import (
    ACTIVATIONS,
    HEAD_DIM,
    KV_HEADS,
    ROTARY_RMS,
    SIZES_BUT_MLP,
    blocks,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Codec, Equal, Field, Fields, Named, Only
from gpt.interop.layouts import Entry
from gpt.interop.rotary import Rotary
from gpt.interop.windows import Windows

EXPERTS: dict[str, Any] = {
    **{name: value for name, value in ROTARY_RMS.items() if not name.startswith("mlp.")},
    "mlp.kind": "Experts",
    "mlp.expert.kind": "MLP",
    "mlp.expert.gated": True,
}
"""Fixed with experts of Llama's shape."""
LAYERS: tuple[Codec, ...] = (
    *SIZES_BUT_MLP,
    KV_HEADS,
    Field("hidden_act", "mlp.expert.activation", str, "silu", values=ACTIVATIONS),
)


@dataclass(frozen=True)
class _SharedWidth(Named):
    """The width of all shared experts together, a multiple of that of one expert."""

    default: int

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read it as a number of experts."""
        width, one = fields.get(self.name, int, self.default), ours["mlp.expert.hidden"]
        if one < 1 or width < one or width % one:
            raise FormatError(f"{self.name} is {width}; supported: multiples of {one}, an expert's")
        ours["mlp.shared"] = width // one

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        return {self.name: ours.get("mlp.shared", 0) * (ours.get("mlp.expert.hidden") or 0)}


MIXTRAL = Family(
    name="mixtral",
    model="MixtralForCausalLM",
    fixed=EXPERTS,
    fields=(
        *LAYERS,
        HEAD_DIM,
        Rotary(theta=1_000_000.0),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        Field("intermediate_size", "mlp.expert.hidden"),
        Field("num_local_experts", "mlp.count", int, 8),
        Field("num_experts_per_tok", "mlp.top_k", int, 2),
        tie(default=False),
        Biases(),
        Windows(),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                **ATTENTION_BLOCK,
                "block_sparse_moe.gate": "mlp.router",
                "block_sparse_moe.experts.{expert}.w1": "mlp.routed.gate",
                "block_sparse_moe.experts.{expert}.w3": "mlp.routed.input",
                "block_sparse_moe.experts.{expert}.w2": "mlp.routed.output",
            },
        ),
    },
)

GPT_OSS = Family(
    name="gpt_oss",
    model="GptOssForCausalLM",
    fixed={
        **EXPERTS,
        "attention.normalizer.kind": "Softmax",
        "attention.normalizer.sink": "learned",
        "mlp.expert.activation": "gelu_quick",  # x σ(1.702 x)
        "mlp.expert.offset": 1.0,
        "mlp.router_bias": True,
    },
    fields=(
        *SIZES_BUT_MLP,
        KV_HEADS,
        Field("head_dim", "attention.head_width", default=64),
        Rotary(theta=150_000.0),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        Field("intermediate_size", "mlp.expert.hidden"),
        Field("num_local_experts", "mlp.count", int, 128, otherwise="num_experts"),
        Field("num_experts_per_tok", "mlp.top_k", int, 4, otherwise="experts_per_token"),
        Field("swiglu_limit", "mlp.expert.limit", float, 7.0),
        Only("swiglu_alpha", 1.702),
        Only("hidden_act", "silu"),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias", mlp=True, default=True),
        Windows(default=128, types="layer_types", every=2, needed=True),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                **ATTENTION_BLOCK,
                "self_attn.sinks": "attention.pairwise.normalizer.sink",
                "mlp.router": "mlp.router",
                **{
                    f"mlp.experts.{theirs}": Entry(
                        tuple(f"mlp.routed.{each}" for each in ours),
                        transposed=True,
                        stacked=True,
                        alternating=True,
                    )
                    for theirs, ours in {
                        "gate_up_proj": ("gate.weight", "input.weight"),
                        "gate_up_proj_bias": ("gate.bias", "input.bias"),
                        "down_proj": ("output.weight",),
                        "down_proj_bias": ("output.bias",),
                    }.items()
                },
            },
        ),
    },
)

_QWEN_EXPERTS = {
    **{name: path for name, path in BLOCK.items() if not name.startswith("mlp.")},
    "mlp.gate": "mlp.router",
    "mlp.experts.{expert}.gate_proj": "mlp.routed.gate",
    "mlp.experts.{expert}.up_proj": "mlp.routed.input",
    "mlp.experts.{expert}.down_proj": "mlp.routed.output",
}
_ALL_SPARSE: tuple[Codec, ...] = (Only("decoder_sparse_step", 1), Only("mlp_only_layers", []))
"""No layer has an MLP instead of experts."""

QWEN2_MOE = Family(
    name="qwen2_moe",
    model="Qwen2MoeForCausalLM",
    fixed={**EXPERTS, "mlp.gate_shared": True},
    fields=(
        *LAYERS,
        Rotary(),
        EPS,
        Field("moe_intermediate_size", "mlp.expert.hidden", int, 1408),
        _SharedWidth("shared_expert_intermediate_size", 5632),
        Field("num_experts", "mlp.count", int, 60, otherwise="num_local_experts"),
        Field("num_experts_per_tok", "mlp.top_k", int, 4),
        Field("norm_topk_prob", "mlp.renormalize", bool, False),
        tie(default=False),
        Biases(qkv="qkv_bias", default=True),
        QWEN_WINDOWS,
        *_ALL_SPARSE,
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                **_QWEN_EXPERTS,
                "mlp.shared_expert.gate_proj": "mlp.shared.gate",
                "mlp.shared_expert.up_proj": "mlp.shared.input",
                "mlp.shared_expert.down_proj": "mlp.shared.output",
                "mlp.shared_expert_gate": "mlp.shared_gate",
            },
        ),
    },
)

QWEN3_MOE = Family(
    name="qwen3_moe",
    model="Qwen3MoeForCausalLM",
    fixed={**EXPERTS, "attention.qk_norm": True},
    fields=(
        *LAYERS,
        Field("head_dim", "attention.head_width", default=None),
        Rotary(),
        EPS,
        Equal("attention.qk_norm_eps", "norm.eps"),
        Field("moe_intermediate_size", "mlp.expert.hidden", int, 768),
        Field("num_experts", "mlp.count", int, 128, otherwise="num_local_experts"),
        Field("num_experts_per_tok", "mlp.top_k", int, 8),
        Field("norm_topk_prob", "mlp.renormalize", bool, False),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias"),
        QWEN_WINDOWS,
        *_ALL_SPARSE,
    ),
    names={
        **TOP,
        **blocks("model.layers.", _QWEN_EXPERTS),
    },
)
