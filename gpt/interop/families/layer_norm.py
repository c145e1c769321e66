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
    VOCABULARY,
    activation,
    blocks,
    off,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Expansion, Field, Inside, Only
from gpt.interop.layouts import Entry
from gpt.interop.rotary import Rotary
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
        Rotary(fraction=0.25, older_fraction="rotary_pct", older_theta="rotary_emb_base"),
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

MPT = Family(
    name="mpt",
    model="MptForCausalLM",
    fixed={
        **ROTARY_LAYER,
        "position.kind": "ALiBi",
        "norm.bias": False,
        "mlp.gated": False,
        "mlp.activation": "gelu",
        "bias": False,
    },
    fields=(
        *VOCABULARY,
        Field("max_seq_len", "context"),
        Field("d_model", "width"),
        Field("n_layers", "layers"),
        Field("n_heads", "attention.heads"),
        Field("layer_norm_epsilon", "norm.eps", float, 1e-5),
        MULTI_HEAD,
        Expansion("expansion_ratio", 4),
        tie(default=True),
        Only("no_bias", True),
        Inside(
            "attn_config",
            Only("alibi", True),
            Only("alibi_bias_max", 8),
            off("clip_qkv", None),
            off("softmax_scale", None),
            off("qk_ln"),
            off("prefix_lm"),
        ),
        off("logit_scale", None),
    ),
    names={
        "transformer.wte": "embedding",
        **blocks(
            "transformer.blocks.",
            {
                "norm_1": "attention_norm",
                "attn.Wqkv": Entry(QKV),
                "attn.out_proj": "attention.output",
                "norm_2": "mlp_norm",
                "ffn.up_proj": "mlp.input",
                "ffn.down_proj": "mlp.output",
            },
        ),
        "transformer.norm_f": "norm",
        "lm_head": "head",
    },
)
