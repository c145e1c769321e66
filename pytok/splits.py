"""Assign the parts of a corpus to the training split and the validation split."""

import math
import struct
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pytok import corpus
from pytok.corpus import Part, SkippedWarning
from pytok.counting import Progress
from pytok.errors import ShardError

SPLITS = ("tail", "documents")
"""The ways to hold text out: the end of the text, or complete documents."""

CHANGED = "the corpus changed while it was read; shard it again"

Assigned: TypeAlias = tuple[str, Part[bytes]]
"""The name of a split, and a part of it."""


class Meter:
    """Progress over all reads of the corpus; it never decreases and never exceeds the total."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self.advance([])

    def advance(self, parts: Iterable[Part[bytes]]) -> None:
        """Report that *parts* were read."""
        self._done += sum(part.read for part in parts)
        if self._total:  # else it is unknown
            self._done = min(self._done, self._total)
        if self._progress:
            self._progress(self._done, self._total)


def text_size(parts: Iterator[Part[bytes]], meter: Meter) -> int:
    """Return the number of bytes of text in *parts*.

    What they skip is not reported: the parts are read again.
    """
    total = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedWarning)
        for batch in corpus.batches(parts, lambda part: len(part.text)):
            total += sum(len(part.text) for part in batch)
            meter.advance(batch)
    return total


@contextmanager
def spooled(
    parts: Iterable[Part[bytes]], meter: Meter
) -> Iterator[tuple[Iterator[Part[bytes]], int]]:
    """Return a context with *parts*, which can be read only once, and the bytes of their text.

    They are kept in an unnamed temporary file, in ``TMPDIR``.
    """
    head = struct.Struct("<Q?")
    total = 0
    with tempfile.TemporaryFile(prefix="pytok-") as file:
        for part in parts:
            file.write(head.pack(len(part.text), part.ends_document))
            file.write(part.text)
            total += len(part.text)
            meter.advance([part])
        file.seek(0)

        def again() -> Iterator[Part[bytes]]:
            while packed := file.read(head.size):
                length, ends_document = head.unpack(packed)
                yield Part(file.read(length), ends_document, read=0)

        yield again(), total


def split_tail(parts: Iterator[Part[bytes]], val: float, total: int) -> Iterator[Assigned]:
    """Hold out the end of the text of *total* bytes: the fraction *val*, in full characters.

    Raises ShardError if the text has another size.
    """
    boundary = math.floor(total * (1 - val))
    position = 0
    for part in parts:
        before = boundary - position
        position += len(part.text)
        if before <= 0 or position <= boundary:
            yield ("val" if before <= 0 else "train"), part
            continue
        # The boundary is inside this part: cut it in two, but not inside a character.
        while before and part.text[before] & 0xC0 == 0x80:
            before -= 1
        if before:
            yield "train", Part(part.text[:before], ends_document=False, read=0)
        yield "val", Part(part.text[before:], part.ends_document, part.read)
    if position != total:
        raise ShardError(CHANGED)


def split_documents(parts: Iterator[Part[bytes]], val: float) -> Iterator[Assigned]:
    """Hold out complete documents, evenly spaced: the fraction *val*."""
    document = 0
    for part in parts:
        held_out = math.floor((document + 1) * val) > math.floor(document * val)
        yield ("val" if held_out else "train"), part
        document += part.ends_document
