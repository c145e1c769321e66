"""Families of Llama's shape that differ in their norms and factors: Gemma, OLMo 2, Granite."""

from __future__ import annotations

from typing import Any

from gpt.interop.factors import Cap, Factor, ScoreScale
from gpt.interop.families.llama import BLOCK, EPS, LLAMA, NAMES, TOP
from gpt.interop.families.shared import (
    HEAD_DIM,
    KV_HEADS,
    ROTARY_RMS,
    SILU_SIZES,
    SIZES,
    activation,
    blocks,
    off,
    tie,
)
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Equal, Field
from gpt.interop.layouts import Entry
from gpt.interop.rotary import PositionsInWindows, Rotary, RotaryByWindow
from gpt.interop.tensor_names import Names
from gpt.interop.windows import Windows

GRANITE = Family(
    name="granite",
    model="GraniteForCausalLM",
    fixed=ROTARY_RMS,
    fields=(
        *LLAMA.fields,
        Factor("embedding_multiplier", "embedding_scale"),
        Factor("residual_multiplier", "branch_scale"),
        Factor("logits_scaling", "logit_scale", divides=True),
        ScoreScale("attention_multiplier", 1.0),
    ),
    names=NAMES,
)

_OUTPUT_NORMS = {
    "post_attention_layernorm": "attention_output_norm",
    "post_feedforward_layernorm": "mlp_output_norm",
}
_WITHOUT_NORMS = {name: path for name, path in BLOCK.items() if not name.endswith("_layernorm")}

OLMO2 = Family(
    name="olmo2",
    model="Olmo2ForCausalLM",
    fixed={
        **ROTARY_RMS,
        "wiring.kind": "OutputNorm",
        "attention.qk_norm": True,
        "attention.qk_norm_over": "heads",
    },
    fields=(
        *SILU_SIZES,
        Rotary(),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        Equal("attention.qk_norm_eps", "norm.eps"),
        tie(default=False),
        Biases(qkv="attention_bias", output="attention_bias"),
    ),
    names={**TOP, **blocks("model.layers.", {**_WITHOUT_NORMS, **_OUTPUT_NORMS})},
)


def _one_plus(names: Names) -> dict[str, str | Entry]:
    """Return *names* with norms that multiply by 1 + their weight."""
    return {
        name: Entry((path,), offset=1.0) if isinstance(path, str) and "norm" in path else path
        for name, path in names.items()
    }


_GEMMA: dict[str, Any] = {**ROTARY_RMS, "embedding_scale.kind": "RootWidth"}
_GEMMA_SIZES = (
    *SIZES,
    KV_HEADS,
    Field("head_dim", "attention.head_width", default=256),
    EPS,
    tie(default=True),
    Biases(qkv="attention_bias", output="attention_bias"),
)

GEMMA = Family(
    name="gemma",
    model="GemmaForCausalLM",
    fixed=_GEMMA,
    fields=(
        *_GEMMA_SIZES,
        activation("hidden_act", "gelu_pytorch_tanh"),
        Rotary(),
        off("use_bidirectional_attention"),
    ),
    names={**_one_plus(TOP), **blocks("model.layers.", _one_plus(BLOCK))},
)

GEMMA2 = Family(
    name="gemma2",
    model="Gemma2ForCausalLM",
    fixed={**_GEMMA, "wiring.kind": "SandwichNorm"},
    fields=(
        *_GEMMA_SIZES,
        activation("hidden_activation", "gelu_pytorch_tanh"),
        Rotary(),
        ScoreScale("query_pre_attn_scalar", 256, power=-2),
        Cap("attn_logit_softcapping", "attention.score.cap", 50.0),
        Cap("final_logit_softcapping", "cap.limit", 30.0, kind="SoftCap"),
        Windows(default=4096, types="layer_types", every=2),
        off("use_bidirectional_attention"),
    ),
    names={
        **_one_plus(TOP),
        **blocks(
            "model.layers.",
            _one_plus(
                {
                    **_WITHOUT_NORMS,
                    **_OUTPUT_NORMS,
                    "input_layernorm": "attention_norm",
                    "pre_feedforward_layernorm": "mlp_norm",
                }
            ),
        ),
    },
)

_GEMMA3_WINDOWS = Windows(default=4096, types="layer_types", every=6)

GEMMA3 = Family(
    name="gemma3_text",
    model="Gemma3ForCausalLM",
    fixed={**_GEMMA, "wiring.kind": "SandwichNorm", "attention.qk_norm": True},
    fields=(
        *_GEMMA_SIZES,
        Equal("attention.qk_norm_eps", "norm.eps"),
        activation("hidden_activation", "gelu_pytorch_tanh"),
        _GEMMA3_WINDOWS,
        RotaryByWindow(_GEMMA3_WINDOWS),
        ScoreScale("query_pre_attn_scalar", 256, power=-2),
        Cap("attn_logit_softcapping", "attention.score.cap", None),
        Cap("final_logit_softcapping", "cap.limit", None, kind="SoftCap"),
        off("use_bidirectional_attention"),
    ),
    names=GEMMA2.names,
)

_EXAONE_WINDOWS = Windows(default=4096, types="layer_types", every=4)

EXAONE4 = Family(
    name="exaone4",
    model="Exaone4ForCausalLM",
    fixed={**ROTARY_RMS, "wiring.kind": "OutputNorm", "attention.qk_norm": True},
    fields=(
        *SIZES,
        KV_HEADS,
        HEAD_DIM,
        activation("hidden_act", "silu"),
        Rotary(),
        Field("rms_norm_eps", "norm.eps", float, 1e-5),
        Equal("attention.qk_norm_eps", "norm.eps"),
        tie(default=False),
        Biases(),
        _EXAONE_WINDOWS,
        PositionsInWindows(_EXAONE_WINDOWS),
    ),
    names=OLMO2.names,
)
