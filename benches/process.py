"""Call a function in a fresh Python process, with arguments and result in files.

Thread pools, caches and peak memory then belong to one library, and a crash affects no other.
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
    """Return the number of cores that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_threads() -> dict[str, str]:
    """Return environment variables for one thread per core, which override the user's."""
    count = str(cores())
    return {
        "OMP_NUM_THREADS": count,
        "RAYON_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "true",
    }


def call(
    module: str, arguments: Mapping[str, Any], environment: Mapping[str, str], timeout: float
) -> Any:
    """Return the result of ``python -m module``, which `serve` runs, for *arguments*.

    Arguments and result are JSON; *timeout* is in seconds. Raises RuntimeError if the process fails
    or takes longer.
    """
    found = (variables.get("PYTHONPATH") for variables in (environment, os.environ))
    paths = [str(Path(__file__).parents[1]), *filter(None, found)]
    with tempfile.TemporaryDirectory() as folder:
        request, result = Path(folder, "arguments.json"), Path(folder, "result.json")
        request.write_text(json.dumps(arguments))
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, str(request), str(result)],
                env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(paths)},
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"timed out after {timeout:.0f} s") from None
        if done.returncode or not result.exists():
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise RuntimeError(lines[-1])
        return json.loads(result.read_text())


def serve(function: Callable[[dict[str, Any]], Any]) -> None:
    """Run *function* on the arguments in the file ``argv[1]``; write its result to ``argv[2]``."""
    arguments = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(function(arguments)))


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes.

    On Linux, ``ru_maxrss`` includes that of the parent process before exec, and the benchmark
    itself can be large, so the kernel's own figure is read if there is one.
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
    """Pin this process, and those that it starts meanwhile, to one core if the system can.

    A library can start threads against its environment variables; on one core they gain nothing.
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
