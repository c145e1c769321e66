"""GPT-J and the families of its shape: branches in parallel that share a norm, a bias of logits."""

from __future__ import annotations

from typing import Any

from gpt.interop.families.shared import (
    GPT2_SIZES,
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
from gpt.interop.fields import Biases, Codec, Field
from gpt.interop.layouts import Entry
from gpt.interop.rotary import Rotary, RotaryWidth

_FIXED: dict[str, Any] = {
    **ROTARY_LAYER,
    "wiring.kind": "Parallel",
    "wiring.shared_norm": True,
    "mlp.gated": False,
    "head_bias": True,
}
_FIELDS: tuple[Codec, ...] = (
    *GPT2_SIZES,
    MULTI_HEAD,
    activation("activation_function", "gelu_new"),
    RotaryWidth("rotary_dim", 64),
    tie(default=False),
    Biases(mlp=True),
)
_TOP = {"transformer.wte": "embedding", "transformer.ln_f": "norm", "lm_head": "head"}
_BLOCK = {
    "ln_1": "attention_norm",
    "attn.out_proj": "attention.output",
    "mlp.fc_in": "mlp.input",
    "mlp.fc_out": "mlp.output",
}

GPTJ = Family(
    name="gptj",
    model="GPTJForCausalLM",
    fixed={**_FIXED, "position.interleaved": True, "position.theta": 10_000.0},
    fields=_FIELDS,
    names={
        **_TOP,
        **blocks(
            "transformer.h.",
            {
                **_BLOCK,
                "attn.q_proj": "attention.query",
                "attn.k_proj": "attention.key",
                "attn.v_proj": "attention.value",
            },
        ),
    },
)

CODEGEN = Family(
    name="codegen",
    model="CodeGenForCausalLM",
    fixed=GPTJ.fixed,
    fields=_FIELDS,
    names={
        **_TOP,
        **blocks(
            "transformer.h.",
            {
                **_BLOCK,
                # In four parts, one for each of the chips that it was trained on.
                "attn.qkv_proj": Entry(
                    ("attention.query", "attention.value", "attention.key"), shards=4
                ),
            },
        ),
    },
)

PHI = Family(
    name="phi",
    model="PhiForCausalLM",
    fixed=_FIXED,
    fields=(
        *SIZES,
        KV_HEADS,
        activation("hidden_act", "gelu_new"),
        Rotary(fraction=0.5),
        Field("layer_norm_eps", "norm.eps", float, 1e-5),
        tie(default=False),
        Biases(qkv=True, output=True, mlp=True),
        off("qk_layernorm"),
    ),
    names={
        "model.embed_tokens": "embedding",
        **blocks(
            "model.layers.",
            {
                "input_layernorm": "attention_norm",
                "self_attn.q_proj": "attention.query",
                "self_attn.k_proj": "attention.key",
                "self_attn.v_proj": "attention.value",
                "self_attn.dense": "attention.output",
                "mlp.fc1": "mlp.input",
                "mlp.fc2": "mlp.output",
            },
        ),
        "model.final_layernorm": "norm",
        "lm_head": "head",
    },
)
