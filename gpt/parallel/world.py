"""The processes of a run: `World`, and how they agree and end.

torchrun starts them; each runs the same program on its share of the rows, and rank 0, the main one,
alone writes. A run in one process is a world of one, in which everything here is what it would be
without. Which engine keeps the weights of several equal is in `gpt.training.engines`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from gpt.errors import ConfigError, PeerError, TrainingError
from gpt.parallel.launch import launched

Value = TypeVar("Value")

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others; a checkpoint is written in less."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A process among those of its run; by default the only one."""

    rank: int = 0
    """Its number, from 0."""
    size: int = 1
    """How many there are."""

    @classmethod
    @contextmanager
    def join(cls, device: str = "auto") -> Iterator[World]:
        """Meet the other processes that torchrun started, and leave them together.

        *device* is a recipe's: with CUDA each process of a machine takes a GPU of its own. Where
        one fails, they all do: its error is raised in it, and `PeerError` in the others, which
        would else wait for it.
        """
        if launched() == 1:
            yield cls()
            return
        cuda = device != "cpu" and torch.cuda.is_available()
        if cuda:
            _take_gpu(int(os.environ["LOCAL_RANK"]))
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=PrefixStore("run", store),
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )
        try:
            yield cls(rank=rank, size=size)
        except Exception as error:
            if not _is_first_failure(store):
                raise PeerError("another process of the run failed, and says why") from error
            if _is_lost_connection(error):
                raise TrainingError(
                    "another process of the run was killed, or no longer answers; the last "
                    "checkpoint is kept, and the same command goes on from it"
                ) from error
            raise
        finally:
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def rows_of_rank(self, rows: int) -> range:
        """Which of *rows* rows are this process's; ConfigError where they cannot be divided."""
        if rows % self.size:
            fewer = max(size for size in range(1, self.size) if rows % size == 0)
            more = next((size for size in range(self.size, rows + 1) if rows % size == 0), None)
            fitting = f"{fewer} or {more}" if more else f"{fewer}"
            raise ConfigError(
                f"{rows} rows a step (batch_size x accumulate) do not divide among {self.size} "
                f"processes; start {fitting}, or a run of a multiple of {self.size} rows a step"
            )
        count = rows // self.size
        return range(self.rank * count, (self.rank + 1) * count)

    def sum(self, value: float) -> float:
        """Add up the *value* of each process, in float64."""
        total = torch.tensor(value, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(total)
        return total.item()

    def any(self, flag: bool) -> bool:
        """Whether *flag* is set in any process."""
        return self.sum(flag) > 0

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.sum(0)

    def from_main(self, value: Value) -> Value:
        """Return what *value* is in the main process."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]


ALONE = World()
"""The world of a process that nothing was said of."""


def _take_gpu(number: int) -> None:
    """Make GPU *number* of this machine the one that "cuda" means."""
    there = torch.cuda.device_count()
    if number >= there:
        raise ConfigError(
            f"process {number + 1} of this machine has no GPU of its own, of {there}; "
            f"start at most {there} with --nproc-per-node, or train with --device cpu"
        )
    torch.cuda.set_device(number)


def _is_first_failure(store: Store) -> bool:
    """Whether no other process has failed before; each asks but once."""
    try:
        return bool(store.add("failures", 1) == 1)
    except RuntimeError:  # the store is gone, with the process that kept it
        return False


def _is_lost_connection(error: Exception) -> bool:
    """Whether *error* is what a collective raises when another process does not take part."""
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and "gloo" in str(error)
    )
