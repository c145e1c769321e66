"""Which parameters decay, and the learning rate of each step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from gpt.config import GPTConfig, LayerNorm, Learned, SwiGLU
from gpt.model import GPT
from gpt.optim import adamw, learning_rate


@pytest.mark.parametrize("tie", [True, False])
def test_adamw_decays_the_matrices_of_linears_alone(tie: bool) -> None:
    """Not embeddings (a tied head is one), not scales, not biases."""
    written = GPTConfig(
        vocab_size=70,
        layers=1,
        bias=True,
        tie=tie,
        position=Learned(),
        mlp=SwiGLU(),
        norm=LayerNorm(),
    )
    model = GPT(written)
    groups = adamw(model, lr=1.0, weight_decay=0.5, betas=(0.9, 0.95)).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in decayed}

    projections = {
        f"blocks.0.attention.{name}.weight" for name in ("query", "key", "value", "output")
    }
    mlp = {f"blocks.0.mlp.{name}.weight" for name in ("gate", "input", "output")}
    assert names == projections | mlp | (set() if tie else {"head.weight"})


@pytest.mark.parametrize("tie", [True, False])
def test_adamw_holds_every_parameter_once(tie: bool) -> None:
    """Tied or not, none is left out or moved twice."""
    model = GPT(GPTConfig(vocab_size=70, layers=1, tie=tie))
    groups = adamw(model, lr=1.0, weight_decay=0.5, betas=(0.9, 0.95)).param_groups
    held = [id(parameter) for group in groups for parameter in group["params"]]

    assert sorted(held) == sorted(map(id, model.parameters()))


def test_learning_rate_without_warmup_is_torchs_cosine() -> None:
    """Torch's scheduler starts at the peak, which here is the step before the first."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = CosineAnnealingLR(optimizer, T_max=20, eta_min=0.01)
    theirs = []
    for _ in range(20):
        optimizer.step()
        scheduler.step()
        theirs.append(scheduler.get_last_lr()[0])
    ours = [learning_rate(s, steps=20, warmup=0, peak=0.3, floor=0.01) for s in range(20)]

    assert ours == pytest.approx(theirs)


@given(steps=st.integers(1, 300), share=st.floats(0, 0.99))
def test_learning_rate_rises_to_the_peak_then_falls_to_the_floor(steps: int, share: float) -> None:
    """Linear over the warm-up, monotone after it, at the floor in the last step."""
    warmup = round(share * steps)
    rates = [
        learning_rate(s, steps=steps, warmup=warmup, peak=2.0, floor=0.5) for s in range(steps)
    ]

    assert rates[:warmup] == pytest.approx([2.0 * (s + 1) / warmup for s in range(warmup)])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert warmup == steps or rates[-1] == pytest.approx(0.5)
