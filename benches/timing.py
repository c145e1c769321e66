"""The clock: best of several rounds, taken in turns.

The clock is the processor time of the whole process. On one thread that is what the wall clock
shows on an idle machine, and other programs disturb it less. The contestants take turns round by
round, so that what disturbs it still hits all alike. Only ratios within one run are comparable; the
spread says how far to trust them.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The round that was disturbed least."""
        return min(self.seconds)

    @property
    def spread(self) -> float:
        """How much longer the median round took than the best, as a share of the best."""
        return statistics.median(self.seconds) / self.best - 1


def take_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[Timing]:
    """Time each of *calls* *rounds* times, the collector of garbage switched off as in timeit."""
    seconds: list[list[float]] = [[] for _ in calls]
    enabled = gc.isenabled()
    try:
        for _ in range(rounds):
            for call, taken in zip(calls, seconds, strict=True):
                gc.collect()
                gc.disable()
                began = time.process_time()
                call()
                taken.append(time.process_time() - began)
                gc.enable()
    finally:
        if not enabled:
            gc.disable()
    return [Timing(tuple(taken)) for taken in seconds]
