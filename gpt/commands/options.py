"""Arguments and options that several commands have, and the command line as text."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from gpt.runs.retention import CHECKPOINTS
from gpt.runs.sealed_folder import SUMS
from gpt.spec.presets import EXPORTABLE
from pytok.commands.help import option
from pytok.commands.paths import Input, Output, PathName

if TYPE_CHECKING:
    import torch

    from gpt.generation.sampling import Sampling
    from gpt.model.language_model import LanguageModel
    from gpt.model.seq2seq import Seq2Seq
    from gpt.runs.reading import Checkpoint

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M")

FILES_OF_RUN = (
    CHECKPOINTS,
    "data",
    "metrics.jsonl",
    "lost.jsonl",
    "samples.jsonl",
    "sessions.jsonl",
)
"""What a run folder holds that cannot be made again from the rest."""
*_FIRST, _LAST = EXPORTABLE
ABOUT_PRESETS = f"fast learns quickest but cannot be exported; {', '.join(_FIRST)} and {_LAST} can."
PATH = PathName(path_type=Path)
"""A path, which is checked when it is opened."""
OUTPUT = Output(path_type=Path)
"""A file or folder to write, which must not be one that is read."""


class RunFolder(Input):
    """A run, or a checkpoint of one, whose files no output can replace."""

    def reads(self, value: str | os.PathLike[str]) -> Iterable[str | os.PathLike[str]]:
        """Return what a run has written and reads again; other files in the folder are yours."""
        if (Path(value) / SUMS).is_file():
            return [value]
        return [Path(value) / name for name in FILES_OF_RUN]


RUN = RunFolder(path_type=Path)
run_argument = click.argument("run", type=RUN)
device_option = option(
    "--device",
    metavar="DEVICE",
    default="auto",
    group="Machine",
    help="auto, cpu or cuda.",
)


def dtype_option(*more: str, group: str = "Machine") -> Callable[[F], F]:
    """Give a command `dtype`, with the choices *more* besides those of all commands."""
    return option(
        "--dtype",
        metavar="TYPE",
        type=click.Choice(["auto", "float32", "bfloat16", *more]),
        default="auto",
        group=group,
        help="Precision of matrix products: float32, bfloat16, or auto, the faster of the two."
        + (" int8 rounds the weights and is the fastest." if "int8" in more else ""),
    )


ensemble_option = option(
    "--ensemble",
    metavar="RUN",
    type=RUN,
    multiple=True,
    help="Another run with the same tokenizer: average the models' probabilities. Repeatable.",
)


class NoneOr(click.ParamType):  # type: ignore[type-arg]
    """Another type, or `none` for an option that is absent."""

    def __init__(self, other: click.ParamType) -> None:  # type: ignore[type-arg]
        self.other = other
        self.name = other.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the other type makes of *value*."""
        if isinstance(value, str) and value.casefold() == "none":
            return None
        return self.other.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Complete as the other type does."""
        return self.other.shell_complete(ctx, param, incomplete)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How tokens are sampled, and on what device."""

    repetition_penalty: float
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    seed: int
    device: str
    dtype: str

    def sampling(self) -> Sampling:
        """Return these as the library takes them; raises ConfigError."""
        from gpt.generation.sampling import Sampling

        return Sampling(
            repetition_penalty=self.repetition_penalty,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            seed=self.seed,
        )

    def model(
        self,
        checkpoint: Checkpoint,
        ensemble: Sequence[Path] = (),
        context: int | None = None,
    ) -> LanguageModel:
        """Return the model of *checkpoint*, or its ensemble with other runs, to sample from.

        *context* is that of `Checkpoint.model`.
        """
        from gpt.generation.ensemble import open_ensemble

        return self._copied(lambda device: open_ensemble(checkpoint, ensemble, device, context))

    def translator(self, checkpoint: Checkpoint) -> Seq2Seq:
        """Return the model of *checkpoint*, which reads pairs, to translate with."""
        return self._copied(lambda device: cast("Seq2Seq", checkpoint.any_model(device)))

    def _copied(self, build: Callable[[torch.device], M]) -> M:
        """Return a copy of what *build* builds on the device, for inference in the dtype."""
        import torch

        from gpt.generation.decoder import inference_copy
        from gpt.parallel.runtime import Runtime

        wanted = {"int8": "auto"}.get(self.dtype, self.dtype)
        if wanted == self.dtype == "auto" and self.temperature == 0:
            # Greedy text is wanted where it must repeat, or equal that of other software. In
            # bfloat16 the likeliest of two close tokens depends on the processor.
            wanted = "float32"
        runtime = Runtime.choose(self.device, wanted)
        dtype = torch.int8 if self.dtype == "int8" else runtime.dtype
        return inference_copy(build(runtime.device), dtype)


def sampling_options(command: F) -> F:
    """Give a command `sampling`, a `SamplingOptions`."""

    @option(
        "--temperature",
        metavar="X",
        type=float,
        default=0.8,
        group="Sampling",
        help="Below 1 favors likely tokens; 0 is greedy: always the most likely one.",
    )
    @option(
        "--top-k",
        metavar="N",
        type=int,
        group="Sampling",
        help="Sample from the N most likely tokens.",
    )
    @option(
        "--top-p",
        metavar="P",
        type=float,
        group="Sampling",
        help="Nucleus sampling: keep the smallest set of tokens with this total probability.",
    )
    @option(
        "--min-p",
        metavar="P",
        type=float,
        group="Sampling",
        help="Keep tokens with at least this fraction of the highest probability.",
    )
    @option(
        "--repetition-penalty",
        metavar="X",
        type=float,
        default=1.0,
        group="Sampling",
        help="Above 1 makes tokens that the text already has less likely.",
    )
    @option("--seed", metavar="N", type=int, default=0, group="Sampling", help="Random seed.")
    @device_option
    @dtype_option("int8")
    @functools.wraps(command)
    def run(
        repetition_penalty: float,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        min_p: float | None,
        seed: int,
        device: str,
        dtype: str,
        **rest: Any,
    ) -> Any:
        sampling = SamplingOptions(
            repetition_penalty=repetition_penalty,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            seed=seed,
            device=device,
            dtype=dtype,
        )
        return command(sampling=sampling, **rest)

    return cast(F, run)


def refuse_same(out: Path, *inputs: Path | None) -> None:
    """Raise UsageError if the run folder *out* is one of *inputs*; one may be in the other."""
    for each in inputs:
        if each is not None and out.exists() and each.exists() and out.samefile(each):
            raise click.UsageError(
                f"{out} is read, so no run can be written there: choose another --out"
            )


def command_line() -> str:
    """Return the command as it can be typed again."""
    arguments = click.get_current_context().find_root().obj
    return f"gpt {shlex.join(sys.argv[1:] if arguments is None else arguments)}"
