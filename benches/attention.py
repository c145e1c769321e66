"""``python -m benches.attention``: how time and memory of patterns of attention grow with the row.

Forward and backward of one layer's attention in float32 on one thread, in processor time, and the
bytes of the tensors that are in use at once. An exponent of 2 is that of all pairs of tokens, 1
that of a fixed number of keys for each token.
"""

import dataclasses
import math
import statistics
import time
import weakref
from collections.abc import Callable, Sequence
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
HEADS: dict[str, Any] = {"heads": 4, "kv_heads": 4}
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
LENGTHS, QUICK_LENGTHS = (1024, 2048, 4096, 8192, 16384), (2048, 4096)
ROUNDS = 3


class Allocated(TorchDispatchMode):
    """Counts the bytes of all tensors that are made and still in use; `peak` is their maximum."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call *func*, and count its results."""
        results = func(*args, **(kwargs or {}))
        for each in tree_leaves(results):
            if isinstance(each, Tensor):
                storage = each.untyped_storage()
                address = storage._cdata
                if address not in self._sizes:
                    self._sizes[address] = storage.nbytes()
                    weakref.finalize(storage, self._sizes.pop, address)
        self.peak = max(self.peak, sum(self._sizes.values()))
        return results


def run(settings: Settings) -> list[Record]:
    """Measure and print; return a record for each contestant."""
    torch.set_num_threads(1)
    lengths = QUICK_LENGTHS if settings.quick else LENGTHS
    records, lines = list[Record](), list[list[str]]()
    for name, attention in CONTESTANTS.items():
        seconds = [_seconds(attention, tokens) for tokens in lengths]
        peaks = [peak(attention, tokens) for tokens in lengths]
        exponents = [exponent(lengths, each) for each in (seconds, peaks)]
        cells = [f"{1000 * each:.0f}" for each in seconds]
        lines.append([name, *cells, *(f"{each:.2f}" for each in exponents)])
        records.append(
            {
                "question": "attention",
                "name": name,
                "state": "timed",
                "tokens": list(lengths),
                "seconds": seconds,
                "bytes": peaks,
                "exponents": dict(zip(("seconds", "bytes"), exponents, strict=True)),
            }
        )
    columns = ["pattern", *(f"{tokens} tokens, ms" for tokens in lengths), "time", "memory"]
    report.show(f"Attention: windows of {WINDOW}, {HEADS['heads']} heads of 64", columns, lines)
    return records


def exponent(lengths: Sequence[int], figures: Sequence[float]) -> float:
    """Return the slope of the line through the logarithms, by least squares."""
    slope, _ = statistics.linear_regression(
        [math.log(each) for each in lengths], [math.log(each) for each in figures]
    )
    return slope


def step_of(attention: Any, tokens: int) -> Callable[[], None]:
    """Return a forward and backward pass over a row of *tokens* tokens."""
    architecture = dataclasses.replace(
        Architecture(), context=tokens, width=256, attention=attention, position=None
    )
    layer = build(attention, site_of(architecture, 64))
    x = torch.randn(1, tokens, 256, requires_grad=True)
    ids = torch.zeros(1, tokens, dtype=torch.int64)

    def step() -> None:
        context = Context(ids=ids, starts=(0,), positions=0, position=PositionEncoding())
        layer(x, context)[0].sum().backward()

    return step


def peak(attention: Any, tokens: int) -> int:
    """Return the most bytes that a step makes and has in use at once."""
    step = step_of(attention, tokens)
    with Allocated() as allocated:
        step()
    found: int = allocated.peak
    return found


def _seconds(attention: Any, tokens: int) -> float:
    """Return the best processor time of a step."""
    step = step_of(attention, tokens)
    step()
    (timing,) = take_turns([step], ROUNDS, 5.0, time.process_time)
    return timing.best


if __name__ == "__main__":
    command(run)()
