"""`gpt train`: parse all options, then prepare the data, then plan the run, then train.

Nothing is read, trained or written before all options have been checked. Options set fields of the
recipe; what they leave open is planned for the data and the machine.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from gpt.commands.options import ABOUT_PRESETS, PATH, NoneOr, refuse_same
from gpt.commands.pair_training import training_of
from gpt.commands.settings import OptionsError, Settings, SettingsCommand, given_overrides
from gpt.commands.training import PRESET
from gpt.spec.fields import KIND
from gpt.spec.objective import Distillation
from gpt.spec.overrides import Overrides
from gpt.spec.pair_presets import PAIR_PRESETS
from gpt.spec.planning import PLANNED
from gpt.spec.presets import EXPORTABLE, PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.task import Pairs
from pytok.commands.help import option

OTHERS = [name for name in (*PRESETS, *PAIR_PRESETS) if name not in (PRESET, *EXPORTABLE)]
"""Presets that are only named in the help of `--preset`."""
OF_PAIRS = {f"task.{each.name}" for each in dataclasses.fields(Pairs)}
"""Fields of the task that can be set; those of tuning are options of `gpt tune`."""
SETTINGS = Settings(
    Recipe,
    planned=PLANNED | {"overhead"},
    hide=lambda name: name.partition(".")[0] in ("data", "out", "task") and name not in OF_PAIRS,
    example="model.norm=RMSNorm or model.mlp.hidden=512",
)


@click.command(
    cls=SettingsCommand,
    settings=SETTINGS,
    examples="""
    gpt train --data corpus.txt
    gpt train --data data/ --out runs/llama --preset llama --depth 4 --seconds 300
    gpt train --data data/ --out runs/again --replay runs/llama
    gpt train --data data/ --lr 0.01 --set model.position=ALiBi --set model.mlp.gated=true
    gpt train --data pairs.jsonl --preset transformer
    torchrun --nproc-per-node 4 -m gpt train --data data/ --out runs/four
    """,
)
@option(
    "--data",
    metavar="PATH",
    type=PATH,
    group="Data",
    help="Text, token shards, or token files; JSON lines of pairs.  [required]",
)
@option(
    "--out",
    metavar="FOLDER",
    type=PATH,
    group="Data",
    show_default="runs/DATA",
    help=SETTINGS.doc("out"),
)
@option(
    "--tokenizer",
    metavar="TOKENIZER",
    type=NoneOr(click.STRING),
    group="Data",
    show_default="train one on the text",
    help="Tokenizer: a file, or a name such as gpt2.",
)
@option(
    "--val-data",
    metavar="PATH",
    type=NoneOr(PATH),
    group="Data",
    show_default="files named *val*",
    help="Token files to validate on.",
)
@option(
    "--val",
    metavar="FRACTION",
    type=NoneOr(click.FloatRange(0, 1, max_open=True)),
    group="Data",
    show_default="0.1",
    help="Held-out fraction, from the end.",
)
@option(
    "--preset",
    metavar="NAME",
    type=NoneOr(click.Choice([*PRESETS, *PAIR_PRESETS])),
    group="Model",
    show_default=PRESET,
    help=f"Architecture. {ABOUT_PRESETS} Also: {', '.join(OTHERS)}.",
)
@option(
    "--depth",
    metavar="N",
    type=NoneOr(click.IntRange(1)),
    group="Model",
    help="Number of layers; width, heads, learning rate and batch size follow.  [planned]",
)
@SETTINGS.option("--layers", "model.layers", group="Model")
@SETTINGS.option("--width", "model.width", group="Model")
@SETTINGS.option("--heads", "model.attention.heads", group="Model")
@SETTINGS.option("--context", "model.context", group="Model")
@SETTINGS.option("--dropout", "model.dropout.rate", group="Model")
@SETTINGS.option("--steps", "steps", group="Training")
@SETTINGS.option("--seconds", "seconds", group="Training")
@SETTINGS.option("--max-seconds", "max_seconds", group="Training")
@SETTINGS.option("--batch-size", "batch_size", group="Training")
@SETTINGS.option("--accumulate", "accumulate", group="Training")
@SETTINGS.option("--lr", "optimizer.lr", group="Training")
@SETTINGS.option("--bpe-dropout", "bpe_dropout", group="Training")
@SETTINGS.option("--clip", "clip", group="Training")
@SETTINGS.option("--patience", "patience", group="Training")
@option(
    "--distill",
    metavar="RUN,...",
    type=NoneOr(click.STRING),
    group="Training",
    help="Predict as these runs do: objective=Distillation.",
)
@SETTINGS.option("--seed", "seed", group="Training")
@option(
    "--replay",
    metavar="RUN",
    type=NoneOr(PATH),
    group="Training",
    help="Repeat RUN from the start, with its recipe and timing.",
)
@SETTINGS.option("--eval-every", "eval_every", group="Output")
@option(
    "--sample-every",
    metavar="N",
    type=NoneOr(click.IntRange(0)),
    group="Output",
    show_default="--eval-every",
    help="Steps between samples; 0 for none.",
)
@option(
    "--sample-prompt",
    metavar="TEXT",
    default="",
    group="Output",
    show_default="none",
    help="Prompt of the samples.",
)
@option("--tensorboard", is_flag=True, group="Output", help="Also log to RUN/tensorboard.")
@SETTINGS.option("--device", "device", metavar="DEVICE", group="Machine")
@SETTINGS.option("--dtype", "dtype", metavar="TYPE", group="Machine")
@SETTINGS.option("--threads", "threads", group="Machine")
@option(
    "--config",
    metavar="FILE",
    type=NoneOr(PATH),
    help="TOML file with settings; options override it.",
)
@click.pass_context
def train(ctx: click.Context, /, config: Path | None, **options: Any) -> int:
    """Train a model on text, or resume a run.

    --data takes text, shards from `pytok shard`, or token files from nanoGPT, llm.c, Megatron and
    others; for models that translate (transformer, luong) JSON lines of source and target. Settings
    you leave out are planned from the data and your machine, printed, and saved with the run. The
    run folder gets checkpoints/, metrics.jsonl, samples.jsonl, and at the end loss.png and
    report.md. Ctrl-C writes a checkpoint; the same command resumes from it.
    """
    overrides = _with_teachers(given_overrides(ctx, config), options.pop("distill"))
    data = options["data"] or overrides.values.get("data")
    if data is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'--data'", param_type="option")
    out = options["out"] or overrides.values.get("out") or Path("runs") / _stem(Path(data))
    located = {"data": Path(data), "out": Path(out)}
    refuse_same(*located.values())
    given = overrides.without("data", "out")
    asked = training_of(options["preset"], given, located["out"])(
        **options | located, overrides=given
    )
    asked.check()
    return asked.run()


def _with_teachers(overrides: Overrides, teachers: str | None) -> Overrides:
    """Return *overrides* with the objective of learning from *teachers*, names of runs, if any.

    Raises OptionsError if another objective is set.
    """
    if teachers is None:
        return overrides
    source, kind = f"--distill {teachers}", Distillation.__name__
    fields = {f"objective{KIND}": kind, "objective.teachers": teachers.split(",")}
    for name, value in fields.items():
        if overrides.values.get(name, value) != value:
            raise OptionsError(
                f"{source} and {overrides.sources[name]} exclude each other; remove one"
            )
    sources = dict.fromkeys(fields, source)
    return Overrides({**overrides.values, **fields}, {**overrides.sources, **sources})


def _stem(data: Path) -> str:
    """Return the name of a run on *data*: that of the folder, or of the file without its endings.

    >>> _stem(Path("books/war and peace.txt.gz"))
    'war and peace'
    """
    path = data.resolve()
    if "*" in path.name:
        return _stem(path.parent)
    return path.name if data.is_dir() else path.name.split(".")[0]
