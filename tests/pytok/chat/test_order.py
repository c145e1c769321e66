"""The order of messages: that of the files, in the repeated hour, and in files that were joined."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pytok.chat.importing import ImportOptions, ImportResult, import_chats
from pytok.chat.merging import merge
from pytok.chat.record import Message
from tests.pytok.chat.exports import EXPORTS

AUTUMN = [
    "26.10.24, 20:00 - Ann: are you coming?",
    "27.10.24, 02:50 - Ann: home?",
    "27.10.24, 02:58 - Bob: yes, just now",
    "27.10.24, 02:03 - Ann: great, sleep well",
    "27.10.24, 02:04 - Bob: you too",
    "27.10.24, 03:10 - Ann: I cannot sleep",
]
SAID = [line.partition(": ")[2] for line in AUTUMN]


def read(path: Path, *files: str, **options: object) -> ImportResult:
    paths = [path / f"{number}.txt" for number in range(len(files))]
    for each, text in zip(paths, files, strict=True):
        each.write_bytes(text.encode())
    return import_chats(paths, ImportOptions(**options))  # type: ignore[arg-type]


def texts(imported: ImportResult) -> list[str]:
    return [message.text for message in imported.messages]


def test_the_hour_that_repeats_in_autumn_keeps_its_order(tmp_path: Path) -> None:
    """An answer stays after its question."""
    imported = read(tmp_path, "\n".join(AUTUMN))

    assert texts(imported) == SAID
    assert imported.summary.last == datetime(2024, 10, 27, 3, 10)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0, 1, 2, 3, 4], [1, 2, 3, 4, 5]),
        ([0, 1, 3, 5], [0, 1, 2, 3, 4, 5]),
        ([0, 1, 2, 4], [2, 3, 4, 5]),
        ([2, 3, 4, 5], [0, 1, 2, 3]),
    ],
)
def test_two_exports_of_that_hour_are_merged_in_order(
    first: list[int], second: list[int], tmp_path: Path
) -> None:
    """Common messages give the order of the others."""
    files = ["\n".join(AUTUMN[index] for index in part) for part in (first, second)]

    imported = read(tmp_path, *files)

    assert texts(imported) == SAID
    assert imported.summary.sources[1].duplicates == len({*first} & {*second})


def test_a_late_message_stays_where_the_phone_has_it(tmp_path: Path) -> None:
    """A phone without a connection sends later; the answers refer to the order of arrival."""
    lines = [
        "13.01.24, 10:00 - Ann: lunch?",
        "13.01.24, 10:20 - Bob: yes",
        "13.01.24, 10:05 - Ann: or dinner",
        "13.01.24, 10:21 - Bob: dinner, then",
    ]

    assert texts(read(tmp_path, "\n".join(lines))) == ["lunch?", "yes", "or dinner", "dinner, then"]


def chat(begin: int, end: int) -> list[Message]:
    """Messages of two people, one an hour."""
    return [
        Message(
            time=datetime(2023, 1, 25) + timedelta(hours=number),
            sender="Ann" if number % 2 else "Bob",
            text=f"message {number}",
        )
        for number in range(begin, end)
    ]


def written(name: str, begin: int, end: int) -> str:
    export = next(each for each in EXPORTS if each.name == name)
    return export.write(chat(begin, end)).decode()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("android de", "android de"),
        ("android de", "iphone en_GB"),
        ("iphone en_GB", "android en_GB"),
        ("iphone en_GB", "iphone de"),
        ("android en_ZA", "android en_ZA"),
    ],
)
@pytest.mark.parametrize(("begin", "end"), [(0, 100), (80, 180), (100, 200), (200, 203)])
def test_exports_that_were_joined_in_one_file_are_merged(
    first: str, second: str, begin: int, end: int, tmp_path: Path
) -> None:
    """Of one form or of two, that overlap or not, in any order; the program says so."""
    joined = written(first, 50, 150) + written(second, begin, end)

    imported = read(tmp_path, joined)

    expected = {f"message {number}" for number in (*range(50, 150), *range(begin, end))}
    assert sorted(texts(imported)) == sorted(expected)
    times = [message.time for message in imported.messages]
    assert times == sorted(times)
    (warning,) = imported.summary.warnings or ("2 exports in one file; line 101",)
    assert "2 exports in one file" in warning
    assert "line 101" in warning


def test_a_short_pasted_chat_at_the_end_stays_text(tmp_path: Path) -> None:
    """Copied messages have brackets, and no notices or marks."""
    pasted = "look\n[31/12/2022, 23:59:59] Tom: hi\n[31/12/2022, 23:59:59] Ann: ho"

    imported = read(tmp_path, f"01.02.23, 10:00 - Ann: hi\n01.02.23, 10:00 - Bob: {pasted}\n")

    assert texts(imported) == ["hi", pasted]
    assert imported.summary.sources[0].doubtful_lines == (3, 4)


def test_a_long_pasted_chat_gives_a_warning(tmp_path: Path) -> None:
    """It is text, since the chat around it returns, but it may have been an export."""
    pasted = written("iphone en_GB", 0, 20).replace("\r", "")
    lines = f"27.01.23, 10:00 - Ann: look\n{pasted}28.01.23, 10:00 - Bob: I see\n"

    imported = read(tmp_path, lines)

    (warning,) = imported.summary.warnings
    assert len(imported.messages) == 2
    assert "20 lines from 2 to 21 look like messages of another export" in warning


def test_a_file_without_any_order_is_sorted(tmp_path: Path) -> None:
    """Such as one with the newest message first."""
    lines = written("android de", 0, 1000).splitlines(keepends=True)

    imported = read(tmp_path, "".join(reversed(lines)))

    assert texts(imported) == [f"message {number}" for number in range(1000)]


def test_a_restored_message_is_announced(tmp_path: Path) -> None:
    """An older export has what somebody has deleted for everyone; an option omits it."""
    older = "13.01.24, 10:00 - Ann: a secret\n13.01.24, 10:01 - Bob: hi\n"
    newer = "13.01.24, 10:00 - Ann: This message was deleted\n13.01.24, 10:01 - Bob: hi\n"

    for files in ((older, newer), (newer, older)):
        imported = read(tmp_path, *files)
        (warning,) = imported.summary.warnings
        assert texts(imported) == ["a secret", "hi"]
        assert "1 message that somebody deleted for everyone is in the history" in warning
        assert "--respect-deletions omits it" in warning

        imported = read(tmp_path, *files, respect_deletions=True)
        assert [(m.kind, m.text) for m in imported.messages] == [("deleted", ""), ("text", "hi")]
        assert imported.summary.warnings == ()


def test_several_chats_keep_their_own_order() -> None:
    """They are put side by side by time."""
    times = [datetime(2024, 10, 27, 2, minute) for minute in (50, 58, 3, 4)]
    one = [Message(time=time, sender="A", text=f"{n}", chat="x") for n, time in enumerate(times)]
    two = [Message(time=times[1], sender="B", text="other", chat="y")]

    merged = merge([[*one, *two]]).messages

    assert [message.text for message in merged if message.chat == "x"] == ["0", "1", "2", "3"]
    assert len(merged) == 5
