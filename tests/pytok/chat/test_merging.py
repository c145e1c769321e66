"""Merging of several exports of one chat, without loss or duplicates."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.example import example_chat, example_export
from pytok.chat.importing import LIMIT, LIMIT_WITH_MEDIA, ImportOptions, import_chats
from pytok.chat.merging import merge
from pytok.chat.record import Message, write_history
from pytok.errors import ChatError
from tests.pytok.chat.exports import EXPORTS

NOON = datetime(2024, 1, 5, 12)


def say(text: str, minutes: float = 0, sender: str = "Ann", **fields: object) -> Message:
    time = NOON + timedelta(minutes=minutes)
    return Message(time=time, sender=sender, text=text, **fields)  # type: ignore[arg-type]


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


chats = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("AB"), st.sampled_from(["ok", "ha", "no"])),
    max_size=40,
)


@given(chats, st.integers(0, 40), st.integers(0, 40))
def test_overlapping_parts_are_merged_to_the_original(
    said: list[tuple[int, str, str]], end: int, begin: int
) -> None:
    """Equal messages in one minute keep their number."""
    times = sorted(minute for minute, _, _ in said)
    original = [say(t, m, s) for m, (_, s, t) in zip(times, said, strict=True)]
    end = max(end, begin)

    merged = merge([original[:end], original[begin:]]).messages

    # A minute that is cut is incomplete in a part, so only complete minutes must be in order.
    inner = [m for m in original if not (original[begin:] and m.time == original[begin:][0].time)]
    inner = [m for m in inner if not (original[:end] and m.time == original[:end][-1].time)]
    assert [m for m in merged if m in inner] == inner
    kept = Counter((m.time, m.sender, m.text) for m in merged)
    for part in (original[:end], original[begin:]):
        assert not Counter((m.time, m.sender, m.text) for m in part) - kept
    assert not kept - Counter((m.time, m.sender, m.text) for m in original)


def test_truncated_exports_are_merged_to_the_exact_original(tmp_path: Path) -> None:
    """With any overlap, in any order."""
    original = example_chat(3000)
    cuts = [(0, 1200), (1000, 2200), (1900, 3000), (1500, 1600)]
    random.Random(1).shuffle(cuts)
    paths = [tmp_path / f"{begin}.txt" for begin, _ in cuts]
    for path, (begin, end) in zip(paths, cuts, strict=True):
        path.write_text(example_export(original[begin:end]), encoding="utf-8")

    imported = import_chats(paths, ImportOptions())

    assert [replace(m, source="", line=None) for m in imported.messages] == original
    assert sum(s.duplicates for s in imported.summary.sources) == 1200 + 1200 + 1100 + 100 - 3000


def test_sources_with_and_without_seconds_are_merged(tmp_path: Path) -> None:
    """The seconds are taken from the source that has them."""
    original = [m for m in example_chat(600) if m.kind == "text"]
    android = next(export for export in EXPORTS if export.name == "android de")
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_bytes(android.write(original[:400]))
    second.write_text(example_export(original[200:]), encoding="utf-8")

    merged = import_chats([first, second], ImportOptions()).messages

    assert texts(merged) == texts(original)
    assert [m.time for m in merged[200:]] == [m.time for m in original[200:]]


def test_messages_in_another_order_are_not_duplicated() -> None:
    """Two phones can have different orders if messages are sent at the same time."""
    merged = merge([[say("a"), say("b"), say("c")], [say("b"), say("a"), say("d")]]).messages

    assert Counter(texts(merged)) == Counter("abcd")


def test_a_message_of_one_source_is_inserted_in_order() -> None:
    merged = merge([[say("a"), say("c")], [say("a"), say("b"), say("c"), say("d")]])

    assert texts(merged.messages) == ["a", "b", "c", "d"]
    assert merged.duplicates == [0, 2]


def test_a_number_and_a_name_are_one_person() -> None:
    """If both have the same texts at the same times, and neither is in the other source."""
    words = [f"a rather long message number {n}" for n in range(5)]
    numbers = [say(text, n, "+43 660 1234567") for n, text in enumerate(words)]
    names = [say(text, n, "Ann") for n, text in enumerate([*words, "and one more"])]

    merged = merge([numbers, names]).messages

    assert texts(merged) == [*words, "and one more"]
    assert {(m.sender, m.name) for m in merged} == {("+43 660 1234567", "Ann")}


def test_two_people_with_the_same_texts_stay_distinct() -> None:
    one = [say("good morning everybody", n, "Ann") for n in range(3)]
    both = [m for n in range(3) for m in (one[n], replace(one[n], sender="Bob"))]

    assert len(merge([one, both]).messages) == 6


def test_the_more_informative_version_is_kept() -> None:
    """If a message is deleted, edited or without its picture in one of two sources."""
    older = [
        say("secret", 0), say("teh", 1), say("", 2, kind="media", media="image"), say("bye", 3),
    ]  # fmt: skip
    newer = [
        say("", 0, kind="deleted"),
        say("the", 1, edited=True),
        say("us", 2, kind="media", media="IMG-1.jpg"),
        say("bye", 3),
    ]
    for sources in ([older, newer], [newer, older]):
        merged = merge(sources).messages

        assert [(m.kind, m.text, m.media) for m in merged] == [
            ("text", "secret", None),
            ("text", "the", None),
            ("media", "us", "IMG-1.jpg"),
            ("text", "bye", None),
        ]


def test_a_minute_with_thousands_of_messages_is_merged(tmp_path: Path) -> None:
    """Without an alignment table of all pairs."""
    many = [say(str(n % 7)) for n in range(20_000)]

    merged = merge([many, many[:15_000]])

    assert len(merged.messages) == 20_000
    assert merged.duplicates == [0, 15_000]


def test_local_and_utc_times_need_a_time_zone(tmp_path: Path) -> None:
    """With it they are merged, including the hour that repeats in autumn."""
    utc = datetime(2024, 10, 26, 23, 50, tzinfo=timezone.utc)
    zoned = [
        Message(time=utc + timedelta(minutes=20 * n), sender="Ann", text=f"message {n}")
        for n in range(9)
    ]
    clocks = ["01:50", "02:10", "02:30", "02:50", "02:10", "02:30", "02:50", "03:10", "03:30"]
    local, history = tmp_path / "chat.txt", tmp_path / "utc.jsonl"
    local.write_text(
        "".join(f"27.10.2024, {clock} - Ann: message {n}\n" for n, clock in enumerate(clocks))
    )
    write_history(history, zoned)
    with pytest.raises(ChatError, match=r"times of the phone, and utc\.jsonl those of"):
        import_chats([local, history], ImportOptions())

    merged = import_chats([local, history], ImportOptions(timezone="Europe/Vienna")).messages

    assert [m.time for m in merged] == [m.time for m in zoned]
    with pytest.raises(ChatError, match="'Mars' is not a time zone"):
        import_chats([local], ImportOptions(timezone="Mars"))


@pytest.mark.parametrize(("count", "media"), [(LIMIT, False), (LIMIT_WITH_MEDIA - 20, True)])
def test_an_export_near_the_limit_gives_a_warning(count: int, media: bool, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    line = "13.01.24, 10:00 - Ann: IMG-20240113-WA0001.jpg (file attached)\n" if media else ""
    lines = [f"13.01.24, 10:{n // 1000:02} - Ann: hi\n" for n in range(count - bool(line))]
    path.write_text("".join([*lines, line]))

    (warning,) = import_chats([path], ImportOptions()).summary.warnings

    assert "older messages are probably missing" in warning


def test_files_of_different_chats_give_a_warning(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("13.01.24, 10:00 - Ann: hi\n13.01.24, 10:00 - Me: ho\n")
    two.write_text("14.01.24, 10:00 - Bob: hi\n14.01.24, 10:00 - Me: ho\n")

    (warning,) = import_chats([one, two], ImportOptions()).summary.warnings

    assert "check that it is the same chat" in warning


def test_a_history_can_be_merged_with_an_export(tmp_path: Path) -> None:
    """The output of an earlier import is a source like any other."""
    original = example_chat(300)
    history, export = tmp_path / "chat.jsonl", tmp_path / "_chat.txt"
    write_history(history, original[:200])
    export.write_text(example_export(original[100:]), encoding="utf-8")

    merged = import_chats([history, export], ImportOptions()).messages

    assert [replace(m, source="", line=None) for m in merged] == original
