"""WhatsApp's databases and backups as a format of chats; `pytok.chat.databases` reads them."""

from pytok.chat.databases import is_database, read_database
from pytok.chat.files import ChatFile
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Source
from pytok.counted import counted


def is_whatsapp_database(file: ChatFile) -> bool:
    """Return whether *file* is a SQLite file or an encrypted backup that was given as it is."""
    return file.path is not None and file.is_alone and is_database(file.path)


def read_whatsapp_database(file: ChatFile, options: ImportOptions) -> Source:
    """Read all chats of the database *file*, or the one that `ImportOptions.chat` names."""
    assert file.path is not None, "recognized by its path"
    contents = read_database(file.path, names=options.names, key=options.key, chat=options.chat)
    name = file.name
    warnings = []
    if contents.missing:
        warnings.append(f"{name} does not contain {', '.join(contents.missing)}")
    if contents.unreadable:
        first = "; ".join(contents.unreadable[:20])
        warnings.append(
            f"{name}: {counted(len(contents.unreadable), 'row')} could not be read: {first}"
        )
    return Source(
        name=name,
        format=contents.format,
        messages=contents.messages,
        warnings=warnings,
        chats=contents.chats,
        one_chat=True,
    )
