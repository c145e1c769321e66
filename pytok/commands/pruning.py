"""`pytok prune`: a smaller vocabulary, with the tokens that a corpus needs."""

import functools
import io
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytok import corpus, formats
from pytok.atomic import replace_file
from pytok.commands.help import Command, option
from pytok.commands.options import (
    Reading,
    reading_options,
    saying_warnings,
    suggest_show,
    takes_tokenizer,
    threads_option,
)
from pytok.commands.paths import Input, Output, Source
from pytok.errors import CorpusError
from pytok.terminal import Bars, print_facts, say
from pytok.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@click.command(
    cls=Command,
    examples="""
    pytok prune cl100k_base corpus.txt --vocab 32768 -o small.json
    pytok prune tokenizer.json 'data/*.jsonl' --min-count 10 -o small.json
    pytok prune big.json corpus.txt --vocab 8192 -o small.json --ids rows.npy
    """,
)
@takes_tokenizer(named_by=click.argument("name", type=Input(), metavar="TOKENIZER"))
@click.argument("sources", type=Source(), nargs=-1, required=True, metavar="CORPUS...")
@option(
    "--vocab",
    metavar="N",
    type=click.IntRange(1),
    help="Keep N ids: the single bytes, the special tokens, and the most frequent tokens.",
)
@option(
    "--min-count",
    metavar="K",
    type=click.IntRange(1),
    show_default="1, without --vocab",
    help="Keep the tokens that occur at least K times, also inside longer tokens.",
)
@option(
    "-o",
    "--out",
    type=Output(path_type=Path),
    required=True,
    help="Output: *.json (Hugging Face's format), *.tiktoken, or a folder (for transformers).",
)
@option(
    "--ids",
    "ids_file",
    metavar="FILE",
    type=Output(dir_okay=False, path_type=Path),
    help="Write the old id of each new id, to select rows of a model: *.npy, or a JSON list.",
)
@threads_option
@reading_options
def prune(
    tokenizer: Tokenizer,
    sources: tuple[str, ...],
    vocab: int | None,
    min_count: int | None,
    out: Path,
    ids_file: Path | None,
    reading: Reading,
    num_threads: int | None,
) -> None:
    """Shrink a vocabulary to what a corpus needs.

    TOKENIZER is a file, a folder, or the name of an encoding such as cl100k_base; CORPUS are files,
    folders, or patterns such as 'data/*.jsonl'. The tokens that occur most often in the corpus are
    kept, with all tokens that they are merged from. Ids are renumbered without gaps, in their
    order. A text whose tokens and their parts are all kept has the same tokens as before; any other
    text has other tokens for the same bytes.

    The corpus is read twice: to count tokens, and to measure the result. `gpt prune` selects the
    rows of a model by the two tokenizers alone.
    """
    if vocab is not None and min_count is not None:
        raise click.UsageError("--vocab and --min-count are two ways to choose: remove one")
    files = corpus.resolve(sources)
    corpus.refuse_pipes(files, "the corpus is read twice; write its text to a file first")
    formats.check_target(out, tokenizer.pattern)

    from pytok import pruning, usage  # here, since they load numpy

    with saying_warnings(), Bars() as bars:
        pruned = pruning.prune(
            tokenizer,
            files,
            vocab,
            min_count=min_count,
            num_threads=num_threads,
            progress=functools.partial(bars.update, "count"),
            **reading,
        )
        before = pruned.before
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", corpus.SkippedWarning)  # they were reported
            after = usage.count_uses(
                pruned.tokenizer,
                files,
                num_threads=num_threads,
                progress=functools.partial(bars.update, "measure"),
                **reading,
            )
    if before.bytes != after.bytes:
        raise CorpusError(
            f"the corpus had {before.bytes:,} bytes of text when it was read first and "
            f"{after.bytes:,} then: save it as a file that does not change"
        )
    pruned.tokenizer.save(out)
    if ids_file is not None:
        replace_file(ids_file, _content(ids_file, pruned.ids))
    growth = after.tokens / before.tokens - 1 if before.tokens else 0.0
    print_facts(
        {
            "ids": f"{len(pruned.ids):,} of {tokenizer.n_vocab:,}",
            "corpus": f"{before.bytes:,} bytes",
            "tokens": f"{after.tokens:,}, before {before.tokens:,} ({growth:+.2%})",
            "bytes per token": f"{after.bytes_per_token:.3f}, before {before.bytes_per_token:.3f}",
        }
    )
    say(f"{out}: {len(pruned.ids):,} ids")
    for note in formats.notes(out, pruned.tokenizer.definition):
        say(f"{out}: {note}")
    suggest_show(str(out), pruned.tokenizer)


def _content(path: Path, ids: "npt.NDArray[np.int64]") -> bytes:
    """Return the content of the file *path* of *ids*."""
    if path.suffix != ".npy":
        return json.dumps(ids.tolist()).encode() + b"\n"
    import numpy as np

    file = io.BytesIO()
    np.save(file, ids)
    return file.getvalue()
