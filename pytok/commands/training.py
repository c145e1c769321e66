"""`pytok train`, and `pytok count-pieces`, the part of training that many machines can share.

Invalid requests are rejected before the corpus is read, which can take hours.
"""

import functools
import shlex
import warnings
from pathlib import Path

import click

import pytok
from pytok import corpus, countfile, formats
from pytok.commands.help import Command, option
from pytok.commands.options import (
    Counting,
    Reading,
    counting_options,
    engine_option,
    merging_options,
    reading_options,
    saying_warnings,
    suggest_show,
)
from pytok.commands.paths import Input, Output, sources_argument
from pytok.commands.reporting import measure, report_option, write_report
from pytok.counted import counted
from pytok.counting import split_by
from pytok.encodings import open_tokenizer
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.merging import MergeRules
from pytok.terminal import Bars, say


@click.command(
    cls=Command,
    examples="""
    pytok train corpus.txt --vocab 4096
    pytok train 'data/*.jsonl' --field content --vocab 32768 -o bpe.json
    pytok train corpus.txt --vocab 16384 --report report.html
    zcat wiki/*.jsonl.gz | pytok train - --vocab 32768
    pytok train --counts counts/*.parquet --vocab 50257
    """,
)
@sources_argument
@option(
    "--vocab",
    type=click.IntRange(256),
    required=True,
    metavar="N",
    help="Vocabulary size: 256 bytes, merges and special tokens.",
)
@option(
    "-o",
    "--out",
    type=Output(),
    default="tokenizer.json",
    help="Output: *.json (Hugging Face's format), *.tiktoken, or a folder (for transformers).",
)
@option(
    "--base",
    type=Input(),
    metavar="TOKENIZER",
    help="Extend this tokenizer; its tokens, ids, pattern and special tokens are kept, and counted "
    "in --vocab.",
)
@report_option
@engine_option
@counting_options
@merging_options
@reading_options
def train(
    sources: tuple[str, ...],
    vocab: int,
    out: str,
    base: str | None,
    rules: MergeRules,
    counting: Counting,
    from_counts: bool,
    reading: Reading,
    report: str | None,
    engine: EngineName,
) -> None:
    """Train a tokenizer on text.

    SOURCES are files, folders, patterns such as 'data/*.jsonl', or - for stdin, which is also read
    if none is given: text, .jsonl and .parquet files, plain or compressed (.gz, .zst, .xz, .bz2),
    and archives of them (.tar, .zip). With --counts, they are files of counts from
    `pytok count-pieces`.

    The most frequent pair of neighboring tokens is merged first. The result does not depend on the
    number of threads nor, except with --ties first, on the order of documents.
    """
    if report and from_counts:
        raise click.UsageError(
            "--report needs text, not counts: remove --report, and make the report with "
            "`pytok show TOKENIZER --corpus TEXT --report PAGE`"
        )
    files = corpus.resolve(sources)
    if report:
        corpus.refuse_pipes(files, "remove --report, or write its text to a file first")
    source: list[Path] | pytok.PieceCounts = files
    with saying_warnings(), Bars() as bars:
        if from_counts:
            source = pytok.PieceCounts.load(
                files,
                engine=engine,
                num_threads=counting["num_threads"],
                max_memory=counting["max_memory"],
                progress=functools.partial(bars.update, "count"),
            )
        extended = None if base is None else open_tokenizer(base, engine)
        splitting = extended or split_by(source, counting["pattern"], counting["special_tokens"])
        formats.check_target(out, splitting.pattern)
        tokenizer = pytok.train(
            source,
            vocab,
            base=extended,
            engine=engine,
            name=Path(out).stem,
            progress=bars.update,
            **rules._asdict(),
            **counting,
            **reading,
        )
    if Path(out).is_file():
        say(f"{out}: replacing the file; -o names another")
    try:
        tokenizer.save(out)
    except FormatError as error:
        rescue = f"{Path(out)}.tiktoken"  # not inside a folder that is yet to be made
        tokenizer.save(rescue)
        raise FormatError(f"{error.message}; the trained vocabulary is in {rescue}") from None
    merges = counted(len(tokenizer.vocab) - 256, "merge")
    say(
        f"{out}: {tokenizer.n_vocab:,} ids: 256 bytes, {merges}, "
        f"{counted(len(tokenizer.special_tokens), 'special token')}"
    )
    if not out.endswith(".tiktoken"):  # there it is the choice of the user
        for note in formats.notes(out, tokenizer.definition):
            say(f"{out}: {note}")
    if report:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", corpus.SkippedWarning)  # they were reported
            write_report(report, measure(tokenizer, files, reading, counting["num_threads"]))
    suggest_show(out, tokenizer)


@click.command(
    cls=Command,
    examples="""
    pytok count-pieces corpus/a* -o counts/a.parquet
    pytok count-pieces corpus/b* -o counts/b.parquet
    pytok train --counts counts/*.parquet --vocab 50257
    """,
)
@sources_argument
@option("-o", "--out", type=Output(), required=True, help="Output file of counts: *.parquet.")
@counting_options
@reading_options
def count_pieces(
    sources: tuple[str, ...],
    out: str,
    counting: Counting,
    from_counts: bool,
    reading: Reading,
) -> None:
    """Count pieces of text, to train on many machines.

    Counting is the part of training that machines can share. Each machine counts some of the files;
    `pytok train --counts` adds up the counts of all machines, and its result equals that of
    training on the files themselves.
    """
    countfile.check_target(Path(out))
    files = corpus.resolve(sources)
    pattern, special_tokens = counting["pattern"], counting["special_tokens"]
    num_threads, max_memory = counting["num_threads"], counting["max_memory"]
    with saying_warnings(), Bars() as bars:
        progress = functools.partial(bars.update, "count")
        if from_counts:
            counts = pytok.PieceCounts.load(
                files, num_threads=num_threads, max_memory=max_memory, progress=progress
            )
            split_by(counts, pattern, special_tokens)
        else:
            splitting = split_by(files, pattern, special_tokens)
            counts = pytok.count_pieces(
                files,
                pattern=splitting.pattern,
                special_tokens=splitting.special_tokens,
                num_threads=num_threads,
                max_memory=max_memory,
                progress=progress,
                **reading,
            )
        saved = counts.save(out, prune=counting["prune"])
    say(f"{out}: {saved.written}")
    if saved.dropped.pieces:
        say(f"pruning dropped {saved.dropped}")
    say(f"next: {shlex.join(['pytok', 'train', '--counts', out, '--vocab', '4096'])}")
