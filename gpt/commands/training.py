"""What `gpt train` does: prepare the data, plan the run, train.

`Training` does it for a model of texts, `gpt.commands.pair_training` for one of pairs.
"""

from __future__ import annotations

import dataclasses
import shlex
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gpt.commands.following import next_command
from gpt.commands.interruption import Interruption
from gpt.commands.options import command_line
from gpt.commands.settings import OptionsError
from gpt.errors import ConfigError, DataError
from gpt.parallel.launch import is_first, launched
from gpt.runs.retention import find_checkpoint
from gpt.spec.machine import Machine, Shape
from gpt.spec.overrides import Overrides
from gpt.spec.planning import plan, resumed
from gpt.spec.recipe import Recipe
from gpt.spec.task import Pretraining
from gpt.training.budget import described_time, evaluating_seconds, with_overhead
from pytok.counted import counted, duration
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.data.shards import Shards
    from gpt.parallel.world import World
    from gpt.report.events import Reporter
    from gpt.report.samples import Sampler
    from gpt.training.outcome import Outcome

PRESET = "fast"
"""The preset of a new run, unless another is set."""


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

    COMMAND: ClassVar[str] = Pretraining.COMMAND

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
        begin = time.monotonic()
        is_named = self.data.exists() or "*" in self.data.name
        if is_first() and is_named:  # at once: the imports take seconds
            what = "resuming the run" if self._newest() else "planning a run"
            say(f"{self.out}: {what} on {self.data}")
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
            recipe = self._recipe(world, begin)
            reporter = self._reporter(stack) if world.is_main else None
            interruption = stack.enter_context(Interruption())
            outcome = train(
                recipe,
                reporter=reporter,
                stop=lambda: interruption.signal is not None,
                world=world,
                clock=clock,
                estimate=True,
            )
        if world.is_main:
            for line in self._ending(outcome, world, time.monotonic() - begin):
                say(line)
        if outcome.finished:
            return 0
        return 128 + (interruption.signal or signal.SIGTERM)  # another process may have received it

    def _recipe(self, world: World, begin: float) -> Recipe:
        """Prepare the data; return the recipe of the run in `out`, or a new one for this machine.

        All processes of *world* call this. What has passed since *begin*, except for the
        preparation of the data, counts in the time of a new run.
        """
        from gpt.data.shards import open_data, open_split
        from gpt.training.measuring import measured_plan, shape_of

        if (newest := self._newest()) is not None:
            return self._resumed(newest, self.preset)
        given, preparing = self.overrides.values, time.monotonic()
        data = self._prepared()
        begin += time.monotonic() - preparing
        shards = open_data(data)
        tokens = len(open_split(shards, "train"))

        def draw(machine: Machine, given: Mapping[str, Any] = given) -> Recipe:
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
        if recipe.budget is None:
            return recipe
        shape = shape_of(recipe, shards.vocab_size, world.size)
        if "overhead" not in given:
            evaluating = self._evaluating_seconds(recipe, machine, shape, shards)
            passed = world.from_main(time.monotonic() - begin)
            recipe = with_overhead(recipe, passed + evaluating)
        if recipe.seconds is not None and (budget := recipe.budget) is not None:
            # The model is the one for the time that is left.
            left = {"seconds": budget} if "seconds" in given else {}
            machine = dataclasses.replace(machine, seconds=min(budget, machine.seconds))
            shorter = draw(machine, {**given, **left})
            recipe = dataclasses.replace(shorter, seconds=recipe.seconds, overhead=recipe.overhead)
            shape = shape_of(recipe, shards.vocab_size, world.size)
        if world.is_main:
            say(described_time(recipe, machine, shape))
        return recipe

    def _evaluating_seconds(
        self, recipe: Recipe, machine: Machine, shape: Shape, shards: Shards
    ) -> float:
        """Return about how long the evaluations of a run with *recipe* take."""
        val = shards.splits.get("val")
        samples = self.sample_every is None or self.sample_every > 0
        return evaluating_seconds(
            recipe, machine, shape, val_tokens=len(val) if val else 0, samples=samples
        )

    def _resumed(self, checkpoint: Path, preset: str | None) -> Recipe:
        """Return the recipe of *checkpoint* with what may change, and prepare its data."""
        saved = dataclasses.replace(self._saved(checkpoint), out=self.out)
        self.overrides.check_resumable(saved)
        given = self.overrides.values
        recipe = self.overrides.over(resumed(saved, preset=preset, depth=self.depth, given=given))
        return dataclasses.replace(recipe, data=self._prepared())

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
        if state.recipe.task.COMMAND != self.COMMAND:
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
                tokenizer=self._tokenizer(),
                val_data=self.val_data,
                val=self.val,
                progress=bars.update,
                notice=say,
            )

    def _tokenizer(self) -> str | None:
        """Return the tokenizer that is set, or for a text that of the first teacher, if any."""
        from gpt.runs.reading import read_checkpoint

        if self.tokenizer is not None or (self.data / "shards.json").is_file():
            return self.tokenizer
        newest = self._newest()
        saved = None if newest is None else self._saved(newest).objective
        teachers = self.overrides.values.get("objective.teachers", getattr(saved, "teachers", ()))
        for teacher in teachers:
            return str(read_checkpoint(Path(teacher)).folder / "tokenizer.json")
        return None

    def _reporter(self, stack: ExitStack) -> Reporter:
        """Return the reporters of the run; *stack* closes them."""
        from gpt.report.console import ConsoleReporter
        from gpt.report.events import Reporters
        from gpt.report.page import Report
        from gpt.report.sessions import Sessions

        console = stack.enter_context(ConsoleReporter())
        samples = self._sampler()(
            console.notice, prompt=self.sample_prompt, every=self.sample_every
        )
        reporters: list[Reporter] = [console, samples, Sessions(), Report()]
        if self.tensorboard:
            from gpt.report.tensorboard import TensorBoard

            reporters.append(stack.enter_context(TensorBoard()))
        return Reporters(reporters)

    def _sampler(self) -> type[Sampler]:
        """Return what samples during training."""
        from gpt.report.samples import Sampler

        return Sampler

    def _ending(self, outcome: Outcome, world: World, passed: float) -> list[str]:
        """Return the last lines: how the run ended, after *passed* seconds, and what to do next."""
        from gpt.evaluation.score import score_of

        state = outcome.state
        if not outcome.finished:
            again = command_line() if world.size == 1 else "the same torchrun command"
            return [f"{outcome.stopped}: {again}"]
        score = score_of(state.recipe.score)
        measured = "" if state.score is None else f": validation {score.text(state.score)}"
        return [
            f"{counted(state.step, 'step')} in {duration(state.seconds)} of training, "
            f"{duration(passed)} with all else{measured}",
            f"wrote {self.out / 'report.md'} and {self.out / 'loss.png'}",
            f"next: {next_command(self.out)}",
        ]
