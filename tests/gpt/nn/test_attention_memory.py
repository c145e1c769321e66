"""Memory of attention by rows of growing length: what `benches.attention` measures besides time."""

import torch

from benches.attention import CONTESTANTS, Allocated, exponent, peak

LENGTHS = 1024, 4096


def test_memory_of_sparse_patterns_grows_in_proportion_to_the_row() -> None:
    """The bytes in use at once, forward and backward, with an exponent of at most 1.15."""
    torch.set_num_threads(1)
    exponents = {
        name: exponent(LENGTHS, [peak(attention, tokens) for tokens in LENGTHS])
        for name, attention in CONTESTANTS.items()
        if name != "causal"
    }

    assert len(exponents) >= 7
    assert max(exponents.values()) <= 1.15, exponents


def test_bytes_in_use_are_counted() -> None:
    """The most of them: 2x and its exponential, which the gradient needs; views add nothing."""
    x = torch.ones(1000, requires_grad=True)
    with Allocated() as allocated:
        y = (2 * x).exp().view(10, 100).sum()
        before = allocated.peak
        y.backward()

    assert before == 8000
    assert allocated.peak == 8008


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    """Of 3 n², also of three lengths."""
    assert exponent((1, 10, 50), (3, 300, 7500)) == 2.0
