"""Times of reading and of decoding, as series of repetitions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from gpt.lab.apparatus.attentions import kept_bytes
from gpt.lab.experiment import Figures, Setting
from gpt.model.gpt import GPT
from gpt.nn.state import Cache
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.attention import AnyAttention


def seconds_of(work: Callable[[], object], rounds: int) -> list[float]:
    """Return the seconds of calling *work*, *rounds* times, after once that does not count."""
    times = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - begin)
    return times[1:]


def text(gpt: GPT, length: int, rows: int = 1) -> Tensor:
    """Return (rows, length) token ids on the device of *gpt*: times do not depend on which."""
    return torch.zeros(rows, length, dtype=torch.int64, device=next(gpt.parameters()).device)


def filled_cache(gpt: GPT, length: int, rows: int = 1) -> Cache:
    """Return a cache of *rows* equal rows of *length* tokens, of which one is read."""
    cache = gpt.new_cache(1, next(gpt.parameters()).dtype)
    with torch.inference_mode():
        gpt(text(gpt, length), cache=cache)
    if rows > 1:
        cache.select([0] * rows)
    return cache


def decoding_seconds(gpt: GPT, length: int, rounds: int, rows: int = 1) -> list[float]:
    """Return the seconds of decoding one more token of *rows* rows of *length* tokens."""
    cache, token = filled_cache(gpt, length, rows), text(gpt, 1, rows)
    return seconds_of(lambda: gpt(token, cache=cache), rounds)


def reading_seconds(gpt: GPT, length: int, rounds: int) -> list[float]:
    """Return the seconds of reading a text of *length* tokens at once."""
    ids = text(gpt, length)
    return seconds_of(lambda: gpt(ids), rounds)


def totals(lengths: Sequence[int], seconds: Sequence[float]) -> list[float]:
    """Return the seconds of generating each of *lengths* tokens, from those of a token after them.

    Between the lengths they are interpolated; before the first they are as there.
    """
    points = pairwise(zip(lengths, seconds, strict=True))
    added = ((end - start) * (x + y) / 2 for (start, x), (end, y) in points)
    return list(accumulate(added, initial=lengths[0] * seconds[0]))


def decoding_figures(attention: AnyAttention, setting: Setting) -> Figures:
    """Return the median seconds of a token after texts of several lengths, and tokens per second.

    Sizes are width, layers, lengths, rounds and rows, which are decoded side by side. "longest" are
    the seconds of all rounds after the longest text.
    """
    size, rows = setting.size, setting.size["rows"]
    gpt = _model(attention, setting, max(size["lengths"]))
    times = [decoding_seconds(gpt, length, size["rounds"], rows) for length in size["lengths"]]
    seconds = [statistics.median(each) for each in times]
    return {
        "tokens": [float(length) for length in size["lengths"]],
        "seconds": seconds,
        "speed": [rows / each for each in seconds],
        "longest": times[-1],
    }


def filling_figures(attention: AnyAttention, setting: Setting) -> Figures:
    """Return how many rows have their cache in a number of bytes, and seconds per token of them.

    Sizes are width, layers, length, rounds and bytes.
    """
    size, length = setting.size, setting.size["length"]
    gpt = _model(attention, setting, length)
    rows = max(1, size["bytes"] // kept_bytes(gpt.config, length))
    times = decoding_seconds(gpt, length, size["rounds"], rows)
    return {"rows": float(rows), "per token": [each / rows for each in times]}


def _model(attention: AnyAttention, setting: Setting, length: int) -> GPT:
    """Return a model that can decode after *length* tokens."""
    architecture = Architecture(
        context=length + setting.size["rounds"] + 1,
        layers=setting.size["layers"],
        width=setting.size["width"],
        attention=attention,
    )
    return GPT(GPTConfig.over(architecture, 64), setting.seed).eval().to(setting.device)
