"""The chunked cross-entropy equals torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gpt.data.batch import IGNORED
from gpt.nn.loss import linear_cross_entropy, token_likelihoods, token_losses
from gpt.spec.head import SoftCap
from tests.gpt.models import mechanism


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("num_targets", [10, 7, 0])
@pytest.mark.parametrize("spec", [None, SoftCap(limit=2.0)], ids=str)
def test_chunked_loss_has_torchs_gradients(
    spec: SoftCap | None, num_targets: int, smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of hidden states and head, with chunks that do not divide the rows.

    Ignored targets do not count; if all are ignored, the loss is 0.
    """
    monkeypatch.setattr("gpt.nn.loss.CHUNK_LOGITS", {"cpu": 3 * 20})
    monkeypatch.setattr("gpt.nn.loss.MIN_CHUNK_ROWS", 1)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    targets = torch.randint(20, (10,))
    targets[torch.randperm(10)[num_targets:]] = IGNORED
    cap = mechanism(spec)
    chunked = 3 * linear_cross_entropy(hidden, weight, targets, cap, smoothing)
    ours = torch.autograd.grad(chunked, [hidden, weight])
    logits = F.linear(hidden, weight)
    logits = logits if cap is None else cap(logits)
    loss = 3 * F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)

    torch.testing.assert_close(chunked, loss)
    torch.testing.assert_close(ours, torch.autograd.grad(loss, [hidden, weight]))


def test_loss_is_summed_in_float32_under_autocast() -> None:
    """The products are bfloat16, but the loss is not: bfloat16 has about three digits."""
    noise = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(300, 16, generator=noise) for _ in range(2))
    targets = torch.randint(300, (300,), generator=noise)
    logits = F.linear(hidden.bfloat16(), weight.bfloat16()).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, targets, None)

    expected = F.cross_entropy(logits, targets, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_loss_of_each_token_equals_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks; ignored targets have none."""
    monkeypatch.setattr("gpt.nn.loss.CHUNK_LOGITS", {"cpu": 3 * 20})
    monkeypatch.setattr("gpt.nn.loss.MIN_CHUNK_ROWS", 1)
    hidden, weight = torch.randn(10, 8), torch.randn(20, 8)
    targets = torch.randint(20, (10,))
    targets[4] = IGNORED
    nats, _ = token_losses(hidden, weight, targets, None)
    expected = F.cross_entropy(F.linear(hidden, weight), targets, reduction="none")

    torch.testing.assert_close(nats, expected)


@pytest.mark.parametrize("spec", [None, SoftCap(limit=2.0)], ids=str)
def test_log_probabilities_have_torchs_gradients(
    spec: SoftCap | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under any weights of the targets, in chunks, at a temperature; entropies too."""
    monkeypatch.setattr("gpt.nn.loss.CHUNK_LOGITS", {"cpu": 3 * 20})
    monkeypatch.setattr("gpt.nn.loss.MIN_CHUNK_ROWS", 1)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    targets, weights = torch.randint(20, (10,)), torch.randn(10)
    targets[4] = IGNORED
    cap = mechanism(spec)
    found = token_likelihoods(hidden, weight, targets, cap, temperature=0.7)
    logits = F.linear(hidden, weight)
    expected = torch.distributions.Categorical(logits=(cap(logits) if cap else logits) / 0.7)
    counted = targets != IGNORED
    log_p = torch.where(counted, expected.log_prob(targets.clamp_min(0)), 0)
    ours = torch.autograd.grad((found.log_p * weights).sum(), [hidden, weight])

    torch.testing.assert_close(found.log_p, log_p)
    torch.testing.assert_close(found.entropy, torch.where(counted, expected.entropy(), 0))
    theirs = torch.autograd.grad((log_p * weights).sum(), [hidden, weight])
    torch.testing.assert_close(ours, theirs)


def test_a_hit_is_a_target_with_the_largest_logit() -> None:
    """An ignored target is none."""
    weight = torch.eye(4)
    hidden = torch.tensor([[0.0, 2, 1, 0], [0, 2, 1, 0], [3, 0, 0, 1], [3, 0, 0, 1]])
    _, hits = token_losses(hidden, weight, torch.tensor([1, 2, 0, IGNORED]), None)

    assert hits.tolist() == [True, False, True, False]


def test_no_rows_have_no_loss() -> None:
    """And no gradients."""
    hidden, weight = torch.randn(0, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    loss = linear_cross_entropy(hidden, weight, torch.zeros(0, dtype=torch.int64), None)
    (gradient,) = torch.autograd.grad(loss, [weight])

    assert loss.item() == 0
    assert not gradient.any()
