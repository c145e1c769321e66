"""How fast a device could compute at best: what MFU, the model's share of it, is measured against.

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
"""Operations a second in bfloat16, dense, as NVIDIA's data sheets have them, by the words of the
name that a card gives itself."""
SIZE = 1024
"""Rows and columns of the matrices that are multiplied to measure a CPU: large enough to be bound
by arithmetic, and done in some milliseconds."""
REPEATS = 4
"""Products that are timed, the first of which warms up; the fastest counts."""


def peak_flops(runtime: Runtime) -> float | None:
    """Operations a second that *runtime* reaches at best; None for a card that is not known.

    Of a CUDA card what its maker states for bfloat16, whatever the type is; of a CPU, for which no
    one number is stated, what a product of two matrices in the type of *runtime* reaches, with as
    many threads as torch has now.
    """
    if runtime.device.type == "cuda":
        return card_flops(torch.cuda.get_device_name(runtime.device))
    factor = torch.ones(SIZE, SIZE, dtype=runtime.dtype)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        factor @ factor
        seconds.append(time.perf_counter() - began)
    return 2 * SIZE**3 / min(seconds)


def card_flops(name: str) -> float | None:
    """Look up the card called *name*; of two that fit, the one whose name says more.

    >>> card_flops("NVIDIA A100-SXM4-80GB"), card_flops("NVIDIA H100 PCIe")
    (312000000000000.0, 756000000000000.0)
    """
    words = set(re.findall(r"\w+", name))
    known = [card for card in CARDS if words.issuperset(card.split())]
    return CARDS[max(known, key=lambda card: len(card.split()))] if known else None
