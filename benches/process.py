"""A fresh Python process that is asked one thing and answers it in a file.

What a library builds once for a process (thread pools, caches of pieces, peak memory) is so the
asked library's own, and one that crashes takes nobody else with it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_threads() -> dict[str, str]:
    """The environment that gives a library a thread for each core, whatever the user's own says."""
    count = str(cores())
    return {
        "OMP_NUM_THREADS": count,
        "RAYON_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "true",
    }


def ask(
    module: str, order: Mapping[str, Any], environment: Mapping[str, str], patience: float
) -> Any:
    """What ``python -m module`` answers to *order*; RuntimeError if it fails to within *patience*.

    Both are anything that JSON holds; *patience* is in seconds.
    """
    found = (variables.get("PYTHONPATH") for variables in (environment, os.environ))
    paths = [str(Path(__file__).parents[1]), *filter(None, found)]
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "order.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps(order))
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, str(asked), str(answer)],
                env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(paths)},
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"no end within {patience:.0f} s") from None
        if done.returncode or not answer.exists():
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise RuntimeError(said[-1])
        return json.loads(answer.read_text())


def answer(give: Callable[[dict[str, Any]], Any]) -> None:
    """The other end of `ask`: what *give* makes of the order goes into the file of the answer."""
    order = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(give(order)))


def peak_memory() -> int:
    """The most memory this process had resident, in bytes.

    Linux hands ``ru_maxrss`` on from the process that started this one, and the benchmark itself
    may be large, so the kernel's own line is read where there is one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def one_core() -> Iterator[None]:
    """Tie this process, and those that it starts meanwhile, to one core where the system can.

    A library may start threads whatever its environment says; so they gain nothing.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
