"""`World`: the processes of a run, which torchrun starts.

Each process runs the same program on its part of the rows; only rank 0, the main process, writes
files. A run in a single process is a world of size 1, in which the functions here do nothing.
`gpt.training.engines` keeps the weights of several processes equal.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others. Writing a checkpoint takes less."""


@dataclass(frozen=True, kw_only=True)
class World:
    """One process among those of a run; by default the only one."""

    rank: int = 0
    """Index of this process, from 0."""
    size: int = 1
    """Number of processes."""

    @classmethod
    @contextmanager
    def join(cls, device: str = "auto") -> Iterator[World]:
        """Join the processes that torchrun started, for as long as the context lasts.

        *device* is `Recipe.device`: with CUDA, each process of a machine gets its own GPU. If one
        process fails, all do: it raises its error, and the others, which would wait for it, raise
        PeerError. Raises ConfigError if there is no GPU for each process.
        """
        if launched() == 1:
            yield cls()
            return
        gpu: int | None = None
        if device != "cpu" and torch.cuda.is_available():
            gpu = choose_gpu(device, int(os.environ["LOCAL_RANK"]), torch.cuda.device_count())
            torch.cuda.set_device(gpu)
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        try:
            if gpu is not None:
                check_distinct(store, rank, size, _identity(gpu))
            dist.init_process_group(
                "gloo" if gpu is None else "cpu:gloo,cuda:nccl",
                store=PrefixStore("run", store),
                rank=rank,
                world_size=size,
                timeout=TIMEOUT,
                # NCCL connects at once and to this GPU, rather than in its first collective.
                device_id=None if gpu is None else torch.device("cuda", gpu),
            )
            yield cls(rank=rank, size=size)
        except Exception as error:
            first = _is_first_failure(store)
            if gpu is not None and dist.is_initialized():
                _abort()
            if not first:
                raise PeerError(
                    "another process of the run failed; see its error message"
                ) from error
            if _is_lost_connection(error):
                raise TrainingError(
                    "another process of the run was killed or stopped responding; repeat the "
                    "same command to resume from the last checkpoint"
                ) from error
            raise
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files."""
        return self.rank == 0

    def rows_of_rank(self, rows: int) -> range:
        """Return this process's part of *rows* rows; ConfigError if they cannot be divided."""
        if rows % self.size:
            fewer = max(size for size in range(1, self.size) if rows % size == 0)
            more = next((size for size in range(self.size, rows + 1) if rows % size == 0), None)
            fitting = f"{fewer} or {more}" if more else f"{fewer}"
            raise ConfigError(
                f"{rows} rows per step (batch_size x accumulate) cannot be divided among "
                f"{self.size} processes; start {fitting}, or use a multiple of {self.size} rows"
            )
        return self.part(rows)

    def part(self, count: int) -> range:
        """Return this process's part of *count* things, in order; parts differ by one at most."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, value: float) -> float:
        """Return the sum of *value* over all processes, in float64."""
        return self.sums([value])[0]

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each of *values* over all processes, in one exchange of messages."""
        if self.size == 1:
            return [float(value) for value in values]
        totals = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(totals)
        return totals.tolist()

    def any(self, flag: bool) -> bool:
        """Return whether *flag* is set in any process."""
        return self.sum(flag) > 0

    def wait(self) -> None:
        """Block until all processes have called this."""
        self.sum(0)

    def from_main(self, value: Value) -> Value:
        """Return the *value* of the main process."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the *value* of each process, by rank."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values


ALONE = World()
"""The default: a single process."""


def choose_gpu(device: str, local_rank: int, count: int) -> int:
    """Return the GPU of process *local_rank* of this machine, of the *count* that it can see.

    SLURM and some schedulers show each process a single GPU, its own, which it calls 0. Raises
    ConfigError if *device* is one GPU for all processes, or if there are fewer than processes.
    """
    if ":" in device:
        raise ConfigError(
            f"--device {device} is one GPU, and {launched()} processes were started; use --device "
            "cuda, with which each gets its own, or CUDA_VISIBLE_DEVICES to choose from them"
        )
    if count == 1:
        return 0
    if local_rank >= count:
        raise ConfigError(
            f"no GPU for process {local_rank + 1}: this machine has {count}; start at most {count} "
            "processes with --nproc-per-node, or use --device cpu"
        )
    return local_rank


def _identity(gpu: int) -> str:
    """Return what distinguishes GPU number *gpu* of this process from those of all others."""
    return f"{socket.gethostname()} {torch.cuda.get_device_properties(gpu).uuid}"


def check_distinct(store: Store, rank: int, size: int, identity: str) -> None:
    """Raise ConfigError if a GPU is that of two processes; *identity* is that of this process.

    All processes call this, each with its *rank* of *size*.
    """
    store.set(f"gpu/{rank}", identity)
    identities = {store.get(f"gpu/{other}") for other in range(size)}
    if len(identities) < size:
        raise ConfigError(
            f"{size} processes have {len(identities)} GPU(s), and each needs its own; "
            "start fewer with --nproc-per-node, or use --device cpu"
        )


def _abort() -> None:
    """End the collectives of this process on the GPU, so that leaving does not wait for them.

    The connections that it closes end the collectives of the other processes, too.
    """
    # The error that is being reported matters more than one of this function, private in torch.
    with suppress(Exception):
        dist.distributed_c10d._abort_process_group()


def _is_first_failure(store: Store) -> bool:
    """Return whether this process is the first to fail; call it once per process."""
    try:
        return bool(store.add("failures", 1) == 1)
    except RuntimeError:  # the process that hosted the store has exited
        return False


def _is_lost_connection(error: Exception) -> bool:
    """Return whether *error* is what a collective raises when a process has disappeared."""
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and "gloo" in str(error)
    )
