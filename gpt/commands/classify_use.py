"""`gpt classify predict`, `gpt classify eval` and `gpt classify example`."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpt.commands.options import OUTPUT, PATH, device_option, dtype_option, run_argument
from gpt.errors import ConfigError, DataError
from pytok.atomic import replace_file
from pytok.commands.help import Command, option
from pytok.commands.paths import Input, is_piped
from pytok.counted import counted
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.runs.reading import Checkpoint

CHUNK = 512
"""Lines that are read before their classes are printed."""
MOST_SHOWN = 5
"""Classes whose probabilities are printed, the likeliest first; JSON has all."""


@click.command(
    cls=Command,
    examples="""
    gpt classify predict runs/spam "You have won a prize, call now" "see you at six"
    gpt classify predict runs/spam --file messages.txt -o labels.jsonl
    cat messages.txt | gpt classify predict runs/spam
    """,
)
@run_argument
@click.argument("texts", nargs=-1)
@option(
    "--file",
    "file",
    metavar="FILE",
    type=Input(path_type=Path, allow_dash=True),
    help="File of texts, one in a line; - is stdin.",
)
@option(
    "-o",
    "--out",
    "out",
    metavar="FILE",
    type=OUTPUT,
    help="File of JSON lines to write: text, label, and the probability of each class.",
)
@option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@device_option
@dtype_option()
def predict(
    run: Path,
    texts: tuple[str, ...],
    file: Path | None,
    out: Path | None,
    as_json: bool,
    device: str,
    dtype: str,
) -> int:
    """Predict the classes of texts.

    RUN is a classifier: its run folder, for its newest checkpoint; RUN/best, for its best one; or
    the folder of a checkpoint. For each text a line has the class, the probabilities and the text,
    with tabs between them.
    """
    from gpt.parallel.runtime import Runtime
    from gpt.runs.reading import read_checkpoint

    if not texts and file is None and is_piped():
        file = Path("-")
    if bool(texts) == (file is not None):
        raise click.UsageError("pass texts, or --file, or pipe lines into the command")
    checkpoint = read_checkpoint(run)
    _ = checkpoint.classifier_config  # another model raises
    runtime = Runtime.choose(device, dtype)
    with ExitStack() as stack:
        lines = iter(texts) if file is None else _lines(file, stack)
        predictions = _predictions(checkpoint, lines, runtime)
        if out is None:
            for each in predictions:
                print(json.dumps(each, ensure_ascii=False) if as_json else _shown(each), flush=True)
            return 0
        written = [json.dumps(each, ensure_ascii=False) + "\n" for each in predictions]
    replace_file(out, "".join(written).encode())
    say(f"wrote {out}: {counted(len(written), 'text')}")
    return 0


def _lines(file: Path, stack: ExitStack) -> Iterator[str]:
    """Yield the lines of *file*, ``-`` for stdin, without what ends them."""
    is_stdin = str(file) == "-"
    source = sys.stdin.buffer if is_stdin else stack.enter_context(file.open("rb"))
    for number, line in enumerate(source, start=1):
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            name = "stdin" if is_stdin else file
            raise DataError(f"{name}, line {number}: byte {error.start} is not UTF-8") from None


def _predictions(
    checkpoint: Checkpoint, texts: Iterable[str], runtime: Any
) -> Iterator[dict[str, Any]]:
    """Yield each of *texts* with its label and the probabilities of all classes."""
    import numpy as np

    from gpt.data.labeled_rows import EncodedTexts
    from gpt.data.labeled_texts import LabeledText
    from gpt.evaluation.classes import class_probabilities

    config, tokenizer = checkpoint.classifier_config, checkpoint.tokenizer()
    model, texts, cut = checkpoint.classifier(runtime.device), iter(texts), 0
    while chunk := list(islice(texts, CHUNK)):
        encoded = EncodedTexts.of(
            [LabeledText(text, "") for text in chunk],
            config.classes,
            tokenizer,
            context=config.context,
            pad_to=config.pad_to,
        )
        cut += encoded.truncated
        found = np.exp(class_probabilities(model, encoded, runtime=runtime))
        for text, row in zip(chunk, found, strict=True):
            probabilities = dict(zip(config.classes, row.tolist(), strict=True))
            label = config.classes[int(row.argmax())]
            yield {"text": text, "label": label, "probabilities": probabilities}
    if cut:
        say(f"{counted(cut, 'text')} longer than the model's context: only the beginning was read")


def _shown(prediction: dict[str, Any]) -> str:
    """Return *prediction* as a line."""
    ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])
    shown = ", ".join(f"{label} {value:.4f}" for label, value in ranked[:MOST_SHOWN])
    more = ", ..." if len(ranked) > MOST_SHOWN else ""
    return "\t".join((prediction["label"], shown + more, prediction["text"]))


@click.command(
    "eval",
    cls=Command,
    examples="""
    gpt classify eval runs/spam
    gpt classify eval runs/spam --data other.csv --text-column message --plot calibration.png
    """,
)
@run_argument
@option(
    "--data",
    metavar="FILE",
    type=PATH,
    show_default="the texts of the run",
    help="Texts with labels, as for `gpt classify train`.",
)
@option(
    "--split", metavar="NAME", show_default="test, or else val", help="Split of the run's texts."
)
@option("--text-column", metavar="NAME", show_default="text", help="Column, or field, of texts.")
@option("--label-column", metavar="NAME", show_default="label", help="Column, or field, of labels.")
@option(
    "--plot",
    metavar="FILE",
    type=OUTPUT,
    help="Draw the calibration and the confusion matrix: .png, .svg or .pdf.",
)
@option("--json", "as_json", is_flag=True, help="Print a JSON object instead of text.")
@device_option
@dtype_option()
def evaluate(
    run: Path,
    data: Path | None,
    split: str | None,
    text_column: str | None,
    label_column: str | None,
    plot: Path | None,
    as_json: bool,
    device: str,
    dtype: str,
) -> int:
    """Measure a classifier: accuracy, figures by class, calibration.

    RUN is as for `gpt classify predict`. Accuracy has its 95% interval. Precision is the fraction
    of the texts predicted to be of a class which are, recall the fraction of the texts of a class
    that are found, and F1 their harmonic mean. Of texts that are predicted with a probability of
    0.8, 80% should be right: how far they are from that is the calibration error.
    """
    from gpt.data.labeled_texts import Columns
    from gpt.parallel.runtime import Runtime
    from gpt.report.class_table import class_lines
    from gpt.runs.reading import read_checkpoint
    from gpt.training.tuning.classifying import evaluate_file

    if data is not None and split is not None:
        raise ConfigError(f"--split is of the run's texts; remove it, or --data {data}")
    checkpoint = read_checkpoint(run)
    file = data or _split_file(checkpoint, split)
    with Bars() as bars:
        result = evaluate_file(
            checkpoint,
            file,
            Runtime.choose(device, dtype),
            columns=Columns(text_column, label_column),
            progress=lambda done, total: bars.update("evaluate", done, total),
        )
    if plot is not None:
        from gpt.report.calibration import plot_calibration

        plot_calibration(result, plot)
        say(f"wrote {plot}")
    step = checkpoint.state.step
    if as_json:
        print(json.dumps({"step": step, "file": str(file), **dataclasses.asdict(result)}))
    else:
        first, *more = class_lines(result)
        print("\n".join([f"step {step}, {data or file.stem + ' split'}, {first}", *more]))
    return 0


def _split_file(checkpoint: Checkpoint, split: str | None) -> Path:
    """Return the file of *split* of the run's texts; by default that of the test split, if any."""
    from gpt.data.labeled_files import TEST, VAL, split_file

    _ = checkpoint.classifier_config  # another model raises
    folder = checkpoint.state.recipe.data
    files = [split_file(folder, name) for name in ([split] if split else [TEST, VAL])]
    found = next(filter(Path.exists, files), None)
    if found is None:
        raise DataError(f"{files[0]}: not found; pass --data: texts with labels")
    return found


@click.command(
    cls=Command,
    examples="""
    gpt classify example -o spam.tsv
    gpt classify example -o unlabeled.jsonl --texts 20000 --seed 1 --no-labels
    """,
)
@option(
    "-o",
    "--out",
    "--output",
    "output",
    required=True,
    type=OUTPUT,
    metavar="FILE",
    help="File to write.",
)
@option("--texts", type=click.IntRange(1), metavar="N", default=5574, help="Number of messages.")
@option("--seed", type=int, metavar="N", default=0, help="Random seed of the messages.")
@option(
    "--no-labels",
    is_flag=True,
    help="Write JSON lines of texts alone, to train a base on, instead of label, tab and text.",
)
def example(output: Path, texts: int, seed: int, no_labels: bool) -> int:
    """Write made-up messages, ham and spam, to try the other commands with.

    Both kinds have the same words, and an eighth of the messages is spam: those with an offer for
    the reader. The same options give the same messages.
    """
    from gpt.data.example_messages import example_messages

    found = list(example_messages(texts, seed=seed))
    if no_labels:
        lines = (json.dumps({"text": each.text}, ensure_ascii=False) for each in found)
        content = "".join(f"{line}\n" for line in lines)
        following = ["gpt", "train", "--data", str(output)]
    else:
        content = "".join(f"{each.label}\t{each.text}\n" for each in found)
        following = ["gpt", "classify", "train", "RUN", "--data", str(output), "--out", "runs/spam"]
    replace_file(output, content.encode())
    say(f"{output}: {counted(texts, 'message')}")
    say(f"next: {shlex.join(following)}")
    return 0
