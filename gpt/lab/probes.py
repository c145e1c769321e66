"""Probes of a model: what must hold of every mechanism before its figures count."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from gpt.model.gpt import GPT
from gpt.spec.architecture import Architecture, GPTConfig


def random_model(
    architecture: Architecture,
    vocab: int,
    seed: int,
    *,
    std: float = 0.2,
    dtype: torch.dtype = torch.float64,
) -> GPT:
    """Return a model, in evaluation, whose parameters are all random.

    The trainer's initialization leaves projections at zero, so that mechanisms are not yet at work.
    """
    gpt = GPT(GPTConfig.over(architecture, vocab), seed).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.normal_(std=std, generator=generator)
    return gpt.eval()


def random_ids(gpt: GPT, rows: int, length: int) -> Tensor:
    """Return (rows, length) token ids, the same for each call."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(gpt.config.vocab_size, (rows, length), generator=generator)


@torch.inference_mode()
def leak(gpt: GPT) -> float:
    """Return how much the logits before the middle of a row change with the tokens after it.

    It is divided by the largest logit. In a causal model it is rounding at most: a product of
    matrices may round by position. A model that sees the future wins every comparison.
    """
    length = gpt.config.context
    ids = random_ids(gpt, 2, length).to(next(gpt.parameters()).device)
    changed = ids.clone()
    changed[:, length // 2 :] = (ids[:, length // 2 :] + 1) % gpt.config.vocab_size
    before, after = (gpt(each)[:, : length // 2] for each in (ids, changed))
    return float((before - after).abs().max() / before.abs().max())


@torch.inference_mode()
def cache_error(gpt: GPT, length: int) -> float:
    """Return the largest difference of logits between reading at once and token by token."""
    ids = random_ids(gpt, 2, length)
    cache = gpt.new_cache(2, next(gpt.parameters()).dtype)
    steps = [gpt(ids[:, i : i + 1], cache=cache) for i in range(length)]
    return float((torch.cat(steps, 1) - gpt(ids)).abs().max())


@torch.no_grad()
def passed(gpt: GPT, module: nn.Module, length: int) -> tuple[Tensor, Tensor]:
    """Return what *module* of *gpt* reads and returns for (2, *length*) ids: to test a definition.

    Of a mechanism that returns more, its output is the first.
    """
    found: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        found.extend((inputs[0], output[0]))

    hook = module.register_forward_hook(keep)
    gpt(random_ids(gpt, 2, length))
    hook.remove()
    read, returned = found
    return read, returned


def attention_in(gpt: GPT, layer: int = 0) -> Any:
    """Return the attention of *layer*, whose projections a definition needs."""
    return cast(Any, gpt.blocks[layer]).attention
