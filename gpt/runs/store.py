"""`Store`: where a run is kept, in a folder or in memory.

The training loop asks a store for everything that it reads and writes, so a run in memory makes no
folder, lock or file, and its losses and weights are those of the same run in a folder, bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save
from torch import Tensor

from gpt.errors import CheckpointError, ConfigError
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.parallel.sharded import gathered
from gpt.parallel.world import ALONE, World
from gpt.runs.metrics import Metrics, NoMetrics, Row, open_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.runs.retention import find_checkpoint
from gpt.runs.state import State
from gpt.runs.writing import final_weights, replace_weights, write_checkpoint
from gpt.spec.recipe import Recipe
from pytok.atomic import replace_file


class Store(Protocol):
    """Where a run is kept. All processes of a run call these methods; the main one writes."""

    @property
    def folder(self) -> Path | None:
        """The run folder; None if nothing is on the disk."""

    def hold(self, world: World) -> AbstractContextManager[None]:
        """Return a context in which one run has the store; raises ConfigError on entry if not."""

    def newest(self) -> Path | None:
        """Return the checkpoint that a run resumes from; None for a new run."""

    def read(self) -> Checkpoint:
        """Return what was written last; raises CheckpointError if that is nothing, or damaged."""

    def open_metrics(self, *, keep: int, write: bool) -> Metrics:
        """Open the metrics up to step *keep*; *write* is False except in the main process."""

    def write(
        self,
        model: Model,
        optimizer: torch.optim.Optimizer,
        state: State,
        data_files: Mapping[str, bytes],
        world: World = ALONE,
    ) -> Path | None:
        """Keep the run as it is after a step; return the folder of the checkpoint, if it has one.

        The arguments and errors are those of `gpt.runs.writing.write_checkpoint`.
        """

    def replace_weights(self, weights: Mapping[str, Tensor], state: State) -> None:
        """Replace some of the *weights* that `read` returns, and the state."""

    def write_diverged(self, step: int, tensors: dict[str, Tensor]) -> str:
        """Keep *tensors* of the diverged *step*; say where they are. Raises OSError."""


class Folder:
    """A run folder: a lock, checkpoints, metrics.jsonl."""

    def __init__(self, path: Path) -> None:
        self.folder = path

    def __str__(self) -> str:
        return str(self.folder)

    @contextmanager
    def hold(self, world: World) -> Iterator[None]:
        """Make the folder, and lock it against other runs."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self}: cannot create the folder of the run: {error.strerror}; choose another "
                "--out"
            ) from error
        lock = FileLock(self.folder / ".lock", blocking=False) if world.is_main else nullcontext()
        try:
            lock.__enter__()
        except Timeout:
            raise ConfigError(
                f"another process is training in {self}; wait for it, or choose another --out"
            ) from None
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def newest(self) -> Path | None:
        """Return the folder of the newest checkpoint."""
        return find_checkpoint(self.folder)

    def read(self) -> Checkpoint:
        """Read and verify the newest checkpoint."""
        return read_checkpoint(self.folder)

    def open_metrics(self, *, keep: int, write: bool) -> Metrics:
        """Open metrics.jsonl."""
        return open_metrics(self.folder, keep=keep, write=write)

    def write(
        self,
        model: Model,
        optimizer: torch.optim.Optimizer,
        state: State,
        data_files: Mapping[str, bytes],
        world: World = ALONE,
    ) -> Path | None:
        """Write a checkpoint."""
        return write_checkpoint(self.folder, model, optimizer, state, data_files, world)

    def replace_weights(self, weights: Mapping[str, Tensor], state: State) -> None:
        """Replace weights of the newest checkpoint."""
        replace_weights(self.read().folder, weights, state)

    def write_diverged(self, step: int, tensors: dict[str, Tensor]) -> str:
        """Write ``diverged/step-<step>.safetensors``."""
        path = self.folder / "diverged" / f"step-{step:08d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        replace_file(path, save(tensors))
        return str(path)


class Memory:
    """A run that is not on the disk: it cannot be resumed, and is gone with this object.

    >>> Memory().folder is None
    True
    """

    folder: Path | None = None
    rows: list[Row]
    """The metrics, a row per step."""
    diverged: dict[str, Tensor]
    """Tensors of the step that diverged, as `gpt.training.divergence` names them; empty without."""

    def __init__(self) -> None:
        self.rows, self.diverged = [], {}
        self._held = False
        self._last: Checkpoint | None = None
        self._best: Checkpoint | None = None

    def __str__(self) -> str:
        return "in memory"

    @property
    def state(self) -> State:
        """The state of the run; raises CheckpointError before the first step."""
        return self.read().state

    def model(self, device: torch.device | str = "cpu") -> GPT:
        """Build the model of the run: with the best weights if the recipe has patience."""
        return self.read().model(device)

    def best_model(self, device: torch.device | str = "cpu") -> GPT:
        """Build the model of the best evaluation; raises CheckpointError if there was none."""
        return _existing(self._best).model(device)

    @contextmanager
    def hold(self, world: World) -> Iterator[None]:
        """Raise ConfigError if this already has a run."""
        if self._held:
            raise ConfigError("this Memory has a run, which cannot be resumed; make another Memory")
        self._held = True
        yield

    def newest(self) -> Path | None:
        """Return None: there are no checkpoints."""
        return None

    def read(self) -> Checkpoint:
        """Return the state and the weights, without the optimizer's tensors."""
        return _existing(self._last)

    def open_metrics(self, *, keep: int, write: bool) -> Metrics:
        """Return metrics that add to `rows`."""
        return _RowList(self.rows) if write else NoMetrics()

    def write(
        self,
        model: Model,
        optimizer: torch.optim.Optimizer,
        state: State,
        data_files: Mapping[str, bytes],
        world: World = ALONE,
    ) -> Path | None:
        """Keep a copy of the weights on the CPU, instead of that of an earlier step."""
        weights = {
            name: gathered(tensor.detach()).to("cpu", copy=True)
            for name, tensor in final_weights(model, optimizer).items()
        }
        self._last = Checkpoint(
            folder=Path(str(self)), state=state, weights=weights, data_files=dict(data_files)
        )
        if state.step == state.best_step or (state.best_step == 0 and self._best is None):
            self._best = self._last
        return None

    def replace_weights(self, weights: Mapping[str, Tensor], state: State) -> None:
        """Replace weights of the last step, and of the best one if it is that."""
        last = self.read()
        new = dataclasses.replace(last, state=state, weights={**last.weights, **weights})
        self._best = new if self._best is last else self._best
        self._last = new

    def write_diverged(self, step: int, tensors: dict[str, Tensor]) -> str:
        """Keep the tensors in `diverged`."""
        self.diverged = tensors
        return "Memory.diverged"


class _RowList(NoMetrics):
    """Metrics that are a list."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def replace_last(self, row: Row) -> None:
        """Replace the last row by *row*."""
        self._rows[-1] = row

    def append(self, row: Row) -> None:
        """Add *row*."""
        self._rows.append(row)


def _existing(checkpoint: Checkpoint | None) -> Checkpoint:
    if checkpoint is None:
        raise CheckpointError("this Memory has no such model yet; it has one after a call of train")
    return checkpoint


def default_store(recipe: Recipe) -> Store:
    """Return the folder of *recipe*; raises ConfigError without one."""
    if recipe.out is None:
        raise ConfigError("the run has no folder; set out in its recipe, or pass store=Memory()")
    return Folder(recipe.out)
