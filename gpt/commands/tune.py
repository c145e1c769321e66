"""`gpt tune`: parse all options, then plan by the base and the data, then tune."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpt.commands.adapter_options import ADAPTER, adapter_of, is_of_adapter
from gpt.commands.following import next_command
from gpt.commands.interruption import Interruption
from gpt.commands.options import PATH, command_line, refuse_same, run_argument
from gpt.commands.problem_options import data_of, with_problems
from gpt.commands.settings import OptionsError, Settings, SettingsCommand, given_overrides
from gpt.errors import ConfigError, DataError
from gpt.parallel.launch import is_first, launched
from gpt.runs.retention import find_checkpoint
from gpt.spec.adapter import DoRA, LoRA
from gpt.spec.architecture import Architecture
from gpt.spec.objective import Distillation
from gpt.spec.optimizer import AdamW
from gpt.spec.overrides import Overrides
from gpt.spec.problems import SHIPPED
from gpt.spec.recipe import Recipe
from gpt.spec.schedule import Cosine
from gpt.training.tuning.methods import METHODS
from pytok.commands.help import option
from pytok.counted import counted, duration
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.report.events import Reporter
    from gpt.training.tuning.run import Tuned

PLANNED = frozenset(
    {"steps", "batch_size", "optimizer", "schedule", "clip", "eval_every", "checkpoint_every"}
    | {"patience", "task.train_on", "task.row_length", "task.max_tokens", "model", "score"}
    | {"accumulate"}
)
"""Fields that `gpt.training.tuning.planning.plan_tuning` chooses."""
TEACHERS = "objective.teachers"
INITIAL = "task.initial_adapter"


def _is_fixed(name: str) -> bool:
    """Return whether the base or another option sets the field *name*."""
    of_base = name.startswith("model.") and not name.startswith("model.dropout")
    return of_base or name in ("task", "task.base", "data", "out")


SETTINGS = Settings(
    Recipe,
    planned=PLANNED,
    hide=_is_fixed,
    example="optimizer.weight_decay=0.1 or schedule=Linear",
)


@click.command(
    cls=SettingsCommand,
    settings=SETTINGS,
    examples="""
    gpt tune runs/base --data chat/ --out runs/chat
    gpt tune runs/llama --data talks.jsonl --out runs/assistant --template chatml
    gpt tune runs/base --data more-shards/ --out runs/more --full --epochs 1
    gpt tune runs/chat --data pairs.jsonl --out runs/preferred --objective dpo
    gpt tune runs/base --data chat/ --out runs/chat --dora 16 --set task.adapter.targets=attention
    gpt tune runs/base --objective grpo --task addition --out runs/sums
    gpt tune runs/base --objective grpo --prompts p.jsonl --reward reward.py:score --out runs/mine
    gpt tune runs/base --data chat/ --out runs/chat --adapter adapters/style
    """,
)
@run_argument
@option(
    "--data",
    metavar="PATH",
    type=PATH,
    group="Data",
    help="Conversations (ShareGPT, OpenAI, Alpaca), chat, text, its shards, or preferences.",
)
@option(
    "--task",
    type=click.Choice(list(SHIPPED)),
    group="Data",
    help="For grpo: generated problems, instead of --data.",
)
@option(
    "--prompts",
    metavar="FILE",
    type=PATH,
    group="Data",
    help="For grpo: JSON lines of prompts, instead of --data.",
)
@option(
    "--reward",
    metavar="FILE.py:FUNCTION",
    group="Data",
    help="For --prompts: the function that returns the reward of a completion.",
)
@option(
    "--out",
    metavar="FOLDER",
    type=PATH,
    required=True,
    group="Data",
    help=SETTINGS.doc("out"),
)
@option(
    "--base-data",
    metavar="FOLDER",
    type=PATH,
    group="Data",
    show_default="the data of the base",
    help="Token shards to measure forgetting on.",
)
@option(
    "--val",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, max_open=True),
    group="Data",
    show_default="0.1",
    help="Fraction to hold out: of a text, its end; else a choice of conversations or prompts.",
)
@option(
    "--extend-vocab",
    metavar="N",
    type=click.IntRange(1),
    group="Data",
    help="Continue the vocabulary on a text, by N new tokens.",
)
@SETTINGS.option("--replay", "task.replay", group="Data", metavar="FRACTION")
@SETTINGS.option("--replay-data", "task.replay_data", group="Data", metavar="FOLDER")
@SETTINGS.option("--train-on", "task.train_on", group="Data")
@SETTINGS.option("--template", "task.template", group="Data")
@option(
    "--objective",
    type=click.Choice(list(METHODS)),
    default="sft",
    group="Method",
    help="What is learned: sft, to write like the data; dpo, orpo or kto, preferences; grpo, to "
    "solve problems; distillation, to predict as --teachers.",
)
@SETTINGS.option("--teachers", "objective.teachers", group="Method", metavar="RUN,...")
@option(
    "--lora",
    metavar="RANK",
    type=int,
    group="Method",
    show_default="LoRA, rank 8",
    help="LoRA with this rank.",
)
@option(
    "--dora",
    metavar="RANK",
    type=int,
    group="Method",
    help="DoRA with this rank: a little better, and slower.",
)
@option("--full", is_flag=True, group="Method", help="Train all weights.")
@SETTINGS.option("--adapter", "task.initial_adapter", metavar="FOLDER", group="Method")
@SETTINGS.option("--alpha", "task.adapter.alpha", group="Method")
@SETTINGS.option("--scaling", "task.adapter.scaling", group="Method")
@SETTINGS.option("--adapter-dropout", "task.adapter.dropout", group="Method")
@SETTINGS.option("--targets", "task.adapter.targets", group="Method", metavar="NAME,...")
@SETTINGS.option("--train-rows", "task.train_rows", group="Method", metavar="WHICH")
@SETTINGS.option("--quantize", "task.quantize", group="Method")
@SETTINGS.option("--merge-aware", "task.merge_aware", group="Method")
@option(
    "--epochs",
    metavar="X",
    type=float,
    group="Training",
    help="Epochs at most.  [planned]",
)
@SETTINGS.option("--row-length", "task.row_length", group="Training")
@SETTINGS.option("--group", "task.group", group="Training")
@SETTINGS.option("--max-tokens", "task.max_tokens", group="Training")
@SETTINGS.option("--steps", "steps", group="Training")
@SETTINGS.option("--overlap", "overlap", metavar="TOKENS", group="Training")
@SETTINGS.option("--batch-size", "batch_size", group="Training")
@SETTINGS.option("--lr", "optimizer.lr", group="Training")
@SETTINGS.option("--lora-plus", "optimizer.lora_plus", group="Training")
@SETTINGS.option("--patience", "patience", group="Training")
@SETTINGS.option("--stop-at-loss", "stop_at_loss", group="Training")
@SETTINGS.option("--eval-every", "eval_every", group="Training")
@SETTINGS.option("--seed", "seed", group="Training")
@SETTINGS.option("--device", "device", metavar="DEVICE", group="Machine")
@SETTINGS.option("--dtype", "dtype", metavar="TYPE", group="Machine")
@SETTINGS.option("--compile", "compile", group="Machine")
@SETTINGS.option("--threads", "threads", group="Machine")
@SETTINGS.option("--parallel", "parallel", group="Machine")
@click.pass_context
def tune(
    ctx: click.Context,
    run: Path,
    data: Path | None,
    task: str | None,
    prompts: Path | None,
    reward: str | None,
    out: Path,
    base_data: Path | None,
    val: float | None,
    extend_vocab: int | None,
    lora: int | None,
    dora: int | None,
    full: bool,
    objective: str,
    epochs: float | None,
) -> int:
    """Tune a trained model on conversations or more text.

    RUN is the base: a run folder, trained or from `gpt import`. It stays as it is, and the new run
    is a complete model with its own report.md. Settings you leave out are planned from the base and
    the data, printed, and saved with the run. Ctrl-C writes a checkpoint; the same command resumes
    from it.
    """
    method = METHODS[objective]
    overrides = with_problems(given_overrides(ctx, None), objective, task, prompts, reward)
    data = data_of(ctx, method, data, prompts, run)
    refuse_same(out, *({run, data} - {None}), base_data)
    adapter = _adapter(overrides, lora, dora, full)
    # Check the values before the base and the data are read, with the kinds that will be planned.
    if TEACHERS in overrides.values and method.objective is not Distillation:
        raise OptionsError(
            f"{overrides.sources[TEACHERS]} applies to --objective distillation only; add it"
        )
    unplanned = Recipe(
        data=data,
        out=out,
        task=method.task(base=run, adapter=adapter),
        objective=method.objective(),
        score=method.score(),
        optimizer=AdamW(),
        schedule=Cosine(),
        model=Architecture(context=1 << 30),
    )
    settings = overrides.without(*filter(is_of_adapter, overrides.values))
    checked = settings.over(unplanned)
    if run.exists() and data.exists() and is_first():  # at once: the imports take seconds
        what = "resuming the run" if find_checkpoint(out) else f"tuning {run}"
        say(f"{out}: {what} on {data}")

    from gpt.data.conversations import is_chat
    from gpt.parallel.world import World
    from gpt.training.tuning.planning import plan_tuning
    from gpt.training.tuning.run import tune

    given = overrides.values
    set_fields = {name.split(".")[1] for name in settings.values if name.startswith("task.")}
    task_fields = {name: getattr(checked.task, name) for name in set_fields}
    if val is not None and (is_chat(data) or not method.text):
        task_fields["val"] = val
    with World.join(given.get("device", "auto")) as world, ExitStack() as stack:
        if method.text:
            data = _prepared(data, out, run, given.get(INITIAL), val, extend_vocab or 0)
        plan = plan_tuning(
            run,
            data=data,
            out=out,
            method=objective,
            adapter=adapter,
            epochs=epochs,
            batch_size=given.get("batch_size"),
            lr=given.get("optimizer.lr"),
            overlap=given.get("overlap", 0),
            processes=world.size,
            **task_fields,
        )
        reporter = _reporter(stack) if world.is_main else None
        interruption = stack.enter_context(Interruption())
        tuned = tune(
            plan.with_recipe(settings.over(plan.recipe)),
            base_data=base_data,
            reporter=reporter,
            stop=lambda: interruption.signal is not None,
            world=world,
            estimate=True,
        )
    if world.is_main:
        _print_result(tuned, out, world.size)
    if tuned.outcome.finished:
        return 0
    return 128 + (interruption.signal or signal.SIGTERM)  # another process may have received it


def _reporter(stack: ExitStack) -> Reporter:
    """Return the reporters of the run; *stack* closes them."""
    from gpt.report.console import ConsoleReporter
    from gpt.report.events import Reporters
    from gpt.report.page import Report
    from gpt.report.sessions import Sessions

    return Reporters([stack.enter_context(ConsoleReporter()), Sessions(), Report()])


def _prepared(
    data: Path,
    out: Path,
    base: Path,
    initial_adapter: Path | None,
    val: float | None,
    extend: int,
) -> Path:
    """Return *data*, or the shards that are made of it in *out*, a text, for the run *base*.

    The vocabulary of these has *extend* tokens more.
    """
    from gpt.data.conversations import is_chat
    from gpt.data.sources import prepare
    from gpt.training.tasks.starting import open_start

    chat = is_chat(data)
    if chat and extend:
        raise DataError(
            f"{data}: remove --extend-vocab: it applies to text only, and this is a chat"
        )
    made = val is None and not extend and ((data / "shards.json").exists() or not data.exists())
    if chat or made:
        return data
    if launched() > 1:
        raise DataError(
            f"{data}: a text, of which each of several processes would make token shards; make "
            "them first, with `pytok shard`"
        )
    checkpoint = open_start(base, initial_adapter)
    _ = checkpoint.config  # of a model of pairs it raises, before anything is written
    tokenizer = str(checkpoint.folder / "tokenizer.json")
    with Bars() as bars:
        return prepare(
            data,
            out,
            tokenizer=tokenizer,
            val=val,
            extend=extend,
            progress=bars.update,
            notice=say,
        )


def _print_result(tuned: Tuned, out: Path, processes: int) -> None:
    """Print how the run ended, what it improved and forgot, and the next command."""
    from gpt.evaluation.score import score_of
    from gpt.training.tuning.run import forgetting_score

    if not tuned.outcome.finished:
        again = command_line() if processes == 1 else "the same torchrun command"
        say(f"{tuned.outcome.stopped}: {again}")
        return
    state = tuned.outcome.state
    best = f", the best at step {state.best_step}" if state.best_step else ""
    say(f"{counted(state.step, 'step')} in {duration(state.seconds)} of training{best}")
    if state.best_step == 0:
        say(
            f"nothing was better than the base, so {out} has the base's weights; try a lower "
            f"--lr than {state.recipe.optimizer.lr:.3g}, or fewer --epochs, into another --out"
        )
    score, forgetting = score_of(state.recipe.score), forgetting_score(state.recipe)
    for name, change, of in (("data", tuned.val, score), ("base", tuned.base, forgetting)):
        if change is not None:
            figures = f"{change.before:.4f} -> {change.after:.4f} {of.unit}"
            say(f"the {name}'s validation split: {figures}")
    if tuned.merging is not None:
        say(tuned.merging.text(score.unit))
    say(f"next: {next_command(out)}")


def _adapter(
    overrides: Overrides, lora: int | None, dora: int | None, full: bool
) -> LoRA | DoRA | None:
    """Return the adapter that the options ask for; None trains all weights.

    Raises ConfigError for options that exclude each other.
    """
    if sum([lora is not None, dora is not None, full]) > 1:
        raise ConfigError("--lora, --dora and --full are three methods; choose one")
    fields = {name: value for name, value in overrides.values.items() if is_of_adapter(name)}
    if INITIAL in overrides.values and (fields or lora is not None or dora is not None or full):
        source = overrides.sources[INITIAL]
        raise ConfigError(
            f"{source} has its own method, rank, alpha and targets; remove the options that set "
            "them, or train a new adapter without it"
        )
    if full and fields:
        raise ConfigError(
            f"{overrides.sources[min(fields)]} sets up an adapter, and --full trains without one; "
            "remove one of them"
        )
    if full or ADAPTER in fields:  # set to none
        return None
    kind = "LoRA" if dora is None else "DoRA"
    return adapter_of(overrides, {"--lora": lora, "--dora": dora}, kind)
