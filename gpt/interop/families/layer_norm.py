"""Families with rotary positions and LayerNorm, or with ALiBi."""

from __future__ import annotations

from gpt.interop.factors import Factor
from gpt.interop.families.gpt2 import QKV
from gpt.interop.families.llama import ATTENTION_BLOCK, NAMES, TOP
from gpt.interop.families.shared import (
    HEAD_DIM,
    KV_HEADS,
    MULTI_HEAD,
    ROTARY_LAYER,
    SILU_SIZES,
    SIZES,
    VOCABULARY,
    activation,
    blocks,
    off,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import (
    Biases,
    Equal,
    Expansion,
    Field,
    Inside,
    NormedHeads,
    Only,
    ParallelBranches,
)
from gpt.interop.layouts import Entry
from gpt.interop.rotary import PositionsInWindows, Rotary
from gpt.interop.windows import Windows

STABLELM = Family(
    name="stablelm",
    model="StableLmForCausalLM",
    fixed={**ROTARY_LAYER, "mlp.gated": True},
    fields=(
        *SILU_SIZES,
        Rotary(fraction=0.25),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv="use_qkv_bias"),
        NormedHeads("qk_layernorm"),
        ParallelBranches("use_parallel_residual", default=False, shared_norm=True),
    ),
    names={
        **{name: entry for name, entry in NAMES.items() if not name.endswith(("q_norm", "k_norm"))},
        **blocks(
            "model.layers.",
            {
                "self_attn.q_layernorm.norms.{expert}": "attention.query_norm",
                "self_attn.k_layernorm.norms.{expert}": "attention.key_norm",
            },
        ),
    },
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
        ParallelBranches("use_parallel_residual", default=True),
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
            Field("clip_qkv", "attention.clip", float, None),
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

OLMO = Family(
    name="olmo",
    model="OlmoForCausalLM",
    fixed={
        **ROTARY_LAYER,
        "mlp.gated": True,
        "norm.weight": False,
        "norm.bias": False,
        "norm.eps": 1e-5,
    },
    fields=(
        *SILU_SIZES,
        Rotary(),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias"),
        Field("clip_qkv", "attention.clip", float, None),
    ),
    names=NAMES,
)

COHERE = Family(
    name="cohere",
    model="CohereForCausalLM",
    fixed={
        **ROTARY_LAYER,
        "wiring.kind": "Parallel",
        "wiring.shared_norm": True,
        "position.interleaved": True,
        "norm.bias": False,
        "mlp.gated": True,
    },
    fields=(
        *SILU_SIZES,
        Rotary(theta=500_000.0),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=True),
        Biases(qkv="attention_bias", output="attention_bias"),
        Factor("logit_scale", "logit_scale", 0.0625),
        NormedHeads("use_qk_norm"),
    ),
    names=NAMES,
)

FALCON = Family(
    name="falcon",
    model="FalconForCausalLM",
    fixed={
        **ROTARY_LAYER,
        "wiring.kind": "Parallel",
        "wiring.shared_norm": True,
        "mlp.gated": False,
        "attention.kv_heads": 1,
    },
    fields=(
        *VOCABULARY,
        Field("max_position_embeddings", "context", default=2048),
        Field("hidden_size", "width"),
        Field("num_hidden_layers", "layers"),
        Field("num_attention_heads", "attention.heads"),
        Field("ffn_hidden_size", "mlp.hidden", default=None),
        activation("activation", "gelu"),
        Rotary(),
        Field("layer_norm_epsilon", "norm.eps", float, 1e-5),
        tie(default=True),
        Biases(qkv="bias", output="bias", mlp="bias"),
        Only("multi_query", True),
        Only("parallel_attn", True),
        off("new_decoder_architecture"),
        off("alibi"),
    ),
    names={
        "transformer.word_embeddings": "embedding",
        **blocks(
            "transformer.h.",
            {
                "input_layernorm": "attention_norm",
                "self_attention.query_key_value": Entry(QKV),
                "self_attention.dense": "attention.output",
                "mlp.dense_h_to_4h": "mlp.input",
                "mlp.dense_4h_to_h": "mlp.output",
            },
        ),
        "transformer.ln_f": "norm",
        "lm_head": "head",
    },
)

BLOOM = Family(
    name="bloom",
    model="BloomForCausalLM",
    fixed={
        **ROTARY_LAYER,
        "position.kind": "ALiBi",
        "embedding_norm.kind": "LayerNorm",
        "mlp.gated": False,
        "mlp.activation": "gelu_tanh",
    },
    fields=(
        *VOCABULARY,
        Field("hidden_size", "width", otherwise="n_embed"),
        Field("n_layer", "layers"),
        Field("n_head", "attention.heads"),
        Field("seq_length", "context", default=2048),  # of its training texts
        Field("layer_norm_epsilon", "norm.eps", float, 1e-5),
        Equal("embedding_norm.eps", "norm.eps"),
        MULTI_HEAD,
        tie(default=True),
        Biases(qkv=True, output=True, mlp=True),
        off("apply_residual_connection_post_layernorm"),
        off("slow_but_exact"),
    ),
    names={
        "transformer.word_embeddings": "embedding",
        "transformer.word_embeddings_layernorm": "embedding_norm",
        **blocks(
            "transformer.h.",
            {
                "input_layernorm": "attention_norm",
                "self_attention.query_key_value": Entry(QKV, grouped=True),
                "self_attention.dense": "attention.output",
                "post_attention_layernorm": "mlp_norm",
                "mlp.dense_h_to_4h": "mlp.input",
                "mlp.dense_4h_to_h": "mlp.output",
            },
        ),
        "transformer.ln_f": "norm",
        "lm_head": "head",
    },
    adds_biases=True,
)

_COHERE2_WINDOWS = Windows(default=4096, types="layer_types", every=4)

COHERE2 = Family(
    name="cohere2",
    model="Cohere2ForCausalLM",
    fixed=COHERE.fixed,
    fields=(
        *SIZES,
        KV_HEADS,
        HEAD_DIM,
        activation("hidden_act", "silu"),
        Rotary(),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=True),
        Biases(qkv="attention_bias", output="attention_bias"),
        Factor("logit_scale", "logit_scale", 0.0625),
        _COHERE2_WINDOWS,
        PositionsInWindows(_COHERE2_WINDOWS),
    ),
    names=NAMES,
)
