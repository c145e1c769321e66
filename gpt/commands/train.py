"""`gpt train`, and the recipe that its options begin from."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gpt.commands.interruption import Interruption
from gpt.errors import CheckpointError, ConfigError, DataError
from gpt.parallel.launch import launched
from gpt.spec.planning import Machine, plan, resumed
from gpt.spec.recipe import Recipe, read_toml
from gpt.spec.serialize import from_dict
from pytok.counted import counted
from pytok.errors import PytokError
from pytok.terminal import Bars, say

if TYPE_CHECKING:
    from gpt.parallel.world import World
    from gpt.report.events import Reporter
    from gpt.training.loop import Outcome


_UNPLANNED = Recipe(data=Path(), out=Path("runs/DATA"))
"""What --help shows before there are data; a run is named by them where --out does not name it."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model on text or token files, or go on with a run that was stopped.

    --data is shards, as `pytok shard` writes them; or text, which is sharded into the run's data/;
    or token files of nanoGPT, llm.c, Megatron and others, which stay where they are. It and the
    machine decide all that is left out, and it is printed and kept. The run's folder gets
    checkpoints/, metrics.jsonl, samples.jsonl, and at the end loss.png and report.md. Ctrl-C writes
    a checkpoint, and the same command goes on from it.
    """

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    tokenizer: str | None = None
    """Its file, or an encoding's name: the one that wrote token files, or is to encode text. None:
    one is trained on the text."""
    val_data: Path | None = None
    """Validation split of token files; none: those with val in their names."""
    val: float | None = None
    """Share of text, its last, that is held out. None: a tenth."""
    config: Path | None = None
    """A TOML file with fields of the recipe; options given here come before it."""
    preset: Literal["fast", "gpt2", "llama", "qwen3"] = "fast"
    """What the model is like: fast reaches a loss soonest, the others load in other software."""
    depth: int | None = None
    """Layers; width, heads, rates and batch follow. None: by the data and the machine."""
    tensorboard: bool = False
    """Write events for TensorBoard, too, into tensorboard/ of the run's folder."""
    sample_every: int | None = None
    """Steps between samples of what the model writes. None: one at each evaluation; 0: none."""
    sample_prompt: str = ""
    """What samples go on from; empty: the beginning of a document."""
    prepared: tyro.conf.Suppress[tyro.conf.Fixed[Path | Exception]] = Path()
    """The shards of --data, or why there are none: `train_defaults` has to know before it plans."""

    def __call__(self) -> int:
        """Train; 0, or 128 + the signal that stopped it."""
        from gpt.parallel.world import World
        from gpt.training.loop import train

        asked = self.recipe
        with World.join(asked.device) as world, ExitStack() as stack:
            if isinstance(self.prepared, Exception):
                raise self.prepared  # here, where one of several processes tells it
            reporter = self._reporter(stack) if world.is_main else None
            interruption = stack.enter_context(Interruption())
            outcome = train(
                dataclasses.replace(asked, data=self.prepared),
                reporter=reporter,
                stop=lambda: interruption.signal is not None,
                world=world,
            )
        if world.is_main:
            print(self._ending(outcome, world), file=sys.stderr)
        if outcome.finished:
            return 0
        return 128 + (interruption.signal or signal.SIGTERM)  # another process may have had it

    def _reporter(self, stack: ExitStack) -> Reporter:
        """Make those who tell of the run; *stack* ends them."""
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
        """Tell how the run ended, and what to do next."""
        state = outcome.state
        if outcome.finished:
            measured = "" if state.val_bpb is None else f", {state.val_bpb:.4f} bits per byte"
            return (
                f"{counted(state.step, 'step')} in {state.seconds:.0f} s of training{measured}; "
                f"next: gpt sample {shlex.quote(str(self.recipe.out))}"
            )
        alone = world.size == 1
        command = f"gpt {shlex.join(sys.argv[1:])}" if alone else "the same torchrun command"
        return f"{outcome.stopped}: {command}"


def _without_nones(arguments: Sequence[str]) -> Iterator[str]:
    """Leave out options whose value is None, which tyro takes as their not being given."""
    words = list(arguments)
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if word != "None" and not (word.startswith("--") and following == "None"):
            yield word


def train_defaults(arguments: Sequence[str]) -> Train:
    """Plan the run that ``--data`` makes possible, or take the one found; then ``--config``.

    tyro needs defaults before it parses, so the options that decide them are looked for beforehand.
    What fails is kept for the command to raise, once all options are known to be right.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("command", nargs="?")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--depth", type=int)
    parser.add_argument("--tokenizer")
    parser.add_argument("--val-data", "--val_data", type=Path)
    parser.add_argument("--val", type=float)
    try:
        given = parser.parse_known_args(list(_without_nones(arguments)))[0]
    except argparse.ArgumentError:  # tyro says it better
        return Train(recipe=dataclasses.replace(_UNPLANNED, data=tyro.MISSING, out=tyro.MISSING))
    fields = {} if given.config is None else read_toml(given.config)
    data = given.data or (Path(fields["data"]) if "data" in fields else None)
    if given.command != "train" or data is None or {"-h", "--help"} & set(arguments):
        recipe = _over(_UNPLANNED, fields, given.config)
        return Train(recipe=dataclasses.replace(recipe, data=tyro.MISSING))
    out = given.out or Path(fields.get("out", Path("runs") / _stem(data)))
    prepared: Path | Exception
    try:
        prepared = _prepared(data, out, given.tokenizer, given.val_data, given.val)
        planned = _planned(prepared, out, given.preset, given.depth)
    except (CheckpointError, DataError, PytokError, OSError) as error:
        prepared, planned = error, Recipe(data=data, out=out)
    return Train(recipe=_over(planned, fields, given.config), prepared=prepared)


def _prepared(
    data: Path, out: Path, tokenizer: str | None, val_data: Path | None, val: float | None
) -> Path:
    """Return the shard folder for *data*; what it takes to make it is shown."""
    from gpt.data.sources import prepare

    if launched() > 1 and not (data / "shards.json").is_file():
        raise DataError(
            f"{data}: no token shards, and several processes would each make them; make them "
            "first, with `pytok shard`"
        )
    with Bars() as bars:
        return prepare(
            data,
            out,
            tokenizer=tokenizer,
            val_data=val_data,
            val=val,
            progress=bars.update,
            notice=say,
        )


def _stem(data: Path) -> str:
    """Return what a run on *data* is called: the name of the folder, or of the file without ends.

    >>> _stem(Path("books/war and peace.txt.gz"))
    'war and peace'
    """
    path = data.resolve()
    if "*" in path.name:
        return _stem(path.parent)
    return path.name if data.is_dir() else path.name.split(".")[0]


def _planned(data: Path, out: Path, preset: str | None, depth: int | None) -> Recipe:
    """Take the recipe of the run in *out*, or plan one for *data* and this machine."""
    from gpt.data.shards import open_data, open_split
    from gpt.runs.reading import read_state
    from gpt.runs.retention import find_checkpoint

    if (newest := find_checkpoint(out)) is not None:
        saved = dataclasses.replace(read_state(newest).recipe, data=data, out=out)
        return resumed(saved, preset=preset, depth=depth)
    machine = Machine.here()
    return plan(
        data=data,
        out=out,
        tokens=len(open_split(open_data(data), "train")),
        machine=dataclasses.replace(machine, flops=machine.flops * launched()),
        preset=preset or "fast",
        depth=depth,
    )


def _over(recipe: Recipe, fields: Mapping[str, Any], path: Path | None) -> Recipe:
    """*recipe* with the *fields* of the TOML file *path* in place of its own."""
    try:
        return from_dict(Recipe, _merged(recipe.to_dict(), fields))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay *over* on *under*, table by table; a table that names its kind replaces the other."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and "kind" not in value:
            value = _merged(below, value)
        merged[name] = value
    return merged
