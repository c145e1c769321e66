"""Presets: models by name and depth.

There are two kinds: the models in `EXPORTABLE`, which other software loads unchanged, and ``fast``,
which reaches a given loss soonest. The depth sets all other sizes, as in nanochat.
"""

from __future__ import annotations

from collections.abc import Callable

from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope

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


EXPORTABLE: dict[str, Callable[[int, int], Architecture]] = {
    "gpt2": gpt2,
    "llama": llama,
    "qwen3": qwen3,
}
PRESETS: dict[str, Callable[[int, int], Architecture]] = {"fast": fast, **EXPORTABLE}
"""Functions by name, each from (depth, context) to a model."""
