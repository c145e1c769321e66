"""The table of all mechanisms: from the type of a spec to the module, or function, that builds it.

CONTRIBUTING.md says how to add one. Every row must have a case in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpt.nn.attention.gate import HeadGate
from gpt.nn.attention.latent import LatentAttention
from gpt.nn.attention.linear_attention import LinearAttention
from gpt.nn.attention.longformer import LongformerAttention
from gpt.nn.attention.multihead import GroupedQueryAttention
from gpt.nn.attention.normalizers import LocalPNormalizer, SoftmaxNormalizer
from gpt.nn.attention.patterns import BigBirdPattern, CausalPattern, FullPattern, WindowPattern
from gpt.nn.attention.scores import (
    AdditiveScore,
    DotScore,
    GeneralScore,
    LocationScore,
    ScaledDotScore,
)
from gpt.nn.balance import BalanceBias, BalanceLoss
from gpt.nn.convolution import Canon, TokenShift
from gpt.nn.experts import GroupLimit, build_experts
from gpt.nn.head import HeadTransform, SoftCap
from gpt.nn.mlp import build_mlp
from gpt.nn.norm import BatchNorm, LayerNorm, RMSNorm
from gpt.nn.positions.absolute import LearnedPosition, SinusoidalPosition
from gpt.nn.positions.alibi import ALiBiPosition
from gpt.nn.positions.interleaved import InterleavedPositions
from gpt.nn.positions.relative import MusicPosition, ShawPosition
from gpt.nn.positions.rotary import RotaryPosition
from gpt.nn.positions.scaling import (
    DynamicNTKScaling,
    LinearScaling,
    Llama3Scaling,
    NTKScaling,
    YaRNScaling,
)
from gpt.nn.positions.t5 import T5Position
from gpt.nn.residual import Lambdas, UNet
from gpt.nn.scale import LayerScale, Multiplier, RootWidth
from gpt.nn.site import Site
from gpt.nn.value_embedding import ValueEmbedding
from gpt.nn.value_residual import ValueResidual
from gpt.nn.wiring import DeepNorm, OutputNorm, Parallel, PostNorm, PreNorm, SandwichNorm
from gpt.spec import (
    attention,
    convolution,
    embedding,
    experts,
    gate,
    head,
    linear_attention,
    mlp,
    norm,
    pattern,
    position,
    scale,
    scaling,
    scoring,
    wiring,
)
from gpt.spec.architecture import Architecture

MECHANISMS: dict[type, Callable[[Any, Site], Any]] = {
    attention.GroupedQuery: GroupedQueryAttention,
    attention.Longformer: LongformerAttention,
    gate.HeadGate: HeadGate,
    attention.Latent: LatentAttention,
    linear_attention.LinearAttention: LinearAttention,
    attention.Interleaved: lambda spec, site: site.build(spec.in_layer(site.layer)),
    pattern.Causal: CausalPattern,
    pattern.Window: WindowPattern,
    pattern.BigBird: BigBirdPattern,
    pattern.Full: FullPattern,
    scoring.ScaledDot: ScaledDotScore,
    scoring.Dot: DotScore,
    scoring.General: GeneralScore,
    scoring.Additive: AdditiveScore,
    scoring.Location: LocationScore,
    scoring.Softmax: SoftmaxNormalizer,
    scoring.LocalP: LocalPNormalizer,
    position.Learned: LearnedPosition,
    position.Sinusoidal: SinusoidalPosition,
    position.Rope: RotaryPosition,
    position.ALiBi: ALiBiPosition,
    position.T5: T5Position,
    position.Shaw: ShawPosition,
    position.Music: MusicPosition,
    position.InterleavedPositions: InterleavedPositions,
    scaling.Linear: LinearScaling,
    scaling.NTK: NTKScaling,
    scaling.DynamicNTK: DynamicNTKScaling,
    scaling.YaRN: YaRNScaling,
    scaling.Llama3: Llama3Scaling,
    mlp.MLP: build_mlp,
    experts.Experts: build_experts,
    experts.Groups: GroupLimit,
    experts.BalanceLoss: BalanceLoss,
    experts.BalanceBias: BalanceBias,
    norm.LayerNorm: LayerNorm,
    norm.RMSNorm: RMSNorm,
    norm.BatchNorm: BatchNorm,
    wiring.PreNorm: PreNorm,
    wiring.PostNorm: PostNorm,
    wiring.SandwichNorm: SandwichNorm,
    wiring.OutputNorm: OutputNorm,
    wiring.Parallel: Parallel,
    wiring.DeepNorm: DeepNorm,
    wiring.Lambdas: Lambdas,
    wiring.UNet: UNet,
    scale.Multiplier: Multiplier,
    scale.RootWidth: RootWidth,
    scale.LayerScale: LayerScale,
    embedding.TokenShift: TokenShift,
    convolution.Canon: Canon,
    embedding.ValueEmbedding: ValueEmbedding,
    embedding.ValueResidual: ValueResidual,
    head.HeadTransform: HeadTransform,
    head.SoftCap: SoftCap,
}
"""The module, or the function that builds one, for each type of a spec."""


def build(spec: Any, site: Site) -> Any:
    """Build the mechanism of *spec* for *site*; None for None."""
    return site.build(spec)


def site_of(architecture: Architecture, vocab_size: int, *, cross: bool = False) -> Site:
    """Return the site of a model of *architecture* with *vocab_size* token ids.

    With *cross*, its blocks also attend to the outputs of an encoder.
    """
    return Site(
        architecture=architecture,
        vocab_size=vocab_size,
        width=architecture.width,
        cross=cross,
        table=MECHANISMS,
    )
