"""The machine that results are made on: its processor, its versions, and its speed."""

from __future__ import annotations

import functools
import platform
import subprocess
import time
from pathlib import Path

from pytok.distribution import version

ROUNDS, STEPS = 5, 20


def environment() -> dict[str, str | float]:
    """Return what results depend on besides the code of an experiment."""
    import torch

    return {
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytok": version(),
        "revision": _revision(),
        "threads": "1 for each trial",
        "speed": speed(),
    }


@functools.cache
def speed() -> float:
    """Return the speed of one thread in GFLOP/s, with the products and sums of small models.

    It is the best of some rounds, which take about a second. By it the time of trials elsewhere
    becomes that of trials here.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows, width = 1024, 128
        x, w = torch.randn(rows, width), torch.randn(width, 4 * width) / width**0.5
        best = min(_seconds(x, w) for _ in range(ROUNDS))
    finally:
        torch.set_num_threads(threads)
    return round(STEPS * 2 * 2 * rows * width * 4 * width / best / 1e9, 1)


def _seconds(x: object, w: object) -> float:
    """Return the seconds of some steps of a small MLP, forward."""
    import torch

    assert isinstance(x, torch.Tensor)
    assert isinstance(w, torch.Tensor)
    begin = time.process_time()  # whatever else runs
    for _ in range(STEPS):
        x = torch.nn.functional.gelu(x @ w) @ w.t() + x
        x = torch.nn.functional.layer_norm(x, x.shape[-1:])
    return time.process_time() - begin


def _processor() -> str:
    """Return the name of the processor and its instruction set for products."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        return platform.processor() or platform.machine()
    family = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    flags = set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    return f"{fields.get('model name', platform.machine())}, {family}, {' '.join(sorted(flags))}"


def _revision() -> str:
    """Return the revision of the checkout that this is run from; "" if it is none."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
