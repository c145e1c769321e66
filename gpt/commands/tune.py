"""`gpt tune`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from gpt.commands.interruption import Interruption
from gpt.errors import ConfigError
from gpt.spec.adapter import DoRA, LoRA
from pytok.counted import counted

if TYPE_CHECKING:
    from gpt.training.finetune import Change, TuningPlan


_FIELDS = frozenset(
    {"patience", "seed", "eval_every", "checkpoint_every", "device", "dtype", "compile", "threads"}
)
"""Options that are fields of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Go on from a trained model with a chat, or with more text.

    A chat is what `pytok chat build` writes; text is shards written with the model's tokenizer. The
    base and the data decide all that is left out, and it is printed and kept. The new run is a
    whole model, with a report.md like any other, and the base stays as it is. Ctrl-C writes a
    checkpoint, and the same command goes on from it.
    """

    run: tyro.conf.Positional[Path]
    """The base: a run's folder, own or of `gpt import`."""
    data: Path
    """Folder of a chat, or of token shards."""
    out: Path
    """Folder of the new run. A run found there goes on."""
    lora: int | None = None
    """Train LoRA adapters of this rank. None of these three: LoRA of rank 8."""
    dora: int | None = None
    """Train DoRA adapters of this rank: a little better, and slower."""
    full: bool = False
    """Train all weights."""
    alpha: float | None = None
    """How much adapters count. None: twice the rank."""
    scaling: Literal["rank", "root", "none"] | None = None
    """alpha / rank, alpha / root of the rank (rsLoRA), or alpha. None: by rank."""
    adapter_dropout: float | None = None
    """Dropout before adapters. None: none."""
    targets: tuple[str, ...] = ()
    """Which linears have adapters, by parts of their names. Empty: all of attention and MLP."""
    train_on: Literal["mine", "all", "last"] | None = None
    """Which turns are learnt. None: mine where the chat says who is me, else all."""
    epochs: float | None = None
    """Passes over the data, at most."""
    batch_size: int | None = None
    """Rows in a step."""
    lr: float | None = None
    """Learning rate at its peak."""
    patience: int | None = None
    """Evaluations without a better one after which the run ends. The best model is kept, and that
    is the base where none was better."""
    base_data: Path | None = None
    """Shards whose validation split shows what is forgotten. None: the base's own."""
    seed: int | None = None
    """Decides new weights, the order of the data, and dropout."""
    eval_every: int | None = None
    """Steps between evaluations."""
    checkpoint_every: int | None = None
    """Steps between checkpoints."""
    device: str | None = None
    """auto, cpu or cuda."""
    dtype: Literal["auto", "float32", "bfloat16"] | None = None
    """What matrices are multiplied in."""
    compile: bool | None = None
    """torch.compile the training step. None: in runs so long that it pays."""
    threads: int | None = None
    """CPU threads."""

    def __call__(self) -> int:
        """Tune; 0, or 128 + the signal that stopped it."""
        from gpt.report.console import ConsoleReporter
        from gpt.report.events import Reporters
        from gpt.report.page import Report
        from gpt.report.sessions import Sessions
        from gpt.training.finetune import tune

        plan = self._plan()
        with ConsoleReporter() as console, Interruption() as interruption:
            tuned = tune(
                plan,
                base_data=self.base_data,
                reporter=Reporters([console, Sessions(), Report()]),
                stop=lambda: interruption.signal is not None,
            )
        state = tuned.outcome.state
        if interruption.signal is not None and not tuned.outcome.finished:
            print(f"{tuned.outcome.stopped}: gpt {shlex.join(sys.argv[1:])}", file=sys.stderr)
            return 128 + interruption.signal
        best = f", the best at step {state.best_step}" if state.best_step else ""
        print(f"{counted(state.step, 'step')} in {state.seconds:.0f} s{best}", file=sys.stderr)
        if state.best_step == 0:
            print(
                f"nothing was better than the base, so {self.out} has the base's weights; try a "
                f"lower --lr than {state.recipe.optimizer.lr:.3g}, or fewer --epochs, into "
                "another --out",
                file=sys.stderr,
            )
        _report("the data's validation split", tuned.val)
        _report("the base's validation split", tuned.base)
        print(f"next: gpt sample {shlex.quote(str(self.out))}", file=sys.stderr)
        return 0

    def _plan(self) -> TuningPlan:
        """What the base and the data make possible, with what was asked for."""
        from gpt.training.finetune import plan_tuning

        planned = plan_tuning(
            self.run,
            data=self.data,
            out=self.out,
            adapter=self._adapter(),
            train_on=self.train_on,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
        )
        asked = {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}
        return planned.replace(**asked)

    def _adapter(self) -> LoRA | DoRA | None:
        """What --lora, --dora or --full ask for."""
        if sum([self.lora is not None, self.dora is not None, self.full]) > 1:
            raise ConfigError("--lora, --dora and --full are three ways; choose one")
        fields: dict[str, Any] = {
            "alpha": self.alpha,
            "scaling": self.scaling,
            "dropout": self.adapter_dropout,
            "targets": self.targets or None,
        }
        chosen = {name: value for name, value in fields.items() if value is not None}
        if self.full:
            if chosen:
                raise ConfigError(
                    f"{min(chosen)} is a field of adapters, and --full has none; leave one away"
                )
            return None
        if self.dora is not None:
            return DoRA(rank=self.dora, **chosen)
        return LoRA(rank=8 if self.lora is None else self.lora, **chosen)


def _report(where: str, change: Change | None) -> None:
    if change is not None:
        print(f"{where}: {change.before:.4f} -> {change.after:.4f} bits per byte", file=sys.stderr)
