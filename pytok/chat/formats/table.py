"""The list of all formats of chats."""

from pytok.chat.formats.app_texts import is_app_text, read_app_text
from pytok.chat.formats.databases import is_messages_database, read_databases
from pytok.chat.formats.format import Format, each
from pytok.chat.formats.json_documents import is_json, read_json
from pytok.chat.formats.sigexport import is_sigexport_markdown, read_sigexport_markdown
from pytok.chat.formats.telegram_html import is_html, read_telegram_page
from pytok.chat.formats.texts import is_text, read_text

FORMATS = (
    Format(is_messages_database, read_databases, ("key", "names")),
    Format(is_json, each(read_json)),
    Format(is_html, each(read_telegram_page)),
    Format(is_sigexport_markdown, each(read_sigexport_markdown)),
    Format(is_app_text, each(read_app_text)),
    Format(is_text, read_text),
)
"""All formats. The first one that recognizes a file of an export, and can read it, is used: of an
export as JSON and as a page of the same chat, the JSON is read."""
