"""Text to ids and back: `pytok encode`, `pytok decode` and `pytok count`.

Input and output are bytes: newlines are not translated, and invalid UTF-8 survives the round trip.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import IO

import click

from pytok import corpus
from pytok.commands.help import Command, option
from pytok.commands.options import (
    Reading,
    json_option,
    reading_options,
    saying_warnings,
    tokenizer_option,
)
from pytok.commands.paths import sources_argument
from pytok.errors import CorpusError, UnknownTokenError
from pytok.patterns import parts
from pytok.terminal import Bars
from pytok.tokenizer import Tokenizer


@click.command(
    cls=Command,
    examples="""
    echo "some text" | pytok encode -t tokenizer.json
    pytok encode -t cl100k_base book.txt --json > ids.json
    """,
)
@click.argument("file", type=click.File("rb"), default="-")
@option(
    "--special",
    is_flag=True,
    help="Recognize special tokens: only for trusted text.",
)
@json_option
@tokenizer_option
def encode(tokenizer: Tokenizer, file: IO[bytes], special: bool, as_json: bool) -> None:
    """Encode a text as token ids.

    Reads FILE, or stdin if there is none, and prints ids separated by spaces. Bytes that are not
    UTF-8 are encoded as well, and `pytok decode` restores them.
    """
    data = file.read()
    with Bars() as bars:
        ids = list(_encode(tokenizer, data, file.name, special, bars))
    click.echo(json.dumps(ids) if as_json else " ".join(map(str, ids)))


def _encode(
    tokenizer: Tokenizer, data: bytes, name: str, special: bool, bars: Bars
) -> Iterator[int]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if special:
            raise CorpusError(
                f"{name}: byte {error.start:,} is not UTF-8; --special needs valid text: remove it"
            ) from None
        yield from tokenizer._encode_bytes(data)
        return
    if special:
        yield from tokenizer.encode(text, allowed_special="all")
        return
    done = 0
    for part in parts(text) if tokenizer.can_cut else [text]:
        yield from tokenizer.encode_ordinary(part)
        done += len(part.encode())
        bars.update("encode", done, len(data))


@click.command(
    cls=Command,
    examples="""
    echo "31373 995" | pytok decode -t gpt2
    pytok encode -t gpt2 book.txt | pytok decode -t gpt2 > same-book.txt
    """,
)
@click.argument("file", type=click.File("rb"), default="-")
@tokenizer_option
def decode(tokenizer: Tokenizer, file: IO[bytes]) -> None:
    """Decode token ids to text.

    Reads FILE, or stdin if there is none: ids separated by whitespace, or a JSON list.
    """
    words = file.read().translate(bytes.maketrans(b"[],", b"   ")).split()
    for number, word in enumerate(words, 1):
        if not word.isdigit() or len(word) > 10:
            quoted = word[:40].decode("utf-8", "backslashreplace")
            raise CorpusError(f"{file.name}: word {number:,}: {quoted!r} is not an id")
    try:
        data = tokenizer.decode_bytes(list(map(int, words)))
    except (OverflowError, UnknownTokenError) as error:
        said = error.message if isinstance(error, UnknownTokenError) else error
        raise CorpusError(f"{file.name}: {said}") from None
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@click.command(
    cls=Command,
    examples="""
    pytok count -t cl100k_base corpus.txt
    pytok count -t tokenizer.json 'data/*.jsonl' --field content --json
    git diff | pytok count -t o200k_base
    """,
)
@sources_argument
@json_option
@tokenizer_option
@reading_options
def count(
    tokenizer: Tokenizer,
    sources: tuple[str, ...],
    reading: Reading,
    as_json: bool,
) -> None:
    """Count tokens, and bytes per token.

    SOURCES are files, folders, patterns such as 'data/*.jsonl', or - for stdin, which is also read
    if none is given. Special tokens in them count as ordinary text.
    """
    files = corpus.resolve(sources)
    total, read, rows = corpus.size(files), 0, []
    cut = tokenizer.can_cut
    is_plain = [corpus.is_one_text(file, **reading) for file in files]
    with saying_warnings(), Bars() as bars:

        def progress_after(before: int) -> Callable[[int], object]:
            return lambda done: bars.update("count", before + done, total)

        for file, plain in zip(files, is_plain, strict=True):
            tokens = size = 0
            if plain:
                # The engine reads the file itself, on all cores.
                size = corpus.size([file])
                try:
                    [tokens] = tokenizer.count_files([file], progress=progress_after(read))
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
        rate = f"{size / tokens:.3f} bytes per token" if tokens else "empty"
        click.echo(f"{tokens:>15,} tokens  {size:>15,} bytes  {rate:<22}  {file_name}")
