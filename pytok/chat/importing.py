"""Import of exports of any supported format, merged into one history."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pytok.chat.anonymize import Anonymized, anonymize
from pytok.chat.import_options import ImportOptions
from pytok.chat.merging import merge
from pytok.chat.reading import read_sources
from pytok.chat.record import Message
from pytok.chat.source import Source
from pytok.chat.summary import Summary, summarize
from pytok.counted import counted
from pytok.errors import ChatError

__all__ = ["Choices", "ImportOptions", "ImportResult", "import_chats"]


def Choices(*, anonymise: bool = False, **options: Any) -> ImportOptions:
    """Return `ImportOptions`, of which this is the former name. Deprecated."""
    warnings.warn(
        "pytok.chat.importing.Choices is ImportOptions now, and its anonymise is anonymize",
        DeprecationWarning,
        stacklevel=2,
    )
    return ImportOptions(anonymize=anonymise, **options)


LIMIT, LIMIT_WITH_MEDIA = 40_000, 10_000
"""Maximum number of messages in an export; WhatsApp keeps the newest without a notice."""

LIMIT_TOLERANCE = 0.01
"""Relative distance from a limit within which an export was probably truncated: whether notices
count toward the limit differs between versions."""


@dataclass(frozen=True)
class ImportResult:
    """Result of `import_chats`."""

    messages: list[Message]
    summary: Summary
    anonymized: Anonymized | None
    """What was replaced, if `ImportOptions.anonymize` is set."""


def import_chats(paths: Sequence[Path], options: ImportOptions) -> ImportResult:
    """Read *paths* and merge them into one history, in the order of the files.

    Raises ChatError with the name of the file if it cannot be read without guessing, and for an
    option that applies to none of the files.
    """
    zone = _zone(options.timezone)
    sources: list[Source] = []
    for source in read_sources(paths, options):
        sources.append(_shift_after(sources, source))
    messages, duplicates, contested = merge(
        _comparable_times(sources, zone), respect_deletions=options.respect_deletions
    )
    warnings = [warning for source in sources for warning in source.warnings]
    warnings += [*_limit_warnings(sources), *_different_chat_warnings(sources, duplicates)]
    if contested and not options.respect_deletions:
        warnings.append(
            f"{counted(contested, 'message')} that somebody deleted for everyone "
            f"{'is' if contested == 1 else 'are'} in the history, since another file still has "
            f"the text; --respect-deletions omits {'it' if contested == 1 else 'them'}"
        )
    anonymized = anonymize(messages, also=options.replaced_names) if options.anonymize else None
    if anonymized is not None:
        messages = anonymized.messages
    return ImportResult(messages, summarize(messages, sources, duplicates, warnings), anonymized)


def _shift_after(previous: Sequence[Source], source: Source) -> Source:
    """Move the made-up times of *source* after those of the *previous* sources."""
    ends = [each.messages[-1].time for each in previous if each.timeless]
    if not source.timeless or not ends:
        return source
    shift = max(ends) - source.messages[0].time + timedelta(days=1)
    return replace(source, messages=[replace(m, time=m.time + shift) for m in source.messages])


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ChatError(f"{name!r} is not a time zone; give a name such as Europe/Vienna") from None


def _comparable_times(sources: Sequence[Source], zone: ZoneInfo | None) -> list[list[Message]]:
    """Return the messages of each source, all with a zone or all without one.

    With *zone*, all times are converted to it. Raises ChatError if local times and times with a
    zone are mixed and *zone* is None.
    """
    if zone is not None:
        return [_in_zone(source, zone) for source in sources]
    local, zoned = (
        [
            s
            for s in sources
            if not s.timeless and any((m.time.tzinfo is None) is is_local for m in s.messages)
        ]
        for is_local in (True, False)
    )
    if local and zoned:
        raise ChatError(
            f"{local[0].name} has the times of the phone, and {zoned[0].name} those of Greenwich "
            "(UTC); to merge them, give the time zone of the phone, as in --timezone Europe/Vienna"
        )
    # A source without times fits either kind: its placeholder times get the zone of the others.
    utc = timezone.utc
    return [
        [replace(m, time=m.time.replace(tzinfo=utc)) for m in source.messages]
        if zoned and source.timeless
        else source.messages
        for source in sources
    ]


def _in_zone(source: Source, zone: ZoneInfo) -> list[Message]:
    """Convert the times of *source* to *zone*, each with its offset from UTC.

    The order of the messages distinguishes the two occurrences of the hour that repeats in autumn.
    Raises ChatError for a time that is too close to the first or the last year.
    """
    try:
        return _convert_all(source.messages, zone)
    except OverflowError:
        years = sorted(source.messages, key=lambda message: message.time.replace(tzinfo=None))
        worst = years[0] if years[0].time.year == 1 else years[-1]
        raise ChatError(
            f"{source.name}, line {worst.line}: the time {worst.time} does not exist in {zone}"
        ) from None


def _convert_all(messages: Sequence[Message], zone: ZoneInfo) -> list[Message]:
    converted: list[Message] = []
    for message in messages:
        time = message.time.replace(tzinfo=zone) if message.time.tzinfo is None else message.time
        time = _with_fixed_offset(time.astimezone(zone))
        if converted and time < converted[-1].time and message.time.tzinfo is None:
            second = _with_fixed_offset(message.time.replace(tzinfo=zone, fold=1))
            time = second if second >= converted[-1].time else time
        converted.append(replace(message, time=time))
    return converted


def _with_fixed_offset(time: datetime) -> datetime:
    """Replace the zone of *time* by its offset from UTC, so that comparison respects `fold`."""
    return time.replace(tzinfo=timezone(time.utcoffset() or timedelta()), fold=0)


def _limit_warnings(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        count = len(source.messages)
        with_media = any("." in (message.media or "") for message in source.messages)
        limit = LIMIT_WITH_MEDIA if with_media else LIMIT
        if source.limited and abs(count - limit) <= LIMIT_TOLERANCE * limit:
            kind = "with" if with_media else "without"
            yield (
                f"{source.name} has {count:,} messages, and WhatsApp exports only the newest "
                f"{limit:,} {kind} media: older messages are probably missing; import an older "
                "export or the database together with this file"
            )


def _different_chat_warnings(sources: Sequence[Source], duplicates: Sequence[int]) -> Iterator[str]:
    """Warn about files that are probably from different chats."""
    people = [{m.author for m in source.messages if m.author is not None} for source in sources]
    for index in range(1, len(sources)):
        before = set[str]().union(*people[:index])
        has_few_common = len(people[index] & before) < min(2, len(people[index]))
        if has_few_common and not duplicates[index] and not sources[index].timeless:
            yield (
                f"{sources[index].name} has no message and at most one sender in common with the "
                "files before; check that it is the same chat"
            )
