"""GPT-2 and the families of its shape: learned positions, LayerNorm, biases."""

from __future__ import annotations

from gpt.interop.families.shared import (
    GPT2_SIZES,
    LEARNED_LAYER,
    MULTI_HEAD,
    SIZES_BUT_MLP,
    VOCABULARY,
    activation,
    blocks,
    off,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Field, Only, SameAs
from gpt.interop.layouts import Entry
from gpt.interop.windows import Windows

QKV = ("attention.query", "attention.key", "attention.value")

GPT2 = Family(
    name="gpt2",
    model="GPT2LMHeadModel",
    fixed=LEARNED_LAYER,
    fields=(
        *GPT2_SIZES,
        MULTI_HEAD,
        activation("activation_function", "gelu_new"),
        tie(default=True),
        Biases(qkv=True, output=True, mlp=True),
        Only("scale_attn_weights", True),
        off("scale_attn_by_inverse_layer_idx"),
        off("add_cross_attention"),
    ),
    names={
        "transformer.wte": "embedding",
        "transformer.wpe": "position.embedding",
        **blocks(
            "transformer.h.",
            {
                "ln_1": "attention_norm",
                "attn.c_attn": Entry(QKV, transposed=True),
                "attn.c_proj": Entry(("attention.output",), transposed=True),
                "ln_2": "mlp_norm",
                "mlp.c_fc": Entry(("mlp.input",), transposed=True),
                "mlp.c_proj": Entry(("mlp.output",), transposed=True),
            },
        ),
        "transformer.ln_f": "norm",
        "lm_head": "head",
    },
    adds_biases=True,
)

GPT_BIGCODE = Family(
    name="gpt_bigcode",
    model="GPTBigCodeForCausalLM",
    fixed={**LEARNED_LAYER, "attention.kv_heads": 1},
    fields=(
        *GPT2_SIZES,
        activation("activation_function", "gelu_pytorch_tanh"),
        tie(default=True),
        Biases(qkv=True, output=True, mlp=True),
        Only("multi_query", True),
        Only("num_key_value_heads", 1),
        Only("scale_attn_weights", True),
        off("add_cross_attention"),
    ),
    names={
        "transformer.wte": "embedding",
        "transformer.wpe": "position.embedding",
        **blocks(
            "transformer.h.",
            {
                "ln_1": "attention_norm",
                "attn.c_attn": Entry(QKV),
                "attn.c_proj": "attention.output",
                "ln_2": "mlp_norm",
                "mlp.c_fc": "mlp.input",
                "mlp.c_proj": "mlp.output",
            },
        ),
        "transformer.ln_f": "norm",
        "lm_head": "head",
    },
    adds_biases=True,
)

OPT = Family(
    name="opt",
    model="OPTForCausalLM",
    fixed={**LEARNED_LAYER, "norm.eps": 1e-5},
    fields=(
        *SIZES_BUT_MLP,
        Field("ffn_dim", "mlp.hidden"),
        MULTI_HEAD,
        activation("activation_function", "relu"),
        tie(default=True),
        Biases(qkv="enable_bias", output="enable_bias", mlp="enable_bias", default=True),
        Only("do_layer_norm_before", True),
        off("_remove_final_layer_norm"),
        Only("layer_norm_elementwise_affine", True),
        SameAs("word_embed_proj_dim", "hidden_size"),
    ),
    names={
        "model.decoder.embed_tokens": "embedding",
        "model.decoder.embed_positions": Entry(("position.embedding",), skipped=2),
        **blocks(
            "model.decoder.layers.",
            {
                "self_attn_layer_norm": "attention_norm",
                "self_attn.q_proj": "attention.query",
                "self_attn.k_proj": "attention.key",
                "self_attn.v_proj": "attention.value",
                "self_attn.out_proj": "attention.output",
                "final_layer_norm": "mlp_norm",
                "fc1": "mlp.input",
                "fc2": "mlp.output",
            },
        ),
        "model.decoder.final_layer_norm": "norm",
        "lm_head": "head",
    },
    adds_biases=True,
)

GPT_NEO = Family(
    name="gpt_neo",
    model="GPTNeoForCausalLM",
    fixed={
        **LEARNED_LAYER,
        "attention.score.kind": "ScaledDot",
        "attention.score.scale": 1.0,
    },
    fields=(
        *VOCABULARY,
        Field("max_position_embeddings", "context"),
        Field("hidden_size", "width"),
        Field("num_layers", "layers"),
        Field("num_heads", "attention.heads"),
        Field("intermediate_size", "mlp.hidden", default=None),
        Field("layer_norm_epsilon", "norm.eps", float, 1e-5),
        MULTI_HEAD,
        activation("activation_function", "gelu_new"),
        tie(default=True),
        Biases(output=True, mlp=True),
        Windows(
            "window_size",
            256,
            types="attention_layers",
            repeated="attention_types",
            full="global",
            sliding="local",
        ),
    ),
    names={
        "transformer.wte": "embedding",
        "transformer.wpe": "position.embedding",
        **blocks(
            "transformer.h.",
            {
                "ln_1": "attention_norm",
                "attn.attention.q_proj": "attention.query",
                "attn.attention.k_proj": "attention.key",
                "attn.attention.v_proj": "attention.value",
                "attn.attention.out_proj": "attention.output",
                "ln_2": "mlp_norm",
                "mlp.c_fc": "mlp.input",
                "mlp.c_proj": "mlp.output",
            },
        ),
        "transformer.ln_f": "norm",
        "lm_head": "head",
    },
)
