"""Details of messages in Android's msgstore.db: tables that refer to the row of a message.

These are `message_media`, `message_location`, `message_poll_option`, reactions and others. Both
generations of the main table use them. Each table is read once, completely. A table or column that
the version of the file lacks is treated as empty, and listed in `missing`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pytok.chat.databases import codes
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.values import integer, text

_Value = TypeVar("_Value")

_INFORMATION = {
    "message_add_on_reaction": "reactions",
    "message_quoted": "reply references",
    "message_media": "file names",
    "message_system": "texts of system messages",
    "message_edit_info": "edit marks",
    "message_poll_option": "poll options",
    "message_location": "coordinates of locations",
}
"""Name of a table to the information in it."""


class Details:
    """Details of messages, as mappings from the row in `message`."""

    def __init__(self, tables: Tables, jids: Mapping[int, str]) -> None:
        self._tables = tables
        self.missing = [what for table, what in _INFORMATION.items() if not tables.has(table)]
        """Information that the file does not have."""
        self.unreadable: list[str] = []
        """Invalid rows; their messages are kept without the detail."""
        self.media = self._one(
            "message_media", ("file_path", "media_name", "media_caption"), _media
        )
        columns = ("place_name", "place_address", "url", "latitude", "longitude")
        self.locations = self._one("message_location", columns, _location)
        self.quoted = self._one("message_quoted", ("key_id",), text)
        self.edited = self._one("message_edit_info", ("original_key_id",), text)
        self.revoked = self._one("message_revoked", ("revoked_key_id",), text)
        self.actions = self._one("message_system", ("action_type",), integer)
        self.missed = self._one("missed_call_logs", ("video_call",), integer)
        self.calls = self._one("message_call_log", ("call_log_row_id",), integer)
        """Row of a message to the row of its call in `call_log`."""
        self.options = self._several("message_poll_option", "option_name", text)
        self.participants = self._several(
            "message_system_chat_participant",
            "user_jid_row_id",
            lambda row: jids.get(integer(row), ""),
        )
        self.reactions = self._reactions()

    def _one(
        self, table: str, columns: tuple[str, ...], make: Callable[..., _Value]
    ) -> dict[int, _Value]:
        found: dict[int, _Value] = {}
        for row, *values in self._tables.rows(table, ("message_row_id", *columns)):
            try:
                found[integer(row)] = make(*values)
            except ValueError as error:
                self.unreadable.append(f"{table} of message {row!r:.40}: {error}")
        return found

    def _several(self, table: str, column: str, make: Callable[[Any], str]) -> dict[int, list[str]]:
        found: defaultdict[int, list[str]] = defaultdict(list)
        for row, value in self._tables.rows(table, ("message_row_id", column)):
            try:
                if made := make(value):
                    found[integer(row)].append(made)
            except ValueError as error:
                self.unreadable.append(f"{table} of message {row!r:.40}: {error}")
        return found

    def _reactions(self) -> dict[int, list[str]]:
        parents = dict(self._tables.rows("message_add_on", ("_id", "parent_message_row_id")))
        found: defaultdict[int, list[str]] = defaultdict(list)
        columns = ("message_add_on_row_id", "reaction")
        for add_on, reaction in self._tables.rows("message_add_on_reaction", columns):
            # A removed reaction remains as an empty string.
            if reaction and add_on in parents:
                try:
                    found[integer(parents[add_on])].append(text(reaction))
                except ValueError as error:
                    self.unreadable.append(f"message_add_on_reaction, row {add_on!r:.40}: {error}")
        return found


def _media(path: Any, name: Any, caption: Any) -> tuple[str, str]:
    """Return the name of the file, and the caption if it is not in the message itself."""
    return text(name) or text(path).replace("\\", "/").rpartition("/")[2], text(caption)


def _location(name: Any, address: Any, url: Any, latitude: Any, longitude: Any) -> str:
    return codes.location(text(name), text(address), text(url), latitude, longitude)
