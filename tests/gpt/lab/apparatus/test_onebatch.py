"""One batch, again and again."""

from __future__ import annotations

import torch

from gpt.lab.apparatus.onebatch import BYTES, OneBatch, mean_loss, steps_on, taken_gradient
from gpt.lab.apparatus.probes import random_model
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery


def test_the_rows_repeat() -> None:
    """Every row number is that of one of the rows."""
    rows = OneBatch(4, 8)

    assert torch.equal(rows.batch(6, 2).inputs, rows.batch(2, 2).inputs)
    assert torch.equal(rows.batch(0, 4).inputs[:, 1:], rows.batch(0, 4).targets[:, :-1])


def test_the_trainers_gradient_is_that_of_the_mean_loss() -> None:
    """In one part or in several; and taking it clears it."""
    attention = GroupedQuery(heads=2, kv_heads=2)
    gpt = random_model(Architecture(context=8, layers=1, width=16, attention=attention), BYTES, 0)
    rows = OneBatch(4, 8)
    inputs, targets, *_ = rows.batch(0, 4)
    torch.autograd.backward(mean_loss(gpt(inputs), targets))
    expected = taken_gradient(gpt)

    for parts in (1, 2):
        steps_on(gpt, rows, parts=parts).gradients(0)
        torch.testing.assert_close(taken_gradient(gpt), expected, rtol=1e-5, atol=1e-8)
    assert all(each.grad is None for each in gpt.parameters())
