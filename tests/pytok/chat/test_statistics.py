"""Statistics of a history."""

from datetime import date

import pytest

from pytok.chat.statistics import emoji_of, measure, to_dict
from tests.pytok.chat.histories import history, message

MESSAGES = [
    *history("0 Ada hi 😀😀", "1 Bo yes", "61 Ada four"),
    message(62, "Ada", kind="media", media="image"),
    message(63, None, "Bo left", kind="system"),
    message(64, "Bo", "Messages are encrypted", kind="system"),
    message(24 * 60, "Bo", "👍🏽"),
]


def test_messages_are_counted_by_person() -> None:
    """In descending order of messages, with lengths and emoji."""
    ada, bo = measure(MESSAGES).people

    assert (ada.name, ada.messages, ada.kinds["media"], ada.lengths) == ("Ada", 3, 1, [5, 4])
    assert (bo.name, bo.messages, bo.lengths) == ("Bo", 2, [3, 2])
    assert ada.emoji == {"😀": 2}
    assert bo.emoji == {"👍🏽": 1}


def test_messages_are_counted_by_time() -> None:
    """The first of January 2024 was a Monday."""
    measured = measure(MESSAGES)

    assert measured.by_hour[0][12:14] == [2, 2]
    assert measured.by_hour[1][12] == 1
    assert measured.by_day == {date(2024, 1, 1): 4, date(2024, 1, 2): 1}
    assert measured.system == 2


def test_pauses_are_measured_within_a_chat() -> None:
    messages = [message(minute, "A", chat=chat) for minute, chat in [(0, "x"), (1, "y"), (3, "x")]]

    assert measure(messages).pauses == [180.0]


def test_figures_for_json_are_medians_and_sums() -> None:
    figures = to_dict(measure(MESSAGES))

    assert figures["people"][0]["characters"] == {"median": 4.5, "mean": 4.5}
    assert (
        sum(figures["by_hour"]) == sum(figures["by_weekday"].values()) == figures["messages"] == 5
    )
    assert to_dict(measure([]))["first_day"] is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain © text → 1", []),
        ("👩‍👩‍👧👍🏽", ["👩‍👩‍👧", "👍🏽"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("❤ and ❤️ and 1️⃣", ["❤", "❤️", "1️⃣"]),
        ("é日本", []),
    ],
)
def test_an_emoji_sequence_counts_as_one(text: str, found: list[str]) -> None:
    """With skin tones, in families, flags and key caps; text symbols do not count."""
    assert list(emoji_of(text)) == found
