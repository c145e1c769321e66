"""LINE's text exports, of phones in any language and of computers.

A line of its own has the day (``2024/01/15(月)``, ``Mon, 01/15/2024``, ``2024.01.15 Monday``). A
message is its time, sender and text, separated by tabs on phones (``21:30<tab>Ann<tab>hi``) and by
spaces on computers, where the end of a name must be inferred.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

from pytok.chat.formats.transcript import (
    MAX_NAME,
    Entry,
    Start,
    by_wording,
    clock_time,
    first_lines,
    read_entries,
    split_lines,
)
from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.chat.whatsapp.dates import AskDateOrder, DateOrder, WrittenDate, decide_order, read_date
from pytok.errors import ChatError

_TITLE = re.compile(r"\[LINE\]\s?(?P<title>.{1,200})$")
_LETTER = r"(?:[^\W\d]|[\u0e31-\u0e4e])"
"""A letter, or a vowel of Thai."""
_DAY = re.compile(
    rf"(?P<before>{_LETTER}{{1,14}}(?:,|\.,?)\s?)?"
    r"(?P<first>\d{1,4})(?P<separator>[-/.年년])\s?(?P<second>\d{1,2})[-/.月월]\s?(?P<third>\d{1,4})"
    r"[日일.]?\s?"
    rf"(?P<after>[(（]?{_LETTER}{{1,14}}[)）]?)?\s*$"
)
_TIME = (
    r"(?:(?P<before>[^\W\d]{2,4})\s?)?(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?:\s?(?P<after>[AaPp]\.?[Mm]\.?))?"
)
_TABBED = re.compile(rf"{_TIME}\t(?:(?P<name>[^\t]{{0,{MAX_NAME}}})\t)?")
_SPACED = re.compile(rf"{_TIME}[ ](?=\S)")

_WEEKDAYS = (
    ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    ("月", "火", "水", "木", "金", "土", "日"),
    ("一", "二", "三", "四", "五", "六", "日"),
    ("월", "화", "수", "목", "금", "토", "일"),
    ("จ", "อ", "พ", "พฤ", "ศ", "ส", "อา"),
    ("จัน", "อังคาร", "พุธ", "พฤหัส", "ศุกร์", "เสาร์", "อาทิตย์"),
)
"""The days of the week from Monday in the languages of LINE, as far as they begin the word."""

_PLACEHOLDER = re.compile(
    r"""\[?(?:
      (?P<image> Photos? | 写真 | 照片 | 圖片 | 图片 | 사진 | รูป(?:ภาพ)? | รูปถ่าย | Foto | Gambar
        | Album | アルバム | 相簿 )
    | (?P<video> Videos? | 動画 | 影片 | 视频 | 동영상 | วิดีโอ )
    | (?P<sticker> Stickers? | スタンプ | 貼圖 | 贴图 | 스티커 | สติกเกอร์ | Stiker )
    | (?P<audio> Voice\smessages? | Audio | ボイスメッセージ | 語音訊息 | 语音信息 | 음성\s?메시지
        | ข้อความเสียง )
    | (?P<file> Files? | ファイル | 檔案 | 文件 | 파일 | ไฟล์ )
    | (?P<contact> Contacts? | 連絡先 | 聯絡資訊 | 联系方式 | 연락처 )
    | (?P<gift> Gifts? | プレゼント | 禮物 | 礼物 | 선물 )
    | (?P<location> Location | 位置情報 | 位置訊息 | 位置信息 | 위치\s?정보 )
    )\]?(?P<rest>\s.{0,300})?""",
    re.X | re.I | re.S,
)
"""What the app writes for a message without words: phones in brackets, computers without."""

_LOCATION = re.compile(r"(?=.{0,400}(?:maps\.google|google\.[a-z.]{2,6}/maps|maps\.app))", re.S)
_CALL = "☎"


def is_line(text: str) -> bool:
    """Return whether *text* starts as an export of LINE does."""
    first = first_lines(text, 30)
    if first and _TITLE.match(first[0].lstrip("\ufeff")):
        return True
    days = [index for index, line in enumerate(first) if _DAY.match(line.lstrip("\ufeff"))]
    if not days or days[0] > 2:
        return False
    # Without a title, a day of the week and a message after it: others list times by day, too.
    day = _DAY.match(first[days[0]].lstrip("\ufeff"))
    has_weekday = day is not None and _weekday(day["after"] or day["before"] or "") is not None
    following = first[days[0] + 1 : days[0] + 2]
    return any(_TABBED.match(line) or (has_weekday and _SPACED.match(line)) for line in following)


def read_line(
    text: str,
    name: str,
    *,
    date_order: DateOrder | None = None,
    ask: AskDateOrder | None = None,
) -> Source:
    """Read the text of an export; *name* is the name of its file.

    Raises ChatError if it has no message, or if the order of its dates is ambiguous and neither
    *date_order* nor *ask* is given.
    """
    lines = split_lines(text.lstrip("\ufeff"))
    tabbed = sum(_TABBED.match(line) is not None for line in lines)
    spaced = sum(_SPACED.match(line) is not None for line in lines)
    days = _read_days(lines, name, date_order, ask)
    title = _TITLE.match(lines[0].strip())
    if tabbed >= spaced:
        entries, unread = read_entries(lines, _reader(days, _TABBED))
    else:
        entries, unread = read_entries(lines, _reader(days, _SPACED))
        entries = _split_names(entries, title["title"] if title else "")
    if not entries:
        raise ChatError(f"{name}: an export of LINE without a message; export the chat again")
    is_phone = tabbed >= spaced
    return Source(
        name=name,
        format=f"LINE text ({'phone' if is_phone else 'computer'})",
        messages=[_message(entry, name, is_phone=is_phone) for entry in entries],
        unread=unread,
        unsure={} if is_phone else by_wording(entries, _is_wording),
    )


def _read_days(
    lines: Iterable[str], name: str, date_order: DateOrder | None, ask: AskDateOrder | None
) -> Mapping[str, date | None]:
    """Map each line that is a day to that day; their weekdays show the order of the numbers."""
    found: dict[str, re.Match[str]] = {}
    for line in lines:
        match = _DAY.match(line)
        # A date in a message looks different from the days of the app, which are all alike.
        if match and (not found or _shape(match) == _shape(next(iter(found.values())))):
            found[line] = match
    written = [
        WrittenDate((match["first"], match["second"], match["third"]), match["separator"])
        for match in found.values()
    ]
    if not written:
        return {}
    weekdays = [
        _weekday(match["after"] or "") or _weekday(match["before"] or "")
        for match in found.values()
    ]
    named = [
        (each, day)
        for each, weekday in zip(written, weekdays, strict=True)
        if weekday
        for order in ("dmy", "mdy", "ymd")
        if (day := read_date(each, order)) is not None and day.isoweekday() == weekday
    ]
    order = date_order or decide_order(written, expected=None, named=named, name=name, ask=ask)
    return {line: read_date(each, order) for line, each in zip(found, written, strict=True)}


def _shape(match: re.Match[str]) -> tuple[str, bool, bool]:
    return match["separator"], match["before"] is None, match["after"] is None


def _weekday(word: str) -> int | None:
    """Return the number of the day of the week, from 1 for Monday, or None."""
    word = (
        word.strip("()（）., ").casefold().removeprefix("週").removeprefix("周").removeprefix("วัน")
    )
    for days in _WEEKDAYS:
        matches = [number for number, day in enumerate(days, start=1) if word.startswith(day)]
        if word and matches:
            return max(matches, key=lambda number: len(days[number - 1]))
    return None


def _reader(
    days: Mapping[str, date | None], head: re.Pattern[str]
) -> Callable[[str], Start | Literal["layout"] | None]:
    """Return a reader of lines that remembers the day."""
    day: date | None = None

    def read(line: str) -> Start | Literal["layout"] | None:
        nonlocal day
        if line in days:
            day = days[line] or day
            return "layout"
        if day is None:  # the title, and when the export was saved
            return "layout" if _TITLE.match(line) or ":" in line or "：" in line else None
        match = head.match(line)
        if match is None:
            return None
        time = clock_time(day, match["hour"], match["minute"], match["before"] or match["after"])
        if time is None:
            return None
        sender = match.groupdict().get("name")
        return Start(time, sender or None, line[match.end() :])

    return read


def _split_names(entries: Sequence[Entry], title: str) -> list[Entry]:
    """Return *entries*, whose texts start with a name, a space and the message, with senders.

    A name has as many words as all messages with the same first word have in common, or as the
    *title* of the chat contains. A line of one word is one of the app.
    """
    by_first: dict[str, list[list[str]]] = defaultdict(list)
    for entry in entries:
        words = entry.text.partition("\n")[0].split(" ")[:8]
        by_first[words[0]].append(words)
    names = {first: _common_name(texts, title) for first, texts in by_first.items()}
    split = []
    for entry in entries:
        name = names[entry.text.partition("\n")[0].split(" ", 1)[0]]
        text = entry.text[len(name) + 1 :]
        split.append(entry._replace(sender=name, text=text) if text else entry)
    return split


def _common_name(texts: Sequence[Sequence[str]], title: str) -> str:
    first = texts[0]
    length = 1
    for size in range(2, len(first)):
        name = " ".join(first[:size])
        is_shared = all(len(text) > size and text[:size] == first[:size] for text in texts)
        if not is_shared or (len(texts) < 3 and name not in title):
            break
        length = size
    return " ".join(first[:length])


def _message(entry: Entry, source: str, *, is_phone: bool) -> Message:
    text = entry.text
    if "\n" in text and text.startswith('"') and text.endswith('"'):  # how phones mark its end
        text = text[1:-1]
        if '"' not in text.replace('""', ""):
            text = text.replace('""', '"')
    kind, media, text = _kind(text, entry.sender, is_phone=is_phone)
    return Message(
        time=entry.time,
        sender=None if kind == "system" else entry.sender,
        kind=kind,
        text=text,
        media=media,
        source=source,
        line=entry.number,
    )


def _is_wording(entry: Entry) -> bool:
    """Return whether *entry* of a computer is the app's by its words alone."""
    kind, _, _ = _kind(entry.text, entry.sender, is_phone=False)
    return kind == "media"


def _kind(text: str, sender: str | None, *, is_phone: bool) -> tuple[Kind, str | None, str]:
    """Return the kind of a message, the name or type of its media, and its text."""
    if sender is None:
        return "system", None, text
    if text.startswith(_CALL):
        return "call", None, text.removeprefix(_CALL).strip()
    if text.startswith("[null]") and _LOCATION.match(text):
        return "location", None, text.removeprefix("[null]").strip()
    match = _PLACEHOLDER.fullmatch(text)
    if match is None or text.startswith("[") != is_phone or (match["rest"] and not is_phone):
        return "text", None, text
    group, rest = next(name for name, value in match.groupdict().items() if value), match["rest"]
    rest = (rest or "").strip()
    if group == "location":
        return "location", None, rest
    return "media", rest or group, ""
