"""Fewer key and value heads for a model, which its query heads then share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gpt.model.gpt import GPT
from gpt.optim.parameters import saved_tensors
from gpt.spec.attention_base import Pool

_POOLING: Mapping[Pool, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": lambda heads, new: heads.mean(-1),
    "first": lambda heads, new: heads[..., 0],
    "random": lambda heads, new: new,
}
"""From the weights of the old heads (..., group) and initial ones of the new heads (...)."""


@torch.no_grad()
def share_heads(model: GPT, kv_heads: int, pool: Pool = "mean", seed: int = 0) -> GPT:
    """Return *model* with *kv_heads* key and value heads in each layer. arXiv:2305.13245.

    Ainslie 2023 (GQA), which trains such a model for another 5% of its steps. Each head replaces
    neighbors that are as many in all layers. Biases, scales and value embeddings of heads are
    pooled as weights are; all else is unchanged, so if heads are equal, so are the logits. *seed*
    is that of random weights. Raises ConfigError if heads cannot be shared so.
    """
    attention = model.config.attention.with_kv_heads(kv_heads)
    new = GPT(dataclasses.replace(model.config, attention=attention), seed)
    old = saved_tensors(model)
    for name, tensor in saved_tensors(new).items():
        tensor.copy_(_pooled(old[name], tensor, kv_heads, pool))
    return new.eval()


def _pooled(old: Tensor, new: Tensor, kv_heads: int, pool: Pool) -> Tensor:
    """Return the tensor *old* in the shape of *new*: only the axis of heads can be shorter."""
    for axis, (before, after) in enumerate(zip(old.shape, new.shape, strict=True)):
        if before != after:
            group, width = before // after, after // kv_heads
            heads = old.unflatten(axis, (kv_heads, group, width)).movedim(axis + 1, -1)  # type: ignore[no-untyped-call]
            return _POOLING[pool](heads.flatten(axis, axis + 1), new)
    return old
