"""Checkpoints: a run as files, written whole or not at all, checked when read. Never pickle.

::

    runs/first/checkpoints/step-00000400/
        model.safetensors      the model's weights, by parameter name: the best or averaged ones,
                               where the run keeps such, with adapters merged into them
        optimizer.safetensors  what only a run that goes on needs, as "<parameter name>:<key>": the
                               optimizer's tensors, and, where it is no weight of the model, the
                               parameter itself (its key is "weight")
        state.json             `State`
        tokenizer.json         the tokenizer of the data, as it was
        chat.json              of data that is a chat: how its turns are rendered
        SHA256SUMS             of them all (`gpt.runs.sealed_folder`)

A run keeps its last checkpoints and the best one. Only when a new one is on the disk are others
removed, so a kill at any moment leaves a whole one. Tensors are mapped from their files: only what
is used is read.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import pytok
from gpt.adapt.wrapping import merged_weights
from gpt.errors import CheckpointError, ConfigError, DataError
from gpt.model.gpt import GPT
from gpt.optim.best import shown
from gpt.parallel.sharded import is_sharded, save_sharded, sliced
from gpt.parallel.world import ALONE, World
from gpt.runs.sealed_folder import (
    PARTIAL,
    REPLACED,
    SUMS,
    damage,
    remove,
    sealed_folder,
    sealed_names,
)
from gpt.spec.architecture import GPTConfig
from gpt.spec.recipe import Recipe, TuningRecipe, check_resumable
from gpt.spec.serialize import from_plain, to_plain

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer

WEIGHT = "weight"
"""The key of a parameter itself, among the optimizer's tensors."""
STEPS = "step-" + "[0-9]" * 8
"""The folders that are ours; whatever else lies beside them is the user's."""
BEST = "best"
"""RUN/best is the checkpoint of RUN that was best on the validation split."""
WEIGHTS, MOMENTS, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
COMPANIONS = ("tokenizer.json", "chat.json")
"""Files of the data that a checkpoint carries along; chat.json only where there is one."""
FILES = (WEIGHTS, MOMENTS, STATE, COMPANIONS[0])
"""What every checkpoint has."""


@dataclass(frozen=True, kw_only=True)
class State:
    """All of a run that is no tensor.

    The place in the data and all chance follow from (recipe.seed, step), so there is no random
    state to keep.
    """

    FORMAT: ClassVar[int] = 2

    config: GPTConfig
    recipe: Recipe | TuningRecipe
    step: int
    """Updates made."""
    seconds: float
    """Training time they took."""
    fingerprint: str
    """Of the tokenizer; shards of another are refused."""
    train_tokens: int
    """Tokens of the training split; one of another length would be read in another order."""
    val_bpb: float | None = None
    """The last evaluation's bits per byte on the validation split."""
    best_val_bpb: float | None = None
    """The least of all."""
    best_step: int | None = None
    """The step that had it; 0 where a tuned model has found nothing better than its base."""
    first_val_bpb: float | None = None
    """Before the first step, where the model had learnt before."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint, verified, not yet put to use."""

    folder: Path
    state: State
    weights: dict[str, Tensor]
    companions: dict[str, bytes]
    """tokenizer.json, and chat.json where the data had one."""

    @cached_property
    def moments(self) -> dict[str, Tensor]:
        """The optimizer's tensors, which only a run that goes on needs.

        Raises CheckpointError where they are damaged.
        """
        return _tensors(self.folder, MOMENTS)

    def model(self, device: torch.device | str = "cpu") -> GPT:
        """Build the model, in evaluation mode, on *device*."""
        model = GPT(self.state.config)
        self._fill(model, self.weights)
        return model.to(device).eval()

    def tokenizer(self) -> Tokenizer:
        """Load the tokenizer of the data that the model has learnt.

        Raises CheckpointError where tokenizer.json is another one's.
        """
        path = self.folder / "tokenizer.json"
        tokenizer = pytok.load(path)
        if tokenizer.fingerprint != self.state.fingerprint:
            raise _unfit(path, "not the tokenizer that the model has learnt")
        return tokenizer

    def restore(self, model: GPT, optimizer: torch.optim.Optimizer) -> None:
        """Put all back as it was in training: the parameters of *model*, and the *optimizer*.

        Raises CheckpointError where they do not fit.
        """
        moments = {tuple(key.rsplit(":", 1)): tensor for key, tensor in self.moments.items()}
        own = {name: tensor for (name, key), tensor in moments.items() if key == WEIGHT}
        self._same_names(WEIGHTS, set(self.weights), set(merged_weights(model)))
        self._fill(model, {**self.weights, **own})
        parameters = dict(model.named_parameters())
        trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
        kept = {name for name, key in moments if key != WEIGHT}
        self._same_names(MOMENTS, kept, trained)
        for (name, key), tensor in moments.items():
            if key != WEIGHT:
                parameter = parameters[name]
                # What is not like its weight is a single number.
                alike = tensor.shape == parameter.shape
                part = sliced(tensor, parameter) if alike else tensor.reshape(())
                # A copy: the optimizer writes to it, and it is mapped from the file.
                optimizer.state[parameter][key] = part.to(parameter.device, copy=True)

    def _fill(self, model: GPT, weights: Mapping[str, Tensor]) -> None:
        """Put *weights*, of which some may be no parameters, into those of *model*."""
        parameters = dict(model.named_parameters())
        self._same_names(WEIGHTS, set(weights) & set(parameters), set(parameters))
        with torch.no_grad():
            for name, parameter in parameters.items():
                if parameter.shape != weights[name].shape:
                    raise CheckpointError(
                        f"{self.folder / WEIGHTS}: {name} has shape "
                        f"{tuple(weights[name].shape)}, and the config of state.json makes it "
                        f"{tuple(parameter.shape)}; the two are not of one run"
                    )
                parameter.copy_(sliced(weights[name], parameter))

    def _same_names(self, file: str, there: set[str], wanted: set[str]) -> None:
        if there != wanted:
            raise CheckpointError(
                f"{self.folder / file}: its tensors are not this model's "
                f"(the first to differ: {min(there ^ wanted)}); the files are not of one run"
            )


def write_checkpoint(
    run: Path,
    model: GPT,
    optimizer: torch.optim.Optimizer,
    state: State,
    companions: Mapping[str, bytes],
    world: World = ALONE,
) -> Path:
    """Write a checkpoint of *run*, remove those that it need not keep, and return its folder.

    *companions* are what `companions` gives. A step that has a checkpoint keeps it, unless it has
    been measured since: that may have made its weights the best. All of *world* call this; the main
    process writes, and the others only if they have slices of the model. Raises CheckpointError
    where it cannot be written; the other checkpoints are as they were then.
    """
    parent = run / "checkpoints"
    folder = parent / _name(state.step)
    try:
        if world.is_main:
            replaced = {*parent.glob(STEPS + REPLACED)} - {*_checkpoints(parent)}
            for leftover in (*replaced, *parent.glob(f"{STEPS}*{PARTIAL}")):
                shutil.rmtree(leftover)
        if not world.from_main(_is_there(folder, state)):
            _write(folder, model, optimizer, state, companions, world)
        if not world.is_main:
            return folder
        best = None if state.best_step is None else _name(state.best_step)
        for other in _checkpoints(parent)[: -state.recipe.keep]:
            if other.stem != best:
                remove(other)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(
            f"{folder}: cannot be written: {reason}; nothing else has changed: put that right, and "
            "give the same command again"
        ) from error
    return folder


def _is_there(folder: Path, state: State) -> bool:
    """Whether *folder* is a checkpoint that has been measured as *state* was."""
    return folder.exists() and read_state(folder).val_bpb == state.val_bpb


def _write(
    folder: Path,
    model: GPT,
    optimizer: torch.optim.Optimizer,
    state: State,
    companions: Mapping[str, bytes],
    world: World,
) -> None:
    weights = _weights_shown(model, optimizer)
    moments = {
        f"{name}:{key}": tensor.detach().contiguous()
        for name, parameter in model.named_parameters()
        for key, tensor in (
            *optimizer.state[parameter].items(),
            *(() if weights.get(name) is parameter else ((WEIGHT, parameter),)),
        )
    }
    tensors = {
        WEIGHTS: {name: tensor.detach().contiguous() for name, tensor in weights.items()},
        MOMENTS: moments,
    }
    slices = folder.with_name(f"{folder.name}-slices{PARTIAL}")
    joined = {
        name: save_sharded(those, slices / name)
        for name, those in tensors.items()
        if is_sharded(weights.values())
    }
    if not world.is_main:
        return
    document = {"format": State.FORMAT, **to_plain(state)}
    with sealed_folder(folder) as aside:
        for name, those in tensors.items():
            if name in joined:
                joined[name].rename(aside / name)
            else:
                save_file(those, aside / name)
        (aside / STATE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        for name, content in companions.items():
            (aside / name).write_bytes(content)
    if joined:
        shutil.rmtree(slices)


def _weights_shown(model: GPT, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The weights of *model* as its readers have them; one that is a parameter is that itself."""
    with shown(optimizer) as others:
        weights = merged_weights(model)
        if others:  # those that are trained are only lent
            for name, tensor in weights.items():
                weights[name] = tensor.detach().clone() if tensor.requires_grad else tensor
        return weights


def companions(folder: Path) -> dict[str, bytes]:
    """Read the files of the shard folder *folder* that its checkpoints carry along."""
    found = {name: folder / name for name in COMPANIONS}
    return {
        name: path.read_bytes() for name, path in found.items() if name in FILES or path.exists()
    }


def tokenizer_document(tokenizer: Tokenizer) -> bytes:
    """The content of a tokenizer.json."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / COMPANIONS[0]
        tokenizer.save(path)
        return path.read_bytes()


def find_checkpoint(path: Path) -> Path | None:
    """Return the newest checkpoint of the run *path*, or *path* if it is one; else None."""
    if (path / SUMS).is_file():
        return path
    return max(_checkpoints(path / "checkpoints"), default=None)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify the checkpoint that *path* names: itself, the newest of a run, or RUN/best.

    Raises CheckpointError naming the file that is missing, damaged, or of another version, and the
    older checkpoint that is whole, where there is one.
    """
    folder = find_checkpoint(path)
    if folder is None and path.name == BEST and find_checkpoint(path.parent) is not None:
        folder = _best(path.parent)
    if folder is None:
        raise CheckpointError(f"{path}: no checkpoint there; `gpt train --out {path}` makes one")
    carried = [name for name in COMPANIONS if name in FILES or name in sealed_names(folder)]
    for name in carried:
        _check(folder, name)
    return Checkpoint(
        folder=folder,
        state=read_state(folder),
        weights=_tensors(folder, WEIGHTS),
        companions={name: (folder / name).read_bytes() for name in carried},
    )


def check_fits(saved: State, begun: State) -> None:
    """Raise ConfigError or DataError where the run *begun* cannot go on from *saved*."""
    check_resumable(saved.recipe, begun.recipe)
    if saved.fingerprint != begun.fingerprint:
        raise DataError(
            f"{begun.recipe.data} was written with another tokenizer than the run in "
            f"{begun.recipe.out} has learnt; give the data of that run, or another --out"
        )
    if saved.train_tokens != begun.train_tokens:
        raise DataError(
            f"{begun.recipe.data} has {begun.train_tokens:,} training tokens, and the run "
            f"in {begun.recipe.out} began on {saved.train_tokens:,}; give it the data it began "
            "on, or another --out"
        )
    if saved.step > begun.recipe.steps:
        raise ConfigError(
            f"{begun.recipe.out} is at step {saved.step} already, past steps = "
            f"{begun.recipe.steps}; ask for more steps, or another --out"
        )


def read_state(folder: Path) -> State:
    """Read and verify the state of the checkpoint *folder*; raises as `read_checkpoint` does."""
    _check(folder, STATE)
    where = folder / STATE
    try:
        document = json.loads(where.read_bytes())
        version = document.pop("format")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise _unfit(where, "not the state of a run") from None
    if version != State.FORMAT:
        raise CheckpointError(
            f"{where}: format {version}, and this version of gpt reads format {State.FORMAT}; use "
            "the version that wrote it, or train again into another --out"
        )
    try:
        return from_plain(State, document)
    except ConfigError as error:
        raise _unfit(where, str(error)) from error


def _best(run: Path) -> Path:
    """Return the checkpoint that the newest one of *run* calls the best."""
    newest = find_checkpoint(run)
    assert newest is not None
    step = read_state(newest).best_step
    if step is None:
        raise CheckpointError(
            f"{run / BEST}: the run has measured nothing yet, so none is the best; name {run}"
        )
    return newest.with_name(_name(step)) if step else newest  # all show the model of step 0


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _checkpoints(parent: Path) -> list[Path]:
    """All in *parent*, the oldest first; one that a kill left half replaced is still there."""
    halfway = (f for f in parent.glob(STEPS + REPLACED) if not f.with_suffix("").exists())
    return sorted(filter(Path.is_dir, (*parent.glob(STEPS), *halfway)))


def _tensors(folder: Path, name: str) -> dict[str, Tensor]:
    _check(folder, name)
    try:
        return load_file(folder / name)
    except SafetensorError as error:
        raise _unfit(folder / name, f"not safetensors: {error}") from error


def _check(folder: Path, name: str) -> None:
    if wrong := damage(folder, name):
        raise _unfit(folder / name, wrong)


def _unfit(path: Path, wrong: str) -> CheckpointError:
    """Make the error of a checkpoint's file *path*, with the way to go on without it."""
    folder = path.parent
    older = [other for other in _checkpoints(folder.parent) if other.name < folder.name]
    whole = (other for other in reversed(older) if not any(damage(other, name) for name in FILES))
    remedy = "put back a copy of the folder, or remove it and train again"
    if rescue := next(whole, None):
        remedy = f"remove {folder} to go on from {rescue.name}, which is whole"
    return CheckpointError(f"{path}: {wrong}; {remedy}")
