"""Who is behind an address (JID), and what a chat is called.

A person has a number (`4366...@s.whatsapp.net`) and, since about 2025, a hidden identity
(`1234...@lid`): one chat is under both in one file, and `jid_map` says which belong together.
Whoever reads it without that loses half of the conversation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from pytok.chat.databases.opening import Tables
from pytok.chat.databases.values import label
from pytok.errors import ChatError

UNNAMED_OWNER = "me"
"""The phone's owner, where the file does not say what he calls himself."""

UNKNOWN = "unknown"
"""Who sent a message of a group for which the file names nobody."""

_PHONE = "@s.whatsapp.net"
_SERVERS = ("g.us", "broadcast", "newsletter")
"""What is no person."""


def contacts(tables: Tables) -> dict[str, str]:
    """Address to name: Android's wa.db, or the iPhone's ContactsV2.sqlite.

    A name in the phone's address book comes before the one that the person chose.
    """
    if tables.has("wa_contacts", "jid"):
        rows = tables.rows("wa_contacts", ("jid", "display_name", "wa_name"))
    elif tables.has("ZWAADDRESSBOOKCONTACT", "ZWHATSAPPID"):
        rows = tables.rows("ZWAADDRESSBOOKCONTACT", ("ZWHATSAPPID", "ZFULLNAME", "ZGIVENNAME"))
    else:
        raise ChatError(
            f"{tables.path} has no table of contacts (wa_contacts); --names takes WhatsApp's wa.db"
        )
    found: dict[str, str] = {}
    for address, *names in rows:
        name = next((label(each) for each in names if each), "")
        if address and name:
            jid = label(address)
            found[bare(jid if "@" in jid else jid.lstrip("+") + _PHONE)] = name
    return found


def bare(jid: str) -> str:
    """*jid* without the number of the device: `4366:12@...` and `4366.0:12@...` are `4366@...`."""
    user, at, server = jid.partition("@")
    if server in _SERVERS or (":" not in user and "." not in user):
        return jid
    return user.partition(":")[0].partition(".")[0] + at + server


def account(jid: str) -> str:
    """What stays the same of a person: the number with its plus, else the address."""
    return "+" + jid[: -len(_PHONE)] if jid.endswith(_PHONE) else jid


class People:
    """Addresses to people, with the names that are known."""

    def __init__(
        self, names: Mapping[str, str], same: Mapping[str, str] | None = None, own: str = ""
    ) -> None:
        self._same = same or {}
        self._names = {self.identity(jid): name for jid, name in names.items() if name}
        self.own = own or UNNAMED_OWNER

    def identity(self, jid: str) -> str:
        """The one address of whoever has *jid*."""
        one = bare(jid)
        return self._same.get(one, one)

    def name(self, jid: str) -> str | None:
        """What the person is called, if anything says so."""
        return self._names.get(self.identity(jid))

    def chat_names(self, chats: Iterable[str], subjects: Mapping[str, str]) -> dict[str, str]:
        """A name for each of *chats* (identities); what two would share gets the address, too."""
        names = {
            chat: subjects.get(chat) or self.name(chat) or account(chat)
            for chat in dict.fromkeys(chats)
        }
        shared = Counter(names.values())
        return {
            chat: name if shared[name] == 1 else f"{name} ({account(chat)})"
            for chat, name in names.items()
        }
