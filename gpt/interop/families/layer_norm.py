"""Families with rotary positions and LayerNorm, or with ALiBi."""

from __future__ import annotations

from gpt.interop.families.gpt2 import QKV
from gpt.interop.families.llama import ATTENTION_BLOCK, NAMES, TOP
from gpt.interop.families.shared import (
    HEAD_DIM,
    KV_HEADS,
    MULTI_HEAD,
    ROTARY_LAYER,
    SIZES,
    activation,
    blocks,
    off,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Field, Only, Rotary
from gpt.interop.layouts import Entry
from gpt.interop.windows import Windows

STABLELM = Family(
    name="stablelm",
    model="StableLmForCausalLM",
    fixed={**ROTARY_LAYER, "mlp.gated": True},
    fields=(
        *SIZES,
        KV_HEADS,
        activation("hidden_act", "silu"),
        Rotary(fraction=0.25),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv="use_qkv_bias"),
        off("qk_layernorm"),
        off("use_parallel_residual"),
    ),
    names=NAMES,
)

STARCODER2 = Family(
    name="starcoder2",
    model="Starcoder2ForCausalLM",
    fixed={**ROTARY_LAYER, "mlp.gated": False},
    fields=(
        *SIZES,
        KV_HEADS,
        activation("hidden_act", "gelu_pytorch_tanh"),
        Rotary(),
        Field("norm_epsilon", "norm.eps", float, 1e-5),
        tie(default=True),
        Biases(qkv="use_bias", output="use_bias", mlp="use_bias", default=True),
        Windows(),
    ),
    names={
        **TOP,
        **blocks(
            "model.layers.",
            {**ATTENTION_BLOCK, "mlp.c_fc": "mlp.input", "mlp.c_proj": "mlp.output"},
        ),
    },
)

NEMOTRON = Family(
    name="nemotron",
    model="NemotronForCausalLM",
    fixed={**ROTARY_LAYER, "mlp.gated": False},
    fields=(
        *SIZES,
        KV_HEADS,
        HEAD_DIM,
        activation("hidden_act", "relu2"),
        Rotary(fraction=0.5),
        Field("norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias", mlp="mlp_bias"),
    ),
    names={
        **NAMES,
        "model.norm": Entry(("norm",), offset=1.0),
        **blocks(
            "model.layers.",
            {
                "input_layernorm": Entry(("attention_norm",), offset=1.0),
                "post_attention_layernorm": Entry(("mlp_norm",), offset=1.0),
            },
        ),
    },
)

GPT_NEOX = Family(
    name="gpt_neox",
    model="GPTNeoXForCausalLM",
    fixed={**ROTARY_LAYER, "mlp.gated": False},
    fields=(
        *SIZES,
        MULTI_HEAD,
        activation("hidden_act", "gelu"),
        Rotary(fraction=0.25, older="rotary_pct", older_theta="rotary_emb_base"),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias", mlp=True, default=True),
        Only("use_parallel_residual", False, default=True),
    ),
    names={
        "gpt_neox.embed_in": "embedding",
        **blocks(
            "gpt_neox.layers.",
            {
                "input_layernorm": "attention_norm",
                "attention.query_key_value": Entry(QKV, grouped=True),
                "attention.dense": "attention.output",
                "post_attention_layernorm": "mlp_norm",
                "mlp.dense_h_to_4h": "mlp.input",
                "mlp.dense_4h_to_h": "mlp.output",
            },
        ),
        "gpt_neox.final_layer_norm": "norm",
        "embed_out": "head",
    },
    adds_biases=True,
)
