"""What the files of a chat do not say, and how to import them."""

from dataclasses import dataclass
from pathlib import Path

from pytok.chat.whatsapp.dates import AskDateOrder, DateOrder


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Information that the files do not contain, and the choice to anonymize."""

    date_order: DateOrder | None = None
    """Order of day, month and year in WhatsApp's texts. If None, decided by evidence."""
    timezone: str | None = None
    """Time zone of the export, such as "Europe/Vienna", for times without a zone."""
    encoding: str | None = None
    """Encoding of texts that an editor saved, such as "cp1252". If None, decided by the bytes."""
    key: str | None = None
    """Key of an encrypted backup: the path of its file, or its 64 digits."""
    names: Path | None = None
    """Contacts database with the names for the numbers in a message database."""
    chat: str | None = None
    """Name or id of the chat to read from an export that has several."""
    respect_deletions: bool = False
    """Omit the text of messages that are deleted in one of several files."""
    anonymize: bool = False
    """Replace people, numbers, addresses and links."""
    replaced_names: tuple[str, ...] = ()
    """Further names to replace when anonymizing: nicknames, and people who never write."""
    ask: AskDateOrder | None = None
    """Callback for an ambiguous date order. If None, ambiguity is an error."""
