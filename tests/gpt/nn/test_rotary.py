"""Rotary positions and their scaling equal transformers', and have the properties of the paper."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import DeepseekV3Config, GPTJConfig, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention
from transformers.models.gptj.modeling_gptj import GPTJRotaryEmbedding
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as rotate_as_gptj
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.position import InterleavedPositions, Rope
from gpt.spec.scaling import NTK, DynamicNTK, Linear, Llama3, YaRN
from tests.gpt.models import mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

HEADS, WIDTH = 2, 16


def model_of(context: int = 64) -> Architecture:
    """Two heads of 16 features."""
    attention = GroupedQuery(heads=HEADS, kv_heads=HEADS)
    return Architecture(context=context, width=HEADS * WIDTH, attention=attention, layers=1)


def rotated(spec: Rope, x: Tensor, positions: Any = 0, context: int = 64) -> Tensor:
    """Features x (B, H, T, D) at *positions*."""
    rope = mechanism(spec, model_of(context))
    rope.reserve(x.shape[-2])
    y: Tensor = rope.rotate(x, positions)
    return y


def llama(context: int = 64, **rope: Any) -> LlamaConfig:
    """Llama's config with the same heads."""
    return LlamaConfig(
        hidden_size=HEADS * WIDTH,
        num_attention_heads=HEADS,
        max_position_embeddings=context,
        rope_parameters={"rope_theta": 10_000.0, "rope_type": "default", **rope},
    )


def as_llama(x: Tensor, config: LlamaConfig) -> Tensor:
    """Features x (B, H, T, D) as transformers rotates it, from position 0."""
    cos, sin = LlamaRotaryEmbedding(config)(x, torch.arange(x.shape[-2])[None])
    y: Tensor = apply_rotary_pos_emb(x, x, cos, sin)[0]
    return y


def test_rope_equals_llamas_in_value_and_gradient() -> None:
    """Half-split: pairs are features i and i + R/2."""
    x = torch.randn(2, HEADS, 9, WIDTH, requires_grad=True)
    ours, theirs = rotated(Rope(), x), as_llama(x, llama())
    grad = torch.randn_like(x)

    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, x, grad), torch.autograd.grad(theirs, x, grad)
    )


@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_interleaved_rope_equals_gptjs(fraction: float) -> None:
    """Pairs are features 2i and 2i + 1 of the first ones."""
    count = round(fraction * WIDTH)
    x = torch.randn(2, HEADS, 9, WIDTH)
    embedding = GPTJRotaryEmbedding(GPTJConfig(n_embd=32, n_head=2, rotary_dim=count))
    sin, cos = embedding(x, torch.arange(9)[None])
    features = rotate_as_gptj(x[..., :count].transpose(1, 2), sin, cos).transpose(1, 2)

    torch.testing.assert_close(
        rotated(Rope(interleaved=True, fraction=fraction), x),
        torch.cat((features, x[..., count:]), dim=-1),
    )


def test_interleaved_rope_is_a_product_of_complex_numbers() -> None:
    """As in Meta's code: features 2i and 2i + 1 are one number, times exp(i t f)."""
    x = torch.randn(1, HEADS, 9, WIDTH)
    frequencies = 10_000.0 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
    turns = torch.polar(torch.ones(9, WIDTH // 2), torch.arange(9.0)[:, None] * frequencies)
    numbers = torch.view_as_complex(x.view(1, HEADS, 9, -1, 2)) * turns

    expected = torch.view_as_real(numbers).flatten(-2)
    torch.testing.assert_close(rotated(Rope(interleaved=True), x), expected)


def test_the_two_layouts_are_one_permutation_apart() -> None:
    """Feature 2i of one is feature i of the other, 2i + 1 is i + R/2."""
    x = torch.randn(2, HEADS, 9, WIDTH)
    order = torch.arange(WIDTH).view(2, -1).T.flatten()

    torch.testing.assert_close(
        rotated(Rope(interleaved=True), x[..., order]), rotated(Rope(), x)[..., order]
    )
    assert not torch.allclose(rotated(Rope(interleaved=True), x), rotated(Rope(), x))


@given(
    positions=st.tuples(*[st.integers(0, 40)] * 3),
    interleaved=st.booleans(),
    fraction=st.sampled_from([0.25, 0.5, 1.0]),
)
def test_products_depend_on_distances_only_and_norms_stay(
    positions: tuple[int, int, int], interleaved: bool, fraction: float
) -> None:
    """⟨R_m q, R_n k⟩ = ⟨R_(m+s) q, R_(n+s) k⟩, and |R q| = |q|."""
    m, n, shift = positions
    spec = Rope(interleaved=interleaved, fraction=fraction)
    rope = mechanism(spec, model_of(128))
    q, k = torch.randn(2, 1, 1, 1, WIDTH, generator=torch.Generator().manual_seed(m))

    near = (rope.rotate(q, m) * rope.rotate(k, n)).sum()
    far = (rope.rotate(q, m + shift) * rope.rotate(k, n + shift)).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rope.rotate(q, m).norm(), q.norm())


SCALINGS = [
    (Linear(factor=4.0), {"rope_type": "linear", "factor": 4.0}),
    (DynamicNTK(factor=2.0), {"rope_type": "dynamic", "factor": 2.0}),
    *(
        (
            YaRN(factor=4.0, original_context=original, **ours),
            {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": original,
                **theirs,
            },
        )
        for original in (16, 2048)
        for ours, theirs in (
            ({}, {}),
            ({"fast": 20.0, "slow": 0.5}, {"beta_fast": 20.0, "beta_slow": 0.5}),
            ({"truncate": False}, {"truncate": False}),
            ({"magnitude": 1.7}, {"attention_factor": 1.7}),
            ({"mscale": 0.7, "mscale_all": 1.3}, {"mscale": 0.7, "mscale_all_dim": 1.3}),
        )
    ),
    (
        Llama3(factor=8.0, original_context=24),
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 24,
        },
    ),
]


@pytest.mark.parametrize("fraction", [0.5, 1.0])
@pytest.mark.parametrize(("ours", "theirs"), SCALINGS, ids=str)
def test_scaled_frequencies_equal_transformers(
    ours: Any, theirs: dict[str, Any], fraction: float
) -> None:
    """ROPE_INIT_FUNCTIONS is the oracle, for frequencies and the factor of rotations."""
    config = llama(partial_rotary_factor=fraction, **theirs)
    expected, factor = ROPE_INIT_FUNCTIONS[theirs["rope_type"]](config, "cpu", seq_len=100)
    scaling = mechanism(ours, model_of())
    count = round(WIDTH * fraction)
    plain = 10_000.0 ** -(torch.arange(0, count, 2).double() / count)

    torch.testing.assert_close(scaling.scaled(plain, 10_000.0, 100).float(), expected)
    assert scaling.rotation_factor == pytest.approx(factor)


@pytest.mark.parametrize(("ours", "theirs"), SCALINGS, ids=str)
@pytest.mark.parametrize("tokens", [9, 100])
def test_scaled_rotations_equal_llamas(ours: Any, theirs: dict[str, Any], tokens: int) -> None:
    """The factor of rotations included, in rows within and past the context of training."""
    x = torch.randn(1, HEADS, tokens, WIDTH)
    # Transformers' DynamicNTK leaves frequencies as they are up to the context, as ours.
    torch.testing.assert_close(
        rotated(Rope(scaling=ours), x), as_llama(x, llama(**theirs)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("factor", [2.0, 8.0])
def test_ntk_is_dynamic_scaling_at_one_length(factor: float) -> None:
    """In transformers it is only that: with factor 1, at factor times the context."""
    config = llama(rope_type="dynamic", factor=1.0)
    expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, "cpu", seq_len=int(64 * factor))
    plain = 10_000.0 ** -(torch.arange(0, WIDTH, 2).double() / WIDTH)
    scaled = mechanism(NTK(factor=factor), model_of()).scaled(plain, 10_000.0, 9)

    torch.testing.assert_close(scaled.float(), expected)
    torch.testing.assert_close(scaled[[0, -1]], plain[[0, -1]] / torch.tensor([1, factor]))


def test_the_factor_of_scores_is_deepseeks() -> None:
    """DeepseekV3Attention scales its scores by mscale_all_dim, besides its rotations."""
    yarn = YaRN(factor=40.0, original_context=4096, mscale=1.0, mscale_all=1.0)
    config = DeepseekV3Config(
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10_000.0,
            "factor": 40.0,
            "original_max_position_embeddings": 4096,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
        }
    )
    attention = DeepseekV3Attention(config, 0)

    assert yarn.score_factor * config.qk_head_dim**-0.5 == pytest.approx(attention.scaling)
    assert yarn.rotation_factor == 1


def test_rows_have_their_own_positions() -> None:
    """A tensor of positions gives each row what a slice of the table would."""
    x = torch.randn(2, HEADS, 3, WIDTH)
    positions = torch.tensor([[4, 5, 6], [0, 7, 1]])
    expected = torch.stack(
        [
            torch.cat([rotated(Rope(), x[row, :, i : i + 1], int(p)) for i, p in enumerate(of)], 1)
            for row, of in enumerate(positions)
        ]
    )

    torch.testing.assert_close(rotated(Rope(), x, positions), expected)


def dynamic(context: int) -> GPTConfig:
    """A model trained on 16 tokens."""
    spec = Rope(scaling=DynamicNTK(factor=2.0, original_context=16))
    return dataclasses.replace(SMALL, position=spec, context=context)


def test_dynamic_scaling_decodes_within_the_original_context_only() -> None:
    """Past it, keys that are kept would have been rotated for another length."""
    model, ids = perturbed(dynamic(16)), random_ids(1, 16)
    cache = model.new_cache(1)
    cached = [model(chunk, cache=cache) for chunk in ids.split(4, dim=1)]

    torch.testing.assert_close(torch.cat(cached, dim=1), model(ids))
    with pytest.raises(ConfigError, match=r"cannot decode in a context of 17; choose NTK or YaRN"):
        GPT(dynamic(17)).new_cache(1)


def test_dynamic_scaling_follows_the_length_of_each_row() -> None:
    """Long rows change their tables, and short ones get theirs back."""
    model = perturbed(dynamic(64))
    short, long = random_ids(1, 9), random_ids(1, 40)
    before, during, after = model(short), model(long), model(short)

    torch.testing.assert_close(before, after)
    fixed = dataclasses.replace(dynamic(64), position=Rope(scaling=NTK(factor=2 * 40 / 16 - 1)))
    static = GPT(fixed).eval()
    static.load_state_dict(model.state_dict())
    torch.testing.assert_close(during, static(long), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: YaRN(factor=2.0, fast=1.0), "fast must be above slow, 1.0"),
        (lambda: Llama3(factor=2.0, low=4.0), "high must be above low, 4.0"),
        (lambda: Linear(factor=0.0), "factor must be above 0"),
        (
            lambda: dataclasses.replace(
                model_of(), position=Rope(fraction=1 / 8, scaling=NTK(factor=2.0))
            ),
            "at least 4 rotated features",
        ),
        (
            lambda: dataclasses.replace(
                model_of(), position=Rope(theta=1.0, scaling=YaRN(factor=2.0))
            ),
            "needs a position.theta above 1",
        ),
    ],
)
def test_impossible_scalings_are_refused(make: Any, message: str) -> None:
    """With what to change."""
    with pytest.raises(ConfigError, match=message):
        make()


def test_layers_can_differ_in_theta_and_rotate_nothing() -> None:
    """As in Gemma 3 and in SmolLM3."""
    spec = InterleavedPositions(layers=(Rope(theta=100.0), Rope(), None))
    model = perturbed(dataclasses.replace(SMALL, position=spec, layers=4))
    x = torch.randn(1, 4, 9, 8)
    expected = [
        mechanism(each, SMALL).rotate(x, 0) if each else x
        for each in (*spec.layers, spec.layers[0])
    ]
    ours = [model.position.in_layer(layer).rotate(x, 0) for layer in range(4)]

    torch.testing.assert_close(ours, expected)
    assert not math.isclose(ours[0].sum().item(), ours[1].sum().item())
