"""DiscordChatExporter's plain text; its JSON has more.

A line "[1/5/2024 8:10 PM] ann" starts a message; sections such as "{Attachments}" end its words.
The dates are in the language of the computer, so their order is found as in WhatsApp's texts.
Shape: PlainTextMessageWriter.cs in version 2.46.
"""

import re
from collections.abc import Iterator, Sequence

from pytok.chat.formats.written_times import read_times
from pytok.chat.import_options import ImportOptions
from pytok.chat.record import Message
from pytok.chat.source import Chat, Source
from pytok.errors import ChatError

_RULE = "=" * 62
_HEADER = re.compile(r"\[([^\[\]\n]{6,40})\] ([^\n]{1,100})")
_SECTION = re.compile(r"\{(Attachments|Embed|Stickers|Reactions|Forwarded Message)\}")
_MEDIA = {"Embed": "embed", "Stickers": "sticker", "Forwarded Message": "forwarded"}


def is_discord_text(text: str) -> bool:
    """Return whether *text* starts as such a file."""
    lines = text[:1000].lstrip("\ufeff").split("\n")
    return lines[0].strip() == _RULE and lines[1:2] != [] and lines[1].startswith("Guild: ")


def read_discord_text(text: str, name: str, options: ImportOptions) -> Source:
    """Read the *text* of the file *name*. Raises ChatError."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    blocks = list(_blocks(lines))
    if not blocks:
        raise ChatError(f"{name}: an export of Discord without a message")
    times = read_times([(number, header[1]) for number, header, _ in blocks], name, options)
    source = Source(name=name, format="DiscordChatExporter text", messages=[])
    for (number, header, block), time in zip(blocks, times, strict=True):
        words, media = _contents(block)
        source.messages.append(
            Message(
                time=time,
                sender=header[2].removesuffix(" (pinned)"),
                kind="text" if media is None else "media",
                text=words,
                media=media,
                source=name,
                line=number,
            )
        )
    channel = next((line for line in lines[:6] if line.startswith("Channel: ")), "")
    if channel:
        title = channel.removeprefix("Channel: ").rpartition(" / ")[2]
        source.chats = [Chat(title, len(source.messages))]
    return source


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str], list[str]]]:
    """Yield the number of the first line, the header and the other lines of each message."""
    start, found, block = 0, None, list[str]()
    for number, line in enumerate(lines, start=1):
        match = _HEADER.fullmatch(line) if not lines[number - 2] or number == 1 else None
        ends = line == _RULE
        if (match is not None or ends) and found is not None:
            yield start, found, block
            found = None
        if match is not None:
            start, found, block = number, match, []
        else:
            block.append(line)
    if found is not None:
        yield start, found, block


def _contents(block: Sequence[str]) -> tuple[str, str | None]:
    """Return the words of a message, and the name or type of its file."""
    words: list[str] = []
    media: str | None = None
    section = ""
    for line in block:
        if match := _SECTION.fullmatch(line):
            section = match[1]
            media = media or _MEDIA.get(section)
        elif not section:
            words.append(line)
        elif section == "Attachments" and line and media is None:
            media = line.rpartition("/")[2].partition("?")[0] or "file"
    return "\n".join(words).strip("\n"), media
