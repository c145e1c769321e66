"""Tests of the exercises of chapter 7."""

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same random numbers each time."""
    torch.manual_seed(0)


def test_7a_an_average_of_the_past(chapter: ModuleType) -> None:
    """Row t is the mean of rows 0 to t."""
    x = torch.randn(7, 3)

    averages = chapter.averages(x)

    assert averages.shape == x.shape
    assert torch.allclose(averages[0], x[0]), "The first token has only itself to average."
    assert torch.allclose(averages[-1], x.mean(0), atol=1e-6), (
        "The last row must be the mean of all rows: divide row t by t + 1, not by t or by T."
    )
    assert torch.allclose(averages[3], x[:4].mean(0), atol=1e-6)


def test_7b_a_head_is_that_of_torch(chapter: ModuleType) -> None:
    """The fused kernel computes the same."""
    q, k, v = torch.randn(3, 9, 16)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    unscaled = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    unmasked = F.scaled_dot_product_attention(q, k, v)

    found = chapter.attend(q, k, v)

    assert found.shape == v.shape
    assert not torch.allclose(found, unmasked, atol=1e-5), "Tokens see later ones: mask them."
    assert not torch.allclose(found, unscaled, atol=1e-5), "Divide the scores by √D."
    assert torch.allclose(found, expected, atol=1e-5), (
        "Check the dimension of softmax: the weights of one query sum to 1."
    )


def test_7b_the_first_token_sees_only_itself(chapter: ModuleType) -> None:
    """So its output is its value."""
    q, k, v = torch.randn(3, 4, 8)

    assert torch.allclose(chapter.attend(q, k, v)[0], v[0], atol=1e-6), (
        "Mask with triu(1): the diagonal stays, since a token sees itself."
    )


def next_too(x: Tensor) -> Tensor:
    """Averages each token and the next one."""
    return x + x.roll(-1, 0) * (torch.arange(len(x)) < len(x) - 1)[:, None]


def last_too(x: Tensor) -> Tensor:
    """Averages the past, and the first token sees the last one."""
    y = x.cumsum(0)
    return torch.cat((y[:1] + x[-1:], y[1:]))


def past(x: Tensor) -> Tensor:
    """Sums the past."""
    return x.cumsum(0)


@pytest.mark.parametrize("leaky", [next_too, last_too])
def test_7c_a_leak_is_found(chapter: ModuleType, leaky: object) -> None:
    """However few tokens see however few others."""
    assert chapter.sees_the_future(leaky, 6, 4) is True, (
        "A leak was missed: change every token in turn, and compare all outputs before it."
    )


def test_7c_the_past_is_no_leak(chapter: ModuleType) -> None:
    """A token may see itself and all before it."""
    assert chapter.sees_the_future(past, 6, 4) is False, (
        "Outputs at and after the changed token may change; compare only those before it."
    )


def test_7d_a_head_has_a_slice_of_the_features(chapter: ModuleType) -> None:
    """Of the same token: a view without a transpose has the right shape and the wrong numbers."""
    x = torch.arange(2 * 3 * 8).view(2, 3, 8)

    heads = chapter.split(x, 4)

    assert heads.shape == (2, 4, 3, 2)
    assert torch.equal(heads[1, 2], x[1, :, 4:6]), (
        "Head 2 of 4 must have features 4 and 5 of every token: view as (B, T, H, D), then "
        "transpose. A view as (B, H, T, D) mixes tokens."
    )
