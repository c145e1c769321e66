"""Multi-head latent attention."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DeepseekV2Config, DynamicCache
from transformers.models.deepseek_v2.modeling_deepseek_v2 import (
    DeepseekV2Attention,
    DeepseekV2RotaryEmbedding,
)

from gpt.errors import ConfigError
from gpt.generation.decoder import inference_copy
from gpt.model.gpt import GPT
from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.state import Cache
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import GroupedQuery, Interleaved, Latent
from gpt.spec.attention_base import Attention
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.norm import LayerNorm
from gpt.spec.pattern import Window
from gpt.spec.position import ALiBi, Rope
from gpt.spec.presets import PRESETS
from gpt.spec.scoring import ScaledDot, Softmax
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

T = 7
SHAPE = {"heads": 4, "kv_rank": 12, "nope_width": 6, "rope_width": 4, "head_width": 5}


def built(spec: Latent) -> tuple[Any, PositionEncoding]:
    """The attention of *spec* and a rotary position, in float64, with random weights."""
    torch.manual_seed(0)
    architecture = dataclasses.replace(SMALL, attention=spec, position=Rope())
    attention = mechanism(spec, architecture).double()
    for weight in attention.parameters():
        nn.init.normal_(weight, std=0.5)
    return attention, mechanism(Rope(), architecture).double()


def turned(x: Tensor) -> Tensor:
    """Turn feature i and i + R/2 of token t of x (B, H, T, R) by t θ^(-2i/R)."""
    half = x.shape[-1] // 2
    angles = torch.outer(
        torch.arange(x.shape[-2], dtype=torch.float64),
        10_000.0 ** -(torch.arange(half, dtype=torch.float64) / half),
    )
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((z.real, z.imag), dim=-1)


def plain(attention: Any, x: Tensor) -> Tensor:
    """The definition, with a key and a value of each head for each token."""
    heads, (n, r), (_, e) = attention.heads, attention.query_widths, attention.up_widths
    q = attention.query_up(attention.query_norm(attention.query(x)))
    q = q.view(*x.shape[:2], heads, n + r).transpose(1, 2)
    c, shared = attention.kv(x).split(attention.kept_widths, -1)
    kv = attention.kv_up(attention.kv_norm(c)).view(*x.shape[:2], heads, n + e).transpose(1, 2)
    scores = q[..., :n] @ kv[..., :n].mT + turned(q[..., n:]) @ turned(shared[:, None]).mT
    scores = scores / math.sqrt(n + r)
    scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    y: Tensor = attention.output((scores.softmax(-1) @ kv[..., n:]).transpose(1, 2).flatten(2))
    return y


def gradients(y: Tensor, attention: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of an uneven sum of y, by all parameters and x."""
    weights = dict(attention.named_parameters())
    loss = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
    found = torch.autograd.grad(loss, [x, *weights.values()])
    return dict(zip(("x", *weights), found, strict=True))


@pytest.mark.parametrize(
    "fields",
    [{}, {"query_rank": 9}, {"query_rank": 9, "latent_norm": LayerNorm()}, {"latent_norm": None}],
    ids=str,
)
def test_latent_attention_equals_its_definition(fields: dict[str, Any]) -> None:
    """In output and all gradients, in float64."""
    attention, position = built(Latent(**SHAPE, **fields))
    x = torch.randn(2, T, 32, dtype=torch.float64, requires_grad=True)
    ours, theirs = attention(x, context_of(x, position))[0], plain(attention, x)

    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        gradients(ours, attention, x), gradients(theirs, attention, x), rtol=1e-5, atol=1e-5
    )


def deepseek(query_rank: int | None) -> tuple[DeepseekV2Attention, DeepseekV2RotaryEmbedding]:
    """The attention of DeepSeek-V2 in transformers, with random weights."""
    torch.manual_seed(0)
    config = DeepseekV2Config(
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=4,
        q_lora_rank=query_rank,
        kv_lora_rank=SHAPE["kv_rank"],
        qk_nope_head_dim=SHAPE["nope_width"],
        qk_rope_head_dim=SHAPE["rope_width"],
        v_head_dim=SHAPE["head_width"],
        attn_implementation="eager",
    )
    theirs = DeepseekV2Attention(config, 0)
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.5)
    return theirs, DeepseekV2RotaryEmbedding(config)


def halves(weight: Tensor, plain_rows: int, heads: int = 1) -> Tensor:
    """Rows of *weight* with rotated features as pairs (2i, 2i + 1), as halves (i, i + R/2)."""
    rows = weight.view(heads, -1, weight.shape[-1])
    rotated = rows[:, plain_rows:]
    return torch.cat((rows[:, :plain_rows], rotated[:, ::2], rotated[:, 1::2]), 1).flatten(0, 1)


def copied(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names and layout of DeepSeek's tensors."""
    nope, rank = SHAPE["nope_width"], SHAPE["kv_rank"]
    ours = {
        "kv.weight": halves(theirs["kv_a_proj_with_mqa.weight"], rank),
        "kv_norm.weight": theirs["kv_a_layernorm.weight"],
        "kv_up.weight": theirs["kv_b_proj.weight"],
        "output.weight": theirs["o_proj.weight"],
    }
    if "q_proj.weight" in theirs:
        return {"query.weight": halves(theirs["q_proj.weight"], nope, 4), **ours}
    return {
        "query.weight": theirs["q_a_proj.weight"],
        "query_norm.weight": theirs["q_a_layernorm.weight"],
        "query_up.weight": halves(theirs["q_b_proj.weight"], nope, 4),
        **ours,
    }


@pytest.mark.parametrize("query_rank", [None, 9])
def test_latent_attention_equals_that_of_transformers(query_rank: int | None) -> None:
    """In output, all gradients, and the content of the cache."""
    theirs, rotary = deepseek(query_rank)
    ours, position = built(Latent(**SHAPE, query_rank=query_rank))
    ours, position = ours.float(), position.float()
    ours.load_state_dict(copied(dict(theirs.named_parameters())))
    x = torch.randn(2, T, 32, requires_grad=True)
    mask = torch.zeros(T, T).masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)[None, None]
    angles = rotary(x, torch.arange(T)[None])
    expected, _ = theirs(x, attention_mask=mask, position_embeddings=angles)
    actual, _ = ours(x, context_of(x, position))
    expected_gradients = gradients(expected, theirs, x)

    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        gradients(actual, ours, x),
        {"x": expected_gradients.pop("x"), **copied(expected_gradients)},
        rtol=1e-4,
        atol=1e-4,
    )

    cache, state = DynamicCache(), ours.new_state(2, torch.float32)
    with torch.no_grad():
        theirs(x, attention_mask=mask, position_embeddings=angles, cache=cache)
        ours(x, context_of(x, position), state)
    latents, shared = state.tensors[0][:, :, :T].split(ours.kept_widths, dim=-1)
    their_latents, their_shared = cache.layers[0].keys, cache.layers[0].values

    torch.testing.assert_close(latents, their_latents)
    torch.testing.assert_close(
        shared, torch.cat((their_shared[..., ::2], their_shared[..., 1::2]), -1)
    )


def model_of(**fields: Any) -> GPT:
    """A model of latent attention in float64."""
    axes = {name: fields.pop(name) for name in ("position", "value_embedding") if name in fields}
    spec = Latent(**{**SHAPE, **fields})
    return perturbed(dataclasses.replace(SMALL, attention=spec, **axes)).double()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"query_rank": 9},
        {"pattern": Window(size=5)},
        {"position": ALiBi()},
        {"normalizer": Softmax(sink="learned"), "position": ALiBi()},
        {"rope_width": 0, "position": None},
        {"score": ScaledDot(cap=2.0)},
    ],
    ids=str,
)
def test_absorbed_decoding_equals_naive(fields: dict[str, Any]) -> None:
    """For rows of different lengths, in float64."""
    ids, decoded = random_ids(2, 16), []
    for decode in ("naive", "absorbed"):
        model = model_of(decode=decode, **fields)
        caches = [model.new_cache(1, torch.float64) for _ in range(2)]
        with torch.no_grad():
            for row, (cache, length) in enumerate(zip(caches, (3, 8), strict=True)):
                model(ids[row : row + 1, :length], cache=cache)
            joined = Cache.join(caches)
            decoded.append([model(ids[:, n : n + 1], cache=joined) for n in range(8)])

    torch.testing.assert_close(*decoded, rtol=1e-9, atol=1e-9)


def test_absorption_attends_to_the_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    model, widths = model_of(decode="absorbed"), []
    pairwise = model.blocks[0].attention.pairwise
    pairwise.register_forward_hook(lambda _, inputs, __: widths.append(inputs[1].shape[1::2]))
    cache = model.new_cache(1, torch.float64)
    with torch.no_grad():
        model(random_ids(1, 5), cache=cache)
        model(random_ids(1, 1), cache=cache)

    assert widths == [(4, 6 + 4), (1, 12 + 4)]


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.1), (torch.int8, 0.3)])
def test_absorbed_weights_can_be_light(dtype: torch.dtype, error: float) -> None:
    """Copies for inference have their linear layers in few bits."""
    ids, logits = random_ids(1, 9), []
    for decode in ("naive", "absorbed"):
        spec = Latent(**SHAPE, decode=decode)  # type: ignore[arg-type]
        model: Any = inference_copy(perturbed(dataclasses.replace(SMALL, attention=spec)), dtype)
        cache = model.new_cache(1)
        with torch.inference_mode():
            model(ids[:, :8], cache=cache)
            logits.append(model(ids[:, 8:], cache=cache).float())

    torch.testing.assert_close(*logits, rtol=error, atol=error)


def numbers_per_token(spec: Attention, width: int, context: int = 4) -> float:
    """How many numbers one layer keeps for each token, from the bytes of its state."""
    architecture = Architecture(width=width, context=context, attention=spec)  # type: ignore[arg-type]
    with torch.device("meta"):
        state = mechanism(spec, architecture).new_state(1, torch.bfloat16)
    assert state.nbytes == state.bytes_at(context)
    return state.bytes_at(context) / context / torch.bfloat16.itemsize  # type: ignore[no-any-return]


def test_the_cache_has_the_sizes_of_the_paper() -> None:
    """DeepSeek-V2, table 9, table 1 and section 3.2.3, from the bytes of our states."""
    latent = 60 * numbers_per_token(
        Latent(heads=128, head_width=128, kv_rank=512, query_rank=1536, rope_width=64), 5120
    )
    deepseek_67b = 95 * numbers_per_token(GroupedQuery(heads=64, kv_heads=8, head_width=128), 8192)
    multi_head = 60 * numbers_per_token(GroupedQuery(heads=128, kv_heads=128, head_width=128), 5120)
    # Table 9 gives 860.2 K for its model of 250 B, which is 60 layers of 56 heads.
    ablation = 60 * numbers_per_token(GroupedQuery(heads=56, kv_heads=56, head_width=128), 5120)
    one_group = 60 * numbers_per_token(GroupedQuery(heads=128, kv_heads=1, head_width=128), 5120)

    assert latent == 60 * (512 + 64) == 34_560
    assert ablation == 860_160
    assert round(100 * latent / ablation) == 4
    assert round(100 * (1 - latent / deepseek_67b), 1) == 82.2
    assert round(100 * (1 - latent / multi_head), 1) == 98.2
    assert latent / one_group == 2.25
    # The abstract's figure is that of numbers of 6 bits instead of 16, without their scales.
    assert round(100 * (1 - latent * 6 / (deepseek_67b * 16)), 1) == 93.3


def test_the_cache_of_the_script_has_its_size() -> None:
    """2 d / 3 + d_h / 2 numbers of 2 d: 34.9 percent, at its 512 features and 16 heads."""
    spec = PRESETS["ambisinister"](8, 128).attention
    assert isinstance(spec, Latent)

    assert numbers_per_token(spec, 512) == 341 + 16
    assert round(100 * numbers_per_token(spec, 512) / (2 * 512), 1) == 34.9


@pytest.mark.parametrize("preset", ["ambisinister", "deepseek2"])
def test_presets_of_latent_attention_decode(preset: str) -> None:
    """At a small depth."""
    config = GPTConfig.over(PRESETS[preset](2, 16), 50)
    model, ids = perturbed(config, scale=0.05), random_ids(1, 9)
    cache = model.new_cache(1)
    with torch.no_grad():
        cached = torch.cat([model(each, cache=cache) for each in ids.split(1, dim=1)], dim=1)

        torch.testing.assert_close(cached, model(ids), rtol=1e-4, atol=1e-4)


def test_value_embeddings_are_refused() -> None:
    """In a layer whose values are not kept; other layers can have them."""
    latent, grouped = Latent(**SHAPE), GroupedQuery(heads=4, kv_heads=4)
    with pytest.raises(ConfigError, match=r"layer 0 keeps no values .* set value_embedding to"):
        model_of(value_embedding=ValueEmbedding())
    mixed = Interleaved(layers=(grouped, latent, grouped))
    GPTConfig.over(
        dataclasses.replace(
            Architecture(width=32, layers=3), attention=mixed, value_embedding=ValueEmbedding()
        ),
        50,
    )


def test_default_widths_are_those_of_deepseek() -> None:
    """In multiples of the width of a head."""
    spec = Latent(heads=128, head_width=128).resolved(5120)

    assert (spec.kv_rank, spec.nope_width, spec.rope_width) == (4 * 128, 128, 64)
