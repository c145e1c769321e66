"""Names of people in Apple's address books, by telephone number and e-mail address.

macOS has `AddressBook-v22.abcddb`, the backup of an iPhone `AddressBook.sqlitedb`. Numbers are
compared by their last eight digits: with or without the country code they are the same person's.
"""

import re
from collections.abc import Mapping
from typing import Any

from pytok.chat.databases.opening import Tables
from pytok.chat.databases.values import label

_DIGITS = 8
_MIN_DIGITS = 7


def is_address_book(tables: Tables) -> bool:
    """Return whether *tables* are those of an address book."""
    return tables.has("ABMultiValue", "record_id", "value") or tables.has(
        "ZABCDPHONENUMBER", "ZOWNER", "ZFULLNUMBER"
    )


def read_address_book(tables: Tables) -> dict[str, str]:
    """Return the names by number and address, as written."""
    if tables.has("ABMultiValue", "record_id", "value"):
        people = tables.rows("ABPerson", ("ROWID", "First", "Last", "Organization"))
        addresses = list(tables.rows("ABMultiValue", ("record_id", "value")))
    else:
        people = tables.rows("ZABCDRECORD", ("Z_PK", "ZFIRSTNAME", "ZLASTNAME", "ZORGANIZATION"))
        addresses = [
            *tables.rows("ZABCDPHONENUMBER", ("ZOWNER", "ZFULLNUMBER")),
            *tables.rows("ZABCDEMAILADDRESS", ("ZOWNER", "ZADDRESS")),
        ]
    names: dict[Any, str] = {
        row: " ".join(filter(None, (label(first), label(last)))) or label(organization)
        for row, first, last, organization in people
    }
    return {
        label(address): names[owner] for owner, address in addresses if address and names.get(owner)
    }


class AddressNames:
    """The names of people by number or e-mail address, however either is written."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names: dict[str, str] = {}
        shared = set()
        for address, name in names.items():
            key = _key(address)
            if self._names.setdefault(key, name) != name:
                shared.add(key)
        for key in {*shared, ""} & self._names.keys():  # of two people, or of nobody
            del self._names[key]

    def get(self, address: str) -> str | None:
        """Return the name of the person with *address*, if it is known."""
        return self._names.get(_key(address))


def _key(address: str) -> str:
    if "@" in address:
        return address.casefold().strip()
    digits = re.sub(r"\D", "", address)
    return digits[-_DIGITS:] if len(digits) >= _MIN_DIGITS else ""
