"""`report.md`: a run on one page, written from the files in its folder.

It has the results, the loss plot, samples, the model, the data, the tokenizer, the machines, and
the recipe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from gpt.data.conversations import is_chat
from gpt.data.masking import open_run_data
from gpt.data.pairs import count_pairs
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import perplexity
from gpt.evaluation.score import score_of
from gpt.model.flops import TRAINING_FACTOR, parts_of
from gpt.report.class_table import PLOT, class_rows, headline, read_evaluation
from gpt.report.curves import in_words
from gpt.report.events import NullReporter, Start
from gpt.report.plot import write_plot
from gpt.report.samples import SAMPLING, Sample, read_samples
from gpt.report.sessions import read_sessions
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.objective import CrossEntropy
from gpt.spec.serialize import flatten
from pytok.atomic import replace_file
from pytok.counted import counted
from pytok.errors import PytokError
from pytok.patterns import pattern_name

NAME = "report.md"
LAST_STEPS = 20
"""Number of last steps whose mean is the training loss of the report; one alone is noisy."""


class Report(NullReporter):
    """Writes the report of a run when it ends."""

    def began(self, start: Start) -> None:
        """Remember the folder of the run."""
        self._run = start.folder

    def ended(self) -> None:
        """Write the report and its plot, unless the run is in memory."""
        if self._run is not None:
            write_report(self._run)


def write_report(run: Path) -> Path:
    """Write report.md of *run* and the loss.png in it; return the path of the report.

    An imported run has no metrics and no plot. Raises CheckpointError if there is no checkpoint.
    """
    checkpoint = read_checkpoint(run)
    metrics = run / "metrics.jsonl"
    rows = read_metrics(metrics) if metrics.exists() else []
    sections = [f"# {run.resolve().name}", *_results(checkpoint, rows)]
    if rows:
        sections.append(f"![loss over steps]({write_plot(run).name})")
    sections += [
        *_classes(run),
        *_samples(read_samples(run), checkpoint),
        *_model(checkpoint),
        *_data(checkpoint, rows),
        *_tokenizer(checkpoint),
        *_machines(run),
        *_recipe(checkpoint),
    ]
    path = run / NAME
    # Names of files need not be UTF-8.
    replace_file(path, ("\n\n".join(sections) + "\n").encode(errors="backslashreplace"))
    return path


def _results(checkpoint: Checkpoint, rows: Sequence[Row]) -> list[str]:
    state = checkpoint.state
    if not rows:
        return [f"At step {state.step:,}. There are no metrics of its training."]
    last = rows[-1]
    tail = rows[-LAST_STEPS:]
    steps = state.recipe.steps
    facts = [
        ("steps", f"{last.step:,}" + ("" if steps is None else f" of {steps:,}")),
        ("training", f"{last.seconds:,.1f} s, without evaluation"),
        ("speed", f"{last.tokens / last.seconds:,.0f} tokens/s"),
        (
            f"loss, mean of {counted(len(tail), 'step')}",
            f"{fmean(r.loss for r in tail):.4f} {in_words(state.recipe.objective.UNIT)}",
        ),
    ]
    score = score_of(state.recipe.score)
    evaluated = [(row.step, row.val) for row in rows if row.val is not None]
    if evaluated:
        step, figures = evaluated[-1]
        if score.name in figures:
            text = score.text(figures[score.name])
            facts.append(("validation", f"**{text}** at step {step:,}"))
        facts += _further(figures, score.name, state.recipe.objective.UNIT)
    if state.best_score is not None:
        at = f"at step {state.best_step:,}" if state.best_step else "before the first step"
        facts.append(("best", f"{score.text(state.best_score)} {at}"))
    return [_table(("", ""), facts)]


def _further(figures: Mapping[str, float], score: str, unit: str) -> list[tuple[str, str]]:
    """Return the *figures* of an evaluation that are not its *score*, as facts.

    *unit* is that of the loss.
    """
    facts = []
    for name, value in figures.items():
        text = f"{value:.4f}"
        if name == "loss":
            text += f" {in_words(unit)}"
            if unit == CrossEntropy.UNIT:
                text += f", perplexity {perplexity(value):,.2f}"
        if name != score:
            facts.append((f"validation {name.replace('_', ' ')}", text))
    return facts


def _classes(run: Path) -> list[str]:
    """Show the figures of a classifier on the texts that it was tested on."""
    found = read_evaluation(run)
    if found is None:
        return []
    split, evaluation = found
    return [
        "## Classes",
        f"On the {split} split: {headline(evaluation)}.",
        _table(("class", "precision", "recall", "F1", "texts"), class_rows(evaluation)),
        f"![calibration and confusion matrix]({PLOT})",
    ]


def _samples(samples: Sequence[Sample], checkpoint: Checkpoint) -> list[str]:
    """Show the first, the middle and the last of *samples*."""
    if not samples:
        return []
    indices = sorted({0, len(samples) // 2, len(samples) - 1})
    sections = [
        "## Samples",
        "Greedy translations."
        if checkpoint.state.recipe.model.reads_pairs
        else f"Temperature {SAMPLING.temperature}, top-k {SAMPLING.top_k}, seed {SAMPLING.seed}.",
    ]
    for sample in (samples[index] for index in indices):
        sections += [f"Step {sample.step:,}:", _fence(sample.prompt + sample.text)]
    return sections


def _model(checkpoint: Checkpoint) -> list[str]:
    parts = parts_of(checkpoint.any_model())
    parameters = sum(part.parameters for part in parts.values())
    flops = sum(part.flops for part in parts.values())
    rows = [
        (
            name,
            f"{part.parameters:,}",
            f"{part.parameters / parameters:.1%}",
            f"{part.flops:,}",
            f"{part.flops / flops:.1%}",
        )
        for name, part in parts.items()
    ]
    total = ("total", f"{parameters:,}", "", f"{flops:,}", "")
    return [
        "## Model",
        _table(("part", "parameters", "", "FLOPs per token", ""), [*rows, total]),
        f"FLOPs of a forward pass with a full context; training takes {TRAINING_FACTOR} times as "
        f"many, {TRAINING_FACTOR * flops:,} per token.",
    ]


def _data(checkpoint: Checkpoint, rows: Sequence[Row]) -> list[str]:
    state = checkpoint.state
    if not state.train_tokens:
        return []
    seen, data = rows[-1].tokens if rows else 0, state.recipe.data
    if state.recipe.task.READS_CHATS and is_chat(data):
        chat = (
            f"A chat of {counted(state.train_tokens, 'token')}; "
            f"targets trained on: {counted(seen, 'token')}."
        )
        return ["## Data", f"`{data}`", chat]
    replay = getattr(state.recipe.task, "replay", 0.0)
    replayed = f", {replay:.0%} of them replayed" if replay else ""
    number = (1 - replay) * seen / state.train_tokens
    epochs = f"{counted(seen, 'token')} seen{replayed}, {number:.2f} epochs."
    if data.is_file():
        return ["## Data", f"`{data}`", epochs]
    try:
        model = state.recipe.model
        if model.reads_pairs or model.classifies:
            what = "pairs" if model.reads_pairs else "texts"
            lines = [(path.name, f"{count_pairs(path):,}") for path in sorted(data.glob("*.jsonl"))]
            return ["## Data", f"`{data}`", _table(("file", what), lines), epochs]
        shards = open_run_data(data, state.recipe.objective, state.fingerprint)
    except DataError as error:
        return ["## Data", f"No longer available: {error}.", epochs]
    table = [
        (name, len(split.shards), f"{len(split):,}", f"{split.bytes:,}", f"{split.documents:,}")
        for name, split in shards.splits.items()
    ]
    header = ("split", "files", "tokens", "bytes", "documents")
    return ["## Data", f"`{data}`", _table(header, table), epochs]


def _tokenizer(checkpoint: Checkpoint) -> list[str]:
    try:
        tokenizer = checkpoint.tokenizer()
    except PytokError as error:
        return ["## Tokenizer", f"Cannot be read: {error.message}."]
    pattern = pattern_name(tokenizer.pattern) or f"`{tokenizer.pattern}`"
    facts = [
        ("vocabulary", f"{tokenizer.n_vocab:,} ids"),
        ("pattern", pattern),
        ("special tokens", ", ".join(f"`{text}`" for text in tokenizer.special_tokens) or "none"),
        ("fingerprint", f"`{tokenizer.fingerprint}`"),
    ]
    try:
        recipe, mark = checkpoint.state.recipe, tokenizer.fingerprint
        split = open_run_data(recipe.data, recipe.objective, mark).splits["train"]
        facts.append(("training text", f"{split.bytes / len(split):.3f} bytes per token"))
    except (DataError, KeyError):
        pass
    return ["## Tokenizer", _table(("", ""), facts)]


def _machines(run: Path) -> list[str]:
    sessions = read_sessions(run)
    if not sessions:
        return []
    table = [
        (
            f"{session.after + 1:,}",
            session.device,
            session.dtype,
            session.threads,
            session.torch,
            session.python,
            "" if session.peak_memory is None else f"{session.peak_memory / 2**20:,.0f} MiB",
        )
        for session in sessions
    ]
    header = ("from step", "device", "type", "threads", "torch", "Python", "peak memory")
    return ["## Machine", _table(header, table)]


def _recipe(checkpoint: Checkpoint) -> list[str]:
    """Show the recipe as TOML. TOML has no null: fields that are None are omitted."""
    fields = flatten(checkpoint.state.recipe.to_dict())
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in fields.items()
        if value is not None
    ]
    text = checkpoint.state.recipe.task.ABOUT_RECIPE
    return ["## Recipe", text, _fence("\n".join(lines), "toml")]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    # A bar ends a cell, even inside code.
    cells = ([str(cell).replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _fence(text: str, language: str = "") -> str:
    """Return *text* as a fenced code block, with a fence longer than any in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"
