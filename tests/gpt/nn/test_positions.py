"""Position encodings equal their formulas and other libraries'."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from gpt.model.gpt import GPT
from gpt.nn.build import MECHANISMS
from gpt.nn.positions.encoding import PositionEncoding
from gpt.nn.site import Site
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.part import Part
from gpt.spec.position import ALiBi, Sinusoidal
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids


def sinusoids(count: int, **fields: bool) -> Tensor:
    """The vectors of *count* positions, (count, 32)."""
    spec = Sinusoidal(scale_embedding=False, **fields)
    table: Tensor = mechanism(spec, SMALL).embed(torch.zeros(1, count, 32), 0)[0]
    return table


def test_sinusoidal_equals_that_of_transformers() -> None:
    """Marian has the sines first, then the cosines; in the paper they alternate."""
    theirs = MarianSinusoidalPositionalEmbedding(16, 32)
    theirs.weight.data = theirs.create_weight()  # type: ignore[no-untyped-call]
    concatenated, alternating = (sinusoids(16, concatenated=each) for each in (True, False))

    torch.testing.assert_close(concatenated, theirs.weight.data)
    order = torch.arange(32).view(2, -1).T.flatten()
    assert torch.equal(alternating, concatenated[:, order])


@pytest.mark.parametrize("shift", [1, 7])
def test_a_shift_of_sinusoids_is_a_matrix(shift: int) -> None:
    """PE(p + k) = M_k PE(p), where M_k rotates each pair by k times its frequency."""
    frequencies = 10_000.0 ** (-torch.arange(0, 32, 2) / 32)
    sin, cos = (shift * frequencies).sin(), (shift * frequencies).cos()
    blocks = [torch.tensor([[c, s], [-s, c]]) for s, c in zip(sin, cos, strict=True)]
    table = sinusoids(16)

    torch.testing.assert_close(
        table[:-shift] @ torch.block_diag(*blocks).T, table[shift:], rtol=1e-4, atol=1e-5
    )


def test_sinusoidal_scales_the_embedding_by_the_root_of_the_width() -> None:
    """Section 3.4 of the paper; positions are added afterwards."""
    x = torch.randn(2, 16, 32)
    scaled, plain = (mechanism(Sinusoidal(scale_embedding=scale), SMALL) for scale in (True, False))

    torch.testing.assert_close(
        scaled.embed(x, 0), math.sqrt(32) * x + plain.embed(torch.zeros_like(x), 0)
    )


@pytest.mark.parametrize("heads", [1, 4, 6, 8, 12])
def test_alibi_equals_that_of_bloom(heads: int) -> None:
    """Up to a constant per query, which softmax ignores: BLOOM's bias is that of key positions."""
    spec = Architecture(width=48, attention=GroupedQuery(heads=heads, kv_heads=heads))
    index = torch.arange(9)
    queries = torch.empty(1, heads, 9, 1)
    ours = mechanism(ALiBi(), spec).score_bias(queries, index[None, :, None], index)[0]
    theirs = build_alibi_tensor(torch.ones(1, 9), heads, torch.float32).view(heads, 1, 9)
    slopes = theirs[:, :, 1:2]
    causal = torch.ones(9, 9).tril().bool()

    torch.testing.assert_close(
        ours.masked_fill(~causal, 0),
        (theirs - slopes * index[:, None]).masked_fill(~causal, 0),
    )


def test_alibi_equals_a_biased_softmax() -> None:
    """Written out for one layer, as in the paper."""
    spec = dataclasses.replace(SMALL, position=ALiBi(), attention=GroupedQuery(heads=4, kv_heads=4))
    attention, alibi = mechanism(spec.attention, spec), mechanism(ALiBi(), spec)
    nn.init.eye_(attention.output.weight)
    x = torch.randn(1, 6, 32)
    q, k, v = (
        f(x).view(6, 4, 8).transpose(0, 1)
        for f in (attention.query, attention.key, attention.value)
    )
    scores = q @ k.mT / math.sqrt(8)
    for head in range(4):
        for i in range(6):
            for j in range(6):
                bias = -(2.0 ** (-2 * (head + 1))) * (i - j) if j <= i else -math.inf
                scores[head, i, j] += bias
    expected = (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)

    torch.testing.assert_close(attention(x, context_of(x, alibi))[0][0], expected)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorsOfDistances(Part):
    """Relative position representations (Shaw 2018, arXiv:1803.02155), to test all four hooks."""


class VectorsOfDistancesPosition(PositionEncoding):
    """e_ij = q_i (k_j + a_ij) / √D, z_i = Σ α_ij (v_j + b_ij)."""

    biases_scores = biases_values = True

    def __init__(self, spec: VectorsOfDistances, site: Site) -> None:
        super().__init__()
        context, width = site.architecture.context, site.architecture.head_width
        self.key, self.value = nn.Embedding(context, width), nn.Embedding(context, width)

    def score_bias(self, queries: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return q_i a_ij / √D."""
        vectors = self.key((positions - keys).clamp(min=0))
        return torch.einsum(
            "bhtd,btsd->bhts", queries, vectors.expand(len(queries), -1, -1, -1)
        ) / math.sqrt(queries.shape[-1])

    def value_bias(self, weights: Tensor, positions: Tensor, keys: Tensor) -> Tensor:
        """Return Σ α_ij b_ij."""
        vectors = self.value((positions - keys).clamp(min=0))
        return torch.einsum("bhts,btsd->bhtd", weights, vectors.expand(len(weights), -1, -1, -1))


def test_all_hooks_of_a_position_encoding_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoding whose biases depend on queries and weights equals its formula, also cached."""
    monkeypatch.setitem(MECHANISMS, VectorsOfDistances, VectorsOfDistancesPosition)
    model: GPT = perturbed(dataclasses.replace(SMALL, position=VectorsOfDistances()))  # type: ignore[arg-type]
    shaw = model.position
    assert isinstance(shaw, VectorsOfDistancesPosition)
    attention, x = mechanism(SMALL.attention, SMALL), torch.randn(1, 6, 32)
    nn.init.eye_(attention.output.weight)
    q, k, v = (
        f(x).view(6, 4, 8).transpose(0, 1)
        for f in (attention.query, attention.key, attention.value)
    )
    expected = torch.zeros(4, 6, 8)
    for head in range(4):
        for i in range(6):
            scores = torch.stack(
                [q[head, i] @ (k[head, j] + shaw.key.weight[i - j]) for j in range(i + 1)]
            )
            for j, weight in enumerate((scores / math.sqrt(8)).softmax(0)):
                expected[head, i] += weight * (v[head, j] + shaw.value.weight[i - j])
    ours = attention(x, context_of(x, shaw))[0][0]

    torch.testing.assert_close(ours, expected.transpose(0, 1).flatten(1), rtol=1e-4, atol=1e-5)
    ids, cache = random_ids(2, 16), model.new_cache(2)
    cached = [model(chunk, cache=cache) for chunk in ids.split((5, 1, 1, 6, 3), dim=1)]
    torch.testing.assert_close(torch.cat(cached, 1), model(ids), rtol=1e-4, atol=1e-4)
