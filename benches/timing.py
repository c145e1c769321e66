"""The clock: several rounds, taken in turns.

The contestants take turns round by round (A B C A B C), so that what disturbs the machine hits all
alike. Only ratios within one run are comparable; the spread says how far to trust them.
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
        """The round that was disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """How much longer the median round took than the best, as a share of the best."""
        return self.median / self.best - 1


def take_turns(
    calls: Sequence[Callable[[], object]],
    rounds: int,
    enough: float,
    clock: Callable[[], float],
) -> list[Timing]:
    """Time each of *calls* up to *rounds* times.

    One that has taken *enough* seconds gets no further round, but nobody has fewer than two.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    with _no_collector():
        for number in range(rounds):
            for call, taken in zip(calls, seconds, strict=True):
                if number < 2 or sum(taken) < enough:
                    taken.append(_time(call, clock))
    return [Timing(tuple(taken)) for taken in seconds]


def time_once(call: Callable[[], object]) -> float:
    """Seconds of processor time that one call takes."""
    with _no_collector():
        return _time(call, time.process_time)


def _time(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of *call*; what it returns is given back to the memory within the clock, too."""
    gc.collect()
    began = clock()
    call()
    return clock() - began


@contextmanager
def _no_collector() -> Iterator[None]:
    """Switch the collector of garbage off, as timeit does.

    What is there already is frozen, so that the collections between the rounds have little to do.
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
