"""Databases of messages as a format of chats: one file, or the files of a phone side by side.

`pytok.chat.databases` reads them.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pytok.atomic import temporary_folder
from pytok.chat.databases import is_database, read_database
from pytok.chat.databases.android_backup import is_android_backup, unpack
from pytok.chat.databases.opening import MAGIC
from pytok.chat.databases.phone import (
    Phone,
    fitting_key,
    is_packed_phone_file,
    is_phone_file,
    sort_files,
)
from pytok.chat.files import ChatFile
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Source, UnknownFormat
from pytok.counted import counted
from pytok.errors import ChatError

_MAX_PASSWORD = 1024  # bytes


def is_messages_database(file: ChatFile) -> bool:
    """Return whether *file* is a database or a backup of one; in a folder, also whether a key."""
    if _is_encrypted_manifest(file):
        return True
    if file.path is None:
        return is_packed_phone_file(PurePosixPath(file.name).name, file.head)
    if file.is_alone:
        return is_database(file.path) or is_android_backup(file.head)
    return is_phone_file(file.path, file.head)


def _is_encrypted_manifest(file: ChatFile) -> bool:
    """Return whether *file* is the list of the files of an encrypted backup of an iPhone."""
    is_manifest = PurePosixPath(file.name).name == "Manifest.db" and not file.is_alone
    return is_manifest and len(file.head) >= len(MAGIC) and not file.head.startswith(MAGIC)


def read_databases(files: Sequence[ChatFile], options: ImportOptions) -> Source:
    """Read the messages in *files*, all chats or the one that `ImportOptions.chat` names.

    Raises UnknownFormat if none of *files* has messages, and ChatError for damage.
    """
    manifest = next(filter(_is_encrypted_manifest, files), None)
    if manifest is not None and not any(
        is_packed_phone_file(PurePosixPath(file.name).name, file.head) for file in files
    ):
        raise ChatError(
            f"{manifest.export}: an encrypted backup of an iPhone, which cannot be read; turn off "
            '"Encrypt local backup" in Finder or iTunes, back up again, and give that folder'
        )
    paths = [file.path for file in files if file.path is not None]
    if not paths:  # SQLite reads files on the disk
        raise UnknownFormat(
            f"{files[0].name} is a database or a backup in a zip: unpack it, and give its folder"
        )
    if files[0].is_alone and not is_android_backup(files[0].head):
        return _read(paths[0], files[0].name, options.names, options.key, options.chat)
    return _read_phone(sort_files(paths), files[0].export, options)


def _read_phone(phone: Phone, name: str, options: ImportOptions) -> Source:
    """Read the messages of *phone*, with the contacts and the key that are beside them."""
    candidates = phone.messages or phone.backups[:1]
    if not candidates and phone.archives:
        return _read_archive(phone, name, options)
    if not candidates:
        if phone.damaged:
            raise phone.damaged[0]
        raise UnknownFormat(f"{name}: no database of messages in it")
    if len(candidates) > 1:
        listed = ", ".join(f"{path.parent.name}/{path.name}" for path in candidates[:5])
        raise ChatError(
            f"{name}: {len(candidates)} databases with messages ({listed}); give one of them, with "
            "--names for its contacts"
        )
    messages = candidates[0]
    names = options.names or next(iter([*phone.contacts, *phone.contact_backups]), None)
    key = options.key or fitting_key(messages, phone.keys)
    source = _read(messages, f"{name}/{messages.name}", names, key, options.chat)
    source.name = name
    if names is not None and options.names is None:
        source.format += f" with the names in {names.name}"
    older = [path.name for path in phone.backups if path != messages]
    if older:
        source.warnings.append(
            f"{name}: {messages.name} was read; {counted(len(older), 'backup')} beside it were not "
            f"({', '.join(older[:5])}): give them too, if older messages are missing"
        )
    return source


def _read_archive(phone: Phone, name: str, options: ImportOptions) -> Source:
    """Read the only Android backup or tar of *phone*."""
    if len(phone.archives) > 1:
        listed = ", ".join(path.name for path in phone.archives[:5])
        raise ChatError(f"{name}: {len(phone.archives)} backups ({listed}); give one of them")
    with temporary_folder() as folder:
        unpacked = sort_files(unpack(phone.archives[0], folder, _password(options.key)))
        unpacked.keys += phone.keys
        try:
            return _read_phone(unpacked, name, options)
        except ChatError as error:  # what was unpacked is named as a part of the archive
            message = error.message.replace(f"{folder}/", f"{phone.archives[0]}/")
            raise type(error)(message) from None


def _password(key: str | None) -> str | None:
    """Return the password in the file *key*, or *key* itself if there is no such file."""
    if key is None or not Path(key).is_file():
        return key
    try:
        with Path(key).open("rb") as file:
            return file.read(_MAX_PASSWORD).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ChatError(f"{key} is not a text with a password") from None


def _read(path: Path, name: str, names: Path | None, key: str | None, chat: str | None) -> Source:
    """Read all chats of the database *path*, or the one named *chat*."""
    contents = read_database(path, names=names, key=key, chat=chat)
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
