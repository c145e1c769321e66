"""Kinds of attention that differ in what they keep of a text, with the same heads."""

from __future__ import annotations

from typing import Any

import torch

from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import AnyAttention, GroupedQuery, Latent
from gpt.spec.linear_attention import LinearAttention
from gpt.spec.pattern import Window


def attentions(*, heads: int, window: int, head_width: int | None = None) -> dict[str, Any]:
    """Return specs of attention by name.

    GQA has one key and value head for four query heads. A layer in two of "window 1:1" has the full
    context. The latent of MLA has four times the width of a head, its key for positions half.
    """
    shape: dict[str, Any] = {"heads": heads, "head_width": head_width}
    found: dict[str, AnyAttention] = {
        "MHA": GroupedQuery(**shape, kv_heads=heads),
        "GQA": GroupedQuery(**shape, kv_heads=heads // 4),
        "MQA": GroupedQuery(**shape, kv_heads=1),
        "MLA": Latent(**shape),
        "MLA, absorbed": Latent(**shape, decode="absorbed"),
        "linear": LinearAttention(**shape),
    }
    patterns = {
        "window": Window(size=window),
        "window, sinks": Window(size=window, first=4),
        "window 1:1": Window(size=window, long_every=2),
    }
    windows = {
        name: GroupedQuery(**shape, kv_heads=heads, pattern=pattern)
        for name, pattern in patterns.items()
    }
    return found | windows


def kept_bytes(architecture: Architecture, tokens: int, dtype: torch.dtype = torch.float32) -> int:
    """Return the bytes that the cache of a row of *tokens* tokens counts, without memory."""
    model = without_memory(GPTConfig.over(architecture, 64))
    assert isinstance(model, GPT)
    return model.new_cache(1, dtype).bytes_at(tokens)
