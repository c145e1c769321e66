"""SIGTERM and SIGHUP as exceptions, so that a command that is ended removes what it has begun.

`timeout`, `docker stop`, systemd and Slurm send SIGTERM, a terminal that is closed sends SIGHUP. By
default both end Python at once, and temporary files stay.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Windows has no SIGHUP."""


@contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Return a context in which SIGTERM and SIGHUP raise SystemExit with 128 + the signal.

    A second signal does not interrupt the removal of temporary files. Signals that are ignored, as
    `nohup` does, or handled otherwise stay so, and all do outside the main thread, the only one in
    which Python can handle them.
    """
    changed = []
    if threading.current_thread() is threading.main_thread():
        changed = [each for each in SIGNALS if signal.getsignal(each) == signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for each in changed:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in changed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
