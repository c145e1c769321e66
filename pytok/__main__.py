"""The `pytok` command: each subcommand parses its arguments and makes one call of the library.

Results go to stdout, progress and messages to stderr. Exit codes: 0; 1 it failed, and one line says
what and what to do; 2 the arguments are wrong; 130 Ctrl-C.
"""

import contextlib
import functools
import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar, cast, get_args

import click

import pytok
from pytok import corpus, countfile, formats
from pytok.counting import split_by
from pytok.encodings import open_tokenizer
from pytok.engine import MAX_THREADS, EngineName, Ties
from pytok.errors import CorpusError, FormatError, PytokError
from pytok.reference.pretokenize import PATTERNS, can_cut, parts
from pytok.terminal import Bars, coloured
from pytok.tokenizer import Tokenizer

F = TypeVar("F", bound=Callable[..., Any])


def _options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


engine_option = click.option(
    "--engine",
    type=click.Choice(["native", "reference"]),
    default="native",
    show_default=True,
    help="The compiled engine, or its readable twin in Python: same answers, slower.",
)
tokenizer_parts = _options(
    click.option(
        "--pattern",
        help="How text is split, where the tokenizer is a .tiktoken file, which does not say.",
    ),
    click.option(
        "--special-token",
        "special_tokens",
        multiple=True,
        metavar="TOKEN=ID",
        help="A special token of a .tiktoken file; may be given several times.",
    ),
    engine_option,
)


def takes_tokenizer(*, named_by: Callable[[Any], Any]) -> Callable[[F], F]:
    """Give a command the tokenizer that *named_by*, an argument or option `name`, names."""

    def decorate(command: F) -> F:
        @named_by
        @tokenizer_parts
        @functools.wraps(command)
        def run(
            name: str,
            pattern: str | None,
            special_tokens: tuple[str, ...],
            engine: EngineName,
            **rest: Any,
        ) -> Any:
            specials = dict(map(_special_of, special_tokens)) or None
            if pattern is None and specials is None:
                tokenizer = open_tokenizer(name, engine)
            else:
                tokenizer = pytok.load(
                    name, pattern=pattern, special_tokens=specials, engine=engine
                )
            return command(tokenizer=tokenizer, **rest)

        return cast(F, run)

    return decorate


tokenizer_option = takes_tokenizer(
    named_by=click.option(
        "-t",
        "--tokenizer",
        "name",
        required=True,
        metavar="TOKENIZER",
        help="A tokenizer.json, a .tiktoken file, a folder with vocab.json and merges.txt, or an "
        "encoding's name such as cl100k_base.",
    )
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="How many threads to use.  [default: all cores]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
corpus_options = _options(
    click.option(
        "--field",
        default="text",
        show_default=True,
        help="The field of .jsonl, or the column of .parquet, that holds the text.",
    ),
    click.option(
        "--errors",
        type=click.Choice(["strict", "replace"]),
        default="strict",
        show_default=True,
        help="Invalid UTF-8: stop and say where, or put U+FFFD in its place.",
    ),
    click.option(
        "--separator",
        metavar="TEXT",
        help="Split text files into documents at this, e.g. '<|endoftext|>'.",
    ),
)


def _bytes_of(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}) ?(?:([KMGT])(i?B)?|B)?", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no amount of memory, such as 4GiB or 500MB")
    thousand = 1000 if found[3] == "B" else 1024
    return int(found[1]) * int(thousand ** (" KMGT".index(found[2] or " ")))


counting_options = _options(
    click.option(
        "--pattern",
        help=f"How text is split before merging: {', '.join(PATTERNS)}, or a regex in Rust's "
        "syntax.  [default: cl100k, or that of the counts]",
    ),
    click.option(
        "--special",
        multiple=True,
        metavar="TOKEN",
        help="A special token, which is cut out of the text; may be given several times.  "
        "[default: <|endoftext|>, or those of the counts]",
    ),
    click.option("--no-special", is_flag=True, help="No special tokens at all."),
    click.option(
        "--counts",
        "from_counts",
        is_flag=True,
        help="SOURCES are no text, but what `pytok count-pieces` wrote; it is added up.",
    ),
    click.option(
        "--max-memory",
        metavar="SIZE",
        callback=_bytes_of,
        help="Let counts take so much memory, such as 4GiB, and then go to temporary files; the "
        "result is the same.",
    ),
    click.option(
        "--prune",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Drop the pieces that occur fewer than N times; that changes the result.",
    ),
    corpus_options,
    threads_option,
)


def _specials(special: tuple[str, ...], no_special: bool) -> tuple[str, ...] | None:
    """The special tokens that are asked for, ``None`` where nothing is said."""
    return () if no_special else special or None


merging_options = _options(
    click.option(
        "--base",
        metavar="TOKENIZER",
        help="Go on from this tokenizer: its tokens, ids, pattern and special tokens are kept, and "
        "--vocab counts them too.",
    ),
    click.option(
        "--ties",
        type=click.Choice(get_args(Ties)),
        default="hf",
        show_default=True,
        help="Which of equally frequent pairs is merged first: the one that Hugging Face, rustbpe, "
        "minbpe and tiktoken (first), or CS336 would take.",
    ),
    click.option(
        "--min-frequency",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Never merge a pair that occurs less often.",
    ),
    click.option(
        "--max-token-length",
        type=click.IntRange(3),
        help="Merge only what has fewer bytes.  [default: no limit]",
    ),
    click.option(
        "--limit-alphabet",
        type=click.IntRange(1),
        help="Merge only characters among so many, the most frequent.  [default: all]",
    ),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytok")
def cli() -> None:
    """Train byte-level BPE tokenizers, and use them.

    \b
    pytok train corpus.txt --vocab 50257 -o tokenizer.json
    pytok show tokenizer.json --text "How is this split?"
    echo "some text" | pytok encode -t tokenizer.json
    pytok shard corpus.txt -t tokenizer.json -o data/
    """  # noqa: D301 (click wants a backspace)


@cli.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--vocab",
    type=click.IntRange(256),
    required=True,
    help="How many ids in all: 256 bytes, the merges, and the special tokens.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    default="tokenizer.json",
    show_default=True,
    help="Where to write it: *.json (Hugging Face's format), *.tiktoken, or a folder (GPT-2's).",
)
@merging_options
@counting_options
@engine_option
def train(
    sources: tuple[str, ...],
    vocab: int,
    out: str,
    base: str | None,
    ties: Ties,
    min_frequency: int,
    max_token_length: int | None,
    limit_alphabet: int | None,
    pattern: str | None,
    special: tuple[str, ...],
    no_special: bool,
    from_counts: bool,
    max_memory: int | None,
    prune: int,
    field: str,
    errors: str,
    separator: str | None,
    threads: int | None,
    engine: EngineName,
) -> None:
    """Train a tokenizer on SOURCES: files, folders, or patterns such as 'data/*.jsonl'.

    Text files, .jsonl and .parquet are read, plain or .gz or .zst; or, with --counts, what was
    counted elsewhere. The most frequent pair of neighbouring tokens is merged first, and among
    equals the one with the smallest ids, as Hugging Face does it; the result depends neither on the
    order of documents (but for --ties first) nor on the threads.
    """
    source: Any = corpus.resolve(sources)
    with Bars() as bars, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count_bar = functools.partial(bars.update, "count")
        if from_counts:
            source = pytok.PieceCounts.load(
                source,
                engine=engine,
                num_threads=threads,
                max_memory=max_memory,
                progress=count_bar,
            )
        specials = _specials(special, no_special)
        begun = None if base is None else open_tokenizer(base, engine)
        kept = begun.pattern if begun else split_by(source, pattern, specials).pattern
        formats.check_target(out, kept)
        tokenizer = pytok.train(
            source,
            vocab,
            pattern=pattern,
            special_tokens=specials,
            base=begun,
            ties=ties,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            limit_alphabet=limit_alphabet,
            engine=engine,
            name=Path(out).stem,
            field=field,
            errors=errors,
            separator=separator,
            num_threads=threads,
            max_memory=max_memory,
            prune=prune,
            progress=bars.update,
        )
    try:
        tokenizer.save(out)
    except FormatError as error:
        rescue = f"{out}.tiktoken"
        tokenizer.save(rescue)
        raise FormatError(f"{error.message}; what was learnt is in {rescue}") from None
    for warning in said:
        _say(str(warning.message))
    number = len(tokenizer.special_tokens)
    _say(
        f"{out}: {tokenizer.n_vocab:,} ids: 256 bytes, {len(tokenizer.vocab) - 256:,} merges, "
        f"{number} special token{'s' * (number != 1)}"
    )


@cli.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "-o", "--out", type=click.Path(), required=True, help="Where to write the counts: *.parquet."
)
@counting_options
def count_pieces(
    sources: tuple[str, ...],
    out: str,
    pattern: str | None,
    special: tuple[str, ...],
    no_special: bool,
    from_counts: bool,
    max_memory: int | None,
    prune: int,
    field: str,
    errors: str,
    separator: str | None,
    threads: int | None,
) -> None:
    """Count the pieces of SOURCES, which is the part of training that many machines can share.

    Each counts some of the files; `pytok train --counts` trains on what all have counted, and
    learns what it would from the files themselves.
    """
    countfile.check_target(Path(out))
    source: Any = corpus.resolve(sources)
    specials = _specials(special, no_special)
    with Bars() as bars:
        bar = functools.partial(bars.update, "count")
        if from_counts:
            counts = pytok.PieceCounts.load(
                source, num_threads=threads, max_memory=max_memory, progress=bar
            )
            split_by(counts, pattern, specials)
        else:
            splitting = split_by(source, pattern, specials)
            counts = pytok.count_pieces(
                source,
                pattern=splitting.pattern,
                special_tokens=splitting.special_tokens,
                num_threads=threads,
                max_memory=max_memory,
                field=field,
                errors=errors,
                separator=separator,
                progress=bar,
            )
        saved = counts.save(out, prune=prune)
    _say(f"{out}: {saved.written}")
    if saved.dropped.pieces:
        _say(f"pruning dropped {saved.dropped}")


@cli.command()
@tokenizer_option
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--special",
    is_flag=True,
    help="Recognise special tokens. Without it they are ordinary text, as in text from strangers "
    "they should be.",
)
@json_option
def encode(tokenizer: Tokenizer, file: IO[bytes], special: bool, as_json: bool) -> None:
    """Print the ids of FILE, or of what comes on stdin, separated by spaces.

    Any file will do: bytes that are not UTF-8 are encoded as they are, and `pytok decode` gives
    them back.
    """
    data = file.read()
    with Bars() as bars:
        ids = list(_encode(tokenizer, data, special, bars))
    click.echo(json.dumps(ids) if as_json else " ".join(map(str, ids)))


def _encode(tokenizer: Tokenizer, data: bytes, special: bool, bars: Bars) -> Iterator[int]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if special:
            raise CorpusError(
                f"byte {error.start:,} is not UTF-8; special tokens are recognised in text only"
            ) from None
        yield from tokenizer._encode_bytes(data)
        return
    if special:
        yield from tokenizer.encode(text, allowed_special="all")
        return
    done = 0
    for part in parts(text) if can_cut(tokenizer.pattern) else [text]:
        yield from tokenizer.encode_ordinary(part)
        done += len(part.encode())
        bars.update("encode", done, len(data))


@cli.command()
@tokenizer_option
@click.argument("file", type=click.File("rb"), default="-")
def decode(tokenizer: Tokenizer, file: IO[bytes]) -> None:
    """Print what the ids in FILE, or on stdin, spell: numbers between spaces, or a JSON list."""
    words = file.read().translate(bytes.maketrans(b"[],", b"   ")).split()
    for place, word in enumerate(words, 1):
        if not word.isdigit() or len(word) > 10:
            shown = word[:40].decode("utf-8", "backslashreplace")
            raise CorpusError(f"{file.name}: word {place:,}: {shown!r} is not an id")
    try:
        data = tokenizer.decode_bytes(list(map(int, words)))
    except OverflowError as error:
        raise CorpusError(f"{file.name}: {error}") from None
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@cli.command()
@tokenizer_option
@click.argument("sources", nargs=-1, required=True)
@corpus_options
@json_option
def count(
    tokenizer: Tokenizer,
    sources: tuple[str, ...],
    field: str,
    errors: str,
    separator: str | None,
    as_json: bool,
) -> None:
    """Count the tokens of SOURCES, and the bytes of text that a token stands for.

    SOURCES are files, folders, or patterns such as 'data/*.jsonl'; special tokens are text.
    """
    files = corpus.resolve(sources)
    total, read, rows = corpus.size(files), 0, []
    cut = can_cut(tokenizer.pattern)
    with Bars() as bars:

        def bar(before: int) -> Callable[[int], object]:
            return lambda done: bars.update("count", before + done, total)

        for file in files:
            tokens = size = 0
            if corpus.is_one_text(file) and errors == "strict" and separator is None:
                size = corpus.size([file])
                try:
                    [tokens] = tokenizer.count_files([file], progress=bar(read))
                except CorpusError as error:
                    raise CorpusError(f"{error.message}, or pass --errors replace") from None
                except OSError as error:
                    raise CorpusError(f"{file}: cannot be read: {error}") from None
                read += size
            else:
                found = corpus.read_parts(
                    file, field=field, errors=errors, separator=separator, cut=cut
                )
                for batch in corpus.batches(found, lambda part: part):
                    texts = [part.text for part in batch]
                    tokens += sum(tokenizer.count_batch(texts))
                    size += sum(len(text.encode()) for text in texts)
                    read += sum(part.read for part in batch)
                    bars.update("count", read, total)
            rows.append((str(file), tokens, size))
    if as_json:
        click.echo(
            json.dumps([dict(zip(("file", "tokens", "bytes"), row, strict=True)) for row in rows])
        )
        return
    if len(rows) > 1:
        rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    for file_name, tokens, size in rows:
        rate = f"{size / tokens:.3f} bytes a token" if tokens else "empty"
        click.echo(f"{tokens:>15,} tokens  {size:>15,} bytes  {rate:<20}  {file_name}")


@cli.command()
@takes_tokenizer(named_by=click.argument("name", metavar="TOKENIZER"))
@click.option("--text", help="Show how this text is split, a colour a token.")
@json_option
def show(tokenizer: Tokenizer, text: str | None, as_json: bool) -> None:
    """Show what TOKENIZER is made of: its size, pattern, special tokens, first and last merges.

    TOKENIZER is a file, a folder, or an encoding's name such as cl100k_base.
    """
    ids = None if text is None else tokenizer.encode(text, disallowed_special=())
    tokens = list(tokenizer.vocab)
    longest = max(tokens, key=len)
    facts = {
        "name": tokenizer.name,
        "ids": tokenizer.n_vocab,
        "merges": len(tokens) - 256,
        "pattern": _pattern_name(tokenizer),
        "special_tokens": dict(tokenizer.special_tokens),
        "longest_token": longest.decode("utf-8", "backslashreplace"),
        "fingerprint": tokenizer.fingerprint,
    }
    if as_json:
        text_ids = {} if ids is None else {"text": text, "text_ids": ids}
        click.echo(json.dumps(facts | text_ids, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    merged = [token for token in tokens if len(token) > 1]
    rows = {key.replace("_", " "): _shown(value) for key, value in facts.items()} | {
        "longest token": _quoted(longest if len(longest) <= 64 else longest[:61] + b"..."),
        "first merges": " ".join(map(_quoted, merged[:12])),
        "last merges": " ".join(map(_quoted, merged[-8:])),
    }
    if console.is_terminal:
        for key, value in rows.items():
            table.add_row(f"[bold]{key}", _escaped(value))
        console.print(table)
    else:
        for key, value in rows.items():
            click.echo(f"{key:<15} {value}")
    if ids is not None and text is not None:
        decoder = tokenizer.decoder()
        spelled = [*map(decoder.feed, ids), decoder.finish()]
        console.print(coloured(filter(None, spelled)), soft_wrap=True)
        console.print(f"{len(ids)} tokens, {len(text.encode('utf-8', 'replace'))} bytes: {ids}")


def _pattern_name(tokenizer: Tokenizer) -> str:
    names = {regex: name for name, regex in PATTERNS.items()}
    return names.get(tokenizer.pattern, tokenizer.pattern)


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        more = f" and {len(value) - 8:,} more" if len(value) > 8 else ""
        return ", ".join(f"{text} = {id}" for text, id in list(value.items())[:8]) + more or "none"
    return str(value)


def _quoted(token: bytes) -> str:
    text = json.dumps(token.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@cli.command()
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
@corpus_options
@threads_option
def shard(
    sources: tuple[str, ...],
    tokenizer: Tokenizer,
    out: str,
    val: float,
    split: str,
    shard_tokens: int | None,
    overwrite: bool,
    field: str,
    errors: str,
    separator: str | None,
    threads: int | None,
) -> None:
    """Tokenize SOURCES into a folder of token shards that `gpt train` reads.

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
            field=field,
            errors=errors,
            separator=separator,
            shard_tokens=shard_tokens or shards.SHARD_TOKENS,
            num_threads=threads,
            overwrite=overwrite,
            progress=lambda done, total: bars.update("shard", done, total),
        )
    for kind, part in written.splits.items():
        _say(
            f"{out}: {kind}: {part.tokens:,} tokens of {part.bytes:,} bytes in {part.documents:,} "
            f"document{'s' * (part.documents != 1)}"
        )


@cli.command()
@takes_tokenizer(named_by=click.argument("name", metavar="IN"))
@click.argument("target", metavar="OUT")
def convert(tokenizer: Tokenizer, target: str) -> None:
    """Convert a tokenizer from one format to another; the ids stay the same.

    \b
    *.json       Hugging Face's tokenizer.json
    *.tiktoken   ranks only, neither pattern nor special tokens
    a folder     GPT-2's vocab.json and merges.txt

    IN may also be an encoding's name, such as cl100k_base. What the target cannot hold is refused.
    """  # noqa: D301 (click wants a backspace)
    tokenizer.save(target)
    _say(f"{target}: {tokenizer.n_vocab:,} ids")
    if target.endswith(".tiktoken"):
        _say(
            f"{target} holds ranks only; to read it, say --pattern {_pattern_name(tokenizer)!r}"
            + "".join(
                f" --special-token '{text}={id}'" for text, id in tokenizer.special_tokens.items()
            )
        )


def _special_of(option: str) -> tuple[str, int]:
    text, _, id = option.rpartition("=")
    if not text or not (id.isascii() and id.isdigit() and len(id) <= 10):
        raise click.BadParameter(f"{option!r} is not TOKEN=ID, e.g. '<|endoftext|>=50256'")
    return text, int(id)


def _say(message: str) -> None:
    click.echo(message.replace("\n", "\\n"), err=True)


def _fail(message: str) -> NoReturn:
    _say(f"pytok: {message}")
    sys.exit(1)


def main() -> None:
    """Run the command; the entry point."""
    if sys.stdout is None:
        _fail("stdout is closed, and results go there")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot show, it shows escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (PytokError, ImportError) as error:
        _fail(error.message if isinstance(error, PytokError) else str(error))
    except OSError as error:
        if error.filename is None:
            # It is stdout's own, and Python would write the rest once more at the end, and say so.
            with contextlib.suppress(OSError):
                sys.stdout.close()
        _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except RuntimeError:
        if sys.stdin is not None:
            raise
        _fail("stdin is closed; name a file instead")
    except MemoryError:
        _fail("out of memory")


if __name__ == "__main__":
    main()
