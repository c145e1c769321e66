"""`gpt eval`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpt.commands.options import PATH, device_option, dtype_option, ensemble_option, run_argument
from gpt.errors import ConfigError, DataError
from pytok.commands.help import Command, option
from pytok.counted import counted
from pytok.terminal import Bars

if TYPE_CHECKING:
    from gpt.evaluation.bits_per_byte import Evaluation
    from gpt.evaluation.interval import Accuracy
    from gpt.parallel.runtime import Runtime
    from gpt.runs.reading import Checkpoint


@click.command(
    "eval",
    cls=Command,
    examples="""
    gpt eval runs/first
    gpt eval runs/first --data other.txt --stride 32
    gpt eval runs/first --choices hellaswag.jsonl
    gpt eval clone/run --style --against clone/base
    """,
)
@run_argument
@option(
    "--data",
    metavar="PATH",
    type=PATH,
    show_default="the shards of the run",
    help="Folder of token shards, or a text file; a chat with --style.",
)
@option("--split", metavar="NAME", show_default="val", help="Split of the shards to measure.")
@option(
    "--stride",
    metavar="N",
    type=int,
    show_default="the context",
    help="Tokens between the starts of windows. With fewer than the context, windows overlap: "
    "tokens are predicted from more text, in more time.",
)
@option(
    "--context",
    metavar="N",
    type=int,
    show_default="the model's",
    help="Tokens of a window: most that a prediction can attend to. More than in training if the "
    "model's positions allow it.",
)
@ensemble_option
@option("--json", "as_json", is_flag=True, help="Print a JSON object instead of text.")
@option(
    "--choices",
    metavar="FILE",
    type=PATH,
    group="Other measures",
    help="Multiple choice: JSON lines of HellaSwag, or of question, choices and answer.",
)
@option(
    "--style",
    is_flag=True,
    group="Other measures",
    help="Style: the fraction of generated turns that a classifier attributes to the real author.",
)
@option(
    "--against",
    metavar="RUN",
    type=PATH,
    group="Other measures",
    help="With --style, a run to compare with, such as the base.",
)
@option(
    "--turns",
    metavar="N",
    type=int,
    default=200,
    group="Other measures",
    help="With --style, turns that each model generates.",
)
@device_option
@dtype_option()
def evaluate(as_json: bool, **options: Any) -> int:
    """Measure a model: bits per byte, multiple choice, or style.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. Bits per byte (lower is better) and token accuracy (higher is better) are measured
    over a complete split or text.
    """
    asked = Evaluating(**options)
    step, figures, lines = asked.measure()
    print(json.dumps({"step": step, **figures}) if as_json else "\n".join(lines))
    return 0


@dataclass(frozen=True, kw_only=True)
class Evaluating:
    """What is measured, and on what."""

    run: Path
    data: Path | None
    split: str | None
    stride: int | None
    context: int | None
    ensemble: tuple[Path, ...]
    choices: Path | None
    style: bool
    against: Path | None
    turns: int
    device: str
    dtype: str

    def measure(self) -> tuple[int, dict[str, Any], list[str]]:
        """Return the step of the checkpoint, the figures by name, and the lines to print."""
        from gpt.parallel.runtime import Runtime
        from gpt.runs.reading import read_checkpoint

        self._check()
        checkpoint = read_checkpoint(self.run)
        runtime = Runtime.choose(self.device, self.dtype)
        measure = self._losses if self.choices is None else self._answers
        if self.style:
            measure = self._styles
        with Bars() as bars:
            figures, lines = measure(checkpoint, runtime, bars)
        return checkpoint.state.step, figures, lines

    def _check(self) -> None:
        """Raise ConfigError for options that exclude each other."""
        if self.style and self.choices is not None:
            raise ConfigError("--style and --choices are two measures; choose one")
        if self.context is not None and self.style:
            raise ConfigError("--context is for bits per byte and --choices; remove it")
        if self.ensemble and self.style:
            raise ConfigError("--style works on a single run; remove --ensemble")
        if self.against is not None and not self.style:
            raise ConfigError("--against compares styles; add --style, or remove it")

    def _losses(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure bits per byte."""
        from gpt.data.shards import open_split_or_text
        from gpt.evaluation.bits_per_byte import evaluate
        from gpt.generation.ensemble import open_ensemble

        state = checkpoint.state
        data = self.data or (state.recipe.data if state.train_tokens else None)
        if data is not None and not data.exists():
            raise DataError(f"{data}: not found; pass --data: a text, or a folder of token shards")
        if self.split is not None and data is not None and data.is_file():
            raise ConfigError(f"{data}: a text has no splits; remove --split")
        with open_split_or_text(
            data, self.split or "val", checkpoint.tokenizer, state.fingerprint
        ) as split:
            result = evaluate(
                open_ensemble(checkpoint, self.ensemble, runtime.device, self.context),
                split,
                runtime=runtime,
                document_mask=state.recipe.document_mask,
                stride=self.stride,
                context=self.context,
                progress=lambda done, total: bars.update("evaluate", done, total),
            )
        # Its own data is the same wherever the run is, and whoever asks.
        described = self.data or f"{self.split or 'val'} split"
        return dataclasses.asdict(result), [
            f"step {state.step}, {described}: {counted(result.tokens, 'token')} predicted",
            f"  {result.bits_per_byte:.4f} bits per byte ({counted(result.bytes, 'byte')})",
            f"  {result.nats_per_token:.4f} nats per token, perplexity {result.perplexity:.2f}",
            f"  {result.token_accuracy:.4f} token accuracy",
            *_by_position(result),
        ]

    def _answers(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure accuracy on multiple choice."""
        from gpt.evaluation.multiple_choice import choose_all, read_questions
        from gpt.generation.ensemble import open_ensemble

        assert self.choices is not None
        trained = checkpoint.state.config.context
        if self.context is not None and self.context < trained:
            raise ConfigError(
                f"--context: with --choices at least that of the model, {trained}; got "
                f"{self.context}"
            )
        result = choose_all(
            open_ensemble(checkpoint, self.ensemble, runtime.device, self.context),
            checkpoint.tokenizer(),
            read_questions(self.choices),
            runtime=runtime,
            progress=lambda done, total: bars.update("evaluate", done, total),
        )
        questions = counted(result.questions, "question")
        lines = [f"step {checkpoint.state.step}, {self.choices}: {questions}"]
        lines += _rates({"acc": result.acc, "acc_norm": result.acc_norm})
        return dataclasses.asdict(result), lines

    def _styles(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure the style of generated turns."""
        from gpt.evaluation.style import measure_style
        from gpt.runs.reading import read_checkpoint

        other = None if self.against is None else read_checkpoint(self.against)
        data = self.data or checkpoint.state.recipe.data
        result = measure_style(
            checkpoint,
            checkpoint.model(runtime.device),
            data,
            against=None if other is None else (other, other.model(runtime.device)),
            turns=self.turns,
            progress=lambda done, total: bars.update("turns written", done, total),
        )
        lines = [f"step {checkpoint.state.step}, {data}: {counted(result.turns, 'turn')}"]
        lines += _rates({"real": result.real, "written": result.written, "against": result.against})
        return dataclasses.asdict(result), lines


def _by_position(result: Evaluation) -> list[str]:
    """Return a line with the loss by the number of tokens before a target."""
    parts = [f"{each.first}-{each.last} {each.nats_per_token:.3f}" for each in result.by_position]
    return [f"  nats by tokens before: {', '.join(parts)}"] if len(parts) > 1 else []


def _rates(rates: dict[str, Accuracy | None]) -> list[str]:
    """Return a line for each of the *rates*, with its confidence interval."""
    return [
        f"  {name:<8} {rate.rate:.4f} (95%: {rate.low:.4f} to {rate.high:.4f})"
        for name, rate in rates.items()
        if rate is not None
    ]
