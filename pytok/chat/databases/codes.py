"""What the numbers in WhatsApp's columns mean; there is no public specification of them.

From WhatsApp-Chat-Exporter, IPED and others that read the same files, where they agree. A number
that is not here is never guessed at: such a message keeps its text or its file, and one that has
neither says its number.
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
    42: "image",  # to be seen once
    43: "video",
    82: "audio",
    99: "album",  # its pictures are messages of their own
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
    36: "system",  # messages disappear from now on
    64: "deleted",  # by an administrator
    66: "poll",
    90: "call",
    106: "poll",
    112: "system",  # advanced chat privacy
    116: "system",
}
ANDROID_KINDS: dict[int, Kind] = {**dict.fromkeys(ANDROID_MEDIA, _MEDIA), **_ANDROID_KINDS}
"""`message.message_type`, and `messages.media_wa_type`, to a kind."""

SYSTEM = 6
"""`status` of what is no message of anybody's."""

EDITED = 1
REVOKED = frozenset({7, 8})
"""`messages.edit_version` of what its sender (7), or an administrator (8), deleted for all."""

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
"""`message_system.action_type`, and `messages.media_size` of old system rows, to words."""

IPHONE_MEDIA = {
    1: "image",
    2: "video",
    3: "audio",
    4: "contact",
    8: "document",
    11: "GIF",
    15: "sticker",
    38: "image",  # to be seen once
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
"""`ZWAMESSAGE.ZMESSAGETYPE` to a kind; the numbers are not Android's."""


def call(*, video: bool, seconds: int | None) -> str:
    """What a call is told as; *seconds* is None for one that was missed."""
    sort = "video" if video else "voice"
    if seconds is None:
        return f"missed {sort} call"
    return f"{sort} call, {seconds} s" if seconds else f"{sort} call, not answered"


def poll(question: str, options: list[str]) -> str:
    """A poll's question, and its options a line each."""
    return "\n".join([question, *options])


def place(name: str, address: str, url: str, latitude: Any, longitude: Any) -> str:
    """A location: what is known of it, and a link to it; ValueError if its degrees are none."""
    link = ""
    if latitude or longitude:
        link = f"https://maps.google.com/?q={float(latitude or 0)},{float(longitude or 0)}"
    return "\n".join(line for line in (name, address, url or link) if line)
