"""``python -m benches.attention``: how time and memory of patterns of attention grow with the row.

Forward and backward of one layer's attention in float32 on one thread. An exponent of 2 is that of
all pairs of tokens, 1 that of a fixed number of keys for each token.
"""

import dataclasses
import math
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benches import report
from benches.command import Settings, command
from benches.report import Record
from benches.timing import take_turns
from gpt.nn.build import build, site_of
from gpt.nn.context import Context
from gpt.nn.positions.encoding import PositionEncoding
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery, Longformer
from gpt.spec.pattern import BigBird, Causal, Window

WINDOW = 256
HEADS: dict[str, int] = {"heads": 4, "kv_heads": 4}
CONTESTANTS: dict[str, Any] = {
    "causal": GroupedQuery(**HEADS, pattern=Causal()),
    "window": GroupedQuery(**HEADS, pattern=Window(size=WINDOW)),
    "window on both sides": GroupedQuery(
        **HEADS, pattern=Window(size=WINDOW, counts="others", causal=False)
    ),
    "dilated on one head": GroupedQuery(
        **HEADS, pattern=Window(size=WINDOW, dilations=(2, 1, 1, 1))
    ),
    "window and 4 first": GroupedQuery(**HEADS, pattern=Window(size=WINDOW, first=4)),
    "Longformer": Longformer(**HEADS, pattern=Window(size=WINDOW, first=4)),
    "BigBird": GroupedQuery(**HEADS, pattern=BigBird()),
    "BigBird on both sides": GroupedQuery(**HEADS, pattern=BigBird(causal=False)),
}
LENGTHS, QUICK_LENGTHS = (2048, 4096, 8192, 16384), (2048, 4096)
ROUNDS = 3


class Allocated(TorchDispatchMode):
    """Keeps the largest size of a tensor that is made, in bytes."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call *func*, and look at its results."""
        results = func(*args, **(kwargs or {}))
        sizes = [each.nbytes for each in tree_leaves(results) if isinstance(each, Tensor)]
        self.largest = max([self.largest, *sizes])
        return results


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for each contestant."""
    torch.set_num_threads(1)
    lengths = QUICK_LENGTHS if settings.quick else LENGTHS
    records, lines = list[Record](), list[list[str]]()
    for name, attention in CONTESTANTS.items():
        seconds, sizes = zip(*(_measure(attention, tokens) for tokens in lengths), strict=True)
        exponents = [exponent(lengths, each) for each in (seconds, sizes)]
        cells = [f"{1000 * each:.0f}" for each in seconds]
        lines.append([name, *cells, *(f"{each:.2f}" for each in exponents)])
        records.append(
            {"question": "attention", "name": name, "state": "timed", "seconds": list(seconds)}
        )
    columns = ["pattern", *(f"{tokens} tokens, ms" for tokens in lengths), "time", "largest tensor"]
    report.show(f"Attention: windows of {WINDOW}, {HEADS['heads']} heads of 64", columns, lines)
    return records


def exponent(lengths: tuple[int, ...], figures: tuple[float, ...]) -> float:
    """Return the slope of the line through the logarithms, by least squares."""
    x, y = ([math.log(each) for each in values] for values in (lengths, figures))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return products / sum((a - mean_x) ** 2 for a in x)


def _measure(attention: Any, tokens: int) -> tuple[float, float]:
    """Return the best seconds of a row of *tokens* tokens, and the bytes of the largest tensor."""
    architecture = dataclasses.replace(
        Architecture(), context=tokens, width=256, attention=attention, position=None
    )
    layer = build(attention, site_of(architecture, 64))
    x = torch.randn(1, tokens, 256, requires_grad=True)
    ids = torch.zeros(1, tokens, dtype=torch.int64)

    def step() -> None:
        context = Context(ids=ids, starts=(0,), positions=0, position=PositionEncoding())
        layer(x, context)[0].sum().backward()

    with Allocated() as allocated:
        step()
    (timing,) = take_turns([step], ROUNDS, 5.0, time.perf_counter)
    return timing.best, allocated.largest


if __name__ == "__main__":
    command(run)()
