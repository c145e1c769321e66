"""Peak FLOP/s of a device, the denominator of MFU.

MFU (model FLOPs utilization) is Chowdhery 2022's (PaLM, arXiv:2204.02311, appendix B).
"""

from __future__ import annotations

import re
import time

import torch

from gpt.parallel.runtime import Runtime

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
REPEATS = 4
"""Products that are timed; the first is a warm-up, and the fastest counts."""


def peak_flops(runtime: Runtime) -> float | None:
    """Return the peak FLOP/s of *runtime*; None for an unknown card.

    For a CUDA card it is the vendor's figure for bfloat16, whatever the dtype. For a CPU, which has
    no such figure, it is measured: the product of two matrices in the dtype of *runtime*, with the
    current number of threads of torch.
    """
    if runtime.device.type == "cuda":
        return card_flops(torch.cuda.get_device_name(runtime.device))
    matrix = torch.ones(SIZE, SIZE, dtype=runtime.dtype)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * SIZE**3 / min(seconds)


def card_flops(name: str) -> float | None:
    """Look up the card called *name*; the most specific entry wins.

    >>> card_flops("NVIDIA A100-SXM4-80GB"), card_flops("NVIDIA H100 PCIe")
    (312000000000000.0, 756000000000000.0)
    """
    words = set(re.findall(r"\w+", name))
    matches = [card for card in CARDS if words.issuperset(card.split())]
    return CARDS[max(matches, key=lambda card: len(card.split()))] if matches else None
