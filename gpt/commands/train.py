"""`gpt train`: parse all options, then prepare the data, then plan the run, then train.

Nothing is read, trained or written before all options have been checked. Options set fields of the
recipe; what they leave open is planned for the data and the machine.
"""

from __future__ import annotations

import dataclasses
import shlex
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpt.commands.interruption import Interruption
from gpt.commands.options import ABOUT_PRESETS, PATH, NoneOr, command_line, refuse_same
from gpt.commands.settings import OptionsError, Settings, SettingsCommand, given_overrides
from gpt.errors import ConfigError, DataError
from gpt.parallel.launch import launched
from gpt.runs.retention import find_checkpoint
from gpt.spec.machine import Machine
from gpt.spec.overrides import Overrides
from gpt.spec.planning import PLANNED, plan, resumed
from gpt.spec.presets import PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.task import Pretraining
from pytok.commands.help import option
from pytok.counted import counted
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.parallel.world import World
    from gpt.report.events import Reporter
    from gpt.training.loop import Outcome

SETTINGS = Settings(
    Recipe,
    planned=PLANNED,
    hide=lambda name: name.partition(".")[0] in ("data", "out", "task"),
    example="model.norm=RMSNorm or model.mlp.hidden=512",
)
PRESET = "fast"
"""The preset of a new run, unless another is set."""


@click.command(
    cls=SettingsCommand,
    settings=SETTINGS,
    examples="""
    gpt train --data corpus.txt
    gpt train --data data/ --out runs/llama --preset llama --depth 4 --seconds 300
    gpt train --data data/ --out runs/again --replay runs/llama
    gpt train --data data/ --lr 0.01 --set model.position=ALiBi --set model.mlp.gated=true
    torchrun --nproc-per-node 4 -m gpt train --data data/ --out runs/four
    """,
)
@option(
    "--data",
    metavar="PATH",
    type=PATH,
    group="Data",
    help="Text, token shards, or token files.  [required]",
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
    show_default="*val*",
    help="Token files to validate on.",
)
@option(
    "--val",
    metavar="FRACTION",
    type=NoneOr(click.FloatRange(0, 1, max_open=True)),
    group="Data",
    show_default="0.1",
    help="Fraction of the text, from its end, to hold out.",
)
@option(
    "--preset",
    metavar="NAME",
    type=NoneOr(click.Choice(list(PRESETS))),
    group="Model",
    show_default=PRESET,
    help=f"Architecture. {ABOUT_PRESETS}",
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
@SETTINGS.option("--seed", "seed", group="Training")
@option(
    "--replay",
    metavar="RUN",
    type=NoneOr(PATH),
    group="Training",
    help="Repeat RUN from the start, with its recipe and what its clock decided.",
)
@SETTINGS.option("--eval-every", "eval_every", group="Output")
@option(
    "--sample-every",
    metavar="N",
    type=NoneOr(click.IntRange(0)),
    group="Output",
    show_default="at each evaluation",
    help="Steps between samples of generated text; 0 for none.",
)
@option(
    "--sample-prompt",
    metavar="TEXT",
    default="",
    group="Output",
    show_default="start of a document",
    help="Prompt for the samples.",
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
    others. Settings you leave out are planned from the data and your machine, printed, and saved
    with the run. The run folder gets checkpoints/, metrics.jsonl, samples.jsonl, and at the end
    loss.png and report.md. Ctrl-C writes a checkpoint; the same command resumes from it.
    """
    overrides = given_overrides(ctx, config)
    task = overrides.values.get("task.kind", Pretraining.__name__)
    if task != Pretraining.__name__:
        raise OptionsError(f"{config}: task.kind = {task}, and `gpt train` is for Pretraining")
    data = options["data"] or overrides.values.get("data")
    if data is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'--data'", param_type="option")
    out = options["out"] or overrides.values.get("out") or Path("runs") / _stem(Path(data))
    located = {"data": Path(data), "out": Path(out)}
    refuse_same(*located.values())
    asked = Training(**options | located, overrides=overrides.without("data", "out"))
    asked.check()
    return asked.run()


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a command line asks for: options by name, and fields of the recipe."""

    data: Path
    out: Path
    tokenizer: str | None
    val_data: Path | None
    val: float | None
    preset: str | None
    depth: int | None
    replay: Path | None
    tensorboard: bool
    sample_every: int | None
    sample_prompt: str
    overrides: Overrides

    def check(self) -> None:
        """Raise OptionsError if no plan fits the options.

        A run that is resumed has its own recipe, which its checkpoint holds.
        """
        if self._newest() is not None:
            return
        # How much data there is, and so the model, is unknown: a depth that fits is enough.
        problems = []
        for depth in [self.depth] if self.depth else (None, 4, 3, 2, 5, 6, 8):
            try:
                planned = self._plan(1_000_000, 4096, Machine.cpu(2), depth, self.overrides.values)
                self.overrides.over(planned)
                return
            except ConfigError as error:
                problems.append(error)
        raise OptionsError(str(problems[0]))

    def run(self) -> int:
        """Train; return 0, or 128 + the signal that stopped the run."""
        from gpt.parallel.runtime import Runtime
        from gpt.parallel.world import World
        from gpt.training.clock import MACHINE, replay
        from gpt.training.loop import train

        clock = MACHINE if self.replay is None else replay(self.replay)
        device = self.overrides.values.get("device", "auto")
        with World.join(device) as world, ExitStack() as stack:
            # Fail before the data is prepared, which can take minutes.
            Runtime.choose(device)
            if self.tensorboard:
                import gpt.report.tensorboard  # noqa: F401
            recipe = self._recipe(world)
            reporter = self._reporter(stack) if world.is_main else None
            interruption = stack.enter_context(Interruption())
            outcome = train(
                recipe,
                reporter=reporter,
                stop=lambda: interruption.signal is not None,
                world=world,
                clock=clock,
            )
        if world.is_main:
            say(self._ending(outcome, world))
        if outcome.finished:
            return 0
        return 128 + (interruption.signal or signal.SIGTERM)  # another process may have received it

    def _recipe(self, world: World) -> Recipe:
        """Prepare the data; return the recipe of the run in `out`, or a new one for this machine.

        All processes of *world* call this.
        """
        from gpt.data.shards import open_data, open_split
        from gpt.training.measuring import measured_plan

        given = self.overrides.values
        if (newest := self._newest()) is not None:
            saved = dataclasses.replace(self._saved(newest), out=self.out)
            self.overrides.check_resumable(saved)
            recipe = self.overrides.over(
                resumed(saved, preset=self.preset, depth=self.depth, given=given)
            )
            return dataclasses.replace(recipe, data=self._prepared())
        data = self._prepared()
        shards = open_data(data)
        tokens = len(open_split(shards, "train"))

        def draw(machine: Machine) -> Recipe:
            planned = self._plan(tokens, shards.vocab_size, machine, self.depth, given)
            return dataclasses.replace(self.overrides.over(planned), data=data)

        recipe, machine = measured_plan(
            draw,
            vocab_size=shards.vocab_size,
            device=given.get("device", "auto"),
            dtype=given.get("dtype", "auto"),
            threads=given.get("threads"),
            world=world,
        )
        if world.is_main and machine.steps:
            say(machine.described())
        return recipe

    def _newest(self) -> Path | None:
        """Return the checkpoint whose recipe the run has; None if it is to be planned."""
        newest = find_checkpoint(self.out)
        if newest is None and self.replay is not None:
            newest = find_checkpoint(self.replay)
            if newest is None:
                raise OptionsError(f"--replay: {self.replay} holds no run; pass a run folder")
        return newest

    def _plan(
        self,
        tokens: int,
        vocab_size: int,
        machine: Machine,
        depth: int | None,
        given: Mapping[str, Any],
    ) -> Recipe:
        return plan(
            data=self.data,
            out=self.out,
            tokens=tokens,
            vocab_size=vocab_size,
            machine=machine,
            preset=self.preset or PRESET,
            depth=depth,
            given=given,
        )

    def _saved(self, checkpoint: Path) -> Recipe:
        """Return the recipe of the run in `out`; raises ConfigError if `train` cannot resume it."""
        from gpt.runs.reading import read_state

        state = read_state(checkpoint)
        tune = f"gpt tune {shlex.quote(str(self.out))} --data ... --out ..."
        if not state.train_tokens:
            raise ConfigError(
                f"{self.out} holds an imported model; to train it on, use `{tune}`, or choose "
                "another --out"
            )
        if state.recipe.task.COMMAND != Pretraining.COMMAND:
            raise ConfigError(
                f"{self.out} holds a run of another task; resume it with the "
                f"`{state.recipe.task.COMMAND}` command that started it, or choose another --out"
            )
        return state.recipe

    def _prepared(self) -> Path:
        """Return the shard folder of the data, which is made if need be; progress is shown."""
        from gpt.data.sources import prepare

        if launched() > 1 and not (self.data / "shards.json").is_file():
            raise DataError(
                f"{self.data}: no token shards, and each of several processes would make them; "
                "make them first, with `pytok shard`"
            )
        with Bars() as bars:
            return prepare(
                self.data,
                self.out,
                tokenizer=self.tokenizer,
                val_data=self.val_data,
                val=self.val,
                progress=bars.update,
                notice=say,
            )

    def _reporter(self, stack: ExitStack) -> Reporter:
        """Return the reporters of the run; *stack* closes them."""
        from gpt.report.console import ConsoleReporter
        from gpt.report.events import Reporters
        from gpt.report.page import Report
        from gpt.report.samples import Sampler
        from gpt.report.sessions import Sessions

        console = stack.enter_context(ConsoleReporter())
        samples = Sampler(console.notice, prompt=self.sample_prompt, every=self.sample_every)
        reporters: list[Reporter] = [console, samples, Sessions(), Report()]
        if self.tensorboard:
            from gpt.report.tensorboard import TensorBoard

            reporters.append(stack.enter_context(TensorBoard()))
        return Reporters(reporters)

    def _ending(self, outcome: Outcome, world: World) -> str:
        """Return the last line: how the run ended, and what to do next."""
        from gpt.evaluation.score import score_of
        from pytok.chat.template import TEMPLATE_FILE

        state = outcome.state
        if outcome.finished:
            score = score_of(state.recipe.score)
            measured = "" if state.score is None else f", {score.text(state.score)}"
            following = "chat" if (state.recipe.data / TEMPLATE_FILE).exists() else "sample"
            return (
                f"{counted(state.step, 'step')} in {state.seconds:.0f} s of training{measured}; "
                f"next: gpt {following} {shlex.quote(str(self.out))}"
            )
        again = command_line() if world.size == 1 else "the same torchrun command"
        return f"{outcome.stopped}: {again}"


def _stem(data: Path) -> str:
    """Return the name of a run on *data*: that of the folder, or of the file without its endings.

    >>> _stem(Path("books/war and peace.txt.gz"))
    'war and peace'
    """
    path = data.resolve()
    if "*" in path.name:
        return _stem(path.parent)
    return path.name if data.is_dir() else path.name.split(".")[0]
