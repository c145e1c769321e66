"""The chunked distillation equals Hinton's formula, written with torch's own functions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gpt.data.batch import IGNORED
from gpt.nn.distillation import Distilled, LogitFactors, linear_distillation
from gpt.nn.loss import linear_cross_entropy
from gpt.spec.head import SoftCap
from tests.gpt.models import mechanism

TOKENS, VOCAB = 10, 20


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three rows, which do not divide the tokens."""
    monkeypatch.setattr("gpt.nn.loss.CHUNK_LOGITS", {"cpu": 3 * VOCAB})
    monkeypatch.setattr("gpt.nn.loss.MIN_CHUNK_ROWS", 1)


def drawn(width: int, spec: SoftCap | None = None) -> LogitFactors:
    """Hidden states and a head at random; both take a gradient."""
    hidden = torch.randn(TOKENS, width, requires_grad=True)
    return LogitFactors(hidden, torch.randn(VOCAB, width, requires_grad=True), mechanism(spec))


def logits_of(factors: LogitFactors) -> Tensor:
    """All logits at once, float64."""
    logits = factors.hidden.double() @ factors.weight.double().T
    return logits if factors.cap is None else factors.cap(logits)


def by_formula(
    student: LogitFactors,
    teachers: Sequence[LogitFactors],
    targets: Tensor,
    temperature: float,
    data_weight: float,
) -> Distilled:
    """The same from F.kl_div and F.cross_entropy, in float64, of all tokens at once."""
    logits, counted = logits_of(student), targets != IGNORED
    mean = sum(F.softmax(logits_of(each), -1) for each in teachers) / len(teachers)
    taught = F.softmax(mean.log() / temperature, -1).detach()
    soft = F.log_softmax(logits / temperature, -1)
    divergence = F.kl_div(soft[counted], taught[counted], reduction="sum")
    nats = F.cross_entropy(logits, targets, reduction="sum")
    loss = data_weight * nats + (1 - data_weight) * temperature**2 * divergence
    return Distilled(loss, divergence, nats)


@pytest.mark.parametrize("teachers", [1, 3])
@pytest.mark.parametrize(("temperature", "data_weight"), [(1.0, 0.0), (1.0, 0.3), (2.5, 0.3)])
@pytest.mark.parametrize("num_targets", [TOKENS, 7, 0])
@pytest.mark.parametrize("spec", [None, SoftCap(limit=2.0)], ids=str)
def test_values_and_gradients_are_those_of_the_formula(
    spec: SoftCap | None, num_targets: int, temperature: float, data_weight: float, teachers: int
) -> None:
    """Of the student's hidden states and head. The teachers have other widths and caps."""
    student = drawn(8, spec)
    others = [drawn(width, None if spec is None else SoftCap(limit=3.0)) for width in (12, 5, 8)]
    targets = torch.randint(VOCAB, (TOKENS,))
    targets[torch.randperm(TOKENS)[num_targets:]] = IGNORED
    settings = {"temperature": temperature, "data_weight": data_weight}
    ours = linear_distillation(student, others[:teachers], targets, **settings)
    formula = by_formula(student, others[:teachers], targets, **settings)
    inputs = [student.hidden, student.weight]

    for name, value, expected in zip(Distilled._fields, ours, formula, strict=True):
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5, msg=name)
    torch.testing.assert_close(
        torch.autograd.grad(3 * ours.loss, inputs), torch.autograd.grad(3 * formula.loss, inputs)
    )


def test_no_gradient_reaches_a_teacher() -> None:
    """Nor the two figures that are reported."""
    student, teacher = drawn(8), drawn(8)
    ours = linear_distillation(
        student, [teacher], torch.randint(VOCAB, (TOKENS,)), temperature=2.0, data_weight=0.5
    )
    ours.loss.backward()

    assert student.hidden.grad is not None
    assert teacher.hidden.grad is None
    assert teacher.weight.grad is None
    assert not ours.divergence.requires_grad
    assert not ours.nats.requires_grad


def test_a_student_that_is_its_teacher_has_no_divergence() -> None:
    """Nor a gradient, if the data has no weight."""
    student = drawn(8)
    ours = linear_distillation(
        student, [student], torch.randint(VOCAB, (TOKENS,)), temperature=3.0, data_weight=0.0
    )
    ours.loss.backward()

    assert ours.loss.item() == pytest.approx(0, abs=1e-5)
    assert student.hidden.grad is not None
    assert student.hidden.grad.abs().max() < 1e-5


def test_with_the_whole_weight_on_the_data_it_is_cross_entropy() -> None:
    """Whatever the teacher says."""
    student, teacher, targets = drawn(8), drawn(8), torch.randint(VOCAB, (TOKENS,))
    ours = linear_distillation(student, [teacher], targets, temperature=2.0, data_weight=1.0)
    expected = linear_cross_entropy(student.hidden, student.weight, targets, None)
    inputs = [student.hidden, student.weight]

    torch.testing.assert_close(ours.loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours.loss, inputs), torch.autograd.grad(expected, inputs)
    )


def test_sums_are_float32_under_autocast() -> None:
    """The products are bfloat16; with them, float32 gives the same up to its own rounding."""
    student, teacher = drawn(8), drawn(8)
    targets = torch.randint(VOCAB, (TOKENS,))
    rounded = [
        LogitFactors(each.hidden.bfloat16(), each.weight.bfloat16()) for each in (student, teacher)
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = linear_distillation(student, [teacher], targets, temperature=2.0, data_weight=0.3)
        logits = [F.linear(each.hidden, each.weight).float() for each in rounded]
    exact = [LogitFactors(each, torch.eye(VOCAB)) for each in logits]
    expected = linear_distillation(exact[0], exact[1:], targets, temperature=2.0, data_weight=0.3)

    assert ours.loss.dtype == torch.float32
    torch.testing.assert_close(ours.loss, expected.loss)
