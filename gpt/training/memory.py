"""Estimate of the memory of a run, before its first step.

The tensors of a part of the rows are counted, in real forward and backward passes, and what grows
with the rows is extrapolated to all of a pass. So it holds for every mechanism, objective and
optimizer, with and without recomputation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
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

HEAP = 1.5
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
        """What a process takes for them on its device, about."""
        return round(self.total * (HEAP if self.device.type == "cpu" else 1))

    def described(self) -> str:
        """Return the estimate in one line."""
        parts = ("weights", "gradients", "optimizer", "activations")
        listed = ", ".join(f"{name} {_written(getattr(self, name))}" for name in parts)
        return f"memory: about {_written(self.total)} of tensors at the peak ({listed})"

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
    free = free_memory(device)
    with meter as live, train_step.trials():
        weights = live.bytes
        train_step.try_gradients(1)
        one = live.peak - weights
        live.reset_peak()
        train_step.try_update()  # makes the state of the optimizer
        held, update, points = live.bytes, live.peak, []
        for rows in _tried(recipe.batch_size):
            if free is not None and one * rows * HEAP > free:
                break  # less than half of the rows do not fit
            live.reset_peak()
            train_step.try_gradients(rows)
            points.append((rows, live.peak - held))
            train_step.optimizer.zero_grad(set_to_none=True)
    peak = max(update, held + _extrapolated(points or [(1, one)], recipe.batch_size))
    state = held - weights
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


def _tried(batch_size: int) -> list[int]:
    """Return for which numbers of rows gradients are computed: a quarter of a batch, and half.

    Of fewer rows, most memory is taken elsewhere: where logits are computed in chunks, for example.
    """
    return sorted({max(1, batch_size // 4), max(min(2, batch_size), batch_size // 2)})


def _extrapolated(points: Sequence[tuple[int, int]], rows: int) -> int:
    """Return the bytes of *rows* rows, by *points*, one or two of rows and bytes, ascending."""
    last, size = points[-1]
    before, smaller = points[0] if len(points) > 1 else (0, 0)
    return size + round((size - smaller) / (last - before) * (rows - last))


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
