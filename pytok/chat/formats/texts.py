"""Plain texts: WhatsApp's "Export chat", alone, in a folder, or in the zip with its media."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from pytok.chat.archives import MAX_TEXT_SIZE
from pytok.chat.files import ChatFile
from pytok.chat.import_options import ImportOptions
from pytok.chat.months import with_numbers
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
    name, order = chats[0].export, options.date_order
    text, warnings = chats[0].text(MAX_TEXT_SIZE)
    lines = text.split("\n")
    if not _have_header(lines):
        numbered = [with_numbers(line) for line in lines]
        if numbered != lines:
            text, order = "\n".join(numbered), "ymd"
    source = read_export(text, name, date_order=order, ask=options.ask)
    source.warnings[:0] = warnings
    return source


def _has_header(file: ChatFile) -> bool:
    lines = file.start.split("\n")
    return _have_header(lines) or _have_header(list(map(with_numbers, lines)))


def _have_header(lines: Sequence[str]) -> bool:
    return any(DATE_FIRST.match(line) or TIME_FIRST.match(line) for line in lines)


def _usual(files: Sequence[ChatFile]) -> Sequence[ChatFile]:
    """Return the files with the names that WhatsApp gives, or all if none has such a name."""
    names = [(file, PurePosixPath(file.name).name) for file in files]
    usual = [file for file, name in names if name == "_chat.txt"]
    named = [file for file, name in names if "WhatsApp" in name]
    return usual or named or files
