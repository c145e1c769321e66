"""Import of chat files of any supported kind, merged into one history.

The kind of a file is determined by its content, not by its name; see `FILE_KINDS`.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pytok.chat.anonymize import Anonymized, anonymize
from pytok.chat.archives import MAX_SIZE, read_archive
from pytok.chat.databases import is_database, read_database
from pytok.chat.dialogues import is_dialogue, read_dialogues
from pytok.chat.jsonl import parse
from pytok.chat.merging import merge
from pytok.chat.record import Message, from_dict
from pytok.chat.source import Source
from pytok.chat.summary import Summary, summarize
from pytok.chat.telegram import from_telegram, is_telegram, read_telegram
from pytok.chat.whatsapp.dates import AskDateOrder, DateOrder
from pytok.chat.whatsapp.export import read_export
from pytok.counted import counted
from pytok.errors import ChatError

LIMIT, LIMIT_WITH_MEDIA = 40_000, 10_000
"""Maximum number of messages in an export; WhatsApp keeps the newest without a notice."""

LIMIT_TOLERANCE = 0.01
"""Relative distance from a limit within which an export was probably truncated: whether notices
count toward the limit differs between versions."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Information that the files do not contain, and the choice to anonymize."""

    date_order: DateOrder | None = None
    """Order of day, month and year in WhatsApp's texts. If None, decided by evidence."""
    timezone: str | None = None
    """Time zone of the export, such as "Europe/Vienna", for times without a zone."""
    key: str | None = None
    """Key of an encrypted backup: the path of its file, or its 64 digits."""
    names: Path | None = None
    """Contacts database with the names for the numbers in a message database."""
    chat: str | None = None
    """Name of the chat to read from a database that has several."""
    anonymize: bool = False
    """Replace names, numbers, addresses and links."""
    ask: AskDateOrder | None = None
    """Callback for an ambiguous date order. If None, ambiguity is an error."""


@dataclass(frozen=True)
class ImportResult:
    """Result of `import_chats`."""

    messages: list[Message]
    summary: Summary
    anonymized: Anonymized | None
    """What was replaced, if `ImportOptions.anonymize` is set."""


def import_chats(paths: Sequence[Path], options: ImportOptions) -> ImportResult:
    """Read *paths* and merge them into one history, sorted by time.

    Raises ChatError with the name of the file if it cannot be read without guessing, and for an
    option that applies to none of the files.
    """
    zone = _zone(options.timezone)
    kinds = [_kind(path) for path in paths]
    _check_unused_options(options, paths, kinds)
    sources: list[Source] = []
    for path, kind in zip(paths, kinds, strict=True):
        sources.append(_shift_after(sources, kind.read(path, options)))
    messages, duplicates = merge(_comparable_times(sources, zone))
    warnings = [warning for source in sources for warning in source.warnings]
    warnings += [*_limit_warnings(sources), *_different_chat_warnings(sources, duplicates)]
    anonymized = anonymize(messages) if options.anonymize else None
    if anonymized is not None:
        messages = anonymized.messages
    return ImportResult(messages, summarize(messages, sources, duplicates, warnings), anonymized)


class FileKind(NamedTuple):
    """One kind of file."""

    matches: Callable[[Path, bytes], bool]
    """Predicate on a file and its first bytes."""
    read: Callable[[Path, ImportOptions], Source]
    options: tuple[str, ...]
    """Fields of `ImportOptions` that apply to this kind only."""


def _kind(path: Path) -> FileKind:
    if path.is_dir():
        raise ChatError(f"{path}: a folder; give the chat's file in it")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ChatError(f"{path.name}: empty; export the chat again")
    return next(kind for kind in FILE_KINDS if kind.matches(path, head))


def _check_unused_options(
    options: ImportOptions, paths: Sequence[Path], kinds: Sequence[FileKind]
) -> None:
    """Raise ChatError for an option that applies only to a kind of file that is not present."""
    applicable = {name for kind in kinds for name in kind.options}
    for name in (name for kind in FILE_KINDS for name in kind.options):
        if name not in applicable and getattr(options, name) is not None:
            raise ChatError(
                f"{paths[0].name}: remove --{name}: it applies to WhatsApp databases only"
            )


def _read_zip(path: Path, options: ImportOptions) -> Source:
    _, data = read_archive(path)
    return _read_text(data, path.name, options)


def _read_plain(path: Path, options: ImportOptions) -> Source:
    if path.stat().st_size > MAX_SIZE:
        raise ChatError(f"{path.name}: more than {MAX_SIZE:,} bytes, too large for a chat export")
    return _read_text(path.read_bytes(), path.name, options)


def _read_database(path: Path, options: ImportOptions) -> Source:
    contents = read_database(path, names=options.names, key=options.key, chat=options.chat)
    if options.chat is None and len(contents.chats) > 1:
        first = ", ".join(f"{chat.name!r} ({chat.messages:,})" for chat in contents.chats[:5])
        raise ChatError(
            f"{path.name} has {len(contents.chats):,} chats; choose one with --chat NAME"
            f" (--list-chats lists them): {first}"
        )
    warnings = []
    if contents.missing:
        warnings.append(f"{path.name} does not contain {', '.join(contents.missing)}")
    if contents.unreadable:
        first = "; ".join(contents.unreadable[:20])
        warnings.append(
            f"{path.name}: {counted(len(contents.unreadable), 'row')} could not be read: {first}"
        )
    return Source(
        name=path.name, format="WhatsApp database", messages=contents.messages, warnings=warnings
    )


FILE_KINDS = (
    FileKind(lambda path, head: is_database(path), _read_database, ("key", "names", "chat")),
    FileKind(lambda path, head: head.startswith((b"PK\x03\x04", b"PK\x05\x06")), _read_zip, ()),
    FileKind(lambda path, head: True, _read_plain, ()),
)
"""All kinds of files; the first one that matches is used."""


def _read_text(data: bytes, name: str, options: ImportOptions) -> Source:
    """Read JSON or a text export of WhatsApp."""
    text = _decode(data, name)
    if re.match(r"\s*(\{|\[\s*[{\]])", text):
        return _read_json(text, name)
    return read_export(text, name, date_order=options.date_order, ask=options.ask)


def _decode(data: bytes, name: str) -> str:
    """Decode *data* as UTF-8, or as UTF-16 if it starts with a byte order mark."""
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if b"\0" in data:
            line = data.count(b"\n", 0, data.index(b"\0")) + 1
            raise ChatError(f"{name}, line {line}: a zero byte; this is not a text export")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ChatError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not "
            f"{error.encoding.upper()}; give the export as the app wrote it"
        ) from None


def _read_json(text: str, name: str) -> Source:
    """Read Telegram's export, training conversations, or a history of an earlier import."""
    try:
        value = parse(text, from_telegram)
    except RecursionError:
        raise ChatError(f"{name}: JSON that is nested too deeply for a chat") from None
    except ValueError as error:
        if "Extra data" not in str(error):
            raise ChatError(f"{name}: damaged JSON ({error}); export the chat again") from None
        entries = list(_json_lines(text, name))
    else:
        if is_telegram(value):
            return read_telegram(value, name)
        entries = list(enumerate(value if isinstance(value, list) else [value], start=1))
    if any(isinstance(entry, dict) and "time" in entry for _, entry in entries[:1]):
        return _history(entries, name)
    if any(is_dialogue(entry) for _, entry in entries):
        return read_dialogues(entries, name)
    raise ChatError(
        f"{name}: JSON, but not from Telegram, ShareGPT or OpenAI, and not a history of "
        "`pytok chat import`"
    )


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                yield number, parse(line)
        except (ValueError, RecursionError):
            raise ChatError(f"{name}, line {number}: not JSON, unlike the lines before") from None


def _history(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """Read the output of an earlier import."""
    messages = []
    for number, entry in entries:
        try:
            messages.append(from_dict(entry))
        except ChatError as error:
            raise ChatError(f"{name}, line {number}: {error}") from None
    return Source(name=name, format="history of an earlier import", messages=messages)


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
        return [_in_zone(source.messages, zone) for source in sources]
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
            f"{local[0].name} has local times, and {zoned[0].name} has UTC times; give the time "
            "zone of the export, as in --timezone Europe/Vienna"
        )
    # A source without times fits either kind: its placeholder times get the zone of the others.
    utc = timezone.utc
    return [
        [replace(m, time=m.time.replace(tzinfo=utc)) for m in source.messages]
        if zoned and source.timeless
        else source.messages
        for source in sources
    ]


def _in_zone(messages: Sequence[Message], zone: ZoneInfo) -> list[Message]:
    """Convert the times of *messages* to *zone*, each with its offset from UTC.

    The order of the messages distinguishes the two occurrences of the hour that repeats in autumn.
    """
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
