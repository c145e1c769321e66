"""Images of digits that scikit-learn ships, instead of MNIST, and a plain loop that trains on them.

1,797 images of 8 x 8 pixels (Alpaydin and Kaynak 1998, UCI). Networks are functions from pixels
(N, 64) to logits (N, 10).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

PIXELS, CLASSES = 64, 10
TEST = 0.25
"""Fraction of the images that no network is trained on."""
Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Images:
    """Pixels (N, 64) from 0 to 1, and labels (N,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Images:
        return Images(pixels=self.pixels[rows], labels=self.labels[rows])


def digits(seed: int, fraction: float = 1.0, *, device: str = "cpu") -> tuple[Images, Images]:
    """Return the images to train on, *fraction* of them, and those to test on: split by *seed*.

    A smaller fraction is a part of a larger one, and the test does not depend on it.
    """
    found = _all_digits()
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    held_out = round(TEST * len(found))
    last = held_out + round(fraction * (len(found) - held_out))
    train, test = found[order[held_out:last]], found[order[:held_out]]
    return _to(train, device), _to(test, device)


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """Return what *make* returns with torch's random state set to *seed*; the caller's is kept."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def fit(
    network: nn.Module,
    data: Images,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    rows: int,
    seed: int,
    after: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train *network* by cross entropy; return the loss of each step in nats.

    *seed* decides the order of the images, and the masks of dropout. *after* is called with the
    number of steps made; it may evaluate the network, which is in training mode for each step.
    """

    def train() -> list[float]:
        losses = []
        for step, batch in zip(range(1, steps + 1), batches(data, rows, seed), strict=False):
            network.train()
            loss = F.cross_entropy(network(batch.pixels), batch.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
            after(step)
        return losses

    return seeded(seed, train)


def batches(data: Images, rows: int, seed: int) -> Iterator[Images]:
    """Yield batches of *rows* images without end: each epoch has its own order."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(data), generator=generator)
        for begin in range(0, len(data) - rows + 1, rows):
            yield data[order[begin : begin + rows].to(data.labels.device)]


@torch.no_grad()
def accuracy(network: nn.Module, data: Images) -> float:
    """Return the fraction of *data* that *network* classifies correctly, in evaluation mode."""
    network.eval()
    return float((network(data.pixels).argmax(-1) == data.labels).float().mean())


@torch.no_grad()
def accuracy_of_averages(network: nn.Module, data: Images, count: int) -> Tensor:
    """Return the accuracy (count,) of the average of 1, 2, … thinned networks, by probabilities.

    Dropout thins each of them differently (Srivastava 2014, section 7.5).
    """
    network.train()
    each = torch.stack([network(data.pixels).softmax(-1) for _ in range(count)])
    return (each.cumsum(0).argmax(-1) == data.labels).double().mean(-1)


def gradients_of_images(network: nn.Module, data: Images) -> Tensor:
    """Return the gradient of the loss of each of *data*: (images, parameters)."""
    weights = {name: each.detach() for name, each in network.named_parameters()}

    def loss(weights: dict[str, Tensor], pixels: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(network, weights, (pixels,)), label)

    found = vmap(grad(loss), (None, 0, 0))(weights, data.pixels, data.labels)
    return torch.cat([each.flatten(1) for each in found.values()], 1)


@functools.cache
def _all_digits() -> Images:
    """Return all images, in the order of scikit-learn."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Images(
        pixels=torch.tensor(pixels / 16, dtype=torch.float32), labels=torch.tensor(labels)
    )


def _to(data: Images, device: str) -> Images:
    return Images(pixels=data.pixels.to(device), labels=data.labels.to(device))
