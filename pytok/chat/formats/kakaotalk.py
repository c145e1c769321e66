"""KakaoTalk's exports: the texts of phones and Windows, in Korean and English, and macOS's CSV.

Phones write the date in each line (``2024년 1월 5일 오후 8:10, Ann : hi``, ``Jan 5, 2024 at
8:10 PM, Ann : hi``), Windows on a line of its own (``--- 2024년 1월 5일 금요일 ---``), which the
messages of that day follow (``[Ann] [오후 8:10] hi``).
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple

from pytok.chat.formats.csv_rows import read_csv
from pytok.chat.formats.times import read_time
from pytok.chat.formats.transcript import (
    MAX_NAME,
    Entry,
    Start,
    by_wording,
    calendar_day,
    clock_time,
    first_lines,
    read_entries,
    split_lines,
)
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.errors import ChatError

_CLOCK = (
    r"(?:(?P<before>오전|오후|AM|PM)\s)?(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?:\s{0,2}(?P<after>[AaPp]\.?[Mm]\.?))?"
)
_DAYS = (
    r"(?P<year>\d{4})[년.]\s?(?P<month>\d{1,2})[월.]\s?(?P<day>\d{1,2})[일.]",
    r"(?P<month>[A-Z][a-z]{2,8})\.?\s(?P<day>\d{1,2}),\s(?P<year>\d{4})",
    r"(?P<day>\d{1,2})\s(?P<month>[A-Z][a-z]{2,8})\.?\s(?P<year>\d{4})",
)
"""A day in Korean, in American and in British English."""
_WEEKDAY = r"(?:[A-Z][a-z]{2,8},\s)?"

_SAVED = re.compile(r"(?:저장한\s?날짜|Date Saved|Saved Date)\s?:")
_TITLE = re.compile(r".{1,200}(?:카카오톡\s대화|KakaoTalk\sChats)\s{0,9}$|KakaoTalk\sChats\swith")
_CSV_HEADER = "Date,User,Message"


class _Form(NamedTuple):
    """How one app in one language writes the lines of its export."""

    name: str
    day: re.Pattern[str]
    """A line of its own with the day."""
    head: re.Pattern[str]
    """The start of a message up to its text, or up to "Name : text"."""


_FORMS = (
    *(
        _Form(
            "phone",
            re.compile(
                rf"{_WEEKDAY}{day}(?:\s[월화수목금토일]요일)?(?:,?\s(?:at\s)?{_CLOCK})?\s*$"
            ),
            re.compile(rf"{day},?\s(?:at\s)?{_CLOCK}(?:,\s|:\s?)"),
        )
        for day in _DAYS
    ),
    *(
        _Form(
            "Windows",
            re.compile(rf"-{{5,40}}\s{_WEEKDAY}{day}(?:\s[월화수목금토일]요일)?\s-{{5,40}}\s*$"),
            re.compile(rf"\[(?P<name>.{{1,{MAX_NAME}}}?)\]\s\[{_CLOCK}\]\s?"),
        )
        for day in _DAYS
    ),
)

_PLACEHOLDER = re.compile(
    r"""
      (?P<image> 사진(?:\s?\d+장)? | (?:\d+\s)?[Pp]hotos? | <사진\s읽지\s않음> )
    | (?P<video> 동영상 | [Vv]ideos? | <동영상\s읽지\s않음> )
    | (?P<sticker> 이모티콘 | [Ee]moticons? | [Ss]tickers? )
    | (?P<audio> 음성\s?메시지 | [Vv]oice\s(?:[Mm]essage|[Nn]ote) )
    | (?P<deleted> 삭제된\s메시지입니다\.? | 메시지가\s삭제되었습니다\.?
        | This\smessage\swas\sdeleted\.? | Deleted\smessage\.? )
    | (?P<call> (?:보이스톡|페이스톡|그룹콜|라이브톡|Voice\sCall|Face\sTalk|Video\sCall)
        (?:\s(?:해요|취소|부재중|종료|Ended|Missed|[Cc]anceled))?(?:\s\d{1,3}:\d{2}(?::\d{2})?)? )
    | (?:파일|File):\s(?P<file>.{1,255})
    | (?:연락처|Contact):\s(?P<contact>.{1,255})
    | (?P<named> [0-9a-f]{16,64}\.[A-Za-z0-9]{2,5} )
    """,
    re.X,
)
"""What the app writes for a message without words; the words of people can be the same."""

_NOTICE = re.compile(
    r"(?=.{1,400}$).{1,150}?(?:님이\s(?:들어왔습니다|나갔습니다|.{1,150}님을\s(?:초대|내보)[가-힣]{1,8})"
    r"|님을\s내보냈습니다|joined\sthis\schatroom|left\sthis\schatroom|invited\s.{1,150}"
    r"|관리자가\s메시지를\s가렸습니다)\.?$"
)
"""What Windows writes between messages, without a time."""


def is_kakaotalk(text: str) -> bool:
    """Return whether *text* starts as an export of KakaoTalk does."""
    first = first_lines(text, 3)
    if first and first[0].lstrip("\ufeff") == _CSV_HEADER:
        return True
    if any(_SAVED.match(line) for line in first):
        return True
    if not first:
        return False
    form = _elect(first_lines(text, 200))
    return form is not None and any(
        form.day.match(line) or _read_head(form, line) is not None for line in first[:1]
    )


def read_kakaotalk(text: str, name: str) -> Source:
    """Read the text or CSV of an export; *name* is the name of its file.

    Raises ChatError if it has no message.
    """
    if text.lstrip("\ufeff").startswith(_CSV_HEADER):
        return _read_csv(text, name)
    lines = split_lines(text)
    form = _elect(lines)
    if form is None:
        raise ChatError(
            f"{name}: an export of KakaoTalk without a message in a form that is known; export the "
            "chat again, in Korean or English"
        )
    entries, unread = read_entries(lines, _line_reader(form))
    return Source(
        name=name,
        format=f"KakaoTalk text ({form.name})",
        messages=[_message(entry, name) for entry in entries],
        unread=unread,
        unsure=by_wording(entries, _is_wording),
    )


def _elect(lines: Sequence[str]) -> _Form | None:
    """Return the form in which most of the first *lines* start a message."""
    sample = lines[:1000]
    counts = {
        form: sum(_read_head(form, line) is not None for line in sample)
        for form in _FORMS
        if form.name == "phone" or any(form.day.match(line) for line in sample)
    }
    best = max(counts, key=lambda form: counts[form], default=None)
    return best if best is not None and counts[best] else None


def _read_head(form: _Form, line: str) -> tuple[re.Match[str], str, str] | None:
    """Return the match of the head of a message, the sender and the text."""
    match = form.head.match(line)
    if match is None:
        return None
    rest = line[match.end() :]
    if form.name == "Windows":
        return match, match["name"], rest
    sender, colon, text = rest.partition(" : ")
    if not colon and rest.endswith(" :"):  # an editor removed the space at the end
        sender, colon, text = rest[:-2], ":", ""
    return (match, sender, text) if colon and len(sender) <= MAX_NAME else None


def _line_reader(form: _Form) -> Callable[[str], Start | Literal["layout"] | None]:
    """Return a reader of lines of *form*, which remembers the day and the last time."""
    day: date | None = None
    last: datetime | None = None
    is_first = True

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal day, last, is_first
        was_first, is_first = is_first, False
        line = line.lstrip("\ufeff")
        found = _read_head(form, line)
        if found is None:
            return read_other(line, was_first)
        match, sender, text = found
        if form.name == "phone":
            day = calendar_day(match["year"], match["month"], match["day"])
        time = clock_time(day, match["hour"], match["minute"], match["before"] or match["after"])
        if time is None:
            return None
        last = time
        return Start(time, sender, text)

    def read_other(line: str, is_title: bool) -> Start | Literal["layout"] | None:
        nonlocal day, last
        if match := form.day.match(line):
            day = calendar_day(match["year"], match["month"], match["day"]) or day
            return "layout"
        if last is None and (is_title or _SAVED.match(line) or _TITLE.match(line)):
            return "layout"
        if form.name == "Windows":
            return Start(last, None, line) if last and _NOTICE.match(line) else None
        match = form.head.match(line)  # a head without "Name : " is a notice
        if match is None:
            return None
        day = calendar_day(match["year"], match["month"], match["day"])
        time = clock_time(day, match["hour"], match["minute"], match["before"] or match["after"])
        last = time or last
        return None if time is None else Start(time, None, line[match.end() :])

    return read


def _read_csv(text: str, name: str) -> Source:
    table = read_csv(text, name)
    entries: list[Entry] = []
    unread: list[int] = []
    for number, row in table.rows:
        try:
            time = read_time(row["Date"])
        except ValueError:
            unread.append(number)
            continue
        notice = _NOTICE.match(row["Message"])
        sender = None if notice or not row["User"] else row["User"]
        entries.append(Entry(number, time, sender, row["Message"]))
    if not entries:
        raise ChatError(f"{name}: a table of KakaoTalk without a message; export the chat again")
    return Source(
        name=name,
        format="KakaoTalk CSV (macOS)",
        messages=[_message(entry, name) for entry in entries],
        unread=unread,
        unsure=by_wording(entries, _is_wording),
        warnings=table.warnings,
    )


def _message(entry: Entry, source: str) -> Message:
    kind, media = _kind(entry.text) if entry.sender is not None else ("system", None)
    return Message(
        time=entry.time,
        sender=entry.sender,
        kind=kind,
        text="" if kind in ("media", "deleted") else entry.text,
        media=media,
        source=source,
        line=entry.number,
    )


def _is_wording(entry: Entry) -> bool:
    """Return whether *entry* is the app's by its words alone: no placeholder has a mark."""
    match = _PLACEHOLDER.fullmatch(entry.text) if entry.sender is not None else None
    return match is not None and match.lastgroup != "named"


def _kind(text: str) -> tuple[Kind, str | None]:
    """Return the kind of a message, and the name or type of its media."""
    match = _PLACEHOLDER.fullmatch(text)
    if match is None or match.lastgroup is None:
        return "text", None
    group = match.lastgroup
    if group in ("call", "deleted"):
        return ("call" if group == "call" else "deleted"), None
    return "media", match[group] if group in ("file", "named") else group
