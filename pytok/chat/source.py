"""What was read of one file: its messages, and all that a summary must tell about the rest."""

from dataclasses import dataclass, field

from pytok.chat.record import Message


@dataclass(kw_only=True)
class Source:
    """One file that was read; nothing of it is dropped without a word here."""

    name: str
    """Name of the file, without its folder."""
    format: str
    """What it is, for people: "WhatsApp text, dates day first"."""
    messages: list[Message]
    unread: list[int] = field(default_factory=list)
    """Numbers, from 1, of the lines (or entries) that are in no message."""
    doubtful: list[int] = field(default_factory=list)
    """Numbers of the lines that look like the beginning of a message, but were taken as text."""
    warnings: list[str] = field(default_factory=list)
    limited: bool = False
    """Whether the app that wrote it stops at a number of messages."""
    timeless: bool = False
    """Whether it tells no times, and those of its messages are made up to keep them in order."""
