"""Llama and the families of its shape: rotary positions, RMSNorm, a gated MLP."""

from __future__ import annotations

from gpt.interop.families.shared import (
    HEAD_DIM,
    KV_HEADS,
    ROTARY_RMS,
    SILU_SIZES,
    SIZES,
    activation,
    blocks,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Codec, Equal, Field
from gpt.interop.layouts import Entry
from gpt.interop.rotary import Rotary, WithoutPositions
from gpt.interop.windows import Windows

ATTENTION_BLOCK = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.q_norm": "attention.query_norm",
    "self_attn.k_norm": "attention.key_norm",
    "self_attn.o_proj": "attention.output",
    "post_attention_layernorm": "mlp_norm",
}
BLOCK = {
    **ATTENTION_BLOCK,
    "mlp.gate_proj": "mlp.gate",
    "mlp.up_proj": "mlp.input",
    "mlp.down_proj": "mlp.output",
}
TOP = {"model.embed_tokens": "embedding", "model.norm": "norm", "lm_head": "head"}
NAMES = {**TOP, **blocks("model.layers.", BLOCK)}
INTERLEAVED = {**ROTARY_RMS, "position.interleaved": True}
"""Fixed where the rotated features 2i and 2i + 1 are a pair, not i and i + half of them."""
LAYERS: tuple[Codec, ...] = (*SILU_SIZES, Rotary())
EPS = Field("rms_norm_eps", "norm.eps", float, 1e-6)

LLAMA = Family(
    name="llama",
    model="LlamaForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *LAYERS,
        HEAD_DIM,
        EPS,
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias", mlp="mlp_bias"),
    ),
    names=NAMES,
)

MISTRAL = Family(
    name="mistral",
    model="MistralForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *LAYERS,
        HEAD_DIM,
        EPS,
        tie(default=False),
        Biases(),
        Windows(default=4096),
    ),
    names=NAMES,
)

QWEN_WINDOWS = Windows(flag="use_sliding_window", types="layer_types")

QWEN2 = Family(
    name="qwen2",
    model="Qwen2ForCausalLM",
    fixed=ROTARY_RMS,
    fields=(*LAYERS, EPS, tie(default=False), Biases(qkv=True), QWEN_WINDOWS),
    names=NAMES,
)

QWEN3 = Family(
    name="qwen3",
    model="Qwen3ForCausalLM",
    fixed={**ROTARY_RMS, "attention.qk_norm": True},
    fields=(
        *LAYERS,
        Field("head_dim", "attention.head_width", default=128),
        EPS,
        Equal("attention.qk_norm_eps", "norm.eps"),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias"),
        QWEN_WINDOWS,
    ),
    names=NAMES,
)

SEED_OSS = Family(
    name="seed_oss",
    model="SeedOssForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *LAYERS,
        Field("head_dim", "attention.head_width", default=128),
        EPS,
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_out_bias", mlp="mlp_bias"),
    ),
    names=NAMES,
)

PHI3 = Family(
    name="phi3",
    model="Phi3ForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *SILU_SIZES,
        Rotary(fraction=1.0),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(),
        Windows(),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                "input_layernorm": "attention_norm",
                "self_attn.qkv_proj": Entry(
                    ("attention.query", "attention.key", "attention.value")
                ),
                "self_attn.o_proj": "attention.output",
                "post_attention_layernorm": "mlp_norm",
                "mlp.gate_up_proj": Entry(("mlp.gate", "mlp.input")),
                "mlp.down_proj": "mlp.output",
            },
        ),
    },
)

ARCEE = Family(
    name="arcee",
    model="ArceeForCausalLM",
    fixed={**ROTARY_RMS, "mlp.gated": False},
    fields=(
        *SIZES,
        KV_HEADS,
        activation("hidden_act", "relu2"),
        Rotary(),
        HEAD_DIM,
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias", mlp="mlp_bias"),
    ),
    names=NAMES,
)

HELIUM = Family(
    name="helium",
    model="HeliumForCausalLM",
    fixed=INTERLEAVED,
    fields=(
        *SILU_SIZES,
        Rotary(theta=100_000.0),
        Field("head_dim", "attention.head_width", default=128),
        Field("rms_norm_eps", "norm.eps", float, 1e-8),
        tie(default=False),
        Biases(qkv="attention_bias", mlp="mlp_bias"),
    ),
    names=NAMES,
)

SMOLLM3 = Family(
    name="smollm3",
    model="SmolLM3ForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *SILU_SIZES,
        Rotary(theta=2_000_000.0),
        WithoutPositions("no_rope_layers", "no_rope_layer_interval", 4),
        EPS,
        tie(default=True),
        Biases(qkv="attention_bias", output="attention_bias", mlp="mlp_bias"),
        QWEN_WINDOWS,
    ),
    names=NAMES,
)

ERNIE = Family(
    name="ernie4_5",
    model="Ernie4_5ForCausalLM",
    fixed=INTERLEAVED,
    fields=(
        *SIZES,
        KV_HEADS,
        Field("head_dim", "attention.head_width", default=128),
        activation("hidden_act", "silu"),
        Rotary(theta=500_000.0),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        tie(default=True),
        Biases(qkv="use_bias", output="use_bias", mlp="use_bias"),
    ),
    names=NAMES,
)

GLM = Family(
    name="glm",
    model="GlmForCausalLM",
    fixed=INTERLEAVED,
    fields=(
        *SIZES,
        KV_HEADS,
        Field("head_dim", "attention.head_width", default=128),
        activation("hidden_act", "silu"),
        Rotary(fraction=0.5),
        Field("rms_norm_eps", "norm.eps", float, 1.5625e-07),
        tie(default=False),
        Biases(qkv="attention_bias"),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {
                **ATTENTION_BLOCK,
                "mlp.gate_up_proj": Entry(("mlp.gate", "mlp.input")),
                "mlp.down_proj": "mlp.output",
            },
        ),
    },
)
