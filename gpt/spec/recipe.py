"""`Recipe`: a training run, from its data and its task to the machine that it runs on.

The comments on fields are user interface: `gpt train --help` shows them, their first sentence or
all. Defaults suit two CPU cores and a corpus of 1 to 10 MB: about two minutes. Sizes are in tokens,
rows (the sequences of a batch) and optimizer steps. Nothing here imports torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture
from gpt.spec.checks import above_zero, at_least_zero, below_one
from gpt.spec.classifier import Classifier
from gpt.spec.encoder_decoder import EncoderDecoder
from gpt.spec.objective import AnyObjective, CrossEntropy
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.recurrent import Recurrent
from gpt.spec.schedule import (
    Cosine,
    EarlyDropout,
    LateDropout,
    Linear,
    Noam,
    WarmupStableDecay,
)
from gpt.spec.score import AnyScore, BitsPerByte
from gpt.spec.serialize import USUAL, flatten, from_dict, to_dict
from gpt.spec.task import AnyTuning, Pairs, Pretraining

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run: its data, its model, how and for how long it is trained, and on what machine."""

    data: Path
    """Folder of token shards, as `pytok shard` writes them."""
    out: Path | None = None
    """Run folder. If it already holds a run, that run is resumed."""
    task: Pretraining | Pairs | AnyTuning = field(default_factory=Pretraining)
    """What the run starts from, and trains."""
    steps: int | None = 600
    """Optimizer steps in total. [default: as many as the time allows]"""
    seconds: float | None = None
    """Seconds that the run takes, about. Training has what `overhead` leaves of them. The learning
    rate follows the clock; the run ends earlier only if it has `steps` and reaches them."""
    max_seconds: float | None = None
    """Seconds that the run takes at most. A plan can be shorter."""
    overhead: float = 0.0
    """Seconds of the run that are not for training, but for planning, evaluation and samples. At
    least half of the time is for training."""
    batch_size: int = 16
    """Sequences per forward pass."""
    accumulate: int = 1
    """Gradient accumulation: forward passes per step."""
    overlap: int = 0
    """Tokens that a sequence of a text has in common with the next one in the text, so that each
    token is seen after different beginnings. An epoch has more sequences."""
    document_mask: bool = False
    """Restrict attention to tokens of the same document, if a sequence holds several (Zhao 2024,
    arXiv:2402.13991)."""
    bpe_dropout: float = 0.0
    """BPE dropout: probability of splitting a token into its two parts. Delays overfitting on small
    corpora."""
    objective: AnyObjective = field(default_factory=CrossEntropy)
    """The loss that is minimized."""
    score: AnyScore = field(default_factory=BitsPerByte)
    """Figure by which evaluations are compared, for the best checkpoint and for patience."""
    optimizer: AdamW | Muon = field(default_factory=Muon)
    """Optimizer."""
    schedule: Cosine | WarmupStableDecay | Linear | Noam = field(default_factory=Linear)
    """Schedule of the learning rate."""
    dropout_schedule: EarlyDropout | LateDropout | None = None
    """Schedule of the model's dropout. [default: constant]"""
    clip: float | None = None
    """Clip gradients to this norm. [default: off]"""
    average: float | None = None
    """Decay of a moving average of the weights (EMA), used for evaluation and sampling.
    [default: off]"""
    seed: int = 0
    """Random seed. The initial weights, the order of the data, and dropout follow from it."""
    eval_every: int = 100
    """Steps between evaluations. The validation split is evaluated, after the last step as well."""
    patience: int | None = None
    """Early stopping: end after this many evaluations without improvement. The best model is kept.
    [default: off]"""
    stop_at_loss: float | None = None
    """End once the smoothed training loss is this or less, in nats per token. Each step moves it by
    a tenth of the way to the step's loss, from the first loss on. [default: off]"""
    checkpoint_every: int = 100
    """Steps between checkpoints. The best evaluation, the last step and an interrupted step have
    one as well."""
    keep: int = 2
    """Number of recent checkpoints to keep, besides the best on the validation split."""
    device: str = "auto"
    """Device: auto, cpu or cuda. With auto it is a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of matrix products: float32, bfloat16, or auto, the faster of the two."""
    compile: bool | None = None
    """Compile the training step with torch.compile. [default: in long runs]"""
    recompute: bool = False
    """Activation checkpointing: less memory, slower."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under torchrun: ddp copies the model to every process; fsdp shards it, for models too large
    for one GPU."""
    threads: int | None = None
    """CPU threads. [default: torch's own]"""
    model: Architecture | EncoderDecoder | Recurrent | Classifier = field(
        default_factory=Architecture, metadata={USUAL: Architecture.__name__}
    )
    """The model except its vocabulary, which comes from the data."""

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "accumulate", "eval_every", "checkpoint_every")
        for name in (*counts, "patience", "keep", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        if self.steps is None and self.seconds is None and self.max_seconds is None:
            raise ConfigError("steps, seconds or max_seconds must be set: one of them ends the run")
        above_zero(stop_at_loss=self.stop_at_loss)
        at_least_zero(overlap=self.overlap)
        above_zero(clip=self.clip, seconds=self.seconds, max_seconds=self.max_seconds)
        if not 0 <= self.overhead < math.inf:
            raise ConfigError(f"overhead must be 0 or more seconds; got {self.overhead}")
        if self.average is not None and not 0 < self.average < 1:
            raise ConfigError(f"average must be above 0 and below 1; got {self.average}")
        below_one(bpe_dropout=self.bpe_dropout)
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed must be from 0 to {2**31 - 1}; got {self.seed}")
        if getattr(self.optimizer, "lora_plus", 1) != 1 and not getattr(self.task, "adapter", None):
            raise ConfigError("optimizer.lora_plus is for adapters, and all weights are trained")
        self.task.check(self.model)
        self.objective.check(self.model)
        for name, possible in (("objective", self.task.OBJECTIVES), ("score", self._scores)):
            kind = type(getattr(self, name))
            if kind not in possible:
                choices = " or ".join(each.__name__ for each in possible)
                raise ConfigError(f"{name} {kind.__name__} is not of this task: use {choices}")

    @property
    def _scores(self) -> tuple[type, ...]:
        """Return the scores that the task measures with the objective."""
        return tuple(each for each in self.objective.SCORES if each in self.task.SCORES)

    @property
    def budget(self) -> float | None:
        """Seconds of training, if the time of the run is limited."""
        limits = [each for each in (self.seconds, self.max_seconds) if each is not None]
        if not limits:
            return None
        return max(min(limits) - self.overhead, min(limits) / 2)

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step."""
        return self.batch_size * self.accumulate

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON can hold them."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> Recipe:
        """Invert `to_dict`; raises ConfigError naming the field, after *where*."""
        return from_dict(cls, plain, where)


MAY_CHANGE = frozenset(
    {"task.base", "task.replay_data", "objective.teachers", "data", "out", "steps", "seconds"}
    | {"max_seconds", "eval_every", "keep", "checkpoint_every", "device", "dtype", "compile"}
    | {"parallel", "patience", "recompute", "threads", "overhead", "task.merge_aware"}
    | {"stop_at_loss", "task.initial_adapter"}
)
"""Fields in which a resumed run may differ from its checkpoint: how long it runs, what it reports,
and on what machine. A change of any other would make one run of two different ones."""


def check_resumable(saved: Recipe, asked: Recipe) -> None:
    """Raise ConfigError, naming the first field, if *asked* cannot resume *saved*."""
    theirs, ours = flatten(saved.to_dict()), flatten(asked.to_dict())
    # The kind of the task first: of another task, many fields differ.
    for name in ("task.kind", *sorted(theirs.keys() | ours.keys())):
        if name not in MAY_CHANGE and theirs.get(name) != ours.get(name):
            remedy = f"set {name} to its old value"
            if name == "task.kind":
                remedy = f"use `{saved.task.COMMAND}`"
            raise ConfigError(
                f"{asked.out} holds a run with {name} = {theirs.get(name)}, and this recipe has "
                f"{ours.get(name)}; {remedy} to resume, or choose another --out"
            )


def read_toml(path: Path) -> dict[str, Any]:
    """Read the fields that the TOML file *path* sets; raises ConfigError if it is malformed.

    A byte order mark, as editors of Windows write it, is ignored.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    except ValueError as error:  # bytes that are not UTF-8, and integers of too many digits, too
        raise ConfigError(f"{path}: not TOML: {error}") from error
