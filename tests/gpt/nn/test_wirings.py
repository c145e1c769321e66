"""Wirings equal the decoder layers of other libraries, in values and in all gradients."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from transformers import Gemma2Config, GPTNeoXConfig, Olmo2Config, PhiConfig, PreTrainedConfig
from transformers.models.gemma2.modeling_gemma2 import Gemma2DecoderLayer
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXLayer
from transformers.models.olmo2.modeling_olmo2 import Olmo2DecoderLayer
from transformers.models.phi.modeling_phi import PhiDecoderLayer

from gpt.model.gpt import GPT
from gpt.nn.mechanism import initialize
from gpt.spec.architecture import GPTConfig
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.scale import LayerScale, Multiplier
from gpt.spec.wiring import DeepNorm, OutputNorm, Parallel, PostNorm, PreNorm, SandwichNorm
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

HEADS, WIDTH, HIDDEN, TOKENS = 4, 32, 40, 6
GATED = {"gate_proj": "gate", "up_proj": "input", "down_proj": "output"}
PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}


class Layer(NamedTuple):
    """A decoder layer of other software, and the same of ours."""

    theirs: nn.Module
    changes: dict[str, Any]
    """How our model differs from `SMALL`."""
    modules: Mapping[str, str]
    """Our names of their modules."""
    rotary: int = WIDTH // HEADS
    """Features of a head that it rotates."""
    scale_offset: float = 0.0
    """What it adds to the scales of its norms."""


def config_of(kind: type[PreTrainedConfig], **fields: Any) -> Any:
    """A config of a layer of the sizes here, without dropout."""
    config = kind(
        **{
            "hidden_size": WIDTH,
            "intermediate_size": HIDDEN,
            "num_attention_heads": HEADS,
            **fields,
        }
    )
    config._attn_implementation = "eager"
    return config


def names(attention: Mapping[str, str], mlp: Mapping[str, str], **others: str) -> dict[str, str]:
    attention = {f"self_attn.{theirs}": f"attention.{ours}" for theirs, ours in attention.items()}
    return {
        **attention,
        **{f"mlp.{theirs}": f"mlp.{ours}" for theirs, ours in mlp.items()},
        **others,
    }


def gemma2() -> Layer:
    """Sandwich norm; its scales are stored minus one."""
    config = config_of(
        Gemma2Config,
        num_key_value_heads=HEADS,
        head_dim=WIDTH // HEADS,
        query_pre_attn_scalar=WIDTH // HEADS,
        attn_logit_softcapping=None,
        hidden_activation="gelu_pytorch_tanh",
    )
    return Layer(
        Gemma2DecoderLayer(config, layer_idx=1),
        {
            "wiring": SandwichNorm(),
            "norm": RMSNorm(eps=config.rms_norm_eps),
            "mlp": MLP(activation="gelu_tanh", gated=True, hidden=HIDDEN),
        },
        names(
            PROJECTIONS | {"o_proj": "output"},
            GATED,
            input_layernorm="attention_norm",
            post_attention_layernorm="attention_output_norm",
            pre_feedforward_layernorm="mlp_norm",
            post_feedforward_layernorm="mlp_output_norm",
        ),
        scale_offset=1.0,
    )


def olmo2() -> Layer:
    """Norms of the outputs; those of queries and keys are left out here."""
    config = config_of(Olmo2Config, num_key_value_heads=HEADS)
    layer = Olmo2DecoderLayer(config, layer_idx=0)
    layer.self_attn.q_norm = layer.self_attn.k_norm = nn.Identity()
    return Layer(
        layer,
        {
            "wiring": OutputNorm(),
            "norm": RMSNorm(eps=config.rms_norm_eps),
            "mlp": MLP(activation="silu", gated=True, hidden=HIDDEN),
        },
        names(
            PROJECTIONS | {"o_proj": "output"},
            GATED,
            post_attention_layernorm="attention_output_norm",
            post_feedforward_layernorm="mlp_output_norm",
        ),
    )


def phi() -> Layer:
    """Parallel branches with one norm."""
    config = config_of(PhiConfig, num_key_value_heads=HEADS, hidden_act="gelu_new")
    return Layer(
        PhiDecoderLayer(config, layer_idx=0),
        {
            "wiring": Parallel(),
            "norm": LayerNorm(),
            "mlp": MLP(activation="gelu_tanh", hidden=HIDDEN),
            "bias": True,
        },
        names(
            PROJECTIONS | {"dense": "output"},
            {"fc1": "input", "fc2": "output"},
            input_layernorm="attention_norm",
        ),
        rotary=WIDTH // HEADS // 2,
    )


def neox() -> Layer:
    """Parallel branches with a norm each."""
    config = config_of(GPTNeoXConfig, hidden_dropout=0.0)
    return Layer(
        GPTNeoXLayer(config, layer_idx=0),
        {
            "wiring": Parallel(shared_norm=False),
            "norm": LayerNorm(),
            "mlp": MLP(activation="gelu", hidden=HIDDEN),
            "bias": True,
        },
        {
            "attention.dense": "attention.output",
            "mlp.dense_h_to_4h": "mlp.input",
            "mlp.dense_4h_to_h": "mlp.output",
            "input_layernorm": "attention_norm",
            "post_attention_layernorm": "mlp_norm",
        },
        rotary=WIDTH // HEADS // 4,
    )


def pairs_of(layer: Layer, block: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """Our parameters beside theirs, or parts of them."""
    found = []
    for theirs, ours in layer.modules.items():
        module = layer.theirs.get_submodule(theirs)
        for name, parameter in block.get_submodule(ours).named_parameters():
            found.append((parameter, getattr(module, name)))
    if hasattr(layer.theirs, "attention"):  # GPT-NeoX has the projections of each head side by side
        fused = layer.theirs.attention.query_key_value
        for part, name in enumerate(PROJECTIONS.values()):
            ours = block.get_submodule(f"attention.{name}")
            for kind in ("weight", "bias"):
                own = getattr(ours, kind)
                heads = getattr(fused, kind).view(HEADS, 3, WIDTH // HEADS, -1)[:, part]
                found.append((own, heads.reshape(own.shape)))
    return found


@pytest.mark.parametrize("make", [gemma2, olmo2, phi, neox])
def test_a_block_equals_a_decoder_layer_of_transformers(make: Callable[[], Layer]) -> None:
    """With the same weights, in values and all gradients; rotations are by nothing.

    In float64, of which they use float32 in norms and softmax.
    """
    layer = make()
    config = dataclasses.replace(SMALL, **layer.changes)
    block = mechanism(config.wiring, config).double().eval()
    theirs = layer.theirs.double().eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        for ours, other in pairs_of(layer, block):
            ours.copy_(other + (layer.scale_offset if ours.ndim == 1 else 0.0))
    x = torch.randn(2, TOKENS, WIDTH).double().requires_grad_()
    one = torch.ones(1, TOKENS, layer.rotary).double()
    mask = torch.full((1, 1, TOKENS, TOKENS), -math.inf).double().triu(1)
    expected = theirs(x, attention_mask=mask, position_embeddings=(one, 0 * one))
    y = block(x, context_of(x))[0]

    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    grad = torch.randn_like(y)
    gradients = torch.autograd.grad(y, [x, *(ours for ours, _ in pairs_of(layer, block))], grad)
    parameters = list(theirs.parameters())
    first, *others = torch.autograd.grad(expected, [x, *parameters], grad)
    with torch.no_grad():  # their gradients are then beside ours, as the weights are
        for parameter, value in zip(parameters, others, strict=True):
            parameter.copy_(value)
    wanted = [first, *(other.detach() for _, other in pairs_of(layer, block))]
    torch.testing.assert_close(list(gradients), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_pre_and_post_norm_equal_torchs_encoder_layer(norm_first: bool) -> None:
    """nn.TransformerEncoderLayer with a causal mask, in float64."""
    config = dataclasses.replace(
        SMALL,
        norm=LayerNorm(),
        wiring=PreNorm() if norm_first else PostNorm(),
        bias=True,
        mlp=MLP(activation="relu"),
    )
    block = mechanism(config.wiring, config).double().eval()
    theirs = nn.TransformerEncoderLayer(
        32, 4, 128, dropout=0.0, batch_first=True, norm_first=norm_first
    ).double()
    attention, mlp = block.attention, block.mlp
    with torch.no_grad():
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.3)
        projections = (attention.query, attention.key, attention.value)
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
    both = [
        (attention.output, theirs.self_attn.out_proj),
        (mlp.input, theirs.linear1),
        (mlp.output, theirs.linear2),
        (block.attention_norm, theirs.norm1),
        (block.mlp_norm, theirs.norm2),
    ]
    for ours, other in both:
        other.load_state_dict(ours.state_dict())
    x = torch.randn(2, TOKENS, 32).double().requires_grad_()
    mask = nn.Transformer.generate_square_subsequent_mask(TOKENS, dtype=torch.float64)
    y, expected = block(x, context_of(x))[0], theirs(x, src_mask=mask)

    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)
    grad = torch.randn_like(y)
    torch.testing.assert_close(
        torch.autograd.grad(y, [x, *(ours.weight for ours, _ in both)], grad),
        torch.autograd.grad(expected, [x, *(other.weight for _, other in both)], grad),
    )


def lively(spec: Any, **changes: Any) -> Any:
    """A block whose branches are not zero, in evaluation mode."""
    block = mechanism(spec, dataclasses.replace(SMALL, norm=LayerNorm(), wiring=spec, **changes))
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block.eval()


def test_deep_norm_scales_the_stream_of_post_norm() -> None:
    """By the fourth root of twice the number of layers."""
    block, x = lively(DeepNorm(), layers=8), torch.randn(2, TOKENS, 32)
    context = context_of(x)
    y = block.attention_norm(2 * x + block.attention(x, context)[0])
    y = block.mlp_norm(2 * y + block.mlp(y, context)[0])

    torch.testing.assert_close(block(x, context)[0], y)


def test_deep_norm_without_a_factor_is_post_norm() -> None:
    """Which torch's encoder layer equals."""
    deep, post = lively(DeepNorm(alpha=1.0)), lively(PostNorm())
    post.load_state_dict(deep.state_dict())
    x = torch.randn(2, TOKENS, 32)

    torch.testing.assert_close(deep(x, context_of(x))[0], post(x, context_of(x))[0])


@pytest.mark.parametrize(("layers", "alpha", "beta"), [(2, 2**0.5, 0.5), (8, 2.0, 8**-0.5)])
def test_factors_of_deep_norm_are_those_of_the_paper(
    layers: int, alpha: float, beta: float
) -> None:
    """Table 2 for a decoder: (2 M)^(1/4) and (8 M)^(-1/4)."""
    assert DeepNorm().factors(layers) == pytest.approx((alpha, beta))


def test_deep_norm_initializes_as_xavier_with_its_gain() -> None:
    """Within a few percent, by the numbers of weights; queries and keys have a gain of 1.

    nn.init.xavier_normal_ is the oracle.
    """
    config = dataclasses.replace(SMALL, width=256, wiring=DeepNorm(beta=0.25))
    block = mechanism(config.wiring, config)
    initialize(block, torch.Generator().manual_seed(0))
    gains = {"attention.query": 1.0, "attention.key": 1.0}
    for name in ("query", "key", "value", "output"):
        gains.setdefault(f"attention.{name}", 0.25)
    for name, gain in {**gains, "mlp.input": 0.25, "mlp.output": 0.25}.items():
        weight = block.get_submodule(name).weight
        expected = nn.init.xavier_normal_(torch.empty_like(weight), gain).std()

        assert weight.std().item() == pytest.approx(expected.item(), rel=0.02), name


@pytest.mark.parametrize("spec", [SandwichNorm(), OutputNorm()], ids=str)
def test_output_norms_begin_at_zero_and_outputs_at_random(spec: Any) -> None:
    """So the first gradients are not multiplied by 1 / √eps."""
    model = GPT(dataclasses.replace(SMALL, wiring=spec))

    for block in model.blocks:
        assert not block.attention_output_norm.weight.any()  # type: ignore[union-attr,operator]
        assert block.attention.output.weight.std() > 0.1  # type: ignore[union-attr,operator]
        assert block.mlp.output.weight.std() > 0.05  # type: ignore[union-attr,operator]


@pytest.mark.parametrize(
    ("spec", "normalized"),
    [
        (PreNorm(), True),
        (PostNorm(), False),
        (SandwichNorm(), True),
        (OutputNorm(), True),
        (Parallel(), True),
        (DeepNorm(), False),
    ],
    ids=str,
)
def test_the_last_norm_belongs_to_the_wiring(spec: Any, normalized: bool) -> None:
    """With post-norm the stream is normalized already."""
    model = GPT(dataclasses.replace(SMALL, wiring=spec))

    assert bool(list(model.norm.parameters())) is normalized


def test_a_model_can_have_no_norm() -> None:
    """Neither in its blocks nor before the head."""
    model = GPT(dataclasses.replace(SMALL, norm=None))

    assert not [name for name, _ in model.named_parameters() if "norm" in name]


@pytest.mark.parametrize("spec", [PreNorm(), Parallel()], ids=str)
def test_branches_are_scaled(spec: Any) -> None:
    """By one number, or by one for each feature."""
    fixed = lively(spec, branch_scale=Multiplier(factor=0.5))
    learned = lively(spec, branch_scale=LayerScale())
    learned.load_state_dict(fixed.state_dict(), strict=False)
    plain = lively(spec)
    plain.load_state_dict(fixed.state_dict())
    with torch.no_grad():
        for scale in (learned.attention_scale, learned.mlp_scale):
            scale.weight.fill_(0.5)
        for output in (plain.attention.output, plain.mlp.output):
            output.weight.mul_(0.5)
    x = torch.randn(2, TOKENS, 32)
    expected = plain(x, context_of(x))[0]

    torch.testing.assert_close(fixed(x, context_of(x))[0], expected)
    torch.testing.assert_close(learned(x, context_of(x))[0], expected)


def test_logits_are_scaled_before_they_are_capped() -> None:
    """The loss, too, is that of the scaled logits."""
    config = GPTConfig(**(vars(SMALL) | {"value_embedding": ValueEmbedding()}))
    scaled = perturbed(dataclasses.replace(config, logit_scale=Multiplier(factor=0.25)))
    plain = perturbed(config)
    ids = random_ids(2, 16)

    torch.testing.assert_close(scaled(ids), plain(ids) / 4)
