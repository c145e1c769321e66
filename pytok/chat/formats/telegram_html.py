"""Telegram Desktop's HTML export, its default: messages.html, messages2.html ... of one chat.

The structure is that of Telegram Desktop 5 (export_output_html.cpp). A page has no accounts, no
edits, and no times of events: an event gets the time of the message before it.

Times are read as local times. The offset that Telegram writes beside them ("UTC+01:00") is that of
standard time also in summer, when the time itself is one of daylight saving.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from pytok.chat.files import ChatFile
from pytok.chat.formats.values import reactions
from pytok.chat.import_options import ImportOptions
from pytok.chat.markup import VOID, attributes, parts
from pytok.chat.months import find_date
from pytok.chat.record import Kind, Message
from pytok.chat.source import Chat, Source, UnknownFormat

_ROLES = (
    ("forwarded body", "forwarded"),
    ("from_name", "name"),
    ("date details", "date"),
    ("title bold", "title"),
    ("description", "description"),
    ("status", "status"),
    ("question", "question"),
    ("answer", "answer"),
    ("text", "text"),
    ("emoji", "emoji"),
    ("userpic", "person"),
    ("count", "count"),
    ("total", "total"),
    ("details", "details"),
    ("bot_buttons_table", "buttons"),
)
"""Classes that an element has, and what its text is then; the first row that fits counts."""

_MEDIA = {
    "photo_wrap": "photo",
    "video_file_wrap": "video_file",
    "animated_wrap": "animation",
    "sticker_wrap": "sticker",
    "media_photo": "photo",
    "media_video": "video_file",
    "media_voice_message": "voice_message",
    "media_audio_file": "audio_file",
    "media_file": "file",
    "media_contact": "contact",
    "media_game": "game",
    "media_invoice": "invoice",
    "media_giveaway": "giveaway",
    "media_location": "location",
    "media_live_location": "location",
    "media_venue": "location",
    "media_poll": "poll",
    "media_call": "call",
}
"""Types of media by class, in the words of Telegram's JSON."""

_TITLES = {
    "Self-destructing photo": "photo",
    "Sticker": "sticker",
    "Animation": "animation",
    "Video message": "video_message",
}
"""Types of media that have no class of their own, by title."""

_NAMED = ("audio_file", "file")
"""Types of media whose title is the name of the file."""

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}) (\d{1,2}):(\d\d):(\d\d)")
_COORDINATES = re.compile(r"[?&]q=(-?[\d.]+),(-?[\d.]+)")


@dataclass
class _Entry:
    """One message of a page while it is read."""

    id: str
    is_event: bool
    joined: bool
    """Whether the page omits the sender, who is that of the message before."""
    time: datetime | None = None
    forwarded: bool = False
    reply_to: str | None = None
    media: str | None = None
    link: str = ""
    """Target of the media's link."""
    texts: list[tuple[str, list[str]]] = field(default_factory=list)
    """Roles of elements in order, each with the pieces of its text."""

    def text(self, role: str) -> str:
        """Return the text of the first element with *role*; "" if there is none."""
        return next(iter(self.all_texts(role)), "")

    def all_texts(self, role: str) -> Iterator[str]:
        """Yield the texts of all elements with *role*."""
        return (_joined(pieces) for each, pieces in self.texts if each == role)


class _Page:
    """The entries of a page."""

    def __init__(self, text: str) -> None:
        self.entries: list[_Entry] = []
        self.is_history = False
        """Whether the page is one of messages."""
        self._title: list[str] = []
        self._stack: list[tuple[str, list[str] | None]] = []
        """Open elements, each with the list that collects its text."""
        is_open: Counter[str] = Counter()
        for opens, closes, written in parts(text):
            sink = self._stack[-1][1] if self._stack else None
            if opens in VOID or not (opens or closes):
                if sink is not None:
                    sink.append("\n" if opens == "br" else written * (not opens))
            elif opens:
                values = attributes(written) if written else {}
                self._stack.append((opens, self._start(values, sink)))
                is_open[opens] += 1
            else:
                while is_open[closes]:  # also ends what was not closed inside
                    tag, _ = self._stack.pop()
                    is_open[tag] -= 1
                    if tag == closes:
                        break

    @property
    def title(self) -> str:
        """Name of the chat."""
        return _joined(self._title)

    def _start(self, values: Mapping[str, str], sink: list[str] | None) -> list[str] | None:
        """Note the start of an element with the attributes *values*; return the list for its text.

        The text of an element without a role is a part of the text around it, in *sink*.
        """
        classes = values.get("class", "")
        if classes.startswith("message "):
            names = classes.split()
            identity = values.get("id", "").removeprefix("message")
            self.entries.append(_Entry(identity, "service" in names, "joined" in names))
            return None
        if not self.entries:
            self.is_history = self.is_history or classes == "history"
            return self._title if classes == "text bold" and not self._title else sink
        entry = self.entries[-1]
        href = values.get("href", "")
        if "go_to_message" in href and entry.reply_to is None:
            entry.reply_to = href.rpartition("go_to_message")[2]
        if not classes:
            return sink
        role, media = _meaning(classes)
        if media is not None and entry.media is None:
            entry.media, entry.link = media, href
        if not role:
            return sink
        if role == "forwarded":
            entry.forwarded = True
        elif role == "date" and entry.time is None:
            entry.time = _time(values.get("title", ""))
        pieces: list[str] = []
        entry.texts.append(
            (f"forwarded {role}" if role == "name" and entry.forwarded else role, pieces)
        )
        return pieces


def is_html(file: ChatFile) -> bool:
    """Return whether *file* starts like an HTML page, or a part of one with messages."""
    return _HTML.match(file.head) is not None or (
        file.head.lstrip().startswith(b"<") and b'class="message ' in file.head
    )


def read_telegram_page(file: ChatFile, options: ImportOptions) -> Source:
    """Read one page of a chat. Raises UnknownFormat for another page."""
    text, warnings = file.text()
    page = _Page(text)
    if not page.entries and not page.is_history:
        raise UnknownFormat(
            f"{file.name}: a web page, but not one of Telegram's messages; in other apps choose "
            "JSON instead of HTML, and export the chat again"
        )
    source = Source(name=file.name, format="Telegram HTML", messages=[], warnings=warnings)
    for message, number in _messages(page.entries, file.name):
        if message is None:
            source.unread.append(number)
        else:
            source.messages.append(message)
    source.chats = [Chat(page.title or file.name, len(source.messages), _chat_folder(file.name))]
    return source


def _chat_folder(name: str) -> str | None:
    """Return the folder of a chat in the export of an account, "chat_001"; else None."""
    folder = name.rpartition("/")[0].rpartition("/")[2]
    return folder if folder.startswith("chat_") else None


def _messages(entries: list[_Entry], name: str) -> Iterator[tuple[Message | None, int]]:
    """Yield the message of each of *entries*, None for one that cannot be read, and its number."""
    sender = forwarder = ""
    time = next((entry.time for entry in entries if entry.time is not None), None)
    for number, entry in enumerate(entries, start=1):
        if entry.id.startswith("-") or (entry.is_event and _is_day(entry.text("details"))):
            continue  # a line with the day
        if not entry.joined and not entry.is_event:
            sender = entry.text("name").partition(" via @")[0]
        if entry.forwarded:
            forwarder = entry.text("forwarded name").partition(" via @")[0] or forwarder
        time = entry.time or time
        if time is None or (entry.time is None and not entry.is_event):
            yield None, number
        elif entry.is_event:
            text = entry.text("details")
            yield _message(entry, name, number, time, None, "system", text, None), number
        else:
            kind, text, media = _contents(entry, forwarder)
            yield (
                _message(entry, name, number, time, sender or "unknown", kind, text, media),
                number,
            )


def _is_day(text: str) -> bool:
    found = find_date(text)
    return found is not None and found.end == len(text)


def _message(
    entry: _Entry,
    source: str,
    number: int,
    time: datetime,
    sender: str | None,
    kind: Kind,
    text: str,
    media: str | None,
) -> Message:
    return Message(
        time=time,
        sender=sender,
        kind=kind,
        text=text,
        media=media,
        id=entry.id or None,
        reply_to=None if entry.is_event else entry.reply_to,
        reactions=reactions(_reactions(entry)),
        source=source,
        line=number,
    )


def _contents(entry: _Entry, forwarder: str) -> tuple[Kind, str, str | None]:
    """Return the kind, the text, and the file or type of media."""
    text, media = entry.text("text"), entry.media
    title = entry.text("title")
    if media == "poll":
        return "poll", "\n".join([entry.text("question"), *_answers(entry)]), None
    if media == "call":
        return "call", entry.text("status"), None
    if media == "location":
        lines = [entry.text("title"), entry.text("description")]
        point = _COORDINATES.search(entry.link)
        shown = [each for each in lines if each and each not in ("Location", "Live location")]
        return "location", "\n".join(shown + ([", ".join(point.groups())] if point else [])), None
    if media in _NAMED:
        media = title or media
    elif media is not None:
        media = _TITLES.get(title, media)
    if media is None and entry.forwarded:
        media = f"forwarded from {forwarder}"
    return ("text" if media is None else "media"), text, media


def _answers(entry: _Entry) -> Iterator[str]:
    """Yield the options of a poll with their votes, as in "Lake (2)"."""
    following = [*entry.texts[1:], ("", [])]
    for (role, pieces), (next_role, next_pieces) in zip(entry.texts, following, strict=True):
        if role == "answer":
            votes = re.match("[0-9]+", _joined(next_pieces)) if next_role == "details" else None
            yield f"{_joined(pieces).removeprefix('- ')} ({votes[0] if votes else 0})"


def _reactions(entry: _Entry) -> Iterator[tuple[str, int]]:
    """Yield emoji and how many people reacted: a number, else one picture per person."""
    emoji, people, count = "", 0, ""
    for role, pieces in [*entry.texts, ("emoji", [])]:
        if role == "emoji":
            if emoji:
                yield emoji, int(count) if count.isdecimal() else people
            emoji, people, count = _joined(pieces), 0, ""
        elif role == "person":
            people += 1
        elif role == "count":
            count = _joined(pieces)[:9]


@lru_cache(maxsize=1024)
def _meaning(classes: str) -> tuple[str, str | None]:
    """Return the role of an element with *classes*, and the type of media that it is."""
    names = set(classes.split())
    role = next((role for needed, role in _ROLES if names.issuperset(needed.split())), "")
    media = next((_MEDIA[each] for each in classes.split() if each in _MEDIA), None)
    return role, media


def _joined(pieces: list[str]) -> str:
    return "".join(pieces).strip()


def _time(written: str) -> datetime | None:
    match = _TIME.match(written)
    if match is None:
        return None
    day, month, year, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
