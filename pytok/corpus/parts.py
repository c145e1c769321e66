"""Spans of text to parts of bounded length, and parts to batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from pytok.blocks import check_expansion, size_on_disk
from pytok.corpus.text import Span, Text

Item = TypeVar("Item")

PART_CHARACTERS = 1 << 20
"""Approximate length of a part in characters, or bytes of UTF-8: enough work for one call."""

BATCH_CHARACTERS = 1 << 24
"""Length of a batch: enough work for all threads, and less than 100 MB of ids."""

BATCH_PARTS = 1 << 16
"""Most parts in a batch, which bounds the memory that very short documents take."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Text]):
    """A slice of a document. The parts of a document concatenate to exactly its text."""

    text: Text
    ends_document: bool
    read: int
    """Bytes on disk, before decompression, that were read since the previous part."""


def parts_of(
    paths: Iterable[Path],
    read_spans: Callable[[Path], Iterator[Span[Text]]],
    last_cut: Callable[[Text], int] | None,
) -> Iterator[Part[Text]]:
    """Yield the parts of all *paths*, cut where *last_cut* allows, or uncut if it is ``None``.

    The last span of each path must be at its end. If there is any part, their `Part.read` sum to
    the size of the files.
    """
    # One part is held back, so that bytes read after the last text are counted in a part, too.
    held: Part[Text] | None = None
    unclaimed = 0
    for path in paths:
        position = 0
        for text, ends_document, reached in _regroup(path, read_spans(path), last_cut):
            unclaimed, position = unclaimed + reached - position, reached
            if not text:  # an empty document
                continue
            if held:
                yield held
            held, unclaimed = Part(text, ends_document, unclaimed), 0
    if held:
        yield replace(held, read=held.read + unclaimed)


def _regroup(
    path: Path, spans: Iterable[Span[Text]], last_cut: Callable[[Text], int] | None
) -> Iterator[Span[Text]]:
    """Join short *spans* of a document of *path*, and cut long ones."""
    on_disk = size_on_disk(path)
    pending: list[Text] = []
    length, next_try = 0, PART_CHARACTERS
    for text, ends_document, position in spans:
        for start in range(0, len(text), PART_CHARACTERS):
            pending.append(text[start : start + PART_CHARACTERS])
            length += len(pending[-1])
            check_expansion(path, length, on_disk)
            if not last_cut or length < next_try:
                continue
            joined = text[:0].join(pending)
            cut = last_cut(joined)
            if cut:
                yield joined[:cut], False, position
            pending, length = [joined[cut:]], len(joined) - cut
            # Without a cut the next try waits for twice the text: the search stays linear.
            next_try = PART_CHARACTERS if cut else 2 * length
        if ends_document:
            yield text[:0].join(pending), True, position
            pending, length, next_try = [], 0, PART_CHARACTERS


def batches(items: Iterable[Item], length: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Group *items* into batches that are large enough for several threads.

    A batch has about `BATCH_CHARACTERS` by *length*, and at most `BATCH_PARTS` items.
    """
    batch: list[Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += length(item)
        if characters >= BATCH_CHARACTERS or len(batch) == BATCH_PARTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
