"""Presets: models by name and depth.

Two kinds: those in `EXPORTABLE`, whose weights other software loads unchanged, and ``fast``, which
reaches a given loss soonest. The depth sets all other sizes, as in nanochat.
"""

from __future__ import annotations

from collections.abc import Callable

from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.mlp import Gelu, Relu2, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope

HEAD_WIDTH = 64
"""Width that a layer of depth adds, and of a head: 12 layers are 768 wide, as in GPT-2."""


def fast(depth: int, context: int) -> Architecture:
    """What reached a loss soonest on two CPU cores, of all that `gpt.nn` has.

    LayerNorm without a bias in place of RMSNorm, since its kernels take a third of the time on the
    CPU; heads of 128 where the width divides into them, since the time of attention is that of its
    T x T probabilities. QK-norm takes a tenth of a step there; it and residual lambdas are left out,
    since one run with them was no better after 70 seconds.
    """
    heads = depth if depth % 2 else depth // 2
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(heads=heads, kv_heads=heads),
        position=Rope(),
        mlp=Relu2(),
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
        mlp=Gelu(tanh=True),
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
        mlp=SwiGLU(),
        norm=RMSNorm(eps=1e-5),
        tie=False,
    )


def qwen3(depth: int, context: int) -> Architecture:
    """Qwen3ForCausalLM of transformers (Yang 2025); query heads share kv heads where they pair."""
    return Architecture(
        context=context,
        layers=depth,
        width=HEAD_WIDTH * depth,
        attention=GroupedQuery(
            heads=depth, kv_heads=depth if depth % 2 else depth // 2, qk_norm=True
        ),
        position=Rope(),
        mlp=SwiGLU(),
        norm=RMSNorm(),
        tie=True,
    )


EXPORTABLE: dict[str, Callable[[int, int], Architecture]] = {
    "gpt2": gpt2,
    "llama": llama,
    "qwen3": qwen3,
}
PRESETS: dict[str, Callable[[int, int], Architecture]] = {"fast": fast, **EXPORTABLE}
"""By name: depth and context to a model."""
