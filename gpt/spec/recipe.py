"""What a training run is: `Recipe`, every choice that decides its weights, and where they go.

`TuningRecipe` is one that begins from another run's model.

Defaults suit two CPU cores and a corpus of 1 to 10 MB: about two minutes. Nothing here imports
torch. Sizes are in tokens, rows and steps; a step is one update of the weights.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.optimizer import AdamW, Muon
from gpt.spec.schedule import Cosine, Linear, Noam, WarmupStableDecay
from gpt.spec.serialize import flatten, from_dict, to_dict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run: what it learns from, for how long, how, and where it happens."""

    data: Path
    """Folder of token shards, as `pytok shard` writes it; `gpt train` takes other data, too."""
    out: Path
    """Folder of the run: checkpoints/, metrics.jsonl, what reporters keep. One found goes on."""
    steps: int = 600
    """Updates of the weights, in all."""
    seconds: float | None = None
    """Training time to fill, about: steps is then chosen by timing some when the run begins."""
    max_seconds: float | None = None
    """Training time at most, about: steps are fewer where the same timing says so."""
    batch_size: int = 16
    """Rows, each of one context of tokens, in a forward pass."""
    accumulate: int = 1
    """Forward passes whose gradients are averaged into one step."""
    document_mask: bool = False
    """Let tokens see their own document only, where a row has several (Zhao 2024,
    arXiv:2402.13991)."""
    bpe_dropout: float = 0.0
    """Chance that a token is spelled by two others instead, and these again, in most rows: little
    text is then not learnt by heart so soon (`gpt.data.bpe_dropout`)."""
    optimizer: AdamW | Muon = field(default_factory=Muon)
    """What moves the weights, and how far."""
    schedule: Cosine | WarmupStableDecay | Linear | Noam = field(default_factory=Linear)
    """How the learning rates rise and fall over the steps."""
    clip: float | None = None
    """Largest norm of the gradient; a longer one is shortened to it. None: any."""
    average: float | None = None
    """Memory of a moving average of the weights, which is then what is measured and sampled."""
    seed: int = 0
    """Decides the first weights, the order of the data, and dropout."""
    eval_every: int = 100
    """Steps between evaluations on the whole validation split; the last step has one too."""
    patience: int | None = None
    """Evaluations in a row that may find nothing better before the run ends; its model is then the
    one that was best, not the last. None: all steps are made."""
    checkpoint_every: int = 100
    """Steps between checkpoints; the best evaluation, the last step and an interrupted one have
    one too."""
    keep: int = 2
    """Checkpoints to keep: the last ones, and besides them the best on the validation split."""
    device: str = "auto"
    """auto, cpu or cuda; auto takes CUDA where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """What matrices are multiplied in; auto: bfloat16 where the processor has it."""
    compile: bool | None = None
    """torch.compile the training step: faster after a minute of compiling. None: in runs so long
    that it pays."""
    recompute: bool = False
    """Compute the insides of blocks again in the backward pass, to need less memory for them."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How processes that torchrun starts share a model: ddp, each has all of it; fsdp, each has a
    slice of every weight, for models that one card cannot hold."""
    threads: int | None = None
    """CPU threads; none: as many as torch takes by itself."""
    model: Architecture = field(default_factory=Architecture)
    """The model, but for its vocabulary, which is that of the data."""

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "accumulate", "eval_every", "checkpoint_every")
        for name in (*counts, "patience", "keep", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1; got {value}")
        for name in ("clip", "seconds", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be above 0; got {value}")
        if self.average is not None and not 0 < self.average < 1:
            raise ConfigError(f"average must be above 0 and below 1; got {self.average}")
        if not 0 <= self.bpe_dropout < 1:
            raise ConfigError(f"bpe_dropout must be at least 0 and below 1; got {self.bpe_dropout}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed must be from 0 to {2**31 - 1}; got {self.seed}")

    @property
    def rows_per_step(self) -> int:
        """Rows that one update learns from."""
        return self.batch_size * self.accumulate

    def to_dict(self) -> dict[str, Any]:
        """All fields as what JSON can hold."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> Recipe:
        """Invert `to_dict`; raises ConfigError naming the field, after *where*."""
        return from_dict(cls, plain, where)


@dataclass(frozen=True, kw_only=True)
class TuningRecipe(Recipe):
    """A run that goes on from the model of another: `model` is that one's but for its dropout."""

    base: Path
    """The run whose model it begins from: own or imported; it stays as it is."""
    adapter: LoRA | DoRA | None = field(default_factory=LoRA)
    """What is trained beside the rows of new tokens; None: all weights."""
    train_on: Literal["mine", "all", "last"] = "mine"
    """Of conversations: which turns are learnt (`pytok.chat.template`)."""
    row_length: int | None = None
    """Tokens of a row of conversations; longer ones are cut into windows. None: the context."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.row_length is not None and not 2 <= self.row_length <= self.model.context:
            raise ConfigError(
                f"row_length must be from 2 to the model's context, {self.model.context}; "
                f"got {self.row_length}"
            )


MAY_CHANGE = frozenset(
    {"base", "data", "out", "steps", "eval_every", "checkpoint_every", "keep", "device", "dtype"}
    | {"compile", "parallel", "patience", "recompute", "threads"}
)
"""Fields in which a resumed run may differ from its checkpoint: how long it runs, what it reports,
and where it happens. Any other would make it a run of another kind from the middle on."""


def check_resumable(saved: Recipe, asked: Recipe) -> None:
    """Raise ConfigError, naming the first field, where *asked* cannot go on from *saved*."""
    if type(saved) is not type(asked):
        raise ConfigError(
            f"{asked.out} holds a run of another kind, trained anew or tuned; choose another --out"
        )
    theirs, ours = flatten(saved.to_dict()), flatten(asked.to_dict())
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in MAY_CHANGE and theirs.get(name) != ours.get(name):
            raise ConfigError(
                f"{asked.out} holds a run with {name} = {theirs.get(name)}, and this recipe has "
                f"{ours.get(name)}; give {name} its old value to go on, or another --out"
            )


def read_toml(path: Path) -> dict[str, Any]:
    """Read the fields of a recipe that the TOML file *path* sets; ConfigError if malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
