"""A layer of attention with a sparse pattern: beside its definition, and what it costs."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gpt.lab.apparatus.probes import random_model
from gpt.lab.checks import Grows
from gpt.lab.experiment import Figures, Lines, Part, Setting
from gpt.model.gpt import GPT
from gpt.model.shapes import without_memory
from gpt.nn.attention.kernels import split_heads
from gpt.nn.context import Context
from gpt.nn.positions.encoding import PositionEncoding
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import AnyAttention, GroupedQuery
from gpt.training.memory import LiveTensors

SCORES, FUSED = "full, all scores", "full, fused"
"""Arms of full attention: that which keeps all scores, and that of a fused kernel."""


def model(attention: AnyAttention, context: int, width: int, dtype: torch.dtype) -> GPT:
    """Return a model of one layer, without positions, whose weights are random."""
    architecture = Architecture(
        context=context, layers=1, width=width, attention=attention, position=None
    )
    return random_model(architecture, 16, 0, std=width**-0.5, dtype=dtype)


def attend(gpt: GPT, x: Tensor) -> Tensor:
    """Return the attention of *gpt* from x (B, T, width) to itself."""
    ids = torch.zeros(x.shape[:2], dtype=torch.int64, device=x.device)
    context = Context(ids=ids, starts=(0,), positions=0, position=PositionEncoding())
    layer: Any = gpt.blocks[0]
    mixed: Tensor = layer.attention(x, context)[0]
    return mixed


def by_definition(gpt: GPT, x: Tensor, allowed: Tensor, rows: Tensor | None = None) -> Tensor:
    """Return the same from all scores, those that are not *allowed* masked: bool (H or 1, T, T).

    Of Longformer, *rows* are the global tokens, which have projections of their own.
    """
    layer: Any = gpt.blocks[0].attention

    def heads(linear: torch.nn.Linear) -> Tensor:
        return split_heads(linear(x), layer.head_width)

    mixed = _mixed(heads(layer.query), heads(layer.key), heads(layer.value), allowed)
    if rows is not None:
        own = heads(layer.query_global), heads(layer.key_global), heads(layer.value_global)
        mixed[:, :, rows] = _mixed(*own, allowed)[:, :, rows]
    output: Tensor = layer.output(mixed.transpose(1, 2).flatten(2))
    return output


def _mixed(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    return scores.masked_fill(~allowed, -math.inf).softmax(-1) @ values


def written_out(gpt: GPT, x: Tensor) -> Tensor:
    """Return causal attention by all scores, as before there were fused kernels."""
    tokens = x.shape[1]
    allowed = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).tril()
    return by_definition(gpt, x, allowed)


def paths(allowed: Tensor) -> tuple[float, float]:
    """Return the most steps from one token to another, and the mean over pairs.

    A step is from a token to one that it attends to: *allowed* is bool (T, T).
    """
    tokens, steps, total = len(allowed), 0, 0.0
    reached = torch.eye(tokens, dtype=torch.bool)
    while not reached.all() and steps < tokens:
        total, steps = total + float((~reached).sum()), steps + 1
        reached = reached.float() @ allowed.float() > 0
    return float(steps), total / (tokens * (tokens - 1))


def bytes_per_token(attention: AnyAttention, tokens: int, width: int, *, fused: bool) -> float:
    """Return the peak of a layer for a token of a text of *tokens*: shapes need no memory."""
    architecture = Architecture(
        context=tokens, layers=1, width=width, attention=attention, position=None
    )
    gpt = without_memory(GPTConfig.over(architecture, 16))
    assert isinstance(gpt, GPT)
    x = torch.empty(1, tokens, width, device="meta")
    return peak(gpt, x, attend if fused else written_out) / tokens


@torch.inference_mode()
def peak(gpt: GPT, x: Tensor, mix: Callable[[GPT, Tensor], Tensor] = attend) -> float:
    """Return the most bytes that tensors take while *mix* reads x, x among them."""
    with LiveTensors([x]) as live:
        mix(gpt, x)
    return float(live.peak)


def costs(setting: Setting, attention: AnyAttention) -> Figures:
    """Time attention to longer and longer texts, and count the bytes of its tensors.

    The arm is `SCORES`, `FUSED`, or one with the sparse *attention*.
    """
    size, seconds, peaks = setting.size, [], []
    mix = written_out if setting.arm == SCORES else attend
    lengths = [each for each in size["lengths"] if each <= size["scores"] or mix is attend]
    dense = GroupedQuery(heads=attention.heads, kv_heads=attention.heads)
    kind = dense if setting.arm in (SCORES, FUSED) else attention
    width = attention.heads * size["head_width"]
    gpt = model(kind, max(lengths), width, torch.float32).to(setting.device)
    for length in lengths:
        x = torch.randn(1, length, width, device=setting.device)
        times = []
        with torch.inference_mode():
            for _ in range(size["rounds"] + 1):
                begin = time.perf_counter()
                mix(gpt, x).sum().item()  # waits for a GPU
                times.append(time.perf_counter() - begin)
        seconds.append(statistics.median(times[1:]))
        peaks.append(peak(gpt, x, mix))
    tokens = [float(length) for length in lengths]
    return {"tokens": tokens, "seconds": seconds, "bytes": peaks}


def costs_part(arm: str, measure: Callable[[Setting], Figures]) -> Part:
    """Return the part that compares the costs of *arm* with those of full attention."""
    return Part(
        name="costs",
        kind="SPEED",
        arms=[SCORES, FUSED, arm],
        measure=measure,
        sizes={
            "smoke": {"lengths": (128, 256, 512), "scores": 512, "head_width": 8, "rounds": 1},
            "cpu": {
                "lengths": (512, 1024, 2048, 4096, 8192),
                "scores": 4096,
                "head_width": 32,
                "rounds": 5,
            },
            "gpu": {
                "lengths": (2048, 4096, 8192, 16384, 32768),
                "scores": 16384,
                "head_width": 64,
                "rounds": 9,
            },
        },
        checks=[
            Grows(claim=claim, arm=of, x="tokens", y=figure, between=between)
            for of, figure, between, claim in (
                (arm, "seconds", (0.8, 1.2), f"{arm}: time grows as n"),
                (SCORES, "seconds", (1.7, 2.3), "full attention: time grows as n^2"),
                (arm, "bytes", (0.95, 1.05), f"{arm}: memory grows as n"),
                (SCORES, "bytes", (1.9, 2.1), "full attention: memory of all scores grows as n^2"),
                (FUSED, "bytes", (0.95, 1.05), "full attention: that of a fused kernel as n"),
            )
        ],
    )


COSTS = [
    Lines(
        part="costs",
        x="tokens",
        y=figure,
        x_label="tokens",
        y_label=f"{label} of a layer of attention",
        log=("x", "y"),
    )
    for figure, label in (("seconds", "seconds"), ("bytes", "bytes"))
]
"""Panels of the part."""
