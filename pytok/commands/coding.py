"""Text to ids and back: `pytok encode`, `pytok decode` and `pytok count`.

Bytes are what goes in and out: no newline is translated, and none is too strange to come back.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import IO

import click

from pytok import corpus
from pytok.commands.options import Reading, json_option, reading_options, tokenizer_option
from pytok.errors import CorpusError
from pytok.patterns import can_cut, parts
from pytok.terminal import Bars
from pytok.tokenizer import Tokenizer


@click.command()
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
    """Print the ids of a text, separated by spaces.

    The text is FILE, or what comes on stdin. Any file will do: bytes that are not UTF-8 are encoded
    as they are, and `pytok decode` gives them back.
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


@click.command()
@tokenizer_option
@click.argument("file", type=click.File("rb"), default="-")
def decode(tokenizer: Tokenizer, file: IO[bytes]) -> None:
    """Print what ids spell.

    They are in FILE, or come on stdin: numbers between spaces, or a JSON list.
    """
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


@click.command()
@tokenizer_option
@click.argument("sources", nargs=-1, required=True)
@reading_options
@json_option
def count(
    tokenizer: Tokenizer,
    sources: tuple[str, ...],
    reading: Reading,
    as_json: bool,
) -> None:
    """Count the tokens of files, and the bytes a token.

    SOURCES are files, folders, or patterns such as 'data/*.jsonl'; special tokens are text.
    """
    files = corpus.resolve(sources)
    total, read, rows = corpus.size(files), 0, []
    cut = can_cut(tokenizer.pattern)
    plain = reading["errors"] == "strict" and reading["separator"] is None
    with Bars() as bars:

        def bar(before: int) -> Callable[[int], object]:
            return lambda done: bars.update("count", before + done, total)

        for file in files:
            tokens = size = 0
            if corpus.is_one_text(file) and plain:
                size = corpus.size([file])
                try:
                    [tokens] = tokenizer.count_files([file], progress=bar(read))
                except CorpusError as error:
                    raise CorpusError(f"{error.message}, or pass --errors replace") from None
                except OSError as error:
                    raise CorpusError(f"{file}: cannot be read: {error}") from None
                read += size
            else:
                found = corpus.read_parts(file, cut=cut, **reading)
                for batch in corpus.batches(found, lambda part: len(part.text)):
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
