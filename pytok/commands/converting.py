"""Files for other software: `pytok convert` writes tokenizers, `pytok shard` token shards."""

import shlex

import click

from pytok import formats
from pytok.commands.help import Command, option
from pytok.commands.options import (
    MAX_SPECIALS,
    Reading,
    named,
    reading_options,
    saying_warnings,
    suggest_show,
    takes_tokenizer,
    threads_option,
    tokenizer_option,
)
from pytok.commands.paths import Input, Output, sources_argument
from pytok.counted import counted
from pytok.terminal import Bars, say
from pytok.tokenizer import Tokenizer


@click.command(
    cls=Command,
    examples="""
    pytok convert cl100k_base tokenizer.json
    pytok convert tokenizer.json for-transformers/
    pytok convert ranks.tiktoken tokenizer.json --pattern cl100k
    pytok convert base.json chat.json --add-special '<|user|>'
    """,
)
@takes_tokenizer(named_by=click.argument("name", type=Input(), metavar="IN"))
@click.argument("target", type=Output(), metavar="OUT")
@option(
    "--add-special",
    "new",
    metavar="TOKEN",
    multiple=True,
    help="Special token to add, with the id after the greatest; repeatable.",
)
def convert(tokenizer: Tokenizer, target: str, new: tuple[str, ...]) -> None:
    """Convert a tokenizer to another format.

    IN is a file, a folder, or the name of an encoding such as cl100k_base. OUT decides the format:

    \b
    *.json       tokenizer.json of Hugging Face
    *.tiktoken   ranks only, without pattern and special tokens
    a folder     for AutoTokenizer.from_pretrained of transformers; with
                 GPT-2's pattern it also has vocab.json and merges.txt

    The ids stay the same. What OUT does not hold is printed; a tokenizer whose ids it cannot
    represent is an error.
    """  # noqa: D301 (click wants a backspace)
    tokenizer = tokenizer.with_special_tokens(new) if new else tokenizer
    tokenizer.save(target)
    say(f"{target}: {tokenizer.n_vocab:,} ids")
    for note in formats.notes(target, tokenizer.definition):
        say(f"{target}: {note}")
    _, *arguments = named(target, tokenizer)
    if arguments:
        rest = len(tokenizer.special_tokens) - MAX_SPECIALS
        more = f" and so on for {counted(rest, 'more special token')}" if rest > 0 else ""
        say(f"{target}: to read it, pass {shlex.join(arguments)}{more}")
    suggest_show(target, tokenizer)


@click.command(
    cls=Command,
    examples="""
    pytok shard corpus.txt -t tokenizer.json -o data/
    pytok shard 'wiki/*.jsonl' -t gpt2 -o data/ --val 0.01 --split documents
    """,
)
@sources_argument
@option("-o", "--out", type=Output(), required=True, help="The folder to write.")
@option(
    "--val",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    help="Fraction to hold out for validation.",
)
@option(
    "--split",
    type=click.Choice(["tail", "documents"]),
    default="tail",
    help="Hold out the end of the text, or documents at even intervals.",
)
@option(
    "--shard-tokens",
    metavar="N",
    type=click.IntRange(1),
    show_default="100 million, as in llm.c",
    help="Maximum tokens per file.",
)
@option("--overwrite", is_flag=True, help="Replace the folder if it exists.")
@threads_option
@tokenizer_option
@reading_options
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
    """Write token shards for `gpt train`.

    SOURCES are files, folders, patterns such as 'data/*.jsonl', or - for stdin, which is also read
    if none is given. The .bin files have the format of llm.c and modded-nanogpt; shards.json
    records the tokenizer and the number of bytes of text. The folder appears complete or not at
    all.
    """
    from pytok import shards  # here, since it loads numpy

    with saying_warnings(), Bars() as bars:
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
            f"{out}: {kind}: {counted(part.tokens, 'token')}, {counted(part.bytes, 'byte')} of "
            f"text, {counted(part.documents, 'document')}"
        )
    say(f"next: {shlex.join(['gpt', 'train', '--data', out])}")
