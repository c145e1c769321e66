"""`gpt classify train`: parse all options, prepare the labeled texts, plan, train, test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpt.commands.adapter_options import ADAPTER, adapter_of, is_of_adapter
from gpt.commands.following import next_command
from gpt.commands.interruption import Interruption
from gpt.commands.options import PATH, command_line, refuse_same, run_argument
from gpt.commands.settings import OptionsError, Settings, SettingsCommand, given_overrides
from gpt.errors import ConfigError
from gpt.runs.retention import find_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.classifier import Classifier
from gpt.spec.objective import ClassCrossEntropy
from gpt.spec.optimizer import AdamW
from gpt.spec.overrides import Overrides
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.spec.score import AnyScore, ClassAccuracy, ClassLoss
from gpt.spec.task import Classification
from pytok.commands.help import option
from pytok.counted import counted, duration
from pytok.terminal import say

if TYPE_CHECKING:
    from gpt.training.tuning.classifying import Classified

PLANNED = frozenset(
    {"steps", "batch_size", "optimizer", "schedule", "clip", "eval_every", "checkpoint_every"}
    | {"patience", "model.dropout", "objective"}
)
"""Fields that `gpt.training.tuning.classifying.plan_classifier` chooses."""
OWN = ("model.dropout", "model.token", "model.pad_to", "model.head_bias")
"""Fields of the model that are not the base's."""
FIELDS = {f"task.{name}" for name in Classification.__dataclass_fields__} - {"task.base"}
SCORES: dict[str, AnyScore] = {"loss": ClassLoss(), "accuracy": ClassAccuracy()}


def _is_fixed(name: str) -> bool:
    """Return whether the base or another option sets the field *name*, or no classifier has it."""
    if name.startswith("model."):
        return not name.startswith(OWN)
    of_task = name.startswith("task.") and not any(
        f"{name}.".startswith(f"{field}.") for field in FIELDS
    )
    return of_task or name in ("task", "data", "out", "bpe_dropout", "document_mask")


SETTINGS = Settings(
    Recipe,
    planned=PLANNED,
    hide=_is_fixed,
    example="objective.label_smoothing=0.1 or task.adapter.targets=attention",
)


def _class_weights(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> str | tuple[float, ...]:
    """Return the weights that *value* lists, or "balanced"."""
    if value is None or value == "balanced":
        return value or ()
    try:
        return tuple(float(each) for each in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither `balanced` nor numbers between commas, such as 1,6.5"
        ) from None


@click.command(
    cls=SettingsCommand,
    settings=SETTINGS,
    examples="""
    gpt classify train runs/base --data SMSSpamCollection --out runs/spam --balance
    gpt classify train runs/base --data reviews.csv --label-column stars --out runs/stars
    gpt classify train runs/base --data spam.tsv --out runs/lora --train lora --rank 4
    gpt classify train runs/base --data spam.tsv --out runs/mean --token mean --no-causal
    """,
)
@run_argument
@option(
    "--data",
    metavar="PATH",
    type=PATH,
    required=True,
    group="Data",
    help="Texts with labels: lines of label, tab and text; a CSV or TSV with a header; JSON lines.",
)
@option("--out", metavar="FOLDER", type=PATH, required=True, group="Data", help=SETTINGS.doc("out"))
@option(
    "--text-column",
    metavar="NAME",
    group="Data",
    show_default="text",
    help="Column, or field, of texts.",
)
@option(
    "--label-column",
    metavar="NAME",
    group="Data",
    show_default="label",
    help="Column, or field, of labels.",
)
@option(
    "--val",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, max_open=True),
    group="Data",
    show_default="0.1",
    help="Fraction of each class to evaluate on during training.",
)
@option(
    "--test",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, max_open=True),
    group="Data",
    show_default="0.2",
    help="Fraction of each class to test the best model on.",
)
@option("--val-data", metavar="FILE", type=PATH, group="Data", help="File instead of --val.")
@option("--test-data", metavar="FILE", type=PATH, group="Data", help="File instead of --test.")
@option(
    "--balance",
    is_flag=True,
    group="Data",
    help="Use as many texts of each class as the smallest has.",
)
@SETTINGS.option("--train", "task.train", group="Method")
@option(
    "--rank",
    metavar="N",
    type=click.IntRange(1),
    group="Method",
    show_default="8",
    help="Rank of LoRA, with --train lora.",
)
@SETTINGS.option("--token", "model.token", group="Method")
@SETTINGS.option("--pad-to", "model.pad_to", group="Method")
@option(
    "--no-causal",
    is_flag=True,
    group="Method",
    help="Let tokens attend to later ones, too, unlike in the base.",
)
@option(
    "--class-weights",
    metavar="balanced|W,...",
    callback=_class_weights,
    group="Method",
    help="Weights of the classes in the loss, in the order of the labels; balanced: all classes "
    "count the same.",
)
@option(
    "--from-scratch",
    is_flag=True,
    group="Method",
    help="Start from random weights instead of the base's, to compare.",
)
@option("--epochs", metavar="X", type=float, group="Training", help="Epochs at most.  [planned]")
@SETTINGS.option("--batch-size", "batch_size", group="Training")
@SETTINGS.option("--lr", "optimizer.lr", group="Training")
@option(
    "--score",
    type=click.Choice(list(SCORES)),
    default="loss",
    group="Training",
    help="Figure on the validation split that chooses the best model.",
)
@SETTINGS.option("--patience", "patience", group="Training")
@SETTINGS.option("--eval-every", "eval_every", group="Training")
@SETTINGS.option("--seed", "seed", group="Training")
@SETTINGS.option("--device", "device", metavar="DEVICE", group="Machine")
@SETTINGS.option("--dtype", "dtype", metavar="TYPE", group="Machine")
@SETTINGS.option("--compile", "compile", group="Machine")
@SETTINGS.option("--threads", "threads", group="Machine")
@click.pass_context
def train(
    ctx: click.Context,
    run: Path,
    data: Path,
    out: Path,
    text_column: str | None,
    label_column: str | None,
    val: float | None,
    test: float | None,
    val_data: Path | None,
    test_data: Path | None,
    balance: bool,
    rank: int | None,
    no_causal: bool,
    class_weights: str | tuple[float, ...],
    from_scratch: bool,
    epochs: float | None,
    score: str,
) -> int:
    """Train a classifier of texts from a trained model.

    RUN is the base: a run folder, trained or from `gpt import`. It stays as it is, and the new run
    is a complete classifier. The texts are divided at random, each class as the whole: 70% to train
    on, 10% to evaluate on, 20% to test the best model on at the end. Settings you leave out are
    planned, printed, and saved with the run. Ctrl-C writes a checkpoint; the same command resumes
    from it.
    """
    refuse_same(out, run, data)
    overrides = given_overrides(ctx, None)
    given = overrides.values
    adapter = _adapter(overrides, rank)
    settings = overrides.without(*filter(is_of_adapter, given))
    # Check the values before anything is read, with the kinds that will be planned.
    unplanned = Recipe(
        data=data,
        out=out,
        task=Classification(base=run, train=given.get("task.train", "lora"), adapter=adapter),
        objective=ClassCrossEntropy(),
        score=SCORES[score],
        optimizer=AdamW(),
        schedule=Cosine(),
        model=Classifier(context=1 << 30),
    )
    settings.over(unplanned)
    if run.exists() and data.exists():  # at once: the imports take seconds
        what = "resuming the run" if find_checkpoint(out) else f"a classifier from {run}"
        say(f"{out}: {what} on {data}")

    from gpt.data.labeled_files import Division, prepare_labeled
    from gpt.data.labeled_texts import Columns
    from gpt.report.console import ConsoleReporter
    from gpt.report.events import Reporters
    from gpt.report.page import Report, write_report
    from gpt.report.sessions import Sessions
    from gpt.runs.reading import read_checkpoint
    from gpt.training.tuning.classifying import plan_classifier, train_classifier

    _ = read_checkpoint(run).config  # of a model that writes no texts it raises, before any work
    seed = given.get("seed", 0)
    division = Division(
        columns=Columns(text_column, label_column),
        val=val,
        test=test,
        val_data=val_data,
        test_data=test_data,
        balance=balance,
        seed=seed,
    )
    folder = prepare_labeled(data, out, division, notice=say)
    plan = plan_classifier(
        run,
        data=folder,
        out=out,
        train=given.get("task.train", "lora"),
        adapter=adapter,
        pretrained=not from_scratch,
        token=given.get("model.token", "last"),
        causal=not no_causal,
        pad_to=given.get("model.pad_to"),
        class_weights=class_weights,
        score=SCORES[score],
        epochs=epochs,
        batch_size=given.get("batch_size"),
        lr=given.get("optimizer.lr"),
        seed=seed,
    )
    with ConsoleReporter() as console, Interruption() as interruption:
        result = train_classifier(
            plan.with_recipe(settings.over(plan.recipe)),
            reporter=Reporters([console, Sessions(), Report()]),
            stop=lambda: interruption.signal is not None,
        )
    if interruption.signal is not None and not result.outcome.finished:
        say(f"{result.outcome.stopped}: {command_line()}")
        return 128 + interruption.signal
    write_report(out)  # again, with the test
    _print_result(result, out)
    return 0


def _adapter(overrides: Overrides, rank: int | None) -> LoRA | DoRA | None:
    """Return the adapter that the options ask for; raises OptionsError."""
    given = overrides.values
    fields = {name: value for name, value in given.items() if name.startswith(f"{ADAPTER}.")}
    if given.get("task.train", "lora") != "lora":
        if rank is not None or fields:
            source = overrides.sources[min(fields)] if fields else f"--rank {rank}"
            raise OptionsError(
                f"{source} is of an adapter, which --train {given['task.train']} has not: remove it"
            )
        return None
    try:
        return adapter_of(overrides, {"--rank": rank})
    except ConfigError as error:
        raise OptionsError(str(error)) from None


def _print_result(result: Classified, out: Path) -> None:
    """Print how the run ended, the figures of the best model, and the next command."""
    from gpt.report.class_table import headline

    state = result.outcome.state
    best = f", the best at step {state.best_step}" if state.best_step else ""
    say(f"{counted(state.step, 'step')} in {duration(state.seconds)} of training{best}")
    files = ["report.md", "loss.png"]
    if result.test is not None:
        say(f"{result.split} split: {headline(result.test)}")
        files.append("calibration.png")
    say(f"wrote {', '.join(str(out / name) for name in files)}")
    say(f"next: {next_command(out)}")
