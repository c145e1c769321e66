"""Trials in worker processes, one thread each: two small runs beside each other beat one on two.

A worker ends when its parent does. Trials are functions of their settings, so it does not matter
which worker makes which.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from gpt.errors import TrainingError
from gpt.lab.experiment import Figures, Part, Setting

POLL = 0.2
"""Seconds between two looks at whether to stop."""


def workers(jobs: int) -> ProcessPoolExecutor:
    """Return up to *jobs* processes that make trials, a context; each starts when it is needed."""
    return ProcessPoolExecutor(
        max_workers=jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
    )


def run_trials(
    trials: Sequence[tuple[Part, Setting]],
    pool: ProcessPoolExecutor,
    *,
    jobs: int,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Part, Setting, Figures, float]]:
    """Make *trials* in *pool*, *jobs* beside each other; yield each when it is over, in any order.

    If *stop* returns True, those in progress are still yielded, and no others start. Raises
    TrainingError naming the trial that failed.
    """
    waiting = list(reversed(trials))
    running: dict[Future[tuple[Figures, float]], tuple[Part, Setting]] = {}
    while waiting or running:
        while waiting and len(running) < jobs and not stop():
            part, setting = waiting.pop()
            running[pool.submit(_measured, part.measure, setting)] = part, setting
        if not running:
            return
        done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in done:
            part, setting = running.pop(future)
            try:
                figures, seconds = future.result()
            except Exception as error:
                rate = "" if setting.rate is None else f", rate {setting.rate:g}"
                raise TrainingError(
                    f"part {part.name}, arm {setting.arm}{rate}, seed {setting.seed}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            yield part, setting, figures, seconds


def _measured(measure: Callable[[Setting], Figures], setting: Setting) -> tuple[Figures, float]:
    """Make a trial in a worker; return its figures, and the seconds of its thread.

    These are of the processor: what else runs on the machine hardly changes them.
    """
    import torch

    torch.manual_seed(setting.seed)
    begin = time.process_time()
    figures = measure(setting)
    return figures, time.process_time() - begin


def _begin_worker() -> None:
    """Leave interruptions to the parent, end with it, and use one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
