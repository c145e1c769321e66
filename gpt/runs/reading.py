"""Checkpoints and how they are read: verified, and without pickle.

::

    runs/first/checkpoints/step-00000400/
        model.safetensors      the weights of the model by parameter name, adapters merged into
                               them: the best or averaged ones, if the run keeps such
        optimizer.safetensors  what only a resumed run needs, as "<parameter name>:<key>": the
                               optimizer's tensors, and a parameter itself (key "weight") if it is
                               not in model.safetensors
        state.json             `gpt.runs.state.State`
        tokenizer.json         the tokenizer of the data, unchanged
        chat.json              if its chat template is pytok's own: the speakers of its chat
        tokenizer_config.json, generation_config.json
                               of an imported model: BOS, EOS; any chat template in Jinja
        SHA256SUMS             checksums of all of them (`gpt.runs.sealed_folder`)

Tensors are mapped from their files: only those that are used are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor

import pytok
from gpt.adapt.wrapping import merged_weights
from gpt.data.boundaries import listed_ids
from gpt.data.json_files import parse_json
from gpt.errors import CheckpointError, ConfigError
from gpt.model.build import MODELS, build_model
from gpt.model.classifier import Classifier
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.model.shapes import count_layers, without_memory
from gpt.optim.parameters import saved_buffers, saved_tensors
from gpt.parallel.sharded import sliced
from gpt.runs import paths
from gpt.runs.older_formats import RENAMED_TENSORS
from gpt.runs.retention import CHECKPOINTS, checkpoint_folder, find_checkpoint, list_checkpoints
from gpt.runs.sealed_folder import damage, sealed_names
from gpt.runs.state import State
from gpt.runs.tensor_files import load_tensors
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig
from gpt.spec.models import AnyConfig
from pytok.chat.template import TEMPLATE_FILE
from pytok.errors import ChatError

if TYPE_CHECKING:
    from pytok.chat.template import ChatTemplate
    from pytok.tokenizer import Tokenizer

BEST = "best"
"""RUN/best names the checkpoint of RUN with the best evaluation."""
WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
WEIGHT = "weight"
"""Key of a parameter itself among the optimizer's tensors."""
TOKENIZER_CONFIG, GENERATION = "tokenizer_config.json", "generation_config.json"
DATA_FILES = ("tokenizer.json", TEMPLATE_FILE, TOKENIZER_CONFIG, GENERATION)
"""Files of the data that a checkpoint carries along; all but the first only if there are such."""
COLLECTED = "collected.safetensors"
"""What a task's collector keeps: rows for steps that are to come, or what they are made with."""
FILES = (WEIGHTS, OPTIMIZER, STATE, DATA_FILES[0])
"""Files that every checkpoint has."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A verified checkpoint."""

    folder: Path
    state: State
    weights: dict[str, Tensor]
    """Weights of the model, by parameter name."""
    data_files: dict[str, bytes]
    """tokenizer.json, and those of the other `DATA_FILES` that there are."""

    @cached_property
    def optimizer_state(self) -> dict[str, Tensor]:
        """Tensors of the optimizer, which only a resumed run needs.

        Raises CheckpointError if they are damaged.
        """
        return _read_tensors(self.folder, OPTIMIZER)

    @property
    def collected(self) -> bytes:
        """What the task's collector has kept, which only a resumed run needs.

        Raises CheckpointError if it is missing or damaged.
        """
        _check(self.folder, COLLECTED)
        return (self.folder / COLLECTED).read_bytes()

    @property
    def generation(self) -> dict[str, Any]:
        """The content of generation_config.json, which imported models have; {} without it."""
        fields = parse_json(self.data_files.get(GENERATION, b"{}"))
        return fields if isinstance(fields, dict) else {}

    @property
    def stop_ids(self) -> list[int]:
        """Ids at which texts end, besides those of the tokenizer."""
        return listed_ids(self.generation.get("eos_token_id"))

    @property
    def config(self) -> GPTConfig:
        """The config of a GPT; raises CheckpointError for a model of pairs, and a classifier."""
        config = self.state.config
        if isinstance(config, GPTConfig):
            return config
        use = (
            "predicts the classes of texts, and the command needs a model that writes them; `gpt "
            "classify predict RUN` predicts, `gpt classify eval RUN` measures"
            if config.classifies
            else "translates a source to a target, and the command needs a model of texts; `gpt "
            "sample RUN --prompt SOURCE` translates, `gpt eval` measures"
        )
        raise CheckpointError(f"{self.folder}: this run {use}")

    def model(self, device: torch.device | str = "cpu", context: int | None = None) -> GPT:
        """Build the GPT of the run, in evaluation mode, on *device*.

        With a *context* longer than in training it reads as many tokens. Raises ConfigError if it
        cannot, because a mechanism has weights for each position; CheckpointError if the model is
        one of pairs, or if the tensors are not those of the config, before memory is used for the
        model.
        """
        config = self.config if context is None else self.config.extended(context)
        return cast(GPT, self._build(config, device))

    @property
    def classifier_config(self) -> ClassifierConfig:
        """The config of a classifier; raises CheckpointError for another model."""
        config = self.state.config
        if not isinstance(config, ClassifierConfig):
            raise CheckpointError(
                f"{self.folder}: this run is no classifier; `gpt classify train` makes one of it"
            )
        return config

    def classifier(self, device: torch.device | str = "cpu") -> Classifier:
        """Build the classifier of the run; otherwise like `model`."""
        return cast(Classifier, self._build(self.classifier_config, device))

    def any_model(self, device: torch.device | str = "cpu") -> Model:
        """Build the model of the run, of any kind; otherwise like `model`."""
        return self._build(self.state.config, device)

    def tokenizer(self) -> Tokenizer:
        """Load the tokenizer of the data that the model was trained on.

        Raises CheckpointError if tokenizer.json is another one.
        """
        path = self.folder / "tokenizer.json"
        tokenizer = pytok.load(self.folder if TOKENIZER_CONFIG in self.data_files else path)
        if tokenizer.fingerprint != self.state.fingerprint:
            raise _damaged(path, "not the tokenizer that the model was trained with")
        return tokenizer

    def chat_template(self) -> ChatTemplate | None:
        """Return the chat template of the run, if it has one: that of its data, or of its base.

        Raises ChatError with the file if it cannot be read.
        """
        from pytok.chat.templates import stored_template

        document = self.data_files.get(TEMPLATE_FILE)
        name = TOKENIZER_CONFIG if document is None else TEMPLATE_FILE
        try:
            return stored_template(self.tokenizer(), document)
        except ChatError as error:
            raise ChatError(f"{self.folder / name}: {error}") from None

    def restore(self, model: Model, optimizer: torch.optim.Optimizer) -> None:
        """Set the parameters of *model* and the state of *optimizer* to those in training.

        Raises CheckpointError if they do not fit.
        """
        state = {tuple(key.rsplit(":", 1)): tensor for key, tensor in self.optimizer_state.items()}
        in_training = {name: tensor for (name, key), tensor in state.items() if key == WEIGHT}
        self._check_names(WEIGHTS, set(self.weights), set(merged_weights(model)))
        self._fill(model, {**self.weights, **in_training})
        tensors, buffers = saved_tensors(model), saved_buffers(model)
        trained = {name for name, tensor in tensors.items() if tensor.requires_grad}
        # The optimizer has tensors of every parameter, and averages of buffers, if it has averages.
        saved = {name for name, key in state if key != WEIGHT and name not in buffers}
        self._check_names(OPTIMIZER, saved, trained)
        for (name, key), tensor in state.items():
            if key != WEIGHT:
                own = tensors[name]
                # A tensor of another shape than its parameter is a scalar, such as a step count.
                part = sliced(tensor, own) if tensor.shape == own.shape else tensor.reshape(())
                # Copied: the optimizer writes to it, and it is mapped from the file.
                optimizer.state[own][key] = part.to(own.device, copy=True)

    def _build(self, config: AnyConfig, device: torch.device | str) -> Model:
        self._check_sizes()
        model = build_model(config)
        self._fill(model, self.weights)
        return model.to(device).eval()

    def _fill(self, model: Model, weights: Mapping[str, Tensor]) -> None:
        """Copy *weights* into the parameters and buffers of *model*; other names are ignored."""
        self._check_shapes(model, weights)
        with torch.no_grad():
            for name, tensor in saved_tensors(model).items():
                tensor.copy_(sliced(weights[name], tensor))

    def _check_sizes(self) -> None:
        """Raise CheckpointError if a model of the config does not have the tensors of the file."""
        config = self.state.config
        for beginning, layers in MODELS[type(config)].layers_of(config).items():
            found = count_layers(self.weights, beginning)
            if found != layers:
                raise CheckpointError(
                    f"{self.folder / WEIGHTS}: has tensors of {found} layers, but by the config in "
                    f"state.json there are {layers}; the two files belong to different runs"
                )
        try:
            self._check_shapes(without_memory(config), self.weights)
        except ConfigError as error:
            raise CheckpointError(f"{self.folder / STATE}: {error}") from error

    def _check_shapes(self, model: Model, weights: Mapping[str, Tensor]) -> None:
        """Raise CheckpointError if *weights* lack tensors of *model*, or have other shapes."""
        tensors = saved_tensors(model)
        self._check_names(WEIGHTS, set(weights) & set(tensors), set(tensors))
        for name, tensor in tensors.items():
            if tensor.shape != weights[name].shape:
                raise CheckpointError(
                    f"{self.folder / WEIGHTS}: {name} has shape {tuple(weights[name].shape)}, but "
                    f"by the config in state.json it is {tuple(tensor.shape)}; the two files "
                    "belong to different runs"
                )

    def _check_names(self, file: str, found: set[str], wanted: set[str]) -> None:
        if found != wanted:
            raise CheckpointError(
                f"{self.folder / file}: its tensors are not those of this model (first "
                f"difference: {min(found ^ wanted)}); the files belong to different runs"
            )


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify the checkpoint *path*: a checkpoint, the newest of a run, or RUN/best.

    Raises CheckpointError naming the file that is missing, damaged or of another version, and the
    newest older checkpoint that is intact, if there is one.
    """
    folder = find_checkpoint(path)
    if folder is None and path.name == BEST and find_checkpoint(path.parent) is not None:
        folder = _find_best(path.parent)
    if folder is None:
        raise CheckpointError(_missing(path))
    carried = [name for name in DATA_FILES if name in FILES or name in sealed_names(folder)]
    for name in carried:
        _check(folder, name)
    return Checkpoint(
        folder=folder,
        state=read_state(folder),
        weights=_read_tensors(folder, WEIGHTS),
        data_files={name: (folder / name).read_bytes() for name in carried},
    )


def read_state(folder: Path) -> State:
    """Read and verify the state of the checkpoint *folder*; raises as `read_checkpoint` does.

    The data of the run is where it is now: `gpt.runs.paths`.
    """
    _check(folder, STATE)
    path = folder / STATE
    try:
        document = dict(parse_json(path.read_bytes()))
        document["format"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "not the state of a run") from None
    try:
        state = State.from_dict(document)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except ConfigError as error:
        raise _damaged(path, str(error)) from error
    is_in_run = folder.parent.name == CHECKPOINTS
    return paths.read(state, folder.parent.parent) if is_in_run else state


def _missing(path: Path) -> str:
    """Say that *path* is no run, and which run near it can be meant."""
    inside = [folder for folder in _folders(path) if find_checkpoint(folder) is not None]
    if inside:
        newest = max(inside, key=lambda run: run.stat().st_mtime)
        only = "" if len(inside) == 1 else f", the newest of {len(inside):,}"
        return f"{path}: not a run, but a folder with runs; did you mean {newest}{only}?"
    beside = {f.name: f for f in _folders(path.parent) if find_checkpoint(f) is not None}
    if similar := get_close_matches(path.name, beside, n=1):
        return f"{path}: no checkpoint found; did you mean {beside[similar[0]]}?"
    return f"{path}: no checkpoint found; `gpt train --out {path}` makes one"


def _folders(parent: Path) -> list[Path]:
    return sorted(filter(Path.is_dir, parent.glob("*")))


def _find_best(run: Path) -> Path:
    """Return the checkpoint that the newest one of *run* names as the best."""
    newest = find_checkpoint(run)
    assert newest is not None
    step = read_state(newest).best_step
    if step is None:
        raise CheckpointError(
            f"{run / BEST}: the run has no evaluation yet, so no checkpoint is the best; use {run}"
        )
    # Step 0 has no checkpoint: until a step is better, every one holds the base's weights.
    return checkpoint_folder(run, step) if step else newest


def _read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    _check(folder, name)
    try:
        tensors = load_tensors(folder / name)
    except SafetensorError as error:
        raise _damaged(folder / name, f"not safetensors: {error}") from error
    return {_current_name(key): tensor for key, tensor in tensors.items()}


def _current_name(key: str) -> str:
    """Return the name of the tensor *key* of a file that an older version may have written."""
    name, colon, rest = key.partition(":")
    return RENAMED_TENSORS.get(name, name) + colon + rest


def _check(folder: Path, name: str) -> None:
    if problem := damage(folder, name):
        raise _damaged(folder / name, problem)


def _damaged(path: Path, problem: str) -> CheckpointError:
    """Return the error for the checkpoint file *path*, with a way to continue without it."""
    folder = path.parent
    older = [other for other in list_checkpoints(folder.parent) if other.name < folder.name]
    intact = (other for other in reversed(older) if not any(damage(other, name) for name in FILES))
    remedy = "restore a copy of the folder, or remove it and train again"
    if fallback := next(intact, None):
        remedy = f"remove {folder} to resume from {fallback.name}, which is intact"
    return CheckpointError(f"{path}: {problem}; {remedy}")
