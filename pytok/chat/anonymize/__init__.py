"""Replacement of people, numbers, addresses and links in a history.

A person has the same substitute everywhere: as a sender, in the messages of others, in a mention,
by the full name, the first name and further names. A name that two people have in common ("Anna" of
two Annas) has a substitute of its own, since it is ambiguous. Substitutes are assigned in the order
in which people first appear, and are words that do not occur in the history.

Only what has a form can be found: the names of senders (and *also*), and text that looks like a
number, an address, a link, a mention, a code, a position. `LIMITS` says what cannot. In doubt, text
is replaced: a name that is also a word ("Will") at each occurrence of the word, and any long number
that is not known to be harmless.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import regex

from pytok.chat.anonymize.substitutes import PLACEHOLDERS, Substitutes
from pytok.chat.anonymize.texts import replace_in
from pytok.chat.record import Kind, Message
from pytok.chat.whatsapp.phrases import MEDIA_NOUNS

LIMITS = (
    "nicknames and misspelled names; people who never write, unless you name them; names of towns,"
    " employers and schools; numbers of up to six digits; streets without a number; what the"
    " messages say about a life; the times of the messages, and the style of a person"
)
"""What is not replaced."""
_WITHOUT_WORDS: dict[Kind, str] = {
    "system": "notice",
    "deleted": "notice",
    "call": "notice",
    "location": "location",
}
"""Kinds of messages whose text is not the sender's, and can name anybody, with what it is."""
_MEDIA_TYPES = frozenset(
    {*MEDIA_NOUNS, "media", "file", "photo", "voice", "animation", "album", "contacts", "unknown"}
    | {"GIF", "voice_message", "video_message", "video_file", "audio_file", "view once", "link"}
    | {"contact_information", "game_title", "invoice_information", "game", "invoice", "giveaway"}
    | {"forwarded", "transfer", "share", "attachment", "embed", "story", "app", "empty", "payment"}
)
"""Types of media of all readers. Anything else in the field can be a name."""
_SUFFIX = re.compile(
    r"\.(?:jpe?g|png|gif|webp|heic|heif|bmp|tiff?|svg|mp[34]|m4[av]|mov|avi|mkv|webm|3gp|opus|og[agv]|aac"
    r"|amr|wav|flac|caf|pdf|docx?|xlsx?|pptx?|od[tsp]|txt|rtf|csv|md|html?|epub|pages|numbers|key|zip"
    r"|rar|7z|gz|apk|vcf|ics|gpx|kml|json|xml|tgs|was|webloc)\Z",
    re.IGNORECASE,
)
"""Endings of names of files; other ones can be names: "Anna.Huber"."""
_LETTER = regex.compile(r"\p{L}")
_FORWARDED = re.compile(r"forwarded from (.+)", re.DOTALL)
_CONTACT = re.compile(r"\A(.+)\.vcf\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Anonymized:
    """An anonymized history, and a record of the replacements."""

    messages: list[Message]
    counts: dict[str, int]
    """Number of replacements by kind, in the singular: name, number, card, account, e-mail, link,
    mention, code, IP, position, address, password; file name, reaction, notice, location."""
    substitutes: dict[str, str]
    """Displayed name to substitute. It reverses the anonymization: do not store it with the
    history."""


def anonymize(messages: Iterable[Message], *, also: Sequence[str] = ()) -> Anonymized:
    """Replace people, numbers, addresses and links in all fields of *messages*.

    *also* lists further names to replace, such as nicknames and people who do not write. Names of
    files are reduced to their suffix; sources, chats and messages are numbered; a message that is
    not in its sender's words loses its text.
    """
    history = list(messages)
    named = [name for message in history if (name := _named_in(message.media))]
    substitutes = Substitutes(
        _people(history), [*also, *named], (message.text for message in history)
    )
    fields = _Fields()
    anonymized = [
        replace(
            message,
            sender=None if message.sender is None else substitutes.people[message.sender],
            name=None,
            text=fields.text(message, substitutes),
            media=fields.media(message.media),
            id=fields.numbered("", message.id),
            reply_to=fields.numbered("", message.reply_to),
            reactions=fields.reactions(message.reactions),
            chat=fields.numbered("chat ", message.chat),
            source=fields.numbered("source ", message.source) or "",
        )
        for message in history
    ]
    displayed = {
        message.sender: message.author for message in history if message.sender is not None
    }
    return Anonymized(
        anonymized,
        dict(fields.counts),
        {str(displayed[sender]): name for sender, name in substitutes.people.items()},
    )


class _Fields:
    """The fields of messages in order, with what was replaced so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._numbers: dict[str, dict[str, str]] = {}

    def text(self, message: Message, substitutes: Substitutes) -> str:
        if (kind := _WITHOUT_WORDS.get(message.kind)) is None:
            return replace_in(message.text, substitutes, self.counts)
        if message.text:
            self.counts[kind] += 1
        return ""

    def media(self, media: str | None) -> str | None:
        """Return a type of media as it is, and of the name of a file only its suffix."""
        if media is None or media in _MEDIA_TYPES:
            return media
        if _FORWARDED.fullmatch(media):
            self.counts["name"] += 1
            return "forwarded"
        self.counts["file name"] += 1
        suffix = _SUFFIX.search(media)
        return "file" + (suffix[0] if suffix else "")

    def reactions(self, reactions: tuple[str, ...]) -> tuple[str, ...]:
        """Return emoji as they are; other reactions can be names of files, or of people."""
        kept = tuple("custom" if _LETTER.search(each) else each for each in reactions)
        if kept != reactions:
            self.counts["reaction"] += sum(map(str.__ne__, kept, reactions))
        return kept

    def numbered(self, prefix: str, name: str | None) -> str | None:
        """Return *prefix* and a number for each *name*, by first appearance."""
        if not name:
            return name
        known = self._numbers.setdefault(prefix, {})
        return known.setdefault(name, f"{prefix}{len(known) + 1}")


def _people(history: Sequence[Message]) -> dict[str, list[str]]:
    """Map each sender, in the order of appearance, to all names of that sender.

    Beside a name, the sender is an address: its words are no names.
    """
    names: dict[str, dict[str, None]] = {}
    for message in history:
        if message.sender is not None:
            aliases = names.setdefault(message.sender, {})
            if message.name:
                aliases[message.name] = None
    return {
        sender: list(aliases) or [sender] * (sender not in PLACEHOLDERS)
        for sender, aliases in names.items()
    }


def _named_in(media: str | None) -> str | None:
    """Return the person of whom *media* is a message or the contact, if it has one."""
    match = media and (_FORWARDED.fullmatch(media) or _CONTACT.fullmatch(media))
    return match[1] if match else None
