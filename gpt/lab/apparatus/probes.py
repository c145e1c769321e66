"""Probes of a model: what must hold of every mechanism before its figures count."""

from __future__ import annotations

import math
import statistics
from typing import Any, cast

import torch
from torch import Tensor, nn

from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.nn.balance import Routing
from gpt.nn.experts import Router
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


def reach(gpt: GPT, length: int) -> int:
    """Return how far before the last of *length* tokens is the first that its logits depend on."""
    embedded: list[Tensor] = []

    def keep(_: nn.Module, inputs: object, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[0]

    hook = gpt.embedding.register_forward_hook(keep)
    logits = gpt(random_ids(gpt, 1, length))
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, -1].square().sum(), embedded[0])
    first = int(gradient[0].abs().amax(-1).nonzero()[0])
    return length - 1 - first


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


def attention_in(gpt: Model, layer: int = 0) -> Any:
    """Return the attention of *layer*, whose projections a definition needs."""
    return cast(Any, gpt).blocks[layer].attention


@torch.inference_mode()
def load_entropy(gpt: GPT, ids: Tensor) -> float:
    """Return the entropy of the loads of experts for *ids*, the mean of all layers that have some.

    A load is the fraction of all choices. The entropy is 1 if loads are equal, and 0 if one expert
    is all; NaN without experts.
    """
    found: list[float] = []

    def count(router: Any, inputs: object, output: tuple[Routing, Tensor | None]) -> None:
        chosen, count = output[0].experts.flatten(), router.spec.count
        loads = chosen.bincount(minlength=count) / chosen.numel()
        found.append(-float(torch.special.xlogy(loads, loads).sum()) / math.log(count))

    routers = [module for module in gpt.modules() if isinstance(module, Router)]
    hooks = [router.register_forward_hook(count) for router in routers]
    gpt(ids.to(gpt.device))
    for hook in hooks:
        hook.remove()
    return statistics.fmean(found) if found else math.nan
