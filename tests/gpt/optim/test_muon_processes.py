"""Processes with the same weights divide Muon's matrices among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpt.optim.build import build_optimizer
from gpt.optim.muon import orthogonalize
from gpt.parallel.world import World
from gpt.spec.optimizer import Muon
from tests.gpt.processes import in_processes

MATRICES = 3
"""Matrices of one shape: not a multiple of two processes."""


def updated(dtype: torch.dtype) -> tuple[list[NDArray[Any]], int]:
    """Return the weights after two steps, and the number of matrices orthogonalized here."""
    seen: list[int] = []

    def counting(matrices: Tensor, iterations: int) -> Tensor:
        seen.append(len(matrices))
        return orthogonalize(matrices, iterations)

    generator = torch.Generator().manual_seed(0)
    layers = [nn.Linear(12, 20, bias=False) for _ in range(MATRICES)]
    model = nn.ModuleList([*layers, nn.LayerNorm(4)])
    with World.join("cpu"), pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("gpt.optim.muon.orthogonalize", counting)
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        optimizer = build_optimizer(Muon(weight_decay=0.1), model, dtype)
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
    return [parameter.detach().numpy() for parameter in model.parameters()], max(seen)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_processes_divide_the_matrices(dtype: torch.dtype) -> None:
    """The weights are those of one process up to rounding, and the same bits in both."""
    expected, alone = updated(dtype)
    (first, count), (second, _) = in_processes(2, updated, dtype)

    assert (alone, count) == (MATRICES, 2)
    for ours, theirs, other in zip(expected, first, second, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
        assert np.array_equal(theirs, other)
