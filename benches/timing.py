"""Timing in several interleaved rounds.

The contestants take turns in each round (A B C A B C), so that other load on the machine affects
all of them. Only ratios within one run are comparable; the spread shows how reliable they are.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Median seconds of the rounds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Time of the median round beyond the best, as a fraction of the best."""
        return self.median / self.best - 1


def take_turns(
    calls: Sequence[Callable[[], object]],
    rounds: int,
    max_seconds: float,
    clock: Callable[[], float],
) -> list[Timing]:
    """Time each of *calls* up to *rounds* times, and at least twice.

    A call that has taken *max_seconds* in total gets no further round.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    with _no_garbage_collection():
        for number in range(rounds):
            for call, taken in zip(calls, seconds, strict=True):
                if number < 2 or sum(taken) < max_seconds:
                    taken.append(_time(call, clock))
    return [Timing(tuple(taken)) for taken in seconds]


def time_once(call: Callable[[], object]) -> float:
    """Return the seconds of processor time of one call."""
    with _no_garbage_collection():
        return _time(call, time.process_time)


def _time(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the seconds of *call*, including the time to free its result."""
    gc.collect()
    start = clock()
    call()
    return clock() - start


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off, as timeit does.

    Existing objects are frozen, so that the collections between the rounds are fast.
    """
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
