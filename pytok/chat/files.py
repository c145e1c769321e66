"""The files of an export: one file, those of a folder, or those of a zip.

Readers of formats receive `ChatFile` objects, and need not know where the bytes are.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath

from pytok.chat.archives import MAX_FILES, MAX_SIZE, is_archive, open_archive
from pytok.chat.decoding import Decoded, decode
from pytok.errors import ChatError

HEAD = 1 << 14
"""Number of first bytes by which the format of a file is determined."""


class ChatFile:
    """One file, which is read on demand."""

    def __init__(
        self,
        name: str,
        export: str,
        head: Callable[[int], bytes],
        read: Callable[[], bytes],
        path: Path | None,
        encoding: str | None = None,
    ) -> None:
        self.name = name
        """Name for messages and errors; a path from the folder or the zip on: "a.zip/b/c.txt"."""
        self.export = export
        """Name of what the user gave: of this file, or of the folder or zip with it."""
        self.path = path
        """Path on the disk; None inside a zip."""
        self.encoding = encoding
        """Encoding of its text, if the user gave one."""
        self._head = head
        self.read = read
        """Returns all bytes. Raises ChatError for a file that is too large or damaged."""

    @cached_property
    def head(self) -> bytes:
        """First bytes, `HEAD` or fewer."""
        return self._head(HEAD)

    @cached_property
    def start(self) -> str:
        """The text of the first bytes, "" if they are not text."""
        try:
            return decode(self.head, self.name, self.encoding).text
        except ChatError:
            return ""

    def text(self, max_size: int = MAX_SIZE) -> Decoded:
        """Return the whole text, at most *max_size* bytes.

        Raises ChatError for a file that is too large, damaged, or no text.
        """
        data = self.read()
        if len(data) > max_size:
            raise ChatError(f"{self.name}: more than {max_size:,} bytes, too large for a chat")
        return decode(data, self.name, self.encoding)

    def forget(self) -> None:
        """Free the first bytes; they are read again if needed."""
        for name in ("head", "start"):
            self.__dict__.pop(name, None)

    @property
    def is_alone(self) -> bool:
        """Whether the user gave this file, not a folder or zip with it."""
        return self.name == self.export


@contextmanager
def open_export(path: Path, encoding: str | None = None) -> Iterator[list[ChatFile]]:
    """Yield the files of *path*, a file, a folder or a zip, in natural order of their names.

    Texts are in *encoding*, if given. Hidden files are omitted. Raises ChatError for an empty file,
    and for a folder or zip with more files than an export has.
    """
    if path.is_dir():
        yield _folder_files(path, encoding)
    elif is_archive(path):
        with open_archive(path) as members:
            visible = [each for each in members if not _is_hidden(each.name)]
            visible.sort(key=lambda each: _natural_key(each.name))
            yield [
                ChatFile(
                    f"{path.name}/{each.name}", path.name, each.head, each.read, None, encoding
                )
                for each in visible
            ]
    else:
        file = _disk_file(path, path.name, path.name, encoding)
        if not file.head:
            raise ChatError(f"{path.name}: empty; export the chat again")
        yield [file]


def _folder_files(folder: Path, encoding: str | None) -> list[ChatFile]:
    """List the files in *folder* and its folders; links to folders are not followed."""
    found: list[tuple[str, Path]] = []
    for root, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in names:
            path = Path(root, name)
            if not _is_hidden(name) and path.is_file():
                found.append((path.relative_to(folder).as_posix(), path))
        if len(found) > MAX_FILES:
            raise ChatError(
                f"{folder.name}: more than {MAX_FILES:,} files, which no export has; give the "
                "folder of the export itself"
            )
    title = folder.resolve().name
    found.sort(key=lambda each: _natural_key(each[0]))
    return [_disk_file(path, f"{title}/{name}", title, encoding) for name, path in found]


def _is_hidden(name: str) -> bool:
    """Return whether a file is hidden, or one that macOS adds beside each file of a zip."""
    return name.rpartition("/")[2].startswith(".") or name.startswith("__MACOSX/")


def _natural_key(name: str) -> list[tuple[str, int]]:
    """Return a key that sorts numbers by value: messages.html, messages2.html, messages10.html."""
    suffix = PurePosixPath(name).suffix
    parts = re.findall(r"([^0-9]*)([0-9]{0,18})", name.removesuffix(suffix))
    return [*((text, int(number or -1)) for text, number in parts), (suffix, -1)]


def _disk_file(path: Path, name: str, export: str, encoding: str | None) -> ChatFile:
    def head(size: int) -> bytes:
        with path.open("rb") as file:
            return file.read(size)

    def read() -> bytes:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        if len(data) > MAX_SIZE:
            raise ChatError(f"{name}: more than {MAX_SIZE:,} bytes, too large for a chat export")
        return data

    return ChatFile(name, export, head, read, path, encoding)
