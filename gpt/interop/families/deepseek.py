"""DeepSeek-V2 and V3: latent attention, and many narrow experts, some of them shared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpt.interop.families.llama import EPS, TOP
from gpt.interop.families.mixture import EXPERTS
from gpt.interop.families.shared import ACTIVATIONS, SIZES_BUT_MLP, blocks, off, tie
from gpt.interop.family import Family
from gpt.interop.fields import Codec, Field, Fields, Only, SameAs
from gpt.interop.layouts import Entry
from gpt.interop.rotary import Rotary

_LATENT: dict[str, Any] = {
    **EXPERTS,
    "attention.kind": "Latent",
    "attention.latent_norm.kind": "RMSNorm",
    "attention.latent_norm.eps": 1e-6,
    "position.interleaved": True,
    "bias": False,
}


@dataclass(frozen=True)
class _ScaleOfYarn:
    """The factor of the scores, which YaRN changes where it has mscale_all_dim."""

    theirs: tuple[str, ...] = ()

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Set it."""
        factor, slope = (ours.get(f"position.scaling.{name}") for name in ("factor", "mscale_all"))
        if factor and slope and factor > 1:
            width = ours["attention.nope_width"] + ours["attention.rope_width"]
            ours["attention.score.kind"] = "ScaledDot"
            ours["attention.score.scale"] = (0.1 * slope * math.log(factor) + 1) ** 2 * width**-0.5

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write nothing: it follows from the others."""
        return {}


@dataclass(frozen=True)
class _Groups:
    """Groups of experts, of which a token uses few: no groups are one, or all of them."""

    best: int
    """How many scores of a group are summed."""
    method: str = ""
    """Name of the field that must say so; empty if there is none."""

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return "n_group", "topk_group", *filter(None, (self.method,))

    def read(self, fields: Fields, ours: dict[str, Any]) -> None:
        """Read them."""
        if self.method and fields.get(self.method, str, "greedy") == "greedy":
            return
        count, top = (fields.get(name, int, 1) for name in ("n_group", "topk_group"))
        if count > 1 and top < count:
            names = ("kind", "count", "top", "best")
            values = ("Groups", count, top, self.best)
            ours |= {f"mlp.groups.{name}": v for name, v in zip(names, values, strict=True)}

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Write them."""
        count, top = ours.get("mlp.groups.count", 1), ours.get("mlp.groups.top", 1)
        method = {self.method: "greedy" if count == 1 else "group_limited_greedy"}
        return {"n_group": count, "topk_group": top, **(method if self.method else {})}


_FIELDS: tuple[Codec, ...] = (
    *SIZES_BUT_MLP,
    SameAs("num_key_value_heads", "num_attention_heads", "attention.heads"),
    Field("v_head_dim", "attention.head_width", default=128),
    Field("kv_lora_rank", "attention.kv_rank", default=512),
    Field("q_lora_rank", "attention.query_rank", default=None, null=True),
    Field("qk_nope_head_dim", "attention.nope_width", default=128),
    Field("qk_rope_head_dim", "attention.rope_width", default=64),
    SameAs("head_dim", "qk_rope_head_dim"),
    EPS,
    Rotary(),
    _ScaleOfYarn(),
    tie(default=False),
    off("attention_bias"),
    Field("hidden_act", "mlp.expert.activation", str, "silu", values=ACTIVATIONS),
    Field("moe_intermediate_size", "mlp.expert.hidden"),
    Field("n_routed_experts", "mlp.count"),
    Field("num_experts_per_tok", "mlp.top_k"),
    Field("n_shared_experts", "mlp.shared", default=None),
    Field("routed_scaling_factor", "mlp.scale", float, 1.0),
    Field("first_k_dense_replace", "mlp.first_dense", default=0),
    Field("intermediate_size", "mlp.dense_hidden"),
)
_NAMES = {
    **TOP,
    **blocks(
        "model.layers.",
        {
            "input_layernorm": "attention_norm",
            "self_attn.q_proj": Entry(("attention.query",), without="attention.query_up"),
            "self_attn.q_a_proj": Entry(("attention.query",), beside="attention.query_up"),
            "self_attn.q_a_layernorm": "attention.query_norm",
            "self_attn.q_b_proj": "attention.query_up",
            "self_attn.kv_a_proj_with_mqa": "attention.kv",
            "self_attn.kv_a_layernorm": "attention.kv_norm",
            "self_attn.kv_b_proj": "attention.kv_up",
            "self_attn.o_proj": "attention.output",
            "post_attention_layernorm": "mlp_norm",
            "mlp.gate_proj": "mlp.gate",
            "mlp.up_proj": "mlp.input",
            "mlp.down_proj": "mlp.output",
            "mlp.gate": "mlp.router",
            "mlp.gate.e_score_correction_bias": "mlp.router.balance.bias",
            "mlp.experts.{expert}.gate_proj": "mlp.routed.gate",
            "mlp.experts.{expert}.up_proj": "mlp.routed.input",
            "mlp.experts.{expert}.down_proj": "mlp.routed.output",
            "mlp.shared_experts.gate_proj": "mlp.shared.gate",
            "mlp.shared_experts.up_proj": "mlp.shared.input",
            "mlp.shared_experts.down_proj": "mlp.shared.output",
        },
    ),
}

DEEPSEEK_V2 = Family(
    name="deepseek_v2",
    model="DeepseekV2ForCausalLM",
    fixed={**_LATENT, "mlp.renormalize": False},
    fields=(
        *_FIELDS,
        _Groups(best=1, method="topk_method"),
        off("mlp_bias"),
        off("norm_topk_prob"),
    ),
    names=_NAMES,
)

DEEPSEEK_V3 = Family(
    name="deepseek_v3",
    model="DeepseekV3ForCausalLM",
    fixed={**_LATENT, "mlp.score": "sigmoid", "mlp.balance.kind": "BalanceBias"},
    fields=(
        *_FIELDS,
        _Groups(best=2),
        Field("norm_topk_prob", "mlp.renormalize", bool, True),
        Only("rope_interleave", True),
    ),
    names=_NAMES,
)
