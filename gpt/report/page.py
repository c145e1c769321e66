"""A run on one page: `report.md`, made of what its folder holds, so that it can be made again.

What the run was (recipe, data, tokenizer, model, machines), what it reached, its picture, and what
the model wrote on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from gpt.data.shards import open_data
from gpt.errors import DataError
from gpt.evaluation.bits_per_byte import perplexity
from gpt.model.flops import TRAINING_FACTOR, parts_of
from gpt.report.events import NullReporter, Start
from gpt.report.plot import write_plot
from gpt.report.samples import SAMPLING, Sample, read_samples
from gpt.report.sessions import read_sessions
from gpt.runs.metrics import Row, read_metrics
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec.recipe import TuningRecipe
from gpt.spec.serialize import flatten
from pytok.atomic import replace_file
from pytok.chat.template import TEMPLATE_FILE
from pytok.counted import counted
from pytok.definition import pattern_name
from pytok.errors import PytokError

NAME = "report.md"
LAST_STEPS = 20
"""Steps at the end whose mean is told as the training loss: one alone is a matter of chance."""


class Report(NullReporter):
    """Writes the report of a run when it ends."""

    def began(self, start: Start) -> None:
        """Note where the run is."""
        self._run = start.recipe.out

    def ended(self) -> None:
        """Write the page and its picture."""
        write_report(self._run)


def write_report(run: Path) -> Path:
    """Write report.md of *run*, and loss.png, which it shows; return its path.

    A run that was imported has no metrics and no picture. Raises CheckpointError where there is no
    checkpoint.
    """
    checkpoint = read_checkpoint(run)
    metrics = run / "metrics.jsonl"
    rows = read_metrics(metrics) if metrics.exists() else []
    sections = [f"# {run.resolve().name}", *_figures(checkpoint, rows)]
    if rows:
        sections.append(f"![losses by seconds, tokens and steps]({write_plot(run).name})")
    sections += [
        *_samples(read_samples(run)),
        *_model(checkpoint),
        *_data(checkpoint, rows),
        *_tokenizer(checkpoint),
        *_machines(run),
        *_recipe(checkpoint),
    ]
    path = run / NAME
    replace_file(path, ("\n\n".join(sections) + "\n").encode())
    return path


def _figures(checkpoint: Checkpoint, rows: Sequence[Row]) -> list[str]:
    state = checkpoint.state
    if not rows:
        return [f"At step {state.step:,}. There are no metrics of its training here."]
    last = rows[-1]
    tail = rows[-LAST_STEPS:]
    facts = [
        ("steps", f"{last.step:,} of {state.recipe.steps:,}"),
        ("training", f"{last.seconds:,.1f} s, evaluation left out"),
        ("speed", f"{last.tokens / last.seconds:,.0f} tokens/s"),
        (
            f"loss, mean of {counted(len(tail), 'step')}",
            f"{fmean(r.loss for r in tail):.4f} nats per token",
        ),
    ]
    measured = [row for row in rows if row.val_bpb is not None]
    if measured:
        end = measured[-1]
        facts.append(("validation", f"**{end.val_bpb:.4f} bits per byte** at step {end.step:,}"))
        if end.val_loss is not None:
            nats = f"{end.val_loss:.4f} nats per token, perplexity {perplexity(end.val_loss):,.2f}"
            facts.append(("the same", nats))
    if state.best_val_bpb is not None:
        at = f"at step {state.best_step:,}" if state.best_step else "before the first step"
        facts.append(("best", f"{state.best_val_bpb:.4f} bits per byte {at}"))
    return [_table(("", ""), facts)]


def _samples(samples: Sequence[Sample]) -> list[str]:
    """The first, the middle and the last of *samples*: how the writing changed."""
    if not samples:
        return []
    places = sorted({0, len(samples) // 2, len(samples) - 1})
    sections = [
        "## Samples",
        f"Drawn at temperature {SAMPLING.temperature} from the {SAMPLING.top_k} likeliest tokens, "
        f"with seed {SAMPLING.seed}.",
    ]
    for sample in (samples[place] for place in places):
        sections += [f"Step {sample.step:,}:", _fenced(sample.prompt + sample.text)]
    return sections


def _model(checkpoint: Checkpoint) -> list[str]:
    parts = parts_of(checkpoint.model())
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
    total = ("all", f"{parameters:,}", "", f"{flops:,}", "")
    return [
        "## Model",
        _table(("part", "parameters", "", "FLOPs a token", ""), [*rows, total]),
        f"FLOPs are of a prediction with a full context; a training step takes {TRAINING_FACTOR} "
        f"times as many per token, {TRAINING_FACTOR * flops:,}.",
    ]


def _data(checkpoint: Checkpoint, rows: Sequence[Row]) -> list[str]:
    state = checkpoint.state
    if not state.train_tokens:
        return []
    seen, data = rows[-1].tokens if rows else 0, state.recipe.data
    if isinstance(state.recipe, TuningRecipe) and (data / TEMPLATE_FILE).exists():
        learnt = (
            f"A chat of {counted(state.train_tokens, 'token')}; "
            f"learnt of its turns: {counted(seen, 'token')}."
        )
        return ["## Data", f"`{data}`", learnt]
    epochs = f"{counted(seen, 'token')} seen, {seen / state.train_tokens:.2f} epochs."
    try:
        shards = open_data(data, fingerprint=state.fingerprint)
    except DataError as error:
        return ["## Data", f"Cannot be opened any more: {error}.", epochs]
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
        data, mark = checkpoint.state.recipe.data, tokenizer.fingerprint
        split = open_data(data, fingerprint=mark).splits["train"]
        facts.append(("training text", f"{split.bytes / len(split):.3f} bytes a token"))
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
    """The recipe as TOML, which has no word for none: what is left out is none."""
    fields = flatten(checkpoint.state.recipe.to_dict())
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in fields.items()
        if value is not None
    ]
    tuned = isinstance(checkpoint.state.recipe, TuningRecipe)
    text = "What `gpt tune` made it." if tuned else "As `gpt train --config` reads it."
    return ["## Recipe", text, _fenced("\n".join(lines), "toml")]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    # A cell ends at a bar, even within code.
    cells = ([str(cell).replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _fenced(text: str, language: str = "") -> str:
    """*text* as a block that nothing in it ends."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
