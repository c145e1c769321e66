"""Families with experts."""

from __future__ import annotations

from typing import Any

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
from gpt.interop.fields import Biases, Codec, Equal, Field, Only
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
        Only("decoder_sparse_step", 1),
        Only("mlp_only_layers", []),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                **{name: path for name, path in BLOCK.items() if not name.startswith("mlp.")},
                "mlp.gate": "mlp.router",
                "mlp.experts.{expert}.gate_proj": "mlp.routed.gate",
                "mlp.experts.{expert}.up_proj": "mlp.routed.input",
                "mlp.experts.{expert}.down_proj": "mlp.routed.output",
            },
        ),
    },
)
