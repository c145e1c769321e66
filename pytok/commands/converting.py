"""What is at hand into files that others read: `pytok convert` and `pytok shard`.

A tokenizer into another format, a corpus into token shards.
"""

import click

from pytok.commands.options import (
    Reading,
    reading_options,
    takes_tokenizer,
    threads_option,
    tokenizer_option,
)
from pytok.counted import counted
from pytok.patterns import pattern_name
from pytok.terminal import Bars, say
from pytok.tokenizer import Tokenizer


@click.command()
@takes_tokenizer(named_by=click.argument("name", metavar="IN"))
@click.argument("target", metavar="OUT")
def convert(tokenizer: Tokenizer, target: str) -> None:
    """Convert a tokenizer to another format.

    The ids stay the same.

    \b
    *.json       Hugging Face's tokenizer.json
    *.tiktoken   ranks only, neither pattern nor special tokens
    a folder     GPT-2's vocab.json and merges.txt

    IN may also be an encoding's name, such as cl100k_base. What the target cannot hold is refused.
    """  # noqa: D301 (click wants a backspace)
    tokenizer.save(target)
    say(f"{target}: {tokenizer.n_vocab:,} ids")
    if target.endswith(".tiktoken"):
        pattern = pattern_name(tokenizer.pattern) or tokenizer.pattern
        say(
            f"{target} holds ranks only; to read it, say --pattern {pattern!r}"
            + "".join(
                f" --special-token '{text}={id}'" for text, id in tokenizer.special_tokens.items()
            )
        )


@click.command()
@click.argument("sources", nargs=-1, required=True)
@tokenizer_option
@click.option("-o", "--out", type=click.Path(), required=True, help="The folder to write.")
@click.option(
    "--val",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="The share of the text to hold out for validation.",
)
@click.option(
    "--split",
    type=click.Choice(["share", "documents"]),
    default="share",
    show_default=True,
    help="Hold out the last of the text, or whole documents, evenly spread.",
)
@click.option(
    "--shard-tokens",
    type=click.IntRange(1),
    help="How many tokens a file holds at most.  [default: 100 million, as llm.c's]",
)
@click.option("--overwrite", is_flag=True, help="Replace the folder if it is there.")
@reading_options
@threads_option
def shard(
    sources: tuple[str, ...],
    tokenizer: Tokenizer,
    out: str,
    val: float,
    split: str,
    shard_tokens: int | None,
    overwrite: bool,
    reading: Reading,
    num_threads: int | None,
) -> None:
    """Tokenize text into shards that `gpt train` reads.

    The .bin files are those of llm.c and modded-nanogpt; shards.json says which tokenizer wrote
    them and how many bytes of text they stand for. The folder appears whole or not at all.
    """
    from pytok import shards  # here, since it loads numpy

    with Bars() as bars:
        written = shards.write(
            sources,
            tokenizer,
            out,
            val=val,
            split=split,
            **reading,
            shard_tokens=shard_tokens or shards.SHARD_TOKENS,
            num_threads=num_threads,
            overwrite=overwrite,
            progress=lambda done, total: bars.update("shard", done, total),
        )
    for kind, part in written.splits.items():
        say(
            f"{out}: {kind}: {counted(part.tokens, 'token')} of {counted(part.bytes, 'byte')} in "
            f"{counted(part.documents, 'document')}"
        )
