"""`pytok show`: the parts of a tokenizer, how it splits a text, how it compresses a corpus.

Output: lines and colors for people, JSON for programs, or a page (`pytok.commands.reporting`).
"""

import json
import re
from pathlib import Path

import click

from pytok.commands.help import Command, option
from pytok.commands.options import (
    Reading,
    json_option,
    reading_options,
    saying_warnings,
    takes_tokenizer,
    threads_option,
)
from pytok.commands.paths import Input, Output, Source
from pytok.commands.reporting import (
    measure,
    report_option,
    write_frequencies,
    write_report,
)
from pytok.patterns import pattern_name
from pytok.terminal import print_colored, print_facts
from pytok.tokenizer import Tokenizer


@click.command(
    cls=Command,
    examples="""
    pytok show tokenizer.json --text "How is this split?"
    pytok show cl100k_base --corpus corpus.txt --report page.html
    pytok show cl100k_base --corpus corpus.txt --frequencies tokens.csv
    """,
)
@option("--text", help="Show how this text is split, in colors.")
@option(
    "--corpus",
    "sources",
    type=Source(),
    multiple=True,
    metavar="SOURCE",
    help="Measure compression on this file, folder, pattern or pipe; can be repeated.",
)
@option(
    "--frequencies",
    metavar="FILE.csv",
    type=Output(dir_okay=False, path_type=Path),
    help="Write how often each token occurs in the corpus.",
)
@report_option
@json_option
@threads_option
@takes_tokenizer(named_by=click.argument("name", type=Input(), metavar="TOKENIZER"))
@reading_options
def show(
    tokenizer: Tokenizer,
    text: str | None,
    sources: tuple[str, ...],
    frequencies: Path | None,
    report: str | None,
    reading: Reading,
    num_threads: int | None,
    as_json: bool,
) -> None:
    """Show a tokenizer and how it splits text.

    Prints the size, pattern, special tokens and merges; with --text how a text is split; with
    --corpus how well a corpus is compressed. TOKENIZER is a file, a folder, or the name of an
    encoding such as cl100k_base.
    """
    if frequencies is not None and not sources:
        raise click.UsageError("--frequencies needs a text to count in: pass --corpus")
    ids = None if text is None else tokenizer.encode(text, disallowed_special=())
    figures = None
    if sources or report:
        with saying_warnings():
            figures = measure(tokenizer, sources or None, reading, num_threads)
        if report:
            write_report(report, figures, text)
        if frequencies is not None:
            write_frequencies(frequencies, figures)
    tokens = list(tokenizer.vocab)
    longest = max(tokens, key=len)
    facts = {
        "name": tokenizer.name,
        "ids": tokenizer.n_vocab,
        "merges": sum(len(token) > 1 for token in tokens),
        "pattern": pattern_name(tokenizer.pattern) or tokenizer.pattern,
        "special_tokens": dict(tokenizer.special_tokens),
        "longest_token": longest.decode("utf-8", "backslashreplace"),
        "fingerprint": tokenizer.fingerprint,
    }
    if as_json:
        text_ids = {} if ids is None else {"text": text, "text_ids": ids}
        measured = {} if figures is None else figures.as_dict()
        click.echo(json.dumps(facts | measured | text_ids, ensure_ascii=False))
        return
    merged = [token for token in tokens if len(token) > 1]
    rows = {key.replace("_", " "): _formatted(value) for key, value in facts.items()} | {
        "longest token": _quoted(longest if len(longest) <= 64 else longest[:61] + b"..."),
        "first merges": " ".join(map(_quoted, merged[:12])),
        "last merges": " ".join(map(_quoted, merged[-8:])),
    }
    if figures is not None and (usage := figures.usage) is not None:
        rows["corpus"] = f"{usage.bytes:,} bytes in {usage.tokens:,} tokens"
        rows["bytes per token"] = f"{usage.bytes_per_token:.3f}"
        rows["never used"] = f"{usage.unused:,} tokens"
    print_facts(rows)
    if ids is not None and text is not None:
        # A token can end inside a character: the decoder holds its bytes back until it is complete.
        decoder = tokenizer.decoder()
        pieces = [*map(decoder.feed, ids), decoder.finish()]
        size = len(text.encode("utf-8", "replace"))
        print_colored(filter(None, pieces), f"{len(ids)} tokens, {size} bytes: {ids}")


def _formatted(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        more = f" and {len(value) - 8:,} more" if len(value) > 8 else ""
        return ", ".join(f"{text} = {id}" for text, id in list(value.items())[:8]) + more or "none"
    return str(value)


def _quoted(token: bytes) -> str:
    text = json.dumps(token.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
