"""`gpt sample`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gpt.commands.options import SamplingOptions, ensemble_option, run_argument, sampling_options
from gpt.errors import ConfigError
from pytok.commands.help import Command, option


@click.command(
    cls=Command,
    examples="""
    gpt sample runs/first --prompt "The "
    gpt sample runs/first --samples 4 --tokens 100 --temperature 1
    gpt sample runs/first/best --ensemble runs/second --stop "."
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
@option("--tokens", metavar="N", type=int, default=256, help="Tokens to generate at most.")
@option(
    "--samples",
    metavar="N",
    type=int,
    default=1,
    help="Texts to generate at once; each has the seed after that of the one before.",
)
@option(
    "--heal/--no-heal",
    default=True,
    help="Let the prompt end inside a token: its end is sampled again, with the same text.",
)
@option(
    "--context",
    metavar="N",
    type=click.IntRange(min=1),
    show_default="the model's",
    help="Tokens that a prediction can attend to, more than in training if its positions allow it.",
)
@option("--stop", metavar="TEXT", multiple=True, help="Stop before this text. Repeatable.")
@ensemble_option
@sampling_options
def sample(
    run: Path,
    prompt: str,
    tokens: int,
    samples: int,
    heal: bool,
    context: int | None,
    stop: tuple[str, ...],
    ensemble: tuple[Path, ...],
    sampling: SamplingOptions,
) -> int:
    """Generate text from a trained model; one sample is streamed.

    RUN is a run folder, for its newest checkpoint; RUN/best, for its best one; or the folder of a
    checkpoint. The text goes to stdout.
    """
    from gpt.generation.text import generate_batch
    from gpt.runs.reading import read_checkpoint

    if samples < 1:
        raise ConfigError(f"samples must be at least 1; got {samples}")
    checkpoint = read_checkpoint(run)
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
