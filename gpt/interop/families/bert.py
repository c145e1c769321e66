"""BERT and RoBERTa: bidirectional encoders that predict masked tokens."""

from __future__ import annotations

from typing import Any

from gpt.interop.families.shared import MULTI_HEAD, SIZES, TRANSFORMER, activation, blocks, off
from gpt.interop.family import Family
from gpt.interop.fields import Biases, Codec, Equal, Field, Longer, Only, Written
from gpt.interop.layouts import Entry
from gpt.interop.tensor_names import Names

_FIXED: dict[str, Any] = {
    **TRANSFORMER,
    "attention.pattern.kind": "Full",
    "position.kind": "Learned",
    "norm.kind": "LayerNorm",
    "embedding_norm.kind": "LayerNorm",
    "wiring.kind": "PostNorm",
    "mlp.gated": False,
    "head_transform.kind": "HeadTransform",
    "head_bias": True,
    "tie": True,
}
_FIELDS: tuple[Codec, ...] = (
    MULTI_HEAD,
    activation("hidden_act", "gelu"),
    Field("layer_norm_eps", "norm.eps", float, 1e-12),
    Equal("embedding_norm.eps", "norm.eps"),
    Only("tie_word_embeddings", True, default=True),
    Biases(qkv=True, output=True, mlp=True),
    off("is_decoder"),
    off("add_cross_attention"),
    # All tokens are of the first type, whose vector the positions include.
    Written("type_vocab_size", 1),
)
_BLOCK = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "mlp.input",
    "output.dense": "mlp.output",
    "output.LayerNorm": "mlp_norm",
}


def _encoder(prefix: str, skipped: int) -> Names:
    """Return the names of an encoder called *prefix* with positions from *skipped* on."""
    types = f"{prefix}.embeddings.token_type_embeddings.weight"
    return {
        f"{prefix}.embeddings.word_embeddings": "embedding",
        f"{prefix}.embeddings.position_embeddings": Entry(
            ("position.embedding",), skipped=skipped, first_row_of=types
        ),
        f"{prefix}.embeddings.LayerNorm": "embedding_norm",
        **blocks(f"{prefix}.encoder.layer.", _BLOCK),
    }


BERT = Family(
    name="bert",
    model="BertForMaskedLM",
    fixed=_FIXED,
    fields=(*SIZES, *_FIELDS, Equal("head_transform.activation", "mlp.activation")),
    names={
        **_encoder("bert", skipped=0),
        "cls.predictions.transform.dense": "head_transform.linear",
        "cls.predictions.transform.LayerNorm": "head_transform.norm",
        "cls.predictions.bias": "head.bias",
        "cls.predictions.decoder": "head",
    },
    other_tasks=("bert.pooler.", "cls.seq_relationship."),
)

ROBERTA = Family(
    name="roberta",
    model="RobertaForMaskedLM",
    fixed={**_FIXED, "head_transform.activation": "gelu"},
    fields=(
        *(each for each in SIZES if "max_position_embeddings" not in each.theirs),
        Longer("max_position_embeddings", "context", 2),
        *_FIELDS,
        Only("pad_token_id", 1, default=1, reason="positions begin after it"),
    ),
    names={
        **_encoder("roberta", skipped=2),
        "lm_head.dense": "head_transform.linear",
        "lm_head.layer_norm": "head_transform.norm",
        "lm_head.bias": "head.bias",
        "lm_head.decoder": "head",
    },
    other_tasks=("roberta.pooler.",),
)
