"""The result of reading one file: its messages, and the counts of everything else in it."""

from dataclasses import dataclass, field

from pytok.chat.record import Message


@dataclass(kw_only=True)
class Source:
    """One file that was read; everything that is not in a message is recorded here."""

    name: str
    """Name of the file, without its folder."""
    format: str
    """Description of the format for the summary: "WhatsApp text, day first, ..."."""
    messages: list[Message]
    unread: list[int] = field(default_factory=list)
    """Numbers, from 1, of the lines (or entries) that belong to no message."""
    doubtful: list[int] = field(default_factory=list)
    """Numbers of the lines that look like the start of a message but were read as text."""
    warnings: list[str] = field(default_factory=list)
    limited: bool = False
    """Whether the app limits the number of messages in an export."""
    timeless: bool = False
    """Whether the file has no times; its messages then have made-up, increasing times."""
