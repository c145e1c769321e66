"""`gpt sample`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from gpt.commands.options import (
    PATH,
    SamplingOptions,
    ensemble_option,
    run_argument,
    sampling_options,
)
from gpt.errors import ConfigError
from pytok.commands.help import Command, option

if TYPE_CHECKING:
    from gpt.runs.reading import Checkpoint


@click.command(
    cls=Command,
    examples="""
    gpt sample runs/first --prompt "The "
    gpt sample runs/first --samples 4 --tokens 100 --temperature 1
    gpt sample runs/first/best --ensemble runs/second --stop "."
    gpt sample runs/base --adapter adapters/style --prompt "The "
    """,
)
@run_argument
@option(
    "--prompt",
    metavar="TEXT",
    default="",
    show_default="start of a document",
    help="Text to continue.",
)
@option(
    "--tokens", metavar="N", type=int, default=256, help="Maximum number of tokens to generate."
)
@option(
    "--samples",
    metavar="N",
    type=int,
    default=1,
    help="Number of texts, generated at once; each has the next seed.",
)
@option(
    "--heal/--no-heal",
    default=True,
    help="Token healing: let the last letters of the prompt begin a longer token.",
)
@option(
    "--context",
    metavar="N",
    type=click.IntRange(min=1),
    show_default="the model's",
    help="Context length, which can be longer than in training if the positions allow it.",
)
@option("--stop", metavar="TEXT", multiple=True, help="Stop before this text. Repeatable.")
@option(
    "--beams",
    metavar="N",
    type=int,
    default=1,
    group="Translation",
    help="Beam search with N beams; 1 is greedy decoding.",
)
@option(
    "--length-penalty",
    metavar="X",
    type=float,
    default=0.6,
    group="Translation",
    help="Exponent of the length penalty; 0 favors short translations.",
)
@option(
    "--adapter",
    metavar="FOLDER",
    type=PATH,
    help="Adapter to use: a folder of peft, or a tuned run of the same base.",
)
@ensemble_option
@sampling_options
@click.pass_context
def sample(
    ctx: click.Context,
    /,
    run: Path,
    prompt: str,
    tokens: int,
    samples: int,
    heal: bool,
    context: int | None,
    stop: tuple[str, ...],
    beams: int,
    length_penalty: float,
    adapter: Path | None,
    ensemble: tuple[Path, ...],
    sampling: SamplingOptions,
) -> int:
    """Generate text from a trained model; one sample is streamed.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. The text goes to stdout. A model that was trained on pairs translates the prompt,
    greedily or with a beam search; one of masked tokens fills in the masks of the prompt.
    """
    from gpt.generation.text import generate_batch
    from gpt.runs.reading import read_checkpoint

    if samples < 1:
        raise ConfigError(f"samples must be at least 1; got {samples}")
    checkpoint = read_checkpoint(run)
    if adapter is not None:
        from gpt.interop.adapters import adapted_checkpoint

        checkpoint = adapted_checkpoint(checkpoint, adapter)
    if checkpoint.state.config.reads_pairs:
        refuse(ctx, WITHOUT_TRANSLATION, "a model that translates")
        is_given = ctx.get_parameter_source("tokens") == ParameterSource.COMMANDLINE
        most = tokens if is_given else None
        print(translated(checkpoint, prompt, most, beams, length_penalty, sampling))
        return 0
    refuse(ctx, TRANSLATION, "a model of texts")
    if not checkpoint.state.config.causal:
        from gpt.generation.filling import fill

        refuse(ctx, WITHOUT_TRANSLATION, "a model of masked tokens")
        print(fill(sampling.model(checkpoint), checkpoint.tokenizer(), prompt))
        return 0
    deltas = generate_batch(
        sampling.model(checkpoint, ensemble, context),
        checkpoint.tokenizer(),
        [prompt] * samples,
        max_tokens=tokens,
        sampling=sampling.sampling(),
        stop=stop,
        stop_ids=checkpoint.stop_ids,
        healing=heal,
    )
    if samples == 1:
        sys.stdout.write(prompt)
        for _, text in deltas:
            sys.stdout.write(text)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return 0
    texts = [prompt] * samples
    for index, text in deltas:
        texts[index] += text
    for number, text in enumerate(texts, start=1):
        print(f"--- sample {number} of {samples}", file=sys.stderr)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 0


TRANSLATION = ("beams", "length_penalty")
"""Options of a model that translates only."""
WITHOUT_TRANSLATION = (
    *("samples", "context", "heal", "stop", "ensemble", "temperature", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "seed"),
)
"""Options of a model of texts only."""


def refuse(ctx: click.Context, names: Iterable[str], model: str) -> None:
    """Raise ConfigError if an option among *names* is given, which *model* cannot use."""
    for name in names:
        if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"remove {option}: it does not apply to {model}")


def translated(
    checkpoint: Checkpoint,
    source: str,
    tokens: int | None,
    beams: int,
    length_penalty: float,
    sampling: SamplingOptions,
) -> str:
    """Return the translation of *source* by the model of *checkpoint*."""
    from gpt.generation.beam import BeamSearch, translate

    search = BeamSearch(beams=beams, length_penalty=length_penalty, max_tokens=tokens)
    (text,) = translate(sampling.translator(checkpoint), checkpoint.tokenizer(), [source], search)
    return text
