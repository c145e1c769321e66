"""The way in for any app: rows of time, sender and text, and dates in words."""

import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytok.chat.formats.app_texts import TEXT_FORMATS
from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.months import find_date
from pytok.chat.record import Message
from pytok.errors import ChatError

ROOT = Path(__file__).resolve().parents[3]


def read(path: Path, text: str) -> ImportResult:
    path.write_text(text, encoding="utf-8")
    return import_chats([path], ImportOptions())


def test_a_row_of_json(tmp_path: Path) -> None:
    """All fields of a message can be given."""
    line = (
        '{"time": "2024-01-05T13:00:00+01:00", "sender": "Ann", "text": "hi", "kind": "media", '
        '"media": "a.jpg", "reactions": ["❤"], "id": "2", "reply_to": "1", "edited": true}'
    )

    (found,) = read(tmp_path / "chat.jsonl", line).messages

    assert found == Message(
        time=datetime(2024, 1, 5, 13, tzinfo=timezone(timedelta(hours=1))),
        sender="Ann",
        text="hi",
        kind="media",
        media="a.jpg",
        reactions=("❤",),
        id="2",
        reply_to="1",
        edited=True,
    )


@pytest.mark.parametrize(
    "line",
    [
        '{"time": 1704456000, "sender": "Ann", "text": "hi"}',
        '{"timestamp": 1704456000000, "author": "Ann", "content": "hi"}',
        '{"date": "2024-01-05 12:00Z", "from": "Ann", "message": "hi"}',
        '[{"time": "1704456000", "sender": "Ann", "text": "hi"}]',
    ],
)
def test_other_times_and_names_of_columns(line: str, tmp_path: Path) -> None:
    (found,) = read(tmp_path / "chat.json", line).messages

    assert (found.sender, found.text) == ("Ann", "hi")
    assert found.time == datetime(2024, 1, 5, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_row_of_csv(delimiter: str, tmp_path: Path) -> None:
    """A spreadsheet separates the columns in its own way; a text can have line breaks."""
    table = [
        "Time|Sender|Text|Reactions|Edited",
        '2024-01-05 13:00:05|Ann|"a ""b""\nc"|❤ 👍|yes',
        "2024-01-05 13:01|Bob|d||",
    ]
    text = "\ufeff" + "\r\n".join(table).replace("|", delimiter) + "\r\n"

    first, second = read(tmp_path / "chat.csv", text).messages

    assert (first.text, first.reactions, first.edited) == ('a "b"\nc', ("❤", "👍"), True)
    assert (second.sender, second.text, second.edited) == ("Bob", "d", False)
    assert (first.time, first.line) == (datetime(2024, 1, 5, 13, 0, 5), 2)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("31.12.2023 23:59", datetime(2023, 12, 31, 23, 59)),
        ("12/31/23, 11:59 PM", datetime(2023, 12, 31, 23, 59)),
        ("31 Dec 2023 23.59.01", datetime(2023, 12, 31, 23, 59, 1)),
        ("December 31, 2023 12 a.m.", datetime(2023, 12, 31)),
        ("2023/12/31 1:02", datetime(2023, 12, 31, 1, 2)),
    ],
)
def test_times_as_people_write_them(written: str, time: datetime, tmp_path: Path) -> None:
    text = f'time,sender,text\n"{written}",Ann,hi\n'

    (found,) = read(tmp_path / "chat.csv", text).messages

    assert found.time == time


def test_a_column_of_dates_and_one_of_times(tmp_path: Path) -> None:
    text = "date,time,from,message\n31.12.2023,23:59,Ann,hi\n"

    (found,) = read(tmp_path / "chat.csv", text).messages

    assert found.time == datetime(2023, 12, 31, 23, 59)


def test_a_row_without_a_sender_is_a_notice(tmp_path: Path) -> None:
    """A column that is no field of a message is reported."""
    text = "time,sender,text,mood\n2024-01-05 13:00,,Ann joined,good\n"

    imported = read(tmp_path / "chat.csv", text)

    assert (imported.messages[0].kind, imported.messages[0].sender) == ("system", None)
    assert imported.summary.warnings == ("chat.csv: columns that are not read: mood",)


def test_of_several_chats_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "chat.csv"
    path.write_text("time,sender,text,chat\n2024-01-05 13:00,A,a,Us\n2024-01-05 13:00,A,b,Work\n")

    imported = import_chats([path], ImportOptions(chat="Work"))

    assert [message.text for message in imported.messages] == ["b"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "time,sender,text\nsoon,Ann,hi\n", "a.csv, line 2: time is 'soon', not like"),
        ("a.csv", "time,sender,text\n2024-01-05 25:00,Ann,hi\n", "line 2: time is '2024-01-05 25"),
        ("a.csv", "time,sender,text\n", "no row with time, sender and text"),
        ("a.csv", "time,sender,text,kind\n2024-01-05 13:00,A,b,x\n", "line 2: kind is 'x'"),
        ("a.csv", "time,sender,text,edited\n2024-01-05 13:00,A,b,x\n", "line 2: edited is neither"),
        ("a.csv", "time,sender,text\n1/2/2024 1:00,A,b\n", "ambiguous"),
        ("a.json", '{"time": 5, "sender": "A", "text": "b"}\n[]', "line 2: not an object"),
        ("a.json", '{"time": 5, "sender": "A", "text": 5}', "line 1: text is 5, not a string"),
        ("a.json", '{"time": [], "sender": "A", "text": "b"}', r"line 1: time is \[\], not like"),
        ("a.json", '{"when": 5, "sender": "A", "text": "b"}', "docs/your-own-format.md"),
    ],
)
def test_a_row_that_is_wrong_is_an_error(
    name: str, text: str, complaint: str, tmp_path: Path
) -> None:
    """With the file, the line and the field."""
    with pytest.raises(ChatError, match=complaint):
        read(tmp_path / name, text)


def test_the_examples_of_the_page_are_read(tmp_path: Path) -> None:
    """docs/your-own-format.md: JSON lines and CSV of the same messages."""
    page = (ROOT / "docs/your-own-format.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(json|csv)\n(.*?)```", page, re.DOTALL)

    histories = [
        read(tmp_path / f"{number}.{suffix}", text).messages
        for number, (suffix, text) in enumerate(blocks)
    ]

    assert [suffix for suffix, _ in blocks] == ["json", "csv"]
    assert [[(m.time, m.sender, m.text) for m in each] for each in histories[:1]] == [
        [(m.time, m.sender, m.text) for m in each] for each in histories[1:]
    ]


@pytest.mark.parametrize(
    "written",
    [
        "5 January 2024", "Jan 5, 2024", "Friday, January 5, 2024", "5 de enero de 2024",
        "5. Januar 2024", "5 janv. 2024", "5 января 2024", "5 sty 2024", "5 Ocak 2024",
        "2024 Jan 05", "5-Jan-2024", "5 ledna 2024", "5th of January 2024",
    ],
)  # fmt: skip
def test_months_in_words(written: str) -> None:
    found = find_date(written)

    assert found is not None
    assert found.date == date(2024, 1, 5)


@pytest.mark.parametrize("written", ["5 hello 2024", "31 June 2024", "I am 5 may be 2024", ""])
def test_words_that_are_no_date(written: str) -> None:
    assert find_date(written) is None


@pytest.mark.parametrize(
    "header",
    [
        "[5 Jan 2024, 13:00:01] Ann: ", "5 January 2024, 13:00 - Ann: ",
        "Jan 5, 2024, 1:00 PM - Ann: ",
        "5. Januar 2024 um 13:00 - Ann: ", "5 янв. 2024 г., 13:00 - Ann: ",
    ],
)  # fmt: skip
def test_a_text_with_months_in_words_is_read(header: str, tmp_path: Path) -> None:
    """Also where such a date is inside a message."""
    text = f"{header}hi\non 5 Jan 2024, we met\n{header}ho\n"

    found = read(tmp_path / "chat.txt", text).messages

    assert [(each.sender, each.text) for each in found] == [
        ("Ann", "hi\non 5 Jan 2024, we met"),
        ("Ann", "ho"),
    ]
    assert found[0].time.replace(second=0) == datetime(2024, 1, 5, 13)


@pytest.mark.parametrize("atom", ["5", "a", " ", "5 ", "jan ", "\u200e", "[", "5 jan 2024, "])
def test_dates_in_words_take_linear_time(atom: str) -> None:
    find_date(atom * 100_000)


def test_no_text_format_takes_a_text_of_whatsapp() -> None:
    assert not any(each.recognizes("13.01.24, 10:00 - Ann: hi\n") for each in TEXT_FORMATS)
