"""The form of a file, by its name: how it is compressed, whether it is an archive, its format.

Forms that cannot be read are rejected by name, and so are files whose content is of another form
than their name says: a tar that is named ``.txt`` would be read with its headers as text.
"""

import codecs
import json
import re
from pathlib import PurePath
from typing import NamedTuple

from pytok.blocks import Stream
from pytok.corpus.options import Options
from pytok.errors import CorpusError

_MAX_LINE = 1 << 26
"""Bytes of a first line at most that are searched for an object."""

HEAD_BYTES = 512
"""Bytes at the beginning of a file that show its form: the header of a tar."""


class Form(NamedTuple):
    """The form of a file."""

    compression: str = ""
    """A key of `pytok.blocks.COMPRESSIONS`, or "" for none."""
    archive: str = ""
    """"tar", "zip", or "" for none."""
    format: str = "text"
    """"text", "jsonl" or "parquet"; of an archive, its members have their own."""


_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bzip2"}
_ARCHIVES = {".tar": "tar", ".zip": "zip"}
_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SHORT = {
    ".tgz": "gzip", ".tzst": "zstd", ".txz": "xz", ".tbz2": "bzip2", ".tbz": "bzip2",
}  # fmt: skip
"""Suffixes that stand for two: of a tar that is compressed."""

_UNPACK = "unpack it, and pass the folder"
_DECOMPRESS = "decompress it first; .gz, .zst, .xz and .bz2 are read as they are"
_EXTRACT = "extract its text first, for example as .txt or .jsonl"
_CONVERT = "convert it to .parquet or .jsonl first"
_UNREADABLE = {
    **dict.fromkeys((".7z", ".rar", ".cab", ".ace"), _UNPACK),
    **dict.fromkeys((".br", ".lz4", ".lz", ".lzma", ".lzo", ".sz", ".z"), _DECOMPRESS),
    **dict.fromkeys((".pdf", ".docx", ".odt", ".epub", ".mobi", ".pptx", ".xlsx"), _EXTRACT),
    **dict.fromkeys((".arrow", ".feather", ".orc", ".avro", ".sqlite"), _CONVERT),
}
"""Suffixes of files that cannot be read, and what to do."""

_SIGNATURES = {
    "gzip": (rb"\x1f\x8b\x08", "compressed with gzip", "name it *.gz"),
    "zstd": (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", "compressed with zstd", "name it *.zst"),
    "xz": (rb"\xfd7zXZ\0", "compressed with xz", "name it *.xz"),
    "bzip2": (
        rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)", "compressed with bzip2", "name it *.bz2",
    ),
    "zip": (
        rb"PK(?:\x03\x04|\x05\x06|\x07\x08)",
        "a zip archive",
        "name it *.zip if it holds texts; extract the text of a document such as .docx or .epub",
    ),
    "parquet": (rb"PAR1\x15", "a parquet file", "name it *.parquet"),
    "pdf": (rb"%PDF-[12]\.", "a PDF", _EXTRACT),
    "sqlite": (rb"SQLite format 3\0", "a SQLite database", _CONVERT),
    "7z": (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    "rar": (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    "lz4": (rb"\x04\x22\x4d\x18", "compressed with lz4", _DECOMPRESS),
    "arrow": (rb"ARROW1\0\0", "an Arrow file", _CONVERT),
    "avro": (rb"Obj\x01", "an Avro file", _CONVERT),
    "hdf5": (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    "tar": (rb"(?!)", "a tar archive", "name it *.tar"),  # `_is_tar` finds it
}  # fmt: skip
"""The beginnings of files that are not text: regex, description, what to do."""


def form_of(name: str, options: Options) -> Form:
    """Return the form of the file *name*, by its suffixes; `Options.format` overrides the format.

    Raises CorpusError for a form that cannot be read.
    """
    path = PurePath(name)
    suffix = path.suffix.lower()
    if suffix in _SHORT:
        return Form(_SHORT[suffix], "tar")
    compression = _COMPRESSIONS.get(suffix, "")
    if compression:
        suffix = path.with_suffix("").suffix.lower()
    archive = _ARCHIVES.get(suffix, "")
    form = Form(compression, archive, options.format or _FORMATS.get(suffix, "text"))
    if compression and (archive == "zip" or (form.format == "parquet" and not archive)):
        kind = archive or form.format
        raise CorpusError(f"{name}: a {kind} is compressed inside; decompress the file first")
    if suffix in _UNREADABLE and not options.format:
        raise CorpusError(f"{name}: files named *{suffix} cannot be read: {_UNREADABLE[suffix]}")
    return form


def check_text(name: str, head: bytes, options: Options) -> None:
    """Raise CorpusError if *head*, the beginning of the file *name*, is not that of text.

    With `Options.format` it is text whatever it looks like.
    """
    found = form_in(head)
    if found and not options.format:
        _, description, advice = _SIGNATURES[found]
        raise CorpusError(
            f"{name}: this is {description}, not text: {advice}; to read it as text nevertheless, "
            "pass format='text' (--format text)"
        )


def form_in(head: bytes) -> str | None:
    """Return which form starts with *head*, the first `HEAD_BYTES` of a file; ``None`` for text."""
    if _is_tar(head):
        return "tar"
    return next(
        (kind for kind, (start, _, _) in _SIGNATURES.items() if re.match(start, head)), None
    )


def starts_with_object(stream: Stream) -> bool:
    """Return whether the first line of *stream* is a JSON object, as in JSON lines."""
    size = HEAD_BYTES
    while b"\n" not in (head := stream.peek(size)) and len(head) == size < _MAX_LINE:
        if not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
            return False
        size *= 4
    try:
        return isinstance(json.loads(head.partition(b"\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _is_tar(head: bytes) -> bool:
    """Return whether *head* is a header of a tar: its checksum is right (POSIX.1, ustar)."""
    checksum = head[148:156].strip(b"\0 ")
    if len(head) < HEAD_BYTES or b"\0" not in head or not re.fullmatch(b"[0-7]+", checksum):
        return False
    others = head[:148] + b" " * 8 + head[156:HEAD_BYTES]
    signed = sum(byte - 256 * (byte > 127) for byte in others)  # of some old programs
    return int(checksum, 8) in (sum(others), signed)
