"""Peak FLOP/s of a device, the denominator of MFU.

MFU (model FLOPs utilization) is Chowdhery 2022's (PaLM, arXiv:2204.02311, appendix B).
"""

from __future__ import annotations

import re
import time

import torch

from gpt.parallel.runtime import Runtime, torch_threads

CARDS = {
    "A10": 125e12,
    "A30": 165e12,
    "A40": 149.7e12,
    "A100": 312e12,
    "A800": 312e12,
    "B200": 2250e12,
    "GH200": 989.4e12,
    "H100": 989.4e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H200": 989.4e12,
    "H800": 989.4e12,
    "L4": 121e12,
    "L40S": 362e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165.2e12,
    "RTX 5090": 209.5e12,
    "RTX A6000": 154.8e12,
}
"""Dense bfloat16 FLOP/s by the words in a card's name, from NVIDIA's data sheets."""
SIZE = 1024
"""Rows and columns of the matrices whose product measures a CPU: large enough to be limited by
arithmetic, small enough to take some milliseconds."""
REPEATS = 8
"""Products that are timed; the first is a warm-up, and the fastest counts."""
COARSE = 1e-4
"""Resolution in seconds from which a clock is too coarse for a product; on Windows it is 0.016."""


def peak_flops(runtime: Runtime) -> float | None:
    """Return the peak FLOP/s of *runtime*; None for an unknown card.

    For a CUDA card it is the vendor's figure for bfloat16, whatever the dtype. For a CPU, which has
    no such figure, it is measured: what `product_flops` is in the dtype of *runtime*, times the
    current number of threads of torch. A run may be faster than that, as its products have other
    sizes; then its own rate is the peak.
    """
    if runtime.device.type == "cuda":
        return card_flops(torch.cuda.get_device_name(runtime.device))
    return torch.get_num_threads() * product_flops(runtime.dtype)


def product_flops(
    dtype: torch.dtype, rows: int = SIZE, inner: int = SIZE, columns: int = SIZE
) -> float:
    """Return the FLOP/s of one CPU thread: those of the product of two matrices in *dtype*.

    The time is the processor's, not the clock's, so other processes hardly count: they take turns
    with the thread, and then only its caches are cold. One thread waits for no other.
    """
    coarse = time.get_clock_info("thread_time").resolution > COARSE
    now = time.perf_counter if coarse else time.thread_time
    left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
    seconds = []
    with torch_threads(1):
        for _ in range(1 + REPEATS):
            start = now()
            left @ right
            seconds.append(now() - start)
    return 2 * rows * inner * columns / min(seconds[1:])


def card_flops(name: str) -> float | None:
    """Look up the card called *name*; the most specific entry wins.

    >>> card_flops("NVIDIA A100-SXM4-80GB"), card_flops("NVIDIA H100 PCIe")
    (312000000000000.0, 756000000000000.0)
    """
    words = set(re.findall(r"\w+", name))
    matches = [card for card in CARDS if words.issuperset(card.split())]
    return CARDS[max(matches, key=lambda card: len(card.split()))] if matches else None
