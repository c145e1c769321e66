"""Short convolutions equal torch's, and what they keep while decoding is bounded."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gpt.errors import ConfigError
from gpt.nn.mechanism import initialize
from gpt.spec.architecture import Architecture
from gpt.spec.convolution import Canon
from gpt.spec.embedding import TokenShift
from gpt.spec.mlp import MLP
from tests.gpt.models import context_of, mechanism, perturbed
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

NARROW = Architecture(width=16)


def canon(kernel: int, width: int = 16) -> Any:
    """A convolution in float64 with random weights."""
    built = mechanism(Canon(kernel=kernel), Architecture(width=width)).double()
    nn.init.normal_(built.weight)
    return built


@pytest.mark.parametrize("kernel", [1, 2, 4, 9])
def test_canon_is_a_causal_depthwise_convolution_with_a_residual(kernel: int) -> None:
    """nn.Conv1d with a group for each feature, in values and gradients; rows shorter, too."""
    ours, x = canon(kernel), torch.randn(2, 7, 16).double().requires_grad_()
    theirs = nn.Conv1d(16, 16, kernel, padding=kernel - 1, groups=16, bias=False).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.flip(0).T[:, None])
    expected = x + theirs(x.mT)[..., :7].mT
    y, grad = ours(x), torch.randn(2, 7, 16).double()

    torch.testing.assert_close(y, expected)
    x_grad, weight_grad = torch.autograd.grad(y, [x, ours.weight], grad)
    wanted = torch.autograd.grad(expected, [x, theirs.weight], grad)
    torch.testing.assert_close((x_grad, weight_grad.flip(0).T[:, None]), wanted)


def test_canon_begins_as_torchs_convolution_does() -> None:
    """Uniform between the same bounds."""
    ours = mechanism(Canon(kernel=4), Architecture(width=4096))
    initialize(ours, torch.Generator().manual_seed(0))
    theirs = nn.Conv1d(4096, 4096, 4, groups=4096)

    assert ours.weight.abs().max() <= 0.5
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.03)


def test_token_shift_is_the_shortest_convolution() -> None:
    """Each feature has its own fraction of the previous token; the oracle is RWKV's padding."""
    shift = mechanism(TokenShift(), NARROW)
    nn.init.uniform_(shift.fraction)
    x = torch.randn(2, 3, 16)

    torch.testing.assert_close(shift(x), x + shift.fraction * nn.ZeroPad2d((0, 0, 1, -1))(x))


@pytest.mark.parametrize("kernel", [2, 4, 9])
def test_documents_are_convolved_by_themselves(kernel: int) -> None:
    """Documents shorter than the kernel, too."""
    ours, x = canon(kernel), torch.randn(1, 8, 16).double()
    document_ids = torch.tensor([[0, 0, 1, 2, 2, 2, 2, 2]])
    alone = [ours(part) for part in x.split([2, 1, 5], dim=1)]

    torch.testing.assert_close(ours(x, document_ids=document_ids), torch.cat(alone, dim=1))


@pytest.mark.parametrize("chunks", [(8,), (1,) * 8, (3, 1, 4)], ids=str)
def test_tokens_are_kept_from_chunk_to_chunk(chunks: tuple[int, ...]) -> None:
    """The result is that of the whole row."""
    ours, x = canon(4), torch.randn(2, 8, 16).double()
    state = ours.new_state(2, torch.float64)
    parts = [ours(part, state) for part in x.split(chunks, dim=1)]

    torch.testing.assert_close(torch.cat(parts, dim=1), ours(x))


@pytest.mark.parametrize("kernel", [1, 4])
def test_a_state_has_the_bytes_of_the_last_tokens(kernel: int) -> None:
    """One less than the kernel, however long the row is, and none can be removed."""
    ours = canon(kernel)
    state = ours.new_state(3, torch.float32)
    ours(torch.randn(3, 50, 16).double(), state)

    assert state.nbytes == 3 * (kernel - 1) * 16 * 4
    assert state.truncate(0)
    assert not state.truncate(1)


def points(**changes: Any) -> Any:
    config = dataclasses.replace(SMALL, **changes)
    return mechanism(config.wiring, config).eval()


def of_block(block: Any, x: Tensor) -> Tensor:
    """A pre-norm block with convolutions, step by step."""
    context = context_of(x)
    normed = block.attention_norm(x)
    x = x + block.attention(block.attention_convolution(normed), context)[0]  # B is in attention
    normed = block.mlp_convolution(block.mlp_norm(x))
    hidden = block.mlp.convolution(block.mlp.input(normed))
    y: Tensor = x + block.mlp.output(block.mlp.activation(hidden))
    return y


def test_convolutions_are_at_their_points() -> None:
    """A before attention, C before the MLP, D before its activation."""
    block, x = points(convolution=Canon()), torch.randn(2, 6, 32)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)

    torch.testing.assert_close(block(x, context_of(x))[0], of_block(block, x))


def test_a_gated_mlp_convolves_both_products() -> None:
    """The gate with its own weights."""
    mlp = points(convolution=Canon(points=("D",)), mlp=MLP(gated=True, hidden=20)).mlp
    for parameter in mlp.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 6, 32)
    both = mlp.convolution(torch.cat((mlp.gate(x), mlp.input(x)), dim=-1))

    expected = mlp.output(mlp.activation(both[..., :20]) * both[..., 20:])
    torch.testing.assert_close(mlp(x)[0], expected)


def test_a_cache_with_convolutions_is_not_truncated() -> None:
    """It says so, and is discarded."""
    model = perturbed(dataclasses.replace(SMALL, convolution=Canon()))
    cache = model.new_cache(1)
    model(random_ids(1, 6), cache=cache)

    assert cache.truncate(0)
    assert not cache.truncate(1)


@pytest.mark.parametrize("points", [(), ("A", "A")])
def test_points_are_some_each_once(points: Any) -> None:
    """Otherwise the error says which there are."""
    with pytest.raises(ConfigError, match="points must be some of A, B, C, D"):
        Canon(points=points)
