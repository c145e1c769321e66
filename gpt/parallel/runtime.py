"""Where a run happens: its device and the type it computes in. Built once, passed down."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from gpt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A device and a compute type. Weights, gradients and optimizer state are float32 always."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, device: str = "auto", dtype: str = "auto") -> Runtime:
        """Find the runtime of the names a recipe gives.

        *device* "auto" is CUDA where there is one, else the CPU; *dtype* "auto" is bfloat16 where
        the processor multiplies it in hardware, and float32 elsewhere, where bfloat16 is emulated,
        many times slower. Raises ConfigError for a device that is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise ConfigError(f"no device is called {device!r}; use auto, cpu or cuda") from None
        if chosen.type not in ("cpu", "cuda"):
            raise ConfigError(f"device {device!r} is not supported; use auto, cpu or cuda")
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError("this torch finds no CUDA device; use --device cpu")
        if dtype == "auto":
            dtype = "bfloat16" if _has_bfloat16(chosen) else "float32"
        types = {"bfloat16": torch.bfloat16, "float32": torch.float32}
        if dtype not in types:
            raise ConfigError(f"dtype must be auto, float32 or bfloat16; got {dtype!r}")
        return cls(device=chosen, dtype=types[dtype])

    @property
    def name(self) -> Literal["float32", "bfloat16"]:
        """Of `dtype`, as a recipe writes it."""
        return "bfloat16" if self.dtype == torch.bfloat16 else "float32"

    def autocast(self) -> AbstractContextManager[object]:
        """Enter a context in which matrix products are computed in `dtype`."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch keeps these private, and older ones lack them.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
