"""The small mechanisms, each by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.embedding import ValueEmbedding
from gpt.spec.head import SoftCap
from gpt.spec.scale import Multiplier, RootWidth
from gpt.spec.wiring import Lambdas, UNet
from tests.gpt.models import mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids


def test_lambdas_mix_the_residual_stream_and_the_embeddings() -> None:
    """Each layer has its own two weights."""
    mix = mechanism(Lambdas(embedded=0.25))
    nn.init.constant_(mix.stream, 0.5)
    x, x0 = torch.randn(2, 3, 4), torch.randn(2, 3, 4)

    torch.testing.assert_close(mix([x0, x]), 0.5 * x + 0.25 * x0)


def of_modded_nanogpt(x: Tensor, blocks: Sequence[Any], weights: Tensor) -> Tensor:
    """Its forward pass through *blocks*, of which the second half pops what the first pushed."""
    half, skipped = len(blocks) // 2, []
    for block in blocks[:half]:
        x = block(x)
        skipped.append(x)
    for block in blocks[half : len(blocks) - half]:
        x = block(x)
    for block in blocks[len(blocks) - half :]:
        x = x + weights[len(skipped) - 1] * skipped.pop()
        x = block(x)
    return x


@pytest.mark.parametrize("layers", [2, 5, 6])
def test_a_u_net_adds_outputs_as_modded_nanogpt_does(layers: int) -> None:
    """The last block gets the output of the first, with a weight of its own."""
    unet = mechanism(UNet(), Architecture(layers=layers))
    nn.init.normal_(unet.weight)
    blocks = [nn.Linear(4, 4) for _ in range(layers)]
    x = torch.randn(2, 3, 4)
    streams = [x]
    for block in blocks:
        streams.append(block(unet(streams)))

    torch.testing.assert_close(streams[-1], of_modded_nanogpt(x, blocks, unet.weight))


def test_a_u_net_needs_two_halves() -> None:
    """One layer has no mirror image."""
    with pytest.raises(ConfigError, match="UNet needs two layers"):
        Architecture(layers=1, residual=UNet())


@pytest.mark.parametrize(("layers", "expected"), [(1, {0}), (2, {0, 1}), (5, {0, 4})])
def test_value_embeddings_are_in_the_first_and_last_layer(layers: int, expected: set[int]) -> None:
    """Each has its own table."""
    config = dataclasses.replace(SMALL, layers=layers, value_embedding=ValueEmbedding())
    values, ids = GPT(config).values, random_ids(2, 16)

    assert {layer for layer in range(layers) if values(ids, layer) is not None} == expected
    assert torch.equal(values(ids, 0)[1, 3], values.tables["0"].weight[ids[1, 3]])


def test_soft_cap_equals_its_formula() -> None:
    """Its values stay within the limit."""
    logits = 50 * torch.randn(99)
    capped = mechanism(SoftCap(limit=15.0))(logits)

    torch.testing.assert_close(capped, 15 * torch.tanh(logits / 15))
    assert capped.abs().max() <= 15


def test_gemma_scales_its_embeddings_by_the_root_of_the_width() -> None:
    """Granite's factor is a number; logits are those of scaled embeddings."""
    root = perturbed(dataclasses.replace(SMALL, tie=False, embedding_scale=RootWidth()))
    fixed = perturbed(
        dataclasses.replace(SMALL, tie=False, embedding_scale=Multiplier(factor=32**0.5))
    )
    plain, ids = perturbed(dataclasses.replace(SMALL, tie=False)), random_ids(2, 16)
    with torch.no_grad():
        plain.embedding.weight *= 32**0.5

    torch.testing.assert_close(root(ids), plain(ids))
    torch.testing.assert_close(fixed(ids), plain(ids))
