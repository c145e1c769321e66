"""What a format of chats is: how its files are recognized and read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from pytok.chat.files import ChatFile
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Source, UnknownFormat, join
from pytok.counted import counted

ReadFiles: TypeAlias = Callable[[Sequence[ChatFile], ImportOptions], Source]


class Format(NamedTuple):
    """One format of chats."""

    recognizes: Callable[[ChatFile], bool]
    """Whether a file can be of this format, by its first bytes (`ChatFile.head`)."""
    read: ReadFiles
    """Reads the recognized files of one export: a single one, or all those of a folder or a zip.
    Raises UnknownFormat if none of them holds a chat of this format, and ChatError for damage."""
    options: tuple[str, ...] = ()
    """Fields of `ImportOptions` that apply to this format only."""


def each(read: Callable[[ChatFile, ImportOptions], Source]) -> ReadFiles:
    """Return a function that reads every file with *read* and joins the results.

    Files that turn out to be of another format are counted, unless all of them are.
    """

    def read_all(files: Sequence[ChatFile], options: ImportOptions) -> Source:
        sources: list[Source] = []
        unknown: list[UnknownFormat] = []
        for file in files:
            try:
                sources.append(read(file, options))
            except UnknownFormat as error:
                unknown.append(error)
        if not sources:
            raise unknown[0]
        joined = join(sources, files[0].export)
        if unknown:
            joined.format += f"; {counted(len(unknown), 'other file')} without a chat"
        return joined

    return read_all
