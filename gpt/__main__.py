"""The `gpt` command: parse, make one library call, print.

Text and ``--json`` go to stdout, all else to stderr. Exit codes: 0; 1, with one line that says
what failed and what to do; 2 for usage; 130 and 143 for a run that Ctrl-C or SIGTERM stopped.
torch is imported by the commands that compute, so ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

try:
    import tyro
except ImportError:
    sys.exit("gpt: PyTorch and what else it needs is not installed: pip install 'pytok[gpt]'")

from gpt.errors import CheckpointError, ConfigError, DataError, GPTError
from gpt.interruption import Interruption
from gpt.plain import from_plain
from gpt.presets import Machine, plan, resumed
from gpt.progress import ConsoleReporter
from gpt.recipe import Recipe, read_toml
from pytok.errors import PytokError
from pytok.terminal import Bars


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model on token shards, or go on with a run that was stopped.

    `pytok shard` makes the shards; they and the machine decide all that is left out, and it is
    printed and kept. The run's folder gets checkpoints/, metrics.jsonl and loss.png. Ctrl-C writes
    a checkpoint, and the same command goes on from it.
    """

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    config: Path | None = None
    """A TOML file with fields of the recipe; options given here come before it."""
    preset: Literal["fast", "gpt2", "llama", "qwen3"] = "fast"
    """What the model is like: fast reaches a loss soonest, the others load in other software."""
    depth: int | None = None
    """Layers; width, heads, rates and batch follow. None: by the data and the machine."""

    def __call__(self) -> int:
        """Train; 0, or 128 + the signal that stopped it."""
        from gpt.training import train

        with ConsoleReporter() as reporter, Interruption() as interruption:
            outcome = train(
                self.recipe, reporter=reporter, stop=lambda: interruption.signal is not None
            )
        state = outcome.state
        if interruption.signal is not None and not outcome.finished:
            print(
                f"stopped at step {state.step} of {state.recipe.steps}, checkpoint written; "
                f"to go on: gpt {shlex.join(sys.argv[1:])}",
                file=sys.stderr,
            )
            return 128 + interruption.signal
        measured = "" if state.val_bpb is None else f", {state.val_bpb:.4f} bits per byte"
        print(
            f"{state.step} steps in {state.seconds:.0f} s of training{measured}; "
            f"next: gpt sample {shlex.quote(str(self.recipe.out))}",
            file=sys.stderr,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Write text with a trained model, on stdout; a single one as a stream."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or one checkpoint's."""
    prompt: str = ""
    """Text to go on from; empty: the beginning of a document."""
    tokens: int = 256
    """Tokens to write at most."""
    samples: int = 1
    """Texts to write, at once; each has the seed after the one before."""
    repetition_penalty: float = 1.0
    """Above 1 disfavours tokens that the text has already."""
    temperature: float = 0.8
    """Below 1 favours likely tokens; 0 takes the likeliest always."""
    top_k: int | None = None
    """Keep the k likeliest tokens."""
    top_p: float | None = None
    """Keep the likeliest tokens that together reach this chance."""
    min_p: float | None = None
    """Keep tokens with this share of the likeliest one's chance."""
    stop: tuple[str, ...] = ()
    """End before any of these texts."""
    seed: int = 0
    """Decides the draws."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: str = "auto"
    """What the linears are computed in: auto, float32 or bfloat16."""

    def __call__(self) -> int:
        """Print the samples; 0."""
        from gpt.checkpoint import read_checkpoint
        from gpt.choosing import Sampling
        from gpt.decoding import with_linears_in
        from gpt.runtime import Runtime
        from gpt.sample import generate_batch

        if self.samples < 1:
            raise ConfigError(f"samples must be at least 1; got {self.samples}")
        checkpoint = read_checkpoint(self.run)
        runtime = Runtime.choose(self.device, self.dtype)
        sampling = Sampling(
            repetition_penalty=self.repetition_penalty,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            seed=self.seed,
        )
        pieces = generate_batch(
            with_linears_in(checkpoint.model(runtime.device), runtime.dtype),
            checkpoint.tokenizer(),
            [self.prompt] * self.samples,
            max_tokens=self.tokens,
            sampling=sampling,
            stop=self.stop,
        )
        if self.samples == 1:
            sys.stdout.write(self.prompt)
            for _, piece in pieces:
                sys.stdout.write(piece)
                sys.stdout.flush()
            sys.stdout.write("\n")
            return 0
        texts = [self.prompt] * self.samples
        for number, piece in pieces:
            texts[number] += piece
        for number, text in enumerate(texts, start=1):
            print(f"--- sample {number} of {self.samples}", file=sys.stderr)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        return 0


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a trained model on the whole validation split, in bits per byte."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or one checkpoint's."""
    data: Path | None = None
    """Folder of token shards; none: the one that the run learnt from."""
    split: str = "val"
    """Which split of the shards."""
    json: bool = False
    """Print one JSON object instead of text."""
    device: str = "auto"
    """auto, cpu or cuda."""
    dtype: str = "auto"
    """auto, float32 or bfloat16."""

    def __call__(self) -> int:
        """Print the losses; 0."""
        from gpt.checkpoint import read_checkpoint
        from gpt.data import open_data, open_split
        from gpt.evaluate import evaluate
        from gpt.runtime import Runtime

        checkpoint = read_checkpoint(self.run)
        state = checkpoint.state
        shards = open_data(self.data or state.recipe.data, fingerprint=state.fingerprint)
        runtime = Runtime.choose(self.device, self.dtype)
        with Bars() as bars:
            result = evaluate(
                checkpoint.model(runtime.device),
                open_split(shards, self.split),
                runtime=runtime,
                progress=lambda done, total: bars.update("evaluate", done, total),
            )
        if self.json:
            print(json.dumps({"step": state.step, **dataclasses.asdict(result)}))
            return 0
        print(f"step {state.step}, split {self.split}: {result.tokens:,} tokens predicted")
        print(f"  {result.bits_per_byte:.4f} bits per byte ({result.bytes:,} bytes)")
        print(f"  {result.nats_per_token:.4f} nats per token, perplexity {result.perplexity:.2f}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained model for other software: a Hugging Face folder, or a GGUF file."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or one checkpoint's."""
    out: tyro.conf.Positional[Path]
    """The folder or file to write."""
    to: Literal["hf", "gguf"]
    """hf: what transformers loads; gguf: what llama.cpp does."""

    def __call__(self) -> int:
        """Write it; 0."""
        from gpt.checkpoint import read_checkpoint

        checkpoint = read_checkpoint(self.run)
        if self.to == "hf":
            from gpt.formats.huggingface import export_folder

            family = export_folder(checkpoint, self.out)
        else:
            from gpt.formats.llama_cpp import export_file

            family = export_file(checkpoint, self.out)
        print(f"wrote {self.out}, a {family.name} model", file=sys.stderr)
        return 0


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a run of a Hugging Face folder of gpt2, llama or qwen3, to sample from and to measure.

    `gpt eval` needs --data for it: shards written with its tokenizer.
    """

    folder: tyro.conf.Positional[Path]
    """A folder with config.json, safetensors and the tokenizer."""
    out: Path
    """Folder of the run."""

    def __call__(self) -> int:
        """Write the run; 0."""
        from gpt.formats.huggingface import import_folder
        from gpt.formats.imported import write_imported

        write_imported(self.out, *import_folder(self.folder))
        out = shlex.quote(str(self.out))
        print(f"wrote {self.out}; next: gpt sample {out}", file=sys.stderr)
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of *arguments* (else of the process); return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot show, it shows escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        recipe = _recipe_defaults(given)
        command: Any = tyro.cli(
            _commands(recipe),
            prog="gpt",
            description="Train a GPT on token shards, write with it, measure it, pass it on.",
            args=given,
        )
    except ConfigError as error:
        print(f"gpt: {error}", file=sys.stderr)
        return 2
    try:
        return int(command())
    except (GPTError, PytokError) as error:
        message = error.message if isinstance(error, PytokError) else str(error)
        print(f"gpt: {message}", file=sys.stderr)
        return 1
    except ImportError as error:
        extra = "gguf" if error.name == "gguf" else "gpt"
        print(f"gpt: {error}: pip install 'pytok[{extra}]'", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of stdout left, as `head` does. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"gpt: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _commands(recipe: Recipe) -> Any:
    """Build the union that tyro makes subcommands of; *recipe* holds train's defaults."""
    return Union[  # noqa: UP007 (Annotated has no | in Python 3.10)
        Annotated[Train, tyro.conf.subcommand("train", default=Train(recipe=recipe))],
        Annotated[Sample, tyro.conf.subcommand("sample")],
        Annotated[Evaluate, tyro.conf.subcommand("eval")],
        Annotated[Export, tyro.conf.subcommand("export")],
        Annotated[Import, tyro.conf.subcommand("import")],
    ]


def _recipe_defaults(arguments: Sequence[str]) -> Recipe:
    """Plan the run that ``--data`` makes possible, or take the one found; then ``--config``.

    tyro needs defaults before it parses, so the options that decide them are looked for beforehand.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("command", nargs="?")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--depth", type=int)
    try:
        given = parser.parse_known_args(arguments)[0]
    except argparse.ArgumentError:  # tyro says it better
        return _without_data(Recipe(data=Path(), out=Path()))
    fields = {} if given.config is None else read_toml(given.config)
    data = given.data or (Path(fields["data"]) if "data" in fields else None)
    if given.command != "train" or data is None or {"-h", "--help"} & set(arguments):
        return _without_data(_over(Recipe(data=Path(), out=Path()), fields, given.config))
    out = given.out or Path(fields.get("out", Path("runs") / data.resolve().name))
    try:
        planned = _planned(data, out, given.preset, given.depth)
    except (CheckpointError, DataError):  # the command meets it again, when all options are read
        planned = Recipe(data=data, out=out)
    return _over(planned, fields, given.config)


def _planned(data: Path, out: Path, preset: str | None, depth: int | None) -> Recipe:
    """Take the recipe of the run in *out*, or plan one for *data* and this machine."""
    import torch

    from gpt.checkpoint import find_checkpoint, read_checkpoint
    from gpt.data import open_data, open_split

    if find_checkpoint(out) is not None:
        saved = dataclasses.replace(read_checkpoint(out).state.recipe, data=data, out=out)
        return resumed(saved, preset=preset, depth=depth)
    cuda = torch.cuda.is_available()
    return plan(
        data=data,
        out=out,
        tokens=len(open_split(open_data(data), "train")),
        machine=Machine.cuda() if cuda else Machine.cpu(torch.get_num_threads()),
        preset=preset or "fast",
        depth=depth,
    )


def _over(recipe: Recipe, fields: Mapping[str, Any], path: Path | None) -> Recipe:
    """*recipe* with the *fields* of the TOML file *path* in place of its own."""
    try:
        return from_plain(Recipe, _merged(recipe.to_dict(), fields))
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


def _without_data(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, data=tyro.MISSING, out=tyro.MISSING)


if __name__ == "__main__":
    sys.exit(main())
