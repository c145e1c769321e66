"""Norms equal those of torch and transformers, in values and gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from gpt.errors import ConfigError
from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture
from gpt.spec.norm import BatchNorm, LayerNorm, RMSNorm
from tests.gpt.models import mechanism
from tests.gpt.nn.test_mechanisms import SMALL, random_ids

NARROW = Architecture(width=16)


def both(spec: Any, theirs: nn.Module, dtype: torch.dtype = torch.float64) -> tuple[Any, Any]:
    """Our norm of *spec* and *theirs*, with the same random scales and biases."""
    ours = mechanism(spec, NARROW).to(dtype)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.to(dtype).load_state_dict(ours.state_dict(), strict=False)
    return ours, theirs


def values_and_gradients(norm: nn.Module, x: Tensor, grad: Tensor) -> list[Tensor]:
    """The outputs of *norm* for x, and the gradients of x and of all parameters."""
    x = x.detach().requires_grad_()
    y = norm(x)
    return [y, *torch.autograd.grad(y, [x, *norm.parameters()], grad)]


@pytest.mark.parametrize("shape", [(6, 16), (2, 3, 5, 16)], ids=str)
@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        (LayerNorm(eps=1e-3), nn.LayerNorm(16, 1e-3)),
        (LayerNorm(bias=False), nn.LayerNorm(16, bias=False)),
        (RMSNorm(), nn.RMSNorm(16, eps=1e-6)),
        (RMSNorm(eps=1e-3, cast="llama"), nn.RMSNorm(16, eps=1e-3)),
        (RMSNorm(eps=1e-3, weight=False), nn.RMSNorm(16, eps=1e-3, elementwise_affine=False)),
    ],
    ids=str,
)
def test_norms_equal_torchs(spec: Any, theirs: nn.Module, shape: tuple[int, ...]) -> None:
    """In float64, with inputs that are contiguous or not, with gradients and without."""
    ours, theirs = both(spec, theirs)
    x = 5 * torch.randn(shape).double().transpose(0, -2)
    grad = torch.randn_like(x)

    torch.testing.assert_close(
        values_and_gradients(ours, x, grad), values_and_gradients(theirs, x, grad)
    )
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("no_grad", [False, True])
def test_bfloat16_is_rounded_where_torch_and_llama_round_it(no_grad: bool) -> None:
    """Once, after the product with the scale; or before it, and again after it. They differ."""
    x = 3 * torch.randn(64, 16).bfloat16()
    torchs = both(RMSNorm(), nn.RMSNorm(16, eps=1e-6), torch.bfloat16)
    llamas = both(RMSNorm(cast="llama"), LlamaRMSNorm(16, eps=1e-6), torch.bfloat16)
    llamas[0].weight.data.copy_(torchs[0].weight)
    llamas[1].weight.data.copy_(torchs[0].weight)
    with torch.set_grad_enabled(not no_grad):
        (torch_order, torchs_own), (llama_order, llamas_own) = (
            [norm(x) for norm in norms] for norms in (torchs, llamas)
        )

    assert torch.equal(torch_order, torchs_own)
    assert torch.equal(llama_order, llamas_own)
    assert not torch.equal(torch_order, llama_order)


@pytest.mark.parametrize("cast", ["torch", "llama"])
def test_gradients_in_bfloat16_are_those_of_float32_rounded(cast: Any) -> None:
    """Within two percent of their norm."""
    ours, theirs = both(RMSNorm(cast=cast), nn.RMSNorm(16, eps=1e-6), torch.bfloat16)
    x, grad = torch.randn(64, 16).bfloat16(), torch.randn(64, 16).bfloat16()
    expected = values_and_gradients(theirs.float(), x.float(), grad.float())

    for found, wanted in zip(values_and_gradients(ours, x, grad), expected, strict=True):
        assert (found.float() - wanted).norm() < 0.02 * wanted.norm()


def test_partial_rms_norm_divides_by_that_of_the_first_features() -> None:
    """All features, by the root mean square of a sixteenth of them, in values and gradients."""
    wide = Architecture(width=64)
    norm = mechanism(RMSNorm(fraction=0.0625, eps=1e-3), wide).double()
    nn.init.normal_(norm.weight)
    x = torch.randn(5, 64).double().requires_grad_()
    expected = x / (x[:, :4].square().mean(-1, keepdim=True) + 1e-3).sqrt() * norm.weight
    y, grad = norm(x), torch.randn(5, 64).double()

    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(
        torch.autograd.grad(y, [x, norm.weight], grad),
        torch.autograd.grad(expected, [x, norm.weight], grad),
    )


def test_rms_norm_is_layer_norm_of_vectors_without_a_mean() -> None:
    """As the paper says."""
    x = torch.randn(4, 16).double()
    x = x - x.mean(-1, keepdim=True)
    rms, layer = mechanism(RMSNorm(eps=1e-5), NARROW), mechanism(LayerNorm(), NARROW)

    torch.testing.assert_close(rms.double()(x), layer.double()(x))


@pytest.mark.parametrize(
    ("spec", "rescaling", "recentering"),
    [(LayerNorm(eps=1e-12), True, True), (RMSNorm(eps=1e-12), True, False)],
    ids=str,
)
def test_invariances_are_those_of_the_papers(spec: Any, rescaling: bool, recentering: bool) -> None:
    """Whether a factor, or a number added to all features, leaves the result as it is."""
    norm, x = mechanism(spec, NARROW).double(), torch.randn(4, 16).double()

    assert torch.allclose(norm(x), norm(7 * x)) is rescaling
    assert torch.allclose(norm(x), norm(x + 7)) is recentering


def batch_norms() -> tuple[nn.Module, nn.BatchNorm1d]:
    return mechanism(BatchNorm(leaks=True, momentum=0.3), NARROW), nn.BatchNorm1d(16, momentum=0.3)


def test_batch_norm_trains_as_torchs() -> None:
    """Over all tokens of all rows; the moving averages, too."""
    ours, theirs = batch_norms()
    for _ in range(3):
        x = 5 * torch.randn(4, 7, 16)
        torch.testing.assert_close(ours(x), theirs(x.flatten(0, 1)).view(x.shape))

    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)


def test_batch_norm_evaluates_with_its_moving_averages() -> None:
    """So other tokens of the batch have no influence."""
    ours, _ = batch_norms()
    ours(5 * torch.randn(4, 7, 16))
    ours.eval()
    x = torch.randn(2, 3, 16)

    torch.testing.assert_close(ours(x)[:1, :1], ours(x[:1, :1]))


def test_batch_norm_must_be_allowed_to_leak() -> None:
    """Its statistics include later tokens."""
    with pytest.raises(ConfigError, match="training sees what it predicts; set leaks to true"):
        BatchNorm()


def test_batch_norm_does_leak_while_training() -> None:
    """A later token changes the logits of earlier ones; the warning is true."""
    model = GPT(dataclasses.replace(SMALL, norm=BatchNorm(leaks=True))).train()
    ids = random_ids(1, 16)
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SMALL.vocab_size

    assert not torch.allclose(model(ids)[:, :9], model(other)[:, :9])
