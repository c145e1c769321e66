"""Scores and normalizers of attention equal torch.nn's layers and plain definitions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gpt.model.gpt import GPT
from gpt.nn.mechanism import initialize
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.pattern import Full, Window
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location, ScaledDot, Softmax
from tests.gpt.models import context_of, mechanism
from tests.gpt.nn.test_mechanisms import SMALL

B, H, T, D = 2, 4, 7, 8
INDEX = torch.arange(T)
POSITIONS = INDEX[None, :, None], INDEX[None, None]
CAUSAL = torch.ones(T, T).tril().bool()


def model_of(**attention: Any) -> GPTConfig:
    """A model without positions, with four heads of 8 features."""
    spec = GroupedQuery(heads=H, kv_heads=H, **attention)
    return dataclasses.replace(SMALL, position=None, attention=spec)


def part(spec: Any, axis: str = "score") -> Any:
    """The score or normalizer *spec*, in double precision, with random weights."""
    config = model_of(**{axis: spec})
    found = mechanism(config.attention, config).pairwise.get_submodule(axis).double()
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.5)
    return found


def vectors(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def check(ours: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """Compare values, and gradients of *inputs*."""
    grad = torch.randn_like(expected)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    )


def test_dot_is_a_scaled_dot_without_the_scale() -> None:
    """Luong's "dot"."""
    q, k = vectors(B, H, T, D), vectors(B, H, T, D)

    check(part(Dot())(q, k, *POSITIONS), math.sqrt(D) * part(ScaledDot())(q, k, *POSITIONS), [q, k])


def test_general_equals_torch_bilinear() -> None:
    """Of each head, in value and gradients."""
    score, q, k = part(General()), vectors(B, H, T, D), vectors(B, H, T, D)
    heads = []
    for head in range(H):
        # Bilinear is q A k; ours is W q · k, so A is the transposed matrix.
        matrix = score.query.weight.view(H, D, D)[head].T[None]
        pairs = (q[:, head, :, None].expand(B, T, T, D), k[:, head, None].expand(B, T, T, D))
        bilinear = nn.Bilinear(D, D, 1, bias=False)
        heads.append(functional_call(bilinear, {"weight": matrix}, pairs)[..., 0])

    check(score(q, k, *POSITIONS), torch.stack(heads, dim=1), [q, k, score.query.weight])


@pytest.mark.parametrize("hidden", [None, 5])
def test_additive_equals_luongs_concat(hidden: int | None) -> None:
    """The formula v · tanh(W [q; k]), pair by pair, in value and gradients."""
    score, q, k = part(Additive(hidden=hidden)), vectors(B, H, T, D), vectors(B, H, T, D)
    heads = []
    for head in range(H):
        w, u, v = (
            each.weight.view(H, -1, each.weight.shape[1])[head]
            for each in (score.query, score.key, score.vector)
        )
        both = torch.cat((w, u), dim=1)
        rows = [
            torch.stack(
                [torch.cat((q[:, head, i], k[:, head, j]), dim=1) @ both.T for j in range(T)], 1
            )
            for i in range(T)
        ]
        heads.append((torch.stack(rows, dim=1).tanh() @ v.T)[..., 0])

    check(score(q, k, *POSITIONS), torch.stack(heads, dim=1), [q, k, *score.parameters()])


def test_location_scores_positions() -> None:
    """Row s of W for the key at position s, whatever the key is; in the order of the keys."""
    score, q = part(Location()), vectors(B, H, T, D)
    rows = torch.tensor([[3, 0, 5, -1]])  # a slot without a token is at -1
    scores = torch.einsum("bhtd,hsd->bhts", q, score.query.weight.view(H, SMALL.context, D))
    found = score(q, vectors(B, H, 4, D), POSITIONS[0], rows[:, None])

    check(found[..., :3], scores[..., [3, 0, 5]], [q, score.query.weight])


def test_temperature_divides_scores_and_biases() -> None:
    """Softmax(s / τ)."""
    scores = vectors(B, H, T, T)
    found = part(Softmax(temperature=2.0), "normalizer")(scores, scores, *POSITIONS)

    check(found, (scores / 2).softmax(-1), [scores])


@pytest.mark.parametrize("full", [False, True])
def test_local_p_equals_a_plain_definition(full: bool) -> None:
    """Equations 9 and 10 of Luong 2015, query by query, in value and gradients."""
    local, q = part(LocalP(window=2), "normalizer"), vectors(B, H, T, D)
    scores = vectors(B, H, T, T)
    allowed = torch.ones(T, T).bool() if full else CAUSAL
    expected = torch.zeros(B, H, T, T, dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            w, v = (each.weight.view(H, -1, D)[h].double() for each in (local.hidden, local.center))
            for t in range(T):
                count = T if full else t + 1
                center = count * torch.sigmoid((v @ torch.tanh(w @ q[b, h, t])).float())[0]
                near = [s for s in range(count) if abs(s - center.item()) <= 2]
                align = scores[b, h, t, near].softmax(-1)
                for s, weight in zip(near, align, strict=True):
                    expected[b, h, t, s] = weight * torch.exp(-((s - center) ** 2) / 2)
    found = local(scores.masked_fill(~allowed, -math.inf), q, *POSITIONS)
    inputs, grad = [scores, q, *local.parameters()], torch.randn_like(expected)

    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        rtol=1e-4,
        atol=1e-5,
    )


def test_local_p_without_a_key_in_the_window_is_zero() -> None:
    """Also its gradients are finite: the pattern allows only keys that are far away."""
    local, q, scores = (
        part(LocalP(window=2), "normalizer"),
        vectors(1, H, T, D),
        vectors(1, H, T, T),
    )
    nn.init.zeros_(local.center.weight)  # the center is half of the row
    far = torch.zeros(T, T).bool()
    far[:, -1] = True
    found = local(scores.masked_fill(~far, -math.inf), q, *POSITIONS)
    found.sum().backward()

    assert not found.any()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_local_m_is_a_window() -> None:
    """The tokens from D before to the token itself: later ones are hidden in a causal model."""
    config = model_of(pattern=Window(size=3), score=General())
    attention = mechanism(config.attention, config)
    initialize(attention, torch.Generator())
    x = torch.randn(B, T, 32)
    nn.init.eye_(attention.output.weight)
    nn.init.normal_(attention.pairwise.score.query.weight)
    q, k, v = (
        f(x).view(B, T, H, D).transpose(1, 2)
        for f in (attention.query, attention.key, attention.value)
    )
    scores = attention.pairwise.score(q, k, *POSITIONS)
    near = CAUSAL & (INDEX[:, None] - INDEX < 3)
    weights = scores.masked_fill(~near, -math.inf).softmax(-1)

    torch.testing.assert_close(
        attention(x, context_of(x))[0], (weights @ v).transpose(1, 2).flatten(2)
    )


def test_a_new_general_score_is_as_large_as_a_scaled_dot_product() -> None:
    """Its variance is 1 for queries and keys of variance 1."""
    spec = dataclasses.replace(model_of(score=General()), width=256, context=64)
    score = GPT(spec).blocks[0].attention.pairwise.score
    q, k = torch.randn(2, 1, H, 500, 64)
    index = torch.arange(500)

    assert score(q, k, index[None, :, None], index[None, None]).std().item() == pytest.approx(
        1, abs=0.1
    )


def test_tokens_without_positions_can_be_permuted() -> None:
    """Permutation equivariance: outputs move with the inputs, unless a causal mask orders them."""
    order, x = torch.randperm(T), torch.randn(1, T, 32)
    for pattern, equivariant in (({"pattern": Full()}, True), ({}, False)):
        config = model_of(**pattern)
        attention = mechanism(config.attention, config)
        nn.init.eye_(attention.output.weight)
        moved = attention(x[:, order], context_of(x))[0]
        same = torch.allclose(moved, attention(x, context_of(x))[0][:, order], atol=1e-6)

        assert same is equivariant
