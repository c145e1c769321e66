"""Meanings of the numeric codes in WhatsApp's columns, which have no public specification.

The source is the agreement of WhatsApp-Chat-Exporter, IPED and other readers of these files. The
meaning of an unlisted code is never guessed: the message keeps its text or its file, and one with
neither shows the code.
"""

from typing import Any

from pytok.chat.record import Kind

_MEDIA: Kind = "media"

ANDROID_MEDIA = {
    1: "image",
    2: "audio",
    3: "video",
    4: "contact",
    9: "document",
    13: "GIF",
    14: "contacts",
    20: "sticker",
    42: "image",  # view once
    43: "video",
    82: "audio",
    99: "album",  # its pictures are separate messages
}
_ANDROID_KINDS: dict[int, Kind] = {
    0: "text",
    5: "location",
    7: "system",
    8: "call",
    10: "call",  # missed
    11: "system",  # waiting for a message that could not be decrypted yet
    15: "deleted",
    16: "location",  # live
    36: "system",  # disappearing messages were turned on
    64: "deleted",  # by an administrator
    66: "poll",
    90: "call",
    106: "poll",
    112: "system",  # advanced chat privacy
    116: "system",
}
ANDROID_KINDS: dict[int, Kind] = {**dict.fromkeys(ANDROID_MEDIA, _MEDIA), **_ANDROID_KINDS}
"""`message.message_type` and `messages.media_wa_type` to a kind."""

SYSTEM = 6
"""`status` of a system message."""

EDITED = 1
"""`messages.edit_version` of an edited message."""
REVOKED = frozenset({7, 8})
"""`messages.edit_version` of a message deleted for everyone by its sender (7) or an admin (8)."""

ACTIONS = {
    1: "changed the subject",
    4: "was added",
    5: "left",
    6: "changed the group's picture",
    7: "was removed",
    9: "created a broadcast list",
    10: "changed their number",
    11: "created the group",
    12: "added",
    13: "left",
    14: "removed",
    15: "became an administrator",
    18: "the security code changed",
    19: "messages are end-to-end encrypted",
    20: "joined by an invite link",
    27: "changed the group's description",
    28: "changed their number",
    56: "changed when messages disappear",
    57: "the security code changed",
    58: "blocked or unblocked this contact",
    67: "messages are end-to-end encrypted",
    129: "is a contact",
}
"""`message_system.action_type`, and `messages.media_size` of old system rows, to a phrase."""

IPHONE_MEDIA = {
    1: "image",
    2: "video",
    3: "audio",
    4: "contact",
    8: "document",
    11: "GIF",
    15: "sticker",
    38: "image",  # view once
    39: "video",
    54: "video",
    66: "album",
}
_IPHONE_KINDS: dict[int, Kind] = {
    0: "text",
    5: "location",
    6: "system",
    7: "text",  # with a link
    10: "system",
    14: "deleted",
    46: "poll",
    59: "call",
}
IPHONE_KINDS: dict[int, Kind] = {**dict.fromkeys(IPHONE_MEDIA, _MEDIA), **_IPHONE_KINDS}
"""`ZWAMESSAGE.ZMESSAGETYPE` to a kind; the codes differ from Android's."""


def call(*, video: bool, seconds: int | None) -> str:
    """Describe a call; *seconds* is None for a missed one."""
    medium = "video" if video else "voice"
    if seconds is None:
        return f"missed {medium} call"
    return f"{medium} call, {seconds} s" if seconds else f"{medium} call, not answered"


def poll(question: str, options: list[str]) -> str:
    """Return the question and the options of a poll, one per line."""
    return "\n".join([question, *options])


def location(name: str, address: str, url: str, latitude: Any, longitude: Any) -> str:
    """Return the known lines of a location: name, address, and a link in degrees.

    Raises ValueError if *latitude* or *longitude* is not a number.
    """
    link = ""
    if latitude or longitude:
        link = f"https://maps.google.com/?q={float(latitude or 0)},{float(longitude or 0)}"
    return "\n".join(line for line in (name, address, url or link) if line)
