"""Reading of the chat in a zip archive that is not trusted: nothing is unpacked to disk.

An exported zip holds one text, and media. Only the text is read, into memory, after its declared
size is checked.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pytok.errors import ChatError

MAX_SIZE = 1 << 29
"""Maximum size of a text in bytes: half a GiB, about ten million messages."""

MAX_RATIO = 250
"""Maximum compression ratio of a text; chats have 3 to 10, a zip bomb about 1,000."""

HARMLESS_SIZE = 1 << 24
"""Size in bytes up to which any compression ratio is accepted."""

MAX_FILES = 200_000


def read_archive(path: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of the chat in the zip at *path*.

    Raises ChatError if there is no chat or more than one, and for a zip that is damaged, encrypted,
    or malicious.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            chat = _find_chat(archive.infolist(), path.name)
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


def _find_chat(files: Sequence[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    """Return the only file that is a chat. Raises ChatError."""
    if len(files) > MAX_FILES:
        raise ChatError(f"{name}: {len(files):,} files; an export has at most {MAX_FILES:,}")
    for file in files:
        inside = PurePosixPath(file.orig_filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", str(inside)):
            raise ChatError(
                f"{name}: {file.orig_filename!r} points out of the zip; no app exports such a "
                "path, so the zip is rejected"
            )
    chats = _candidates(files)
    if not chats:
        raise ChatError(
            f"{name}: no chat in it; a zip of WhatsApp contains _chat.txt or a .txt named after "
            "the chat, a zip of Telegram result.json"
        )
    if len(chats) > 1:
        listed = ", ".join(file.filename for file in chats[:5])
        raise ChatError(
            f"{name}: {len(chats)} texts ({listed}), and none is _chat.txt; unpack the chat and "
            "import that file"
        )
    chat = chats[0]
    if chat.flag_bits & 1:
        raise ChatError(f"{name}: {chat.filename} is encrypted; unpack it with its password first")
    # The archive is untrusted, so the declared size is checked before anything is decompressed.
    ratio = chat.file_size / max(1, chat.compress_size)
    if chat.file_size > MAX_SIZE or (chat.file_size > HARMLESS_SIZE and ratio > MAX_RATIO):
        raise ChatError(
            f"{name}: {chat.filename} would unpack to {chat.file_size:,} bytes, {ratio:,.0f} times "
            "its size in the zip; no chat does, so the zip is rejected"
        )
    return chat


def _candidates(files: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """List the files that can be the chat: by their usual names, else any text at the top level."""
    texts = [
        (file, path)
        for file in files
        if (path := PurePosixPath(file.filename)).suffix in (".txt", ".json")
        and not path.name.startswith("._")  # macOS adds these beside each file
    ]
    usual = [file for file, path in texts if path.name in ("_chat.txt", "result.json")]
    named = [file for file, path in texts if path.suffix == ".txt" and "WhatsApp" in path.name]
    return usual or named or [file for file, path in texts if len(path.parts) == 1]
