"""Addresses (JIDs) of people, and the names of chats.

A person has a number (`4366...@s.whatsapp.net`) and, since about 2025, a hidden identity
(`1234...@lid`). The messages of one chat are stored under both in one file, and `jid_map` relates
them. Without this mapping, half of the conversation would be lost.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from pytok.chat.databases.address_book import is_address_book, read_address_book
from pytok.chat.databases.opening import Tables
from pytok.chat.databases.values import label
from pytok.errors import ChatError

UNNAMED_OWNER = "me"
"""Sender for the owner of the phone, if the file has no profile name."""

UNKNOWN = "unknown"
"""Sender of a group message without a sender in the file."""

_PHONE = "@s.whatsapp.net"
_GROUP_SERVERS = ("g.us", "broadcast", "newsletter")
"""Servers of addresses that are not people."""


def has_contacts(tables: Tables) -> bool:
    """Return whether *tables* are those of contacts, of WhatsApp or of Apple."""
    return (
        tables.has("wa_contacts", "jid")
        or tables.has("ZWAADDRESSBOOKCONTACT", "ZWHATSAPPID")
        or is_address_book(tables)
    )


def contacts(tables: Tables) -> dict[str, str]:
    """Read the names by address of wa.db (Android), ContactsV2.sqlite (iPhone) or Apple's book.

    A name in the phone's address book takes precedence over the one that the person chose.
    """
    if tables.has("wa_contacts", "jid"):
        rows = tables.rows("wa_contacts", ("jid", "display_name", "wa_name"))
    elif tables.has("ZWAADDRESSBOOKCONTACT", "ZWHATSAPPID"):
        rows = tables.rows("ZWAADDRESSBOOKCONTACT", ("ZWHATSAPPID", "ZFULLNAME", "ZGIVENNAME"))
    elif is_address_book(tables):
        return read_address_book(tables)
    else:
        raise ChatError(
            f"{tables.path} has no contacts table (wa_contacts); give WhatsApp's wa.db for --names"
        )
    found: dict[str, str] = {}
    for address, *names in rows:
        name = next((label(each) for each in names if each), "")
        if address and name:
            jid = label(address)
            found[without_device(jid if "@" in jid else jid.lstrip("+") + _PHONE)] = name
    return found


def without_device(jid: str) -> str:
    """Remove the device from *jid*: `4366:12@...` and `4366.0:12@...` become `4366@...`."""
    user, at, server = jid.partition("@")
    if server in _GROUP_SERVERS or (":" not in user and "." not in user):
        return jid
    return user.partition(":")[0].partition(".")[0] + at + server


def account(jid: str) -> str:
    """Return the stable sender for *jid*: the number with a plus sign, else the address."""
    return "+" + jid[: -len(_PHONE)] if jid.endswith(_PHONE) else jid


class People:
    """People by address, with their known names; *phone_of* maps hidden identities to numbers."""

    def __init__(
        self, names: Mapping[str, str], phone_of: Mapping[str, str] | None = None, own: str = ""
    ) -> None:
        self._phone_of = phone_of or {}
        self._names = {self.identity(jid): name for jid, name in names.items() if name}
        self.own = own or UNNAMED_OWNER
        """Sender for the owner of the phone."""

    def identity(self, jid: str) -> str:
        """Return the canonical address of the person with *jid*."""
        address = without_device(jid)
        return self._phone_of.get(address, address)

    def name(self, jid: str) -> str | None:
        """Return the name of the person, if it is known."""
        return self._names.get(self.identity(jid))

    def chat_names(self, chats: Iterable[str], subjects: Mapping[str, str]) -> dict[str, str]:
        """Map *chats* (identities) to unique names; a duplicate name is followed by the address."""
        return unique_names(
            {
                chat: subjects.get(chat) or self.name(chat) or account(chat)
                for chat in dict.fromkeys(chats)
            }
        )


def unique_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return *names* by identity; one that occurs several times is followed by the address."""
    counts = Counter(names.values())
    return {
        identity: name if counts[name] == 1 else f"{name} ({account(identity)})"
        for identity, name in names.items()
    }
