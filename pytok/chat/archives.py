"""The text of a chat out of a zip, without trusting the zip: nothing is unpacked to the disk.

A zip that an app exports holds one text and media. Only the text is read, in memory, and its size
is looked at first.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pytok.errors import ChatError

MAX_SIZE = 1 << 29
"""Bytes of the largest text that is read: half a GiB, some ten million messages."""

MAX_RATIO = 250
"""How many times its packed size a text may have; chats have 3 to 10, a bomb has a thousand."""

SMALL = 1 << 24
"""Bytes that are harmless whatever their ratio."""

MAX_FILES = 200_000


def read_archive(path: Path) -> tuple[str, bytes]:
    """The name and the bytes of the chat in the zip at *path*.

    Raises ChatError where there is none or more than one, and for a zip that is damaged, encrypted,
    or made to do harm.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            chat = _chat(archive.infolist(), path.name)
            return chat.filename, archive.read(chat)
    except ChatError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError,
        OSError,
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.filename is not None:  # the zip cannot be opened
            raise
        raise ChatError(
            f"{path.name}: a damaged zip ({error}); copy it from the phone again"
        ) from None


def _chat(files: Sequence[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    """The one file that is the chat; raises ChatError."""
    if len(files) > MAX_FILES:
        raise ChatError(f"{name}: {len(files):,} files, and an export has {MAX_FILES:,} at most")
    for file in files:
        inside = PurePosixPath(file.orig_filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", str(inside)):
            raise ChatError(
                f"{name}: {file.orig_filename!r} points out of the zip; no app exports that, and "
                "it is not read"
            )
    chats = _chats_of(files)
    if not chats:
        raise ChatError(
            f"{name}: no chat in it; a zip of WhatsApp has _chat.txt or a .txt of the chat's name, "
            "one of Telegram result.json"
        )
    if len(chats) > 1:
        listed = ", ".join(file.filename for file in chats[:5])
        raise ChatError(
            f"{name}: {len(chats)} texts ({listed}), and none is _chat.txt; unpack the one that is "
            "the chat"
        )
    chat = chats[0]
    if chat.flag_bits & 1:
        raise ChatError(f"{name}: {chat.filename} is encrypted; unpack it with its password first")
    ratio = chat.file_size / max(1, chat.compress_size)
    if chat.file_size > MAX_SIZE or (chat.file_size > SMALL and ratio > MAX_RATIO):
        raise ChatError(
            f"{name}: {chat.filename} would unpack to {chat.file_size:,} bytes, {ratio:,.0f} times "
            "its size in the zip; no chat does, and it is not read"
        )
    return chat


def _chats_of(files: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The files that may be the chat: by their usual names, else any text at the top."""
    texts = [
        (file, path)
        for file in files
        if (path := PurePosixPath(file.filename)).suffix in (".txt", ".json")
        and not path.name.startswith("._")  # macOS adds these beside each file
    ]
    usual = [file for file, path in texts if path.name in ("_chat.txt", "result.json")]
    named = [file for file, path in texts if path.suffix == ".txt" and "WhatsApp" in path.name]
    return usual or named or [file for file, path in texts if len(path.parts) == 1]
