"""`Runtime`: the device of a run and the dtype of its matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from gpt.errors import ConfigError

COMPILE_PAYS = {"cpu": 900.0, "cuda": 300.0}
"""Seconds of training from which torch.compile pays. On two CPU cores it takes about 40 and saves
about a tenth (measured). On CUDA it joins kernels, of which a step has hundreds, and is assumed to
take a minute or two and to save a third: `benches/gpu.py` measures it."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A device and a compute dtype. Weights, gradients and optimizer state are always float32."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, device: str = "auto", dtype: str = "auto") -> Runtime:
        """Return the runtime of a recipe's *device* and *dtype*.

        The device "auto" is CUDA if available, otherwise the CPU. The dtype "auto" is bfloat16 if
        the processor multiplies it in hardware, otherwise float32, since emulated bfloat16 is many
        times slower. Raises ConfigError for an unknown or unavailable device, or another dtype.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise ConfigError(f"unknown device {device!r}; use auto, cpu or cuda") from None
        if chosen.type not in ("cpu", "cuda"):
            raise ConfigError(f"device {device!r} is not supported; use auto, cpu or cuda")
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError("torch finds no CUDA device; use --device cpu")
        if dtype == "auto":
            dtype = "bfloat16" if _has_bfloat16(chosen) else "float32"
        types = {"bfloat16": torch.bfloat16, "float32": torch.float32}
        if dtype not in types:
            raise ConfigError(f"dtype must be auto, float32 or bfloat16; got {dtype!r}")
        return cls(device=chosen, dtype=types[dtype])

    @property
    def name(self) -> Literal["float32", "bfloat16"]:
        """Name of `dtype` in a recipe."""
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"

    @property
    def remark(self) -> str | None:
        """What a user should know about the dtype on this device; None if it is the usual one."""
        if self.device.type != "cuda" or _has_bfloat16(self.device):
            return None
        name = torch.cuda.get_device_name(self.device)
        if self.dtype == torch.float32:
            return f"{name} does not multiply bfloat16, and float16 is not supported: float32"
        return f"{name} does not multiply bfloat16, which is slow there: use --dtype float32"

    def compile_pays(self, seconds: float) -> bool:
        """Return whether torch.compile shortens a run that takes *seconds* without it.

        Its graphs take some time to build, and each step is then faster by a fraction that depends
        on the device: `COMPILE_PAYS`.
        """
        return seconds >= COMPILE_PAYS[self.device.type]

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which matrix products are computed in `dtype`."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def synchronize(self) -> None:
        """Block until the device has done all work that it was given, so that it can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Use *count* threads on the CPU inside the context, if set; restore their number."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether *device* multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # These probes are private in torch, and older versions lack them.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
