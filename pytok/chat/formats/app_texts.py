"""Texts and tables of apps other than WhatsApp: the list of formats, and the choice of one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

from pytok.chat.archives import MAX_TEXT_SIZE
from pytok.chat.files import ChatFile
from pytok.chat.formats.discord_text import is_discord_text, read_discord_text
from pytok.chat.formats.imessage_text import is_imessage_text, read_imessage_text
from pytok.chat.formats.kakaotalk import is_kakaotalk, read_kakaotalk
from pytok.chat.formats.line import is_line, read_line
from pytok.chat.formats.own_format import is_own_table, read_own_table
from pytok.chat.formats.qq import is_qq, read_qq
from pytok.chat.formats.row_documents import is_row_table, read_row_table
from pytok.chat.formats.sms_backup import is_sms_backup, read_sms_backup
from pytok.chat.formats.telegram_copied import is_telegram_copied, read_telegram_copied
from pytok.chat.formats.wechat_mail import is_wechat_mail, read_wechat_mail
from pytok.chat.formats.wechat_text import is_wechat_text, read_wechat_text
from pytok.chat.import_options import ImportOptions
from pytok.chat.source import Chat, Source, UnknownFormat


class TextFormat(NamedTuple):
    """The text of one app."""

    recognizes: Callable[[str], bool]
    """Whether a text, or its start, is of this format."""
    read: Callable[[str, str, ImportOptions], Source]
    """Reads the text of the file of that name. Raises ChatError."""


def _without_options(read: Callable[[str, str], Source]) -> Callable[..., Source]:
    return lambda text, name, options: read(text, name)


def _read_line(text: str, name: str, options: ImportOptions) -> Source:
    return read_line(text, name, date_order=options.date_order, ask=options.ask)


TEXT_FORMATS = (
    TextFormat(is_discord_text, read_discord_text),
    TextFormat(is_telegram_copied, read_telegram_copied),
    TextFormat(is_sms_backup, _without_options(read_sms_backup)),
    TextFormat(is_kakaotalk, _without_options(read_kakaotalk)),
    TextFormat(is_line, _read_line),
    TextFormat(is_qq, _without_options(read_qq)),
    TextFormat(is_wechat_mail, _without_options(read_wechat_mail)),
    TextFormat(is_wechat_text, _without_options(read_wechat_text)),
    TextFormat(is_imessage_text, _without_options(read_imessage_text)),
    TextFormat(is_row_table, _without_options(read_row_table)),
    TextFormat(is_own_table, read_own_table),
)
"""All formats; the first one that recognizes a text reads it. None recognizes WhatsApp's."""


def is_app_text(file: ChatFile) -> bool:
    """Return whether *file* starts as the text of an app in `TEXT_FORMATS`."""
    return _find(file.start) is not None


def read_app_text(file: ChatFile, options: ImportOptions) -> Source:
    """Read *file* in the format that recognizes it; one of several is a chat of that name."""
    text, warnings = file.text(MAX_TEXT_SIZE)
    known = _find(text)
    if known is None:
        raise UnknownFormat(f"{file.name}: not the text of an app that is known")
    source = known.read(text, file.name, options)
    source.warnings[:0] = warnings
    if file.is_alone or source.chats:
        return source
    return replace(source, chats=[Chat(PurePosixPath(file.name).stem, len(source.messages))])


def _find(text: str) -> TextFormat | None:
    return next((each for each in TEXT_FORMATS if each.recognizes(text)), None)
