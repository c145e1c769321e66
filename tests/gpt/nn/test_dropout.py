"""Dropout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gpt.nn.dropout import Dropout


def dropout_of_ones(p: float, seed: int = 0) -> Tensor:
    """Dropout of a million ones."""
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(1000, 1001))


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_dropout_zeroes_with_its_probability_and_preserves_the_mean(p: float) -> None:
    """Within five standard deviations; all other elements have the same value, as in torch."""
    y, deviation = dropout_of_ones(p), math.sqrt(p * (1 - p) / 1_001_000)

    assert abs((y == 0).float().mean().item() - p) < 5 * deviation + 1 / 2**17
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4, atol=0)


def test_dropout_is_independent_for_each_element() -> None:
    """Neighbors, and elements that use parts of one 64-bit random number, are uncorrelated."""
    zeroed = (dropout_of_ones(0.5).flatten() == 0).float() - 0.5

    for distance in (1, 2, 3, 4, 1000):
        assert abs((zeroed[distance:] * zeroed[:-distance]).mean()) < 5 * 0.25 / 1000


def test_dropout_is_a_function_of_the_seed() -> None:
    """A resumed run depends on it."""
    assert torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3))
    assert not torch.equal(dropout_of_ones(0.3), dropout_of_ones(0.3, seed=1))


def test_gradient_of_dropout_is_its_factor() -> None:
    """It is 0 for zeroed elements."""
    x = torch.ones(100, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()

    torch.testing.assert_close(x.grad, y.detach())


@pytest.mark.parametrize(("training", "p"), [(False, 0.5), (True, 0.0)])
def test_dropout_returns_its_input_in_evaluation_or_with_probability_0(
    training: bool, p: float
) -> None:
    """It is not copied."""
    x = torch.ones(10)

    assert Dropout(p).train(training)(x) is x
