"""Estimate of the memory of a run, before its first step.

The tensors of a part of the rows are counted, in real forward and backward passes, and what grows
with the rows is extrapolated to all of a pass. So it holds for every mechanism, objective and
optimizer, with and without recomputation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gpt.adapt.wrapping import merged_bytes
from gpt.optim.parameters import changing_tensors
from gpt.parallel.memory import free_memory
from gpt.spec.recipe import Recipe
from gpt.training.step import TrainStep

HEAP = 1.25
"""Memory of a process on a CPU as a multiple of that of its tensors: the heap of the C library
keeps gaps between them. docs/tuning.md has measurements."""


class MemoryEstimate(NamedTuple):
    """Bytes that the tensors of a run take at their peak."""

    weights: int
    """The model's parameters and buffers."""
    gradients: int
    optimizer: int
    """Its state, with the average of the weights, and the best ones, if the run keeps such."""
    activations: int
    """All else at the peak of a step, for the most part what the backward pass needs, and a chunk
    of the logits."""
    evaluation: int
    """What an evaluation needs instead of gradients and activations: weights with adapters merged,
    for example."""
    device: torch.device

    @property
    def total(self) -> int:
        """The sum at the peak."""
        step = self.gradients + self.activations
        return self.weights + self.optimizer + max(step, self.evaluation)

    @property
    def process(self) -> int:
        """What the process takes for them on its device."""
        return round(self.total * (HEAP if self.device.type == "cpu" else 1))

    def described(self) -> str:
        """Return the estimate in one line."""
        parts = ("weights", "gradients", "optimizer", "activations")
        listed = ", ".join(f"{name} {_written(getattr(self, name))}" for name in parts)
        return f"memory: about {_written(self.process)} ({listed})"

    def warning(self) -> str | None:
        """Return what to say if the device has less memory free; the weights are there already."""
        free = free_memory(self.device)
        missing = self.process - self.weights
        if free is None or missing <= free:
            return None
        return (
            f"warning: the run needs about {_written(missing)} more than it has now, and "
            f"{_written(free)} are free: halve batch_size and double accumulate, or set recompute"
        )


def report_memory(
    train_step: TrainStep, recipe: Recipe, notice: Callable[[str], object]
) -> MemoryEstimate | None:
    """Report how much memory the run takes, about, and whether that much is free."""
    train_step.model.train()
    if (found := estimate_memory(train_step, recipe)) is not None:
        notice(found.described())
        if (warning := found.warning()) is not None:
            notice(warning)
    return found


def estimate_memory(train_step: TrainStep, recipe: Recipe) -> MemoryEstimate | None:
    """Estimate the memory of the steps of *train_step*, before its first; None if it cannot try.

    The weights do not change. Rows that the model makes itself cannot be tried.
    """
    if train_step.collects_rows:
        return None
    model = train_step.model
    device = train_step.runtime.device
    meter: LiveTensors | Allocator = (
        Allocator(device)
        if device.type == "cuda"
        else LiveTensors([*model.parameters(), *model.buffers()])
    )
    # Of few rows, the most memory is taken elsewhere: in the head, which computes its logits in
    # chunks, for example. So half the rows and a quarter of them are tried.
    counts = sorted(
        {max(1, recipe.batch_size // 4), max(min(2, recipe.batch_size), recipe.batch_size // 2)}
    )
    with meter as live, train_step.trials():
        weights = live.bytes
        train_step.try_gradients(1)
        live.reset_peak()
        train_step.try_update()  # makes the state of the optimizer
        state, update, peaks = live.bytes - weights, live.peak, []
        for rows in counts:
            live.reset_peak()
            train_step.try_gradients(rows)
            peaks.append(live.peak)
            train_step.optimizer.zero_grad(set_to_none=True)
    each = (peaks[-1] - peaks[0]) / max(1, counts[-1] - counts[0])
    peak = max(update, peaks[-1] + round(each * (recipe.batch_size - counts[-1])))
    gradients = sum(_size_of(part) for part in model.parameters() if part.requires_grad)
    copies = (recipe.average is not None) + (recipe.patience is not None)
    return MemoryEstimate(
        weights=weights,
        gradients=gradients,
        optimizer=state + copies * sum(map(_size_of, changing_tensors(model))),
        activations=max(0, peak - weights - state - gradients),
        evaluation=merged_bytes(model),
        device=device,
    )


class Allocator:
    """Reads the bytes of the tensors on a GPU from its allocator."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __enter__(self) -> Allocator:
        """Begin."""
        self.reset_peak()
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    @property
    def bytes(self) -> int:
        """Of the tensors that exist."""
        return torch.cuda.memory_allocated(self._device)

    @property
    def peak(self) -> int:
        """Most bytes since the last reset."""
        return torch.cuda.max_memory_allocated(self._device)

    def reset_peak(self) -> None:
        """Begin the peak again, at what there is now."""
        torch.cuda.reset_peak_memory_stats(self._device)


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that exist, from operations inside of the context on."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes, self.peak = 0, 0
        self._known: set[int] = set()
        for tensor in tensors:
            self._add(tensor)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Count what *function* returns."""
        results = function(*args, **(kwargs or {}))
        for each in tree_leaves(results):
            if isinstance(each, Tensor):
                self._add(each)
        return results

    def reset_peak(self) -> None:
        """Begin the peak again, at what there is now."""
        self.peak = self.bytes

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.bytes += size
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.bytes -= size


def _size_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize


def _written(size: int) -> str:
    """Return *size* in bytes as text."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
