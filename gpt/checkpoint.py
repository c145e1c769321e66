"""Checkpoints: a run as files, written whole or not at all, checked when read. Never pickle.

::

    runs/first/checkpoints/step-00000400/
        model.safetensors      weights, by parameter name
        optimizer.safetensors  the optimizer's tensors, as "<parameter name>:<key>"
        state.json             `State`
        tokenizer.json         the tokenizer of the data, as it was
        chat.json              of data that is a chat: how its turns are rendered
        SHA256SUMS             of them all, for `sha256sum -c` too

A checkpoint is written into a folder beside its place and renamed when it is on the disk; only then
the one before it is removed. A kill at any moment leaves a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.distributed.tensor import DTensor

import pytok
from gpt.config import GPTConfig
from gpt.distributed import ALONE, World
from gpt.errors import CheckpointError, ConfigError
from gpt.model import GPT
from gpt.optim.average import AVERAGE
from gpt.plain import from_plain, to_plain
from gpt.recipe import Recipe
from gpt.sharded import save_sharded, sliced

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer

_REMEDY = "put back a copy of the folder, or remove it and train again"
SUMS = "SHA256SUMS"
STEPS = "step-" + "[0-9]" * 8
"""The folders that are ours; whatever else lies beside them is the user's."""
FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json")
"""What every checkpoint has."""
COMPANIONS = ("tokenizer.json", "chat.json")
"""Files of the data that a checkpoint carries along."""


@dataclass(frozen=True, kw_only=True)
class State:
    """All of a run that is no tensor.

    The place in the data and all chance follow from (recipe.seed, step), so there is no random
    state to keep.
    """

    FORMAT: ClassVar[int] = 1

    config: GPTConfig
    recipe: Recipe
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
    """The step that had it."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint's files, read and verified, not yet put to use."""

    folder: Path
    state: State
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    companions: dict[str, bytes]
    """tokenizer.json, and chat.json where the data had one."""

    def model(self, device: torch.device | str = "cpu") -> GPT:
        """Build the model, in evaluation mode, on *device*.

        Of a run that averages its weights, it has the averages, which are what was evaluated.
        """
        model = GPT(self.state.config)
        self.restore(model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.moments.get(f"{name}:{AVERAGE}", parameter))
        return model.to(device).eval()

    def tokenizer(self) -> Tokenizer:
        """Load the tokenizer of the data that the model has learnt.

        Raises CheckpointError where tokenizer.json is another one's.
        """
        path = self.folder / "tokenizer.json"
        tokenizer = pytok.load(path)
        if tokenizer.fingerprint != self.state.fingerprint:
            raise CheckpointError(f"{path}: not the tokenizer that the model has learnt; {_REMEDY}")
        return tokenizer

    def restore(self, model: GPT, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Put the weights into *model* and, where given, its state into *optimizer*.

        Raises CheckpointError where they do not fit.
        """
        parameters = dict(model.named_parameters())
        self._same_names("model.safetensors", set(self.weights), set(parameters))
        with torch.no_grad():
            for name, parameter in parameters.items():
                if parameter.shape != self.weights[name].shape:
                    raise CheckpointError(
                        f"{self.folder / 'model.safetensors'}: {name} has shape "
                        f"{tuple(self.weights[name].shape)}, and the config of state.json makes it "
                        f"{tuple(parameter.shape)}; the two are not of one run"
                    )
                parameter.copy_(sliced(self.weights[name], parameter))
        if optimizer is None:
            return
        moments = {tuple(key.rsplit(":", 1)): tensor for key, tensor in self.moments.items()}
        self._same_names("optimizer.safetensors", {name for name, _ in moments}, set(parameters))
        for (name, moment), tensor in moments.items():
            parameter = parameters[name]
            # A moment is like its weight, or a single number.
            alike = tensor.shape == parameter.shape
            kept = sliced(tensor, parameter) if alike else tensor.reshape(())
            optimizer.state[parameter][moment] = kept.to(parameter.device)

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
    """Write a checkpoint of *run* and remove older ones; return its folder.

    *companions* are what `companions` gives. A step that has a checkpoint keeps it. All of *world*
    call this, and the main process writes, or all do where each has but a slice of the model.
    """
    parent = run / "checkpoints"
    folder = parent / f"step-{state.step:08d}"
    if world.from_main(folder.exists()):
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    if world.is_main:
        for leftover in parent.glob("*.partial"):
            shutil.rmtree(leftover)
    parameters = dict(model.named_parameters())
    moments = {
        f"{name}:{key}": tensor.contiguous()
        for name, parameter in parameters.items()
        for key, tensor in optimizer.state[parameter].items()
    }
    document = {"format": State.FORMAT, **to_plain(state)}

    def tensors(name, t):
        if any(isinstance(p, DTensor) for p in parameters.values()):
            return save_sharded(t, parent / f"{folder.name}-{name}.partial", world).read_bytes()
        return save({n: p.contiguous() for n, p in t.items()})

    contents = {
        "model.safetensors": tensors("model", {n: p.detach() for n, p in parameters.items()}),
        "optimizer.safetensors": tensors("optimizer", moments),
        "state.json": (json.dumps(document, indent=2) + "\n").encode(),
        **companions,
    }
    if not world.is_main:
        return folder
    sums = "".join(f"{_digest(data)}  {name}\n" for name, data in contents.items())
    contents[SUMS] = sums.encode()

    aside = parent / f"{folder.name}.partial"
    aside.mkdir()
    try:
        for name, data in contents.items():
            with (aside / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        error.filename = str(aside)
        raise
    _sync_folder(aside)
    aside.rename(folder)
    _sync_folder(parent)
    for older in parent.glob(STEPS):
        if older != folder and older.is_dir():
            shutil.rmtree(older)
    return folder


def companions(folder: Path) -> dict[str, bytes]:
    """Read the files of the shard folder *folder* that its checkpoints carry along."""
    found = {name: folder / name for name in COMPANIONS}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if name == "tokenizer.json" or path.exists()
    }


def find_checkpoint(path: Path) -> Path | None:
    """Return the newest checkpoint of the run *path*, or *path* if it is one; else None."""
    if (path / SUMS).is_file():
        return path
    complete = (path / "checkpoints").glob(STEPS)
    return max(filter(Path.is_dir, complete), default=None)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify the newest checkpoint of *path*, a run or a checkpoint.

    Raises CheckpointError naming the file that is missing, damaged, or of another version.
    """
    folder = find_checkpoint(path)
    if folder is None:
        raise CheckpointError(f"{path}: no checkpoint there; `gpt train --out {path}` makes one")
    contents = _verified(folder)
    where = folder / "state.json"
    try:
        document = json.loads(contents["state.json"])
        version = document.pop("format")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise CheckpointError(f"{where}: not the state of a run") from None
    if version != State.FORMAT:
        raise CheckpointError(
            f"{where}: format {version}; this version of gpt reads format {State.FORMAT}"
        )
    try:
        state = from_plain(State, document)
    except ConfigError as error:
        raise CheckpointError(f"{where}: {error}") from error
    try:
        weights, moments = load(contents[FILES[0]]), load(contents[FILES[1]])
    except SafetensorError as error:
        raise CheckpointError(f"{folder}: not safetensors: {error}") from error
    beside = {name: contents[name] for name in COMPANIONS if name in contents}
    return Checkpoint(
        folder=folder, state=state, weights=weights, moments=moments, companions=beside
    )


def _verified(folder: Path) -> dict[str, bytes]:
    """Read each file of *folder*, and see that all are what SHA256SUMS says."""

    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{folder / name}: {error.strerror}; {_REMEDY}") from error

    lines = read(SUMS).decode("utf-8", "replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = [name for name in COMPANIONS if name in sums]
    contents = {name: read(name) for name in {*FILES, *there}}
    for name in contents:
        if sums.get(name) != _digest(contents[name]):
            raise CheckpointError(
                f"{folder / name}: damaged: its SHA-256 is not the one in {SUMS}; {_REMEDY}"
            )
    return contents


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Have the names in *folder* on the disk, where the system can (Windows cannot)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
