"""Files of any kind that a chat is exported to, read and merged into one history.

What a file is its bytes tell, not its name: `KINDS`.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pytok.chat.anonymise import Anonymised, anonymise
from pytok.chat.archives import MAX_SIZE, read_archive
from pytok.chat.databases import is_database, read_database
from pytok.chat.dialogues import is_dialogue, read_dialogues
from pytok.chat.jsonl import parse
from pytok.chat.merging import merge
from pytok.chat.record import Message, from_plain
from pytok.chat.source import Source
from pytok.chat.summary import Summary, summarise
from pytok.chat.telegram import from_telegram, is_telegram, read_telegram
from pytok.chat.whatsapp.dates import Ask, DateOrder
from pytok.chat.whatsapp.export import read_export
from pytok.counted import counted
from pytok.errors import ChatError

LIMIT, LIMIT_WITH_MEDIA = 40_000, 10_000
"""How many messages an export has at most; WhatsApp keeps the newest, and says nothing."""

NEAR = 0.01
"""An export within this part of a limit was probably cut: notices may or may not be counted."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What files do not tell."""

    date_order: DateOrder | None = None
    """How dates like 3/4/24 are read in WhatsApp's texts; None decides by evidence."""
    timezone: str | None = None
    """Where the chat was exported, as in "Europe/Vienna": what times without a zone are of."""
    key: str | None = None
    """The file of the key of an encrypted backup, or its 64 digits."""
    names: Path | None = None
    """A database of contacts, which has the names for a database's numbers."""
    chat: str | None = None
    """Which chat of a database that has several."""
    anonymise: bool = False
    """Whether names, numbers, addresses and links are replaced."""
    ask: Ask | None = None
    """Is asked how dates are written where nothing decides; without it that is an error."""


@dataclass(frozen=True)
class Import:
    """What was imported."""

    messages: list[Message]
    summary: Summary
    anonymised: Anonymised | None
    """What was replaced, where that was asked for."""


def import_chats(paths: Sequence[Path], choices: Choices) -> Import:
    """Read *paths* and merge them into one history, in order of time.

    Raises ChatError, which names the file, for what cannot be read: nothing is guessed; and for a
    choice that none of the files needs.
    """
    zone = _zone(choices.timezone)
    kinds = [_kind(path) for path in paths]
    _refuse_idle(choices, paths, kinds)
    sources: list[Source] = []
    for path, kind in zip(paths, kinds, strict=True):
        sources.append(_after(sources, kind.read(path, choices)))
    messages, duplicates = merge(_in_one_zone(sources, zone))
    warnings = [warning for source in sources for warning in source.warnings]
    warnings += [*_limits(sources), *_strangers(sources, duplicates)]
    done = anonymise(messages) if choices.anonymise else None
    if done is not None:
        messages = done.messages
    return Import(messages, summarise(messages, sources, duplicates, warnings), done)


class Kind(NamedTuple):
    """A kind of file."""

    fits: Callable[[Path, bytes], bool]
    """Whether a file that begins with these bytes is one."""
    read: Callable[[Path, Choices], Source]
    choices: tuple[str, ...]
    """Fields of `Choices` that are for no other kind."""


def _kind(path: Path) -> Kind:
    if path.is_dir():
        raise ChatError(f"{path}: a folder; give the file of the chat in it")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ChatError(f"{path.name}: empty; export the chat again")
    return next(kind for kind in KINDS if kind.fits(path, head))


def _refuse_idle(choices: Choices, paths: Sequence[Path], kinds: Sequence[Kind]) -> None:
    """Raise ChatError for a choice that is made for a kind of file of which there is none."""
    needed = {name for kind in kinds for name in kind.choices}
    for name in (name for kind in KINDS for name in kind.choices):
        if name not in needed and getattr(choices, name) is not None:
            raise ChatError(
                f"--{name} is for WhatsApp's databases, and {paths[0].name} is none; leave it away"
            )


def _read_zip(path: Path, choices: Choices) -> Source:
    _, data = read_archive(path)
    return _read_text(data, path.name, choices)


def _read_plain(path: Path, choices: Choices) -> Source:
    if path.stat().st_size > MAX_SIZE:
        raise ChatError(f"{path.name}: more than {MAX_SIZE:,} bytes; no export is so large")
    return _read_text(path.read_bytes(), path.name, choices)


def _read_database(path: Path, choices: Choices) -> Source:
    reading = read_database(path, names=choices.names, key=choices.key, chat=choices.chat)
    if choices.chat is None and len(reading.chats) > 1:
        first = ", ".join(f"{chat.name!r} ({chat.messages:,})" for chat in reading.chats[:5])
        raise ChatError(
            f"{path.name} has {len(reading.chats):,} chats; choose one with --chat NAME"
            f" (--list-chats tells all): {first}"
        )
    warnings = []
    if reading.missing:
        warnings.append(f"{path.name} does not tell {', '.join(reading.missing)}")
    if reading.unreadable:
        some = "; ".join(reading.unreadable[:20])
        warnings.append(
            f"{path.name}: {counted(len(reading.unreadable), 'row')} could not be read: {some}"
        )
    return Source(
        name=path.name, format="WhatsApp database", messages=reading.messages, warnings=warnings
    )


KINDS = (
    Kind(lambda path, head: is_database(path), _read_database, ("key", "names", "chat")),
    Kind(lambda path, head: head.startswith((b"PK\x03\x04", b"PK\x05\x06")), _read_zip, ()),
    Kind(lambda path, head: True, _read_plain, ()),
)
"""Every kind of file, the first that fits first."""


def _read_text(data: bytes, name: str, choices: Choices) -> Source:
    """A text is JSON, or an export of WhatsApp."""
    text = _decoded(data, name)
    if re.match(r"\s*(\{|\[\s*[{\]])", text):
        return _read_json(text, name)
    return read_export(text, name, date_order=choices.date_order, ask=choices.ask)


def _decoded(data: bytes, name: str) -> str:
    """*data* as text: UTF-8, or UTF-16 that says so."""
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if b"\0" in data:
            line = data.count(b"\n", 0, data.index(b"\0")) + 1
            raise ChatError(f"{name}, line {line}: a zero byte; this is no text, and no chat")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ChatError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not "
            f"{error.encoding.upper()}; give the export as the app wrote it"
        ) from None


def _read_json(text: str, name: str) -> Source:
    """Telegram's export, conversations for training, or a history that was imported before."""
    try:
        plain = parse(text, from_telegram)
    except RecursionError:
        raise ChatError(f"{name}: JSON that is nested too deeply to be a chat") from None
    except ValueError as error:
        if "Extra data" not in str(error):
            raise ChatError(f"{name}: damaged JSON ({error}); export the chat again") from None
        entries = list(_json_lines(text, name))
    else:
        if is_telegram(plain):
            return read_telegram(plain, name)
        entries = list(enumerate(plain if isinstance(plain, list) else [plain], start=1))
    if any(isinstance(each, dict) and "time" in each for _, each in entries[:1]):
        return _history(entries, name)
    if any(is_dialogue(each) for _, each in entries):
        return read_dialogues(entries, name)
    raise ChatError(
        f"{name}: JSON, but none of Telegram's, ShareGPT's or OpenAI's, nor a history of pytok's"
    )


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                yield number, parse(line)
        except (ValueError, RecursionError):
            raise ChatError(f"{name}, line {number}: not JSON, and the lines before are") from None


def _history(entries: Sequence[tuple[int, Any]], name: str) -> Source:
    """What an earlier import wrote, to be merged with more."""
    messages = []
    for number, plain in entries:
        try:
            messages.append(from_plain(plain))
        except ChatError as error:
            raise ChatError(f"{name}, line {number}: {error}") from None
    return Source(name=name, format="a history of pytok's", messages=messages)


def _after(before: Sequence[Source], source: Source) -> Source:
    """*source*, whose made-up times begin after those of the ones *before* it."""
    ends = [each.messages[-1].time for each in before if each.timeless]
    if not source.timeless or not ends:
        return source
    shift = max(ends) - source.messages[0].time + timedelta(days=1)
    return replace(source, messages=[replace(m, time=m.time + shift) for m in source.messages])


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ChatError(f"{name!r} is no time zone; they are named like Europe/Vienna") from None


def _in_one_zone(sources: Sequence[Source], zone: ZoneInfo | None) -> list[list[Message]]:
    """The messages of each source, with times that can be compared: all of *zone*, or as told."""
    if zone is not None:
        return [_in_zone(source.messages, zone) for source in sources]
    local, world = (
        [
            s
            for s in sources
            if not s.timeless and any((m.time.tzinfo is None) is is_local for m in s.messages)
        ]
        for is_local in (True, False)
    )
    if local and world:
        raise ChatError(
            f"{local[0].name} tells local times, and {world[0].name} times of the world; say where "
            "the chat was exported, as in --timezone Europe/Vienna"
        )
    utc = timezone.utc
    return [
        [replace(m, time=m.time.replace(tzinfo=utc)) for m in source.messages]
        if world and source.timeless
        else source.messages
        for source in sources
    ]


def _in_zone(messages: Sequence[Message], zone: ZoneInfo) -> list[Message]:
    """*messages* with the time of *zone*, each with its distance from UTC.

    The hour that comes twice in autumn is told apart by the order of the messages.
    """
    placed: list[Message] = []
    for message in messages:
        time = message.time.replace(tzinfo=zone) if message.time.tzinfo is None else message.time
        time = _fixed(time.astimezone(zone))
        if placed and time < placed[-1].time and message.time.tzinfo is None:
            again = _fixed(message.time.replace(tzinfo=zone, fold=1))
            time = again if again >= placed[-1].time else time
        placed.append(replace(message, time=time))
    return placed


def _fixed(time: datetime) -> datetime:
    """*time* with a zone that is its distance from UTC, so that comparing sees the distance."""
    return time.replace(tzinfo=timezone(time.utcoffset() or timedelta()), fold=0)


def _limits(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        count = len(source.messages)
        with_media = any("." in (message.media or "") for message in source.messages)
        limit = LIMIT_WITH_MEDIA if with_media else LIMIT
        if source.limited and abs(count - limit) <= NEAR * limit:
            kind = "with" if with_media else "without"
            yield (
                f"{source.name} has {count:,} messages, and WhatsApp exports the newest {limit:,} "
                f"{kind} media: older ones are probably missing; an older export, or the database, "
                "has them, and can be imported together with this file"
            )


def _strangers(sources: Sequence[Source], duplicates: Sequence[int]) -> Iterator[str]:
    """Files that are probably not of one chat."""
    people = [{m.author for m in source.messages if m.author is not None} for source in sources]
    for place in range(1, len(sources)):
        before = set[str]().union(*people[:place])
        alone = len(people[place] & before) < min(2, len(people[place]))
        if alone and not duplicates[place] and not sources[place].timeless:
            yield (
                f"{sources[place].name} has no message and hardly a sender in common with the "
                "files before: is it the same chat?"
            )
