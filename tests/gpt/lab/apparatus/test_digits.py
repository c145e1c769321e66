"""The digits: their split, and that networks learn them."""

from __future__ import annotations

import torch
from torch import nn

from gpt.lab.apparatus.digits import (
    CLASSES,
    PIXELS,
    accuracy,
    accuracy_of_averages,
    batches,
    digits,
    fit,
    seeded,
)


def test_the_split_is_disjoint_and_a_fraction_is_a_part_of_it() -> None:
    """All 1,797 images are in one of the two; the test is the same for each fraction."""
    train, test = digits(3)
    fewer, same = digits(3, 0.1)

    assert len(train) + len(test) == 1797
    assert len(fewer) == round(0.1 * len(train))
    assert torch.equal(fewer.pixels, train.pixels[: len(fewer)])
    assert torch.equal(same.labels, test.labels)
    both = torch.cat((train.pixels, test.pixels))
    assert len(torch.unique(both, dim=0)) == len(both)


def test_an_epoch_has_each_image_at_most_once() -> None:
    """And the next one has another order."""
    data, _ = digits(0, 0.1)
    epoch = len(data) // 8
    found = [batch.pixels for batch, _ in zip(batches(data, 8, 0), range(2 * epoch), strict=False)]

    first, second = torch.cat(found[:epoch]), torch.cat(found[epoch:])
    assert len(torch.unique(first, dim=0)) == len(first)
    assert not torch.equal(first, second)


def test_a_network_learns_the_digits_as_its_seed_has_it() -> None:
    """A linear classifier, by its test accuracy; twice the same, dropout included."""

    def run() -> tuple[list[float], float]:
        train, test = digits(0)
        network = seeded(0, lambda: nn.Sequential(nn.Dropout(0.1), nn.Linear(PIXELS, CLASSES)))
        optimizer = torch.optim.Adam(network.parameters(), 0.03)
        losses = fit(network, train, optimizer, steps=60, rows=64, seed=0)
        return losses, accuracy(network, test)

    losses, found = run()

    assert found > 0.85
    assert run() == (losses, found)


def test_averages_of_networks_without_dropout_are_the_network() -> None:
    """And with it, an average of several is more accurate than one."""
    train, test = digits(0)

    def accuracies(p: float) -> torch.Tensor:
        network = seeded(0, lambda: nn.Sequential(nn.Dropout(p), nn.Linear(PIXELS, CLASSES)))
        fit(
            network, train, torch.optim.AdamW(network.parameters(), 0.01), steps=30, rows=64, seed=0
        )
        found = seeded(0, lambda: accuracy_of_averages(network, test, 20))
        return torch.cat((found, torch.tensor([accuracy(network, test)], dtype=found.dtype)))

    torch.testing.assert_close(accuracies(0.0), accuracies(0.0)[-1].expand(21), rtol=0, atol=1e-6)
    one, *_, many, _ = accuracies(0.8).tolist()
    assert many > one
