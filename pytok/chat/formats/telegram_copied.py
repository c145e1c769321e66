"""Messages copied from Telegram: "Ann, [05.01.2024 20:10]" on a line, then the message.

The dates are in the language of the app, so their order is found as in WhatsApp's texts.
"""

import re
from collections.abc import Iterator, Sequence

from pytok.chat.formats.written_times import read_times
from pytok.chat.import_options import ImportOptions
from pytok.chat.record import Message
from pytok.chat.source import Source

_HEADER = re.compile(r"([^\n\[]{1,100}), \[(\d[^\[\]\n]{9,40}|[^\W\d][^\[\]\n]{9,60})\]:?")
_MEDIA = re.compile(r"\[ ?([^\[\]\n]{1,60}?) ?\]")
_REPLY = re.compile(r"\[In reply to [^\[\]\n]{1,100}\]")


def is_telegram_copied(text: str) -> bool:
    """Return whether the first line of *text* starts a copied message."""
    first = text.lstrip("\ufeff\n\r ").partition("\n")[0].rstrip()
    return _HEADER.fullmatch(first) is not None


def read_telegram_copied(text: str, name: str, options: ImportOptions) -> Source:
    """Read the *text* of the file *name*. Raises ChatError."""
    lines = [line.rstrip("\r") for line in text.lstrip("\ufeff").split("\n")]
    blocks = list(_blocks(lines))
    times = read_times([(number, header[2]) for number, header, _ in blocks], name, options)
    source = Source(name=name, format="text copied from Telegram", messages=[])
    for (number, header, block), time in zip(blocks, times, strict=True):
        media = _MEDIA.fullmatch(block[0]) if block and not _REPLY.match(block[0]) else None
        words = [line for line in block[media is not None :] if not _REPLY.fullmatch(line)]
        source.messages.append(
            Message(
                time=time,
                sender=header[1],
                kind="text" if media is None else "media",
                text="\n".join(words).strip("\n"),
                media=None if media is None else media[1].lower(),
                source=name,
                line=number,
            )
        )
    return source


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str], list[str]]]:
    """Yield the number of the first line, the header and the other lines of each message."""
    start, found, block = 0, None, list[str]()
    for number, line in enumerate(lines, start=1):
        match = _HEADER.fullmatch(line.rstrip())
        if match is None:
            block.append(line)
            continue
        if found is not None:
            yield start, found, block
        start, found, block = number, match, []
    if found is not None:
        yield start, found, block
