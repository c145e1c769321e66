"""Presets: models by name and depth.

There are the models in `EXPORTABLE`, which other software loads unchanged, ``fast``, which reaches
a given loss soonest, `LATENT`, of multi-head latent attention, and ``bert``, which predicts masked
tokens. Those that read pairs are in `gpt.spec.pair_presets`. The depth sets all other sizes, as in
nanochat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery, Latent
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.objective import MaskedLM
from gpt.spec.pattern import Full
from gpt.spec.position import Learned, Rope
from gpt.spec.score import MaskedLoss
from gpt.spec.wiring import PostNorm

HEAD_WIDTH = 64
"""Width of an attention head, and of the model per layer: 12 layers are 768 wide, as in GPT-2."""


def fast(depth: int, context: int) -> Architecture:
    """The model that reached a loss soonest on two CPU cores, of all that `gpt.nn` can build.

    LayerNorm without a bias instead of RMSNorm: its kernels take a third of the time on the CPU.
    Heads of 128 if the width divides into them: most time of attention goes into its T x T
    probabilities. No QK-norm and no residual lambdas: QK-norm takes a tenth of a step, and a run
    with both was no better after 70 seconds.
    """
    heads = depth if depth % 2 else depth // 2
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=heads, kv_heads=heads),
        position=Rope(),
        mlp=MLP(activation="relu2"),
        norm=LayerNorm(bias=False),
        value_embedding=ValueEmbedding(),
        tie=False,
    )


def gpt2(depth: int, context: int) -> Architecture:
    """GPT2LMHeadModel of transformers (Radford 2019)."""
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=depth, kv_heads=depth),
        position=Learned(),
        mlp=MLP(activation="gelu_tanh"),
        norm=LayerNorm(),
        tie=True,
        bias=True,
    )


def llama(depth: int, context: int) -> Architecture:
    """LlamaForCausalLM of transformers (Touvron 2023, arXiv:2302.13971)."""
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=depth, kv_heads=depth),
        position=Rope(),
        mlp=MLP(activation="silu", gated=True),
        norm=RMSNorm(eps=1e-5),
        tie=False,
    )


def qwen3(depth: int, context: int) -> Architecture:
    """Qwen3ForCausalLM of transformers (Yang 2025); two query heads share a kv head if even."""
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(
            heads=depth, kv_heads=depth if depth % 2 else depth // 2, qk_norm=True
        ),
        position=Rope(),
        mlp=MLP(activation="silu", gated=True),
        norm=RMSNorm(),
        tie=True,
    )


def deepseek2(depth: int, context: int) -> Architecture:
    """DeepSeek-V2 (arXiv:2405.04434) without its experts: every MLP is that of its first layer."""
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=Latent(heads=depth, head_width=HEAD_WIDTH, query_rank=12 * HEAD_WIDTH),
        position=Rope(),
        mlp=MLP(activation="silu", gated=True),
        norm=RMSNorm(),
        tie=False,
    )


def ambisinister(depth: int, context: int) -> Architecture:
    """The model of latent attention in ambisinister/mla-experiments, with a norm after the blocks.

    Its angles are those of heads twice as wide as the rotated part, which is a theta of 10,000 to
    the half.
    """
    width, head_width = HEAD_WIDTH * depth, HEAD_WIDTH // 2
    return Architecture(
        context=context,
        layers=depth,
        width=width,
        attention=Latent(
            heads=2 * depth,
            head_width=head_width,
            query_rank=width // 2,
            kv_rank=2 * width // 3,
            nope_width=head_width // 2,
            rope_width=head_width // 2,
            latent_norm=LayerNorm(),
        ),
        position=Rope(theta=100.0),
        mlp=MLP(activation="relu"),
        norm=LayerNorm(),
        tie=False,
    )


def bert(depth: int, context: int) -> Architecture:
    """The encoder of Devlin 2018, arXiv:1810.04805: it predicts masked tokens from both sides.

    Without the embeddings of segments and the norm after the embeddings.
    """
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=depth, kv_heads=depth, pattern=Full()),
        position=Learned(),
        mlp=MLP(activation="gelu"),
        norm=LayerNorm(),
        wiring=PostNorm(),
        tie=True,
        bias=True,
    )


EXPORTABLE: dict[str, Callable[[int, int], Architecture]] = {
    "gpt2": gpt2,
    "llama": llama,
    "qwen3": qwen3,
}
LATENT: dict[str, Callable[[int, int], Architecture]] = {
    "deepseek2": deepseek2,
    "ambisinister": ambisinister,
}
PRESETS: dict[str, Callable[[int, int], Architecture]] = {
    "fast": fast,
    **EXPORTABLE,
    **LATENT,
    "bert": bert,
}
"""Functions by name, each from (depth, context) to a model of texts."""
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "bert": {"objective": MaskedLM(), "score": MaskedLoss()},
}
"""Fields of a recipe for presets that do not predict the next token."""
CAUSAL = {name: preset for name, preset in PRESETS.items() if name not in OBJECTIVES}
"""The presets that predict the next token."""
