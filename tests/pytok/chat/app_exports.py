"""Imports of exports that a test writes itself."""

from pathlib import Path
from typing import Any

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.record import Message


def imported(
    folder: Path, content: str | bytes, name: str = "chat.txt", **options: Any
) -> ImportResult:
    """Write *content* to the file *name* in *folder* and import it."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_chats([path], ImportOptions(**options))


def brief(message: Message) -> tuple[str, str | None, str]:
    """Return the time to the minute, the sender and what was sent of *message*."""
    if message.kind == "text":
        sent = message.text
    else:
        sent = " ".join(filter(None, (f"<{message.kind}>", message.media, message.text)))
    return f"{message.time:%Y-%m-%d %H:%M}", message.author, sent


def said(result: ImportResult) -> list[tuple[str, str | None, str]]:
    """Return all messages of an import, each as `brief`."""
    return [brief(message) for message in result.messages]
