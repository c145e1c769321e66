"""The texts of imessage-exporter, one file for each chat of iMessage.

Each message is a paragraph::

    May 17, 2022  5:29:42 PM (Read by you after 1 hour)
    Ann
    hi
    Tapbacks:
    Loved by Me

Answers are written twice, indented below the message that they answer, and where they belong in
time; only the latter are read.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from pytok.chat.formats.transcript import calendar_day, clock_time, first_lines, split_lines
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.errors import ChatError

_TIME = re.compile(
    r"(?P<month>[A-Z][a-z]{2})\s(?P<day>\d{1,2}),\s(?P<year>\d{4})\s{1,2}"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})\s(?P<period>[AP]M)"
)
_READ = re.compile(r"(?:\s\(Read by .{1,300}\))?\s{0,20}$")
_INDENT = "    "

_NOTES = re.compile(
    r"This message responded to an earlier message\.|Sent with [A-Z].{1,40}"
    r"|SharePlay Message|Ended|.{0,60}This message was deleted from the conversation!"
)
"""Lines of the exporter after, or before, the text of a message."""
_DELETED = re.compile(
    r".{1,150} (?:deleted a message|unsent (?:a|this) message(?: part)?)[^\n]{0,80}"
)
_EDITED = re.compile(r"Edited .{1,80}? later: ?")
_REACTIONS = re.compile(r"(?:Reactions|Tapbacks):\s*$")
_REACTION = re.compile(r"\s{0,4}(?P<what>[^\n]{1,40}) by [^\n]{1,150}$")
_ATTACHMENT = re.compile(
    r"(?:(?:.{0,40}Sticker from .{1,150}?: )?(?:/|~/|\.{0,2}/?attachments/|[A-Za-z]:\\)[^\n]{1,500}"
    r"|Attachment missing!|Handwritten messages are not yet supported!)",
    re.I,
)

REACTIONS = {
    "Loved": "❤️",
    "Liked": "👍",
    "Disliked": "👎",
    "Laughed": "😂",
    "Emphasized": "‼️",
    "Questioned": "❓",
}
"""The words for tapbacks, and their emoji."""


class _Paragraph(NamedTuple):
    """The lines of one message after its time."""

    number: int
    time: datetime
    rest: str
    """What follows the time in its line, for an announcement."""
    lines: list[str]


def is_imessage_text(text: str) -> bool:
    """Return whether *text* starts as a text of imessage-exporter does."""
    first = first_lines(text, 1)
    return bool(first) and _TIME.match(first[0].lstrip("\ufeff")) is not None


def read_imessage_text(text: str, name: str) -> Source:
    """Read the text of an export; *name* is the name of its file. Raises ChatError."""
    paragraphs, unread = _paragraphs(split_lines(text.lstrip("\ufeff")))
    messages = []
    for paragraph in paragraphs:
        message = _message(paragraph, name)
        if message is None:
            unread.append(paragraph.number)
        else:
            messages.append(message)
    if not messages:
        raise ChatError(f"{name}: a text of imessage-exporter without a message")
    return Source(
        name=name, format="iMessage text (imessage-exporter)", messages=messages, unread=unread
    )


def _paragraphs(lines: Sequence[str]) -> tuple[list[_Paragraph], list[int]]:
    """Return the messages in *lines*, without indented answers, and the lines that are in none."""
    found: list[_Paragraph] = []
    unread: list[int] = []
    is_answer = False
    for number, line in enumerate(lines, start=1):
        match = _TIME.match(line)
        if match is not None and (not found or _may_start(lines, number)):
            time = _time(match)
            if time is not None:
                found.append(_Paragraph(number, time, line[match.end() :], []))
                is_answer = False
                continue
        if line.startswith(_INDENT) and _TIME.match(line, len(_INDENT)):
            is_answer = True
        elif is_answer and line.strip() and not line.startswith(_INDENT):
            is_answer = False
        if is_answer:
            continue
        if found:
            found[-1].lines.append(line)
        elif line.strip():
            unread.append(number)
    return found, unread


def _may_start(lines: Sequence[str], number: int) -> bool:
    """Return whether line *number* follows a blank one; edited texts start with a time, too."""
    return not lines[number - 2].strip()


def _time(match: re.Match[str]) -> datetime | None:
    day = calendar_day(match["year"], match["month"], match["day"])
    return clock_time(day, match["hour"], match["minute"], match["period"], match["second"])


def _message(paragraph: _Paragraph, source: str) -> Message | None:
    """Return the message of *paragraph*, or None if it has no sender."""
    if not _READ.fullmatch(paragraph.rest):  # "... You renamed the conversation to Trip"
        text = "\n".join([paragraph.rest.strip(), *paragraph.lines]).strip()
        return Message(
            time=paragraph.time,
            sender=None,
            kind="system",
            text=text,
            source=source,
            line=paragraph.number,
        )
    if not paragraph.lines or not paragraph.lines[0].strip():
        return None
    sender, *lines = paragraph.lines
    lines, reactions = _without_reactions(lines)
    text, media, is_edited = _text(lines)
    kind: Kind = "media" if media else "text"
    if not media and (_DELETED.fullmatch(text) or (not text and _has_note(lines))):
        kind, text = "deleted", ""
    return Message(
        time=paragraph.time,
        sender=sender.strip(),
        kind=kind,
        text=text,
        edited=is_edited,
        media=media,
        reactions=tuple(reactions),
        source=source,
        line=paragraph.number,
    )


def _without_reactions(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return *lines* without the list of reactions, and the emoji in it."""
    kept: list[str] = []
    reactions: list[str] = []
    is_list = False
    for line in lines:
        if _REACTIONS.match(line):
            is_list = True
            continue
        match = _REACTION.match(line) if is_list else None
        if match is None:
            is_list = is_list and not line.strip()
            kept.append(line)
        else:
            what = match["what"].strip()
            reactions.append(REACTIONS.get(what, what))
    return kept, reactions


def _text(lines: Iterable[str]) -> tuple[str, str | None, bool]:
    """Return the words in *lines*, the file name of the first attachment, and whether edited."""
    words: list[str] = []
    media = None
    is_edited = False
    for line in lines:
        edited = _EDITED.match(line)
        if edited is not None and words:  # the text so far is an earlier version
            words, is_edited = [line[edited.end() :]], True
        elif _ATTACHMENT.fullmatch(line):
            media = media or re.split(r"[/\\]", line)[-1]
        elif not _NOTES.fullmatch(line):
            words.append(line)
    if is_edited or not words:
        return "\n".join(words).strip("\n"), media, is_edited
    first = _TIME.match(words[0])  # the first version of an edited text, if only that is there
    if first is not None:
        words[0] = words[0][first.end() :].lstrip()
    return "\n".join(words).strip("\n"), media, first is not None


def _has_note(lines: Iterable[str]) -> bool:
    return any("deleted from the conversation" in line for line in lines)
