"""A CUDA device without a GPU: torch's FakeTensorMode, and counts of what the host waits for.

Fake tensors have a device, a dtype and a shape, and no content: an operation on tensors of two
devices is an error, as on a GPU, and no kernel runs. The process needs the functions of `driver.c`.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gpt

GPT = Path(gpt.__file__).parent
DEVICE = torch.device("cuda:0")

READS = ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero")
"""Operations whose result the host needs."""
COPIES = ("to", "_to_copy", "copy_")
"""Operations that can copy between devices; outside of autograd, ``to`` is one by itself."""


def content(tensor: Tensor) -> Any:
    """Return the number that stands for the content of *tensor*."""
    return {torch.bool: True, torch.int64: 1, torch.int32: 1}.get(tensor.dtype, 1.0)


class Observed(TorchDispatchMode):
    """Counts what a program makes a CUDA device do, by the line of `gpt` that asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        """Reads of a tensor on the device: the host waits until it has computed everything."""
        self.blocking: Counter[str] = Counter()
        """Copies to the device that the host waits for: not asynchronous, or not pinned."""
        self.asynchronous: Counter[str] = Counter()
        """Copies to the device that it fetches by itself, with their dtypes."""
        self.attention: Counter[str] = Counter()
        """Attention kernels."""
        self.kernels = 0
        """Operations on the device, views included."""
        self._pinned: set[int] = set()

    def clear(self) -> None:
        """Forget what was counted so far."""
        for counter in (self.waits, self.blocking, self.asynchronous, self.attention):
            counter.clear()
        self.kernels = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count *func*, and answer what fake tensors do not know: the content of a scalar."""
        name = func._overloadpacket.__name__
        given = dict(zip((each.name for each in func._schema.arguments), args, strict=False))
        given |= kwargs or {}
        first = next((each for each in args if isinstance(each, Tensor)), None)
        on_device = first is not None and first.device.type == "cuda"
        self.kernels += on_device
        if name in READS:
            self.waits.update([_line()] if on_device else [])
        if name in ("_local_scalar_dense", "item"):
            return content(args[0])
        if name in ("is_nonzero", "equal"):
            return True
        if name == "exponential_":
            return first  # of a generator that fake tensors do not accept
        if "attention" in name and "backward" not in name:
            self.attention[name] += 1
        result = func(*args, **(kwargs or {}))
        source, target = (args[1], args[0]) if name == "copy_" else (first, result)
        if name in COPIES and source.device.type != target.device.type:
            self._count_copy(source, target, bool(given.get("non_blocking")))
        if given.get("pin_memory"):
            self._pinned.add(id(result))
        return result

    def tolist(self, tensor: Tensor) -> Any:
        """Read *tensor*: of a real one, all elements are copied at once."""
        self.waits.update([_line()] if tensor.device.type == "cuda" else [])
        return np.full(tensor.shape, content(tensor)).tolist()

    def _count_copy(self, source: Tensor, target: Tensor, non_blocking: bool) -> None:
        if source.device.type == "cuda":
            self.waits[_line()] += 1
        elif non_blocking and id(source) in self._pinned:
            self.asynchronous[str(source.dtype)] += 1
        else:
            self.blocking[_line()] += 1


class _FromPython(TorchFunctionMode):
    """Makes fake tensors of numbers and lists, of which C++ would make real ones on the device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call *func*."""
        kwargs = kwargs or {}
        if func is torch.tensor:
            return _fake(*args, **kwargs)
        if func is Tensor.__getitem__ and isinstance(args[1], list):
            args = (args[0], _fake(args[1], device=args[0].device))
        if func is Tensor.__setitem__ and not isinstance(args[2], Tensor):
            x, index, value = args
            args = (x, index, torch.full((), value, dtype=x.dtype, device=x.device))
        return func(*args, **kwargs)


@contextlib.contextmanager
def fake_cuda(capability: tuple[int, int] = (9, 0)) -> Iterator[Observed]:
    """Pretend that there is one GPU of compute *capability*; yield what it is made to do."""
    generator = torch.Generator
    replaced = {
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.device_count": lambda: 1,
        "torch.cuda.get_device_capability": lambda *device: capability,
        "torch.cuda.get_device_name": lambda *device: "NVIDIA H100",
        "torch.cuda.is_bf16_supported": lambda *device, **options: True,
        "torch.cuda.get_rng_state": lambda *device: None,
        "torch.cuda.set_rng_state": lambda *state: None,
        "torch.cuda.synchronize": lambda *device: None,
        "torch.cuda._lazy_init": lambda: None,
        "torch.Generator": lambda device="cpu": generator("cpu"),
        "torch.nn.Module.to": _move,
        "gpt.runs.writing.save_file": _save_zeros,
        "gpt.runs.reading.load_tensors": _load,
    }
    with contextlib.ExitStack() as stack:
        observed = Observed()
        replaced |= {
            "torch._subclasses.fake_tensor.FakeTensor.tolist": lambda x: observed.tolist(x)
        }
        for name, replacement in replaced.items():
            stack.enter_context(mock.patch(name, replacement))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(observed)
        stack.enter_context(_FromPython())
        yield observed


def _move(module: nn.Module, device: torch.device | str) -> nn.Module:
    """Move *module* in place, as its method does; the data of a fake parameter has a fixed device.

    A parameter that several modules have in common stays one.
    """
    moved: dict[int, nn.Parameter] = {}
    for each in module.modules():
        for name, parameter in list(each._parameters.items()):
            if parameter is not None:
                new = nn.Parameter(parameter.detach().to(device), parameter.requires_grad)
                each._parameters[name] = moved.setdefault(id(parameter), new)
        for name, buffer in list(each._buffers.items()):
            each._buffers[name] = None if buffer is None else buffer.to(device)
    return module


def _save_zeros(tensors: dict[str, Tensor], path: Path) -> None:
    """Save tensors of zeros with the shapes and dtypes of the fake *tensors*."""
    with unset_fake_temporarily():
        zeros = {name: torch.zeros(each.shape, dtype=each.dtype) for name, each in tensors.items()}
        save_file(zeros, path)


def _load(path: Path) -> dict[str, Tensor]:
    """Return fake tensors like those in the file *path*."""
    with unset_fake_temporarily():
        tensors = load_file(path)
    return {name: _like(tensor) for name, tensor in tensors.items()}


def _fake(data: Any, *, device: torch.device | str | None = None, **options: Any) -> Tensor:
    """Return a fake tensor of *data*: ``torch.tensor`` on the CPU, and a copy to *device*."""
    with unset_fake_temporarily():
        real = torch.tensor(data, **options)
    return _like(real) if device is None else _like(real).to(device)


def _like(tensor: Tensor) -> Tensor:
    """Return a fake tensor like the real *tensor*."""
    return torch.empty(tensor.shape, dtype=tensor.dtype)


def _line() -> str:
    """Return the innermost line of `gpt` that is being executed."""
    return next(
        (
            f"{Path(frame.filename).name}: {frame.line}"
            for frame in reversed(traceback.extract_stack())
            if Path(frame.filename).is_relative_to(GPT)
        ),
        "outside gpt",
    )
