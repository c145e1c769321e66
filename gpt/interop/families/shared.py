"""Fields and values that many families have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpt.interop.fields import Codec, Equal, Field, Only
from gpt.interop.layouts import Entry
from gpt.interop.tensor_names import Names

TRANSFORMER: dict[str, Any] = {
    "attention.kind": "GroupedQuery",
    "mlp.kind": "MLP",
    "wiring.kind": "PreNorm",
}
"""Fixed in every family that does not say otherwise."""
ROTARY_RMS: dict[str, Any] = {**TRANSFORMER, "norm.kind": "RMSNorm", "mlp.gated": True}
"""Fixed in Llama's shape."""
ROTARY_LAYER: dict[str, Any] = {**TRANSFORMER, "norm.kind": "LayerNorm"}
"""Fixed with rotary positions and LayerNorm."""
LEARNED_LAYER: dict[str, Any] = {
    **TRANSFORMER,
    "position.kind": "Learned",
    "norm.kind": "LayerNorm",
    "mlp.gated": False,
}
"""Fixed in GPT-2's shape."""

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "relu2": "relu2",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
}
"""Our names of activations, by those of transformers."""

VOCABULARY: tuple[Codec, ...] = (Field("vocab_size", "vocab_size"),)
SIZES_BUT_MLP: tuple[Codec, ...] = (
    *VOCABULARY,
    Field("max_position_embeddings", "context"),
    Field("hidden_size", "width"),
    Field("num_hidden_layers", "layers"),
    Field("num_attention_heads", "attention.heads"),
)
"""Sizes as most families call them, besides that of the MLP."""
SIZES: tuple[Codec, ...] = (*SIZES_BUT_MLP, Field("intermediate_size", "mlp.hidden"))
"""Sizes as most families call them."""
GPT2_SIZES: tuple[Codec, ...] = (
    *VOCABULARY,
    Field("n_positions", "context"),
    Field("n_embd", "width"),
    Field("n_layer", "layers"),
    Field("n_head", "attention.heads"),
    Field("n_inner", "mlp.hidden", default=None),
    Field("layer_norm_epsilon", "norm.eps", float, 1e-5),
)
"""Sizes as GPT-2 and its descendants call them."""
KV_HEADS = Field("num_key_value_heads", "attention.kv_heads", otherwise="num_attention_heads")
HEAD_DIM = Field("head_dim", "attention.head_width", default=None)


MULTI_HEAD = Equal("attention.kv_heads", "attention.heads")
"""As many key and value heads as query heads."""


def tie(default: bool) -> Codec:
    """Return the codec of whether the embedding and the head share their weights."""
    return Field("tie_word_embeddings", "tie", bool, default)


def activation(name: str, default: str, values: dict[str, str] = ACTIVATIONS) -> Codec:
    """Return the codec of the activation, in the field *name*."""
    return Field(name, "mlp.activation", str, default, values=values)


SILU_SIZES: tuple[Codec, ...] = (*SIZES, KV_HEADS, activation("hidden_act", "silu"))
"""Sizes and activation of Llama's shape."""


def off(name: str, default: Any = False) -> Codec:
    """Return the codec of a field that must be off."""
    return Only(name, default)


def blocks(prefix: str, names: Names) -> Names:
    """Return *names*, those of one block on both sides, for all blocks: *prefix* is theirs."""
    return {
        f"{prefix}{{layer}}.{theirs}": in_block(
            entry if isinstance(entry, Entry) else Entry((entry,))
        )
        for theirs, entry in names.items()
    }


def in_block(entry: Entry) -> Entry:
    """Return *entry* with paths from the model instead of from a block."""

    def full(path: str) -> str:
        return path and f"blocks.{{layer}}.{path}"

    return replace(
        entry,
        modules=tuple(map(full, entry.modules)),
        beside=full(entry.beside),
        without=full(entry.without),
    )
