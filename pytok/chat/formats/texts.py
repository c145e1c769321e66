"""Plain texts: WhatsApp's "Export chat", alone, in a folder, or in the zip with its media."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from pytok.chat.decoding import decode
from pytok.chat.files import ChatFile
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Source
from pytok.chat.whatsapp.export import read_export
from pytok.chat.whatsapp.headers import DATE_FIRST, TIME_FIRST
from pytok.errors import ChatError


def is_text(file: ChatFile) -> bool:
    """Return whether *file* was given as it is, or has a line that starts a message."""
    return file.is_alone or _has_header(file)


def read_text(files: Sequence[ChatFile], options: ImportOptions) -> Source:
    """Read the only text of a chat among *files*. Raises ChatError if there are several."""
    chats = _usual(files)
    if len(chats) > 1:
        listed = ", ".join(file.name for file in chats[:5])
        raise ChatError(
            f"{chats[0].export}: {len(chats)} texts ({listed}), and none is _chat.txt; give the "
            "file of one chat"
        )
    data, name = chats[0].read(), chats[0].export
    text, warnings = decode(data, name)
    source = read_export(text, name, date_order=options.date_order, ask=options.ask)
    source.warnings[:0] = warnings
    return source


def _has_header(file: ChatFile) -> bool:
    try:
        lines = decode(file.head, file.name).text.split("\n")
    except ChatError:
        return False
    return any(DATE_FIRST.match(line) or TIME_FIRST.match(line) for line in lines)


def _usual(files: Sequence[ChatFile]) -> Sequence[ChatFile]:
    """Return the files with the names that WhatsApp gives, or all if none has such a name."""
    names = [(file, PurePosixPath(file.name).name) for file in files]
    usual = [file for file, name in names if name == "_chat.txt"]
    named = [file for file, name in names if "WhatsApp" in name]
    return usual or named or files
