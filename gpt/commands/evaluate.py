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
from gpt.spec.objective import MaskedLM
from gpt.spec.task import Pairs
from pytok.commands.help import Command, option
from pytok.counted import counted
from pytok.terminal import Bars

if TYPE_CHECKING:
    from gpt.evaluation.bits_per_byte import Evaluation
    from gpt.evaluation.interval import Accuracy
    from gpt.parallel.runtime import Runtime
    from gpt.runs.reading import Checkpoint
    from gpt.spec.recipe import Recipe


@click.command(
    "eval",
    cls=Command,
    examples="""
    gpt eval runs/first
    gpt eval runs/first --data other.txt --stride 32
    gpt eval runs/first --choices hellaswag.jsonl
    gpt eval clone/run --style --against clone/base
    gpt eval runs/translator --beams 4 --bleu
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
    help="Context length, which can be longer than in training if the positions allow it.",
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
    help="With --style: a run to compare with, such as the base.",
)
@option(
    "--turns",
    metavar="N",
    type=int,
    default=200,
    group="Other measures",
    help="With --style: number of turns that each model generates.",
)
@option(
    "--beams",
    metavar="N",
    type=int,
    default=1,
    group="Other measures",
    help="For models that translate: beam search with N beams; 1 is greedy decoding.",
)
@option(
    "--bleu",
    is_flag=True,
    group="Other measures",
    help="Of a model that translates, BLEU as well, as sacrebleu computes it.",
)
@device_option
@dtype_option()
def evaluate(as_json: bool, **options: Any) -> int:
    """Measure a model: bits per byte, choices, style, translations.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. Bits per byte (lower is better) and token accuracy (higher is better) are measured
    over a complete split or text. Of a model that translates, the exact matches are measured as
    well; of one of masked tokens, their loss and how many are predicted.
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
    beams: int
    bleu: bool
    device: str
    dtype: str

    def measure(self) -> tuple[int, dict[str, Any], list[str]]:
        """Return the step of the checkpoint, the figures by name, and the lines to print."""
        from gpt.parallel.runtime import Runtime
        from gpt.runs.reading import read_checkpoint

        checkpoint = read_checkpoint(self.run)
        if checkpoint.state.config.classifies:
            _ = checkpoint.config  # raises, naming the command for it
        self._check(checkpoint.state.recipe)
        runtime = Runtime.choose(self.device, self.dtype)
        recipe = checkpoint.state.recipe
        measure = self._losses if self.choices is None else self._answers
        if self.style:
            measure = self._styles
        elif self.choices is None and recipe.model.reads_pairs:
            measure = self._pairs
        elif self.choices is None and isinstance(recipe.objective, MaskedLM):
            measure = self._masked
        with Bars() as bars:
            figures, lines = measure(checkpoint, runtime, bars)
        return checkpoint.state.step, figures, lines

    def _check(self, recipe: Recipe) -> None:
        """Raise ConfigError for options that exclude each other, or that *recipe* excludes."""
        if self.style and self.choices is not None:
            raise ConfigError("--style and --choices are two measures; choose one")
        if self.context is not None and self.style:
            raise ConfigError("--context is for bits per byte and --choices; remove it")
        if self.ensemble and self.style:
            raise ConfigError("--style works on a single run; remove --ensemble")
        if self.bleu and not recipe.model.reads_pairs:
            raise ConfigError("--bleu is of translations, and this model reads texts; remove it")
        if self.against is not None and not self.style:
            raise ConfigError("--against compares styles; add --style, or remove it")

    def _losses(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure bits per byte."""
        from gpt.data.shards import open_split_or_text
        from gpt.evaluation.bits_per_byte import evaluate
        from gpt.generation.ensemble import open_ensemble
        from pytok.chat.role_files import holds_conversations

        state = checkpoint.state
        data = self.data or (state.recipe.data if state.train_tokens else None)
        if data is not None and not data.exists():
            raise DataError(f"{data}: not found; pass --data: a text, or a folder of token shards")
        if data is not None and holds_conversations(data):
            raise DataError(
                f"{data} has conversations, which `gpt tune` measures before and after: see "
                "report.md of the run; pass --data: a text, or a folder of token shards"
            )
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

    def _pairs(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure losses of targets, and translate their sources."""
        from gpt.data.pairs import EncodedPairs
        from gpt.evaluation.bleu import bleu_of
        from gpt.evaluation.pairs import evaluate_pairs
        from gpt.generation.beam import BeamSearch

        self._refuse("pairs", "--stride", "--context", "--ensemble")
        recipe, split = checkpoint.state.recipe, self.split or "val"
        data = self.data or recipe.data
        file = data / f"{split}.jsonl" if data.is_dir() else data
        if not file.is_file():
            raise DataError(f"{file}: not found; pass --data: JSON lines of source and target")
        model, tokenizer = checkpoint.any_model(runtime.device), checkpoint.tokenizer()
        pairs = EncodedPairs.open(file, tokenizer, model.context)
        if not pairs.pairs:
            raise DataError(f"{file}: all pairs are longer than the context of {model.context}")
        assert isinstance(recipe.task, Pairs)
        result = evaluate_pairs(
            model,
            pairs,
            tokenizer,
            batch_tokens=recipe.task.batch_tokens,
            translations=None,
            search=BeamSearch(beams=self.beams),
            runtime=runtime,
            progress=lambda done, total: bars.update("evaluate", done, total),
        )
        losses, match = result.losses, result.exact_match
        figures = {**dataclasses.asdict(losses), "exact_match": match, "omitted": pairs.omitted}
        bleu = []
        if self.bleu:
            found = bleu_of(result.translations, [pair.target for pair in pairs.pairs])
            figures |= {"bleu": found.score, "bleu_signature": found.signature}
            bleu = [f"  {found.score:.2f} BLEU ({found.signature})"]
        omitted = f", {pairs.omitted:,} longer than the context omitted" if pairs.omitted else ""
        return figures, [
            f"step {checkpoint.state.step}, {self.data or split + ' split'}: "
            f"{counted(len(pairs.pairs), 'pair')}{omitted}",
            f"  {match:.4f} exact match, of {counted(len(result.translations), 'translation')}",
            *bleu,
            f"  {losses.nats_per_token:.4f} nats per token, perplexity {losses.perplexity:.2f}",
            f"  {losses.bits_per_byte:.4f} bits per byte of the targets",
            f"  {losses.token_accuracy:.4f} token accuracy",
        ]

    def _masked(
        self, checkpoint: Checkpoint, runtime: Runtime, bars: Bars
    ) -> tuple[dict[str, Any], list[str]]:
        """Measure the loss of masked tokens."""
        from gpt.data.masking import Masking, open_run_data
        from gpt.data.shards import open_split
        from gpt.evaluation.masked import evaluate_masked

        self._refuse("masked tokens", "--stride", "--context", "--ensemble")
        state = checkpoint.state
        recipe, split = state.recipe, self.split or "val"
        assert isinstance(recipe.objective, MaskedLM)
        data = self.data or recipe.data
        if data.is_file():
            raise ConfigError(f"{data}: masked tokens are measured on shards; `pytok shard` writes")
        shards = open_run_data(data, recipe.objective, state.fingerprint)
        result = evaluate_masked(
            checkpoint.model(runtime.device),
            open_split(shards, split),
            Masking(recipe.objective, checkpoint.tokenizer()),
            document_mask=recipe.document_mask,
            runtime=runtime,
            progress=lambda done, total: bars.update("evaluate", done, total),
        )
        return dataclasses.asdict(result), [
            f"step {state.step}, {self.data or split + ' split'}: "
            f"{counted(result.tokens, 'masked token')}",
            f"  {result.nats_per_token:.4f} nats per masked token",
            f"  {result.token_accuracy:.4f} of them predicted",
        ]

    def _refuse(self, what: str, *options: str) -> None:
        """Raise ConfigError if one of *options*, which do not apply to *what*, is given."""
        for name in options:
            if getattr(self, name[2:]):
                raise ConfigError(f"remove {name}: it does not apply to {what}")

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
