"""Reading of one export, a file, a folder or a zip, in any of the formats of `formats.table`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytok.chat.decoding import check_encoding
from pytok.chat.files import ChatFile, open_export
from pytok.chat.formats.format import Format
from pytok.chat.formats.table import FORMATS
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Chat, Source, UnknownFormat, find_chat
from pytok.chat.speakers import listed
from pytok.errors import ChatError
from pytok.text import quoted


def read_sources(paths: Sequence[Path], options: ImportOptions) -> list[Source]:
    """Read each of *paths*; of an export with several chats only `ImportOptions.chat`, if given.

    Raises ChatError with the name of the file if it cannot be read without guessing, and for an
    option that applies to none of the files.
    """
    sources = _read_all(paths, options)
    if options.chat is None:
        for source in sources:
            _check_choice(source)
    else:
        if not any(source.chats for source in sources):
            raise ChatError(f"{paths[0].name}: remove --chat: the file does not name its chat")
        sources = [_only(source, options.chat) if source.chats else source for source in sources]
    return sources


def list_chats(paths: Sequence[Path], options: ImportOptions) -> list[Chat]:
    """Return the chats of *paths*, of each in descending order of messages.

    A file that does not name its chat is listed with the name of the file.
    """
    chats: list[Chat] = []
    for source in _read_all(paths, replace(options, chat=None)):
        chosen = source.chats or [Chat(source.name, len(source.messages))]
        chats += sorted(chosen, key=lambda chat: -chat.messages)
    return chats


def _read_all(paths: Sequence[Path], options: ImportOptions) -> list[Source]:
    if options.encoding is not None:
        check_encoding(options.encoding)
    read = [_read(path, options) for path in paths]
    _check_unused_options(options, paths[0].name, [known for known, _ in read])
    for _, source in read:
        if not source.messages:
            raise ChatError(f"{source.name}: {source.format}, without any message that can be read")
    return [source for _, source in read]


def _read(path: Path, options: ImportOptions) -> tuple[Format, Source]:
    """Read *path* in the first format that recognizes it."""
    unknown: UnknownFormat | None = None
    with open_export(path, options.encoding) as files:
        for known, own in _recognized(files):
            try:
                return known, known.read(own, options)
            except UnknownFormat as error:
                unknown = unknown or error
            except ChatError:
                # Of one file, the first format says best what it is.
                if unknown is None or len(files) > 1:
                    raise
        if unknown is not None and len(files) == 1:
            raise unknown
        names = listed(file.name.removeprefix(f"{path.name}/") for file in files)
        reason = "" if unknown is None else f" ({unknown})"
        raise ChatError(
            f"{path.name}: no chat in it, only {names or 'nothing'}{reason}; give the export as "
            "the app wrote it (docs/chat-formats.md shows what each app writes)"
        )


def _recognized(files: Sequence[ChatFile]) -> Iterator[tuple[Format, list[ChatFile]]]:
    """Yield each format that recognizes any of *files*, with those."""
    own: dict[int, list[ChatFile]] = defaultdict(list)
    for file in files:
        for index, known in enumerate(FORMATS):
            if known.recognizes(file):
                own[index].append(file)
        file.forget()  # a folder can have 100,000 pictures
    for index in sorted(own):
        yield FORMATS[index], own[index]


def _check_choice(source: Source) -> None:
    """Raise ChatError if one of several chats must be chosen; otherwise warn that all are read."""
    if len(source.chats) < 2:
        return
    most = sorted(source.chats, key=lambda chat: -chat.messages)[:5]
    first = ", ".join(f"{quoted(chat.name)} ({chat.messages:,})" for chat in most)
    found = f"{source.name} has {len(source.chats):,} chats"
    if source.one_chat:
        raise ChatError(f"{found}; choose one with --chat NAME (--list-chats lists them): {first}")
    source.warnings.append(
        f"{found}, and all of them are imported: {first}; --chat NAME imports one (--list-chats "
        "lists them)"
    )


def _only(source: Source, wanted: str) -> Source:
    """Return *source* with the messages of one chat, if it has several."""
    if source.one_chat:  # its reader has chosen
        return source
    chat = find_chat(source.chats, wanted, source.name)
    if len(source.chats) == 1:
        return source
    messages = [message for message in source.messages if message.chat == chat.name]
    if not messages:
        raise ChatError(f"{source.name}: the chat {chat.name!r} has no message that can be read")
    return replace(source, messages=messages, chats=[chat])


def _check_unused_options(options: ImportOptions, name: str, used: Sequence[Format]) -> None:
    """Raise ChatError for an option that applies only to a format that is not present."""
    applicable = {option for known in used for option in known.options}
    for option in (option for known in FORMATS for option in known.options):
        if option not in applicable and getattr(options, option) is not None:
            raise ChatError(f"{name}: remove --{option}: it applies to WhatsApp databases only")
