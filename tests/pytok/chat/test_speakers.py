"""Names of senders, and the lookup of a typed name."""

import pytest

from pytok.chat.speakers import find_speaker, speakers_of
from pytok.errors import ChatError
from tests.pytok.chat.histories import message

PEOPLE = {"+1 555": "Ada Lovelace", "+1 666": "Adam", "bo@chat": "Bo", "+1 777": "bo"}


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("Adam", "Adam"),
        ("ADAM", "Adam"),
        ("ada l", "Ada Lovelace"),
        ("+1 555", "Ada Lovelace"),
        ("Bo", "Bo"),
        ("bo", "bo"),
        ("bo@", "Bo"),
    ],
)
def test_a_name_identifies_the_best_match(name: str, who: str) -> None:
    """An exact match, a match in another case, or a unique prefix, of a name or a sender."""
    assert find_speaker(name, PEOPLE) == who


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("ada", r"'ada' is ambiguous: 'Ada Lovelace', 'Adam'; give more of the name"),
        ("BO", "'BO' is ambiguous: 'Bo', 'bo'"),
        ("Eve", "'Eve' is not one of the senders: 'Ada Lovelace', 'Adam', 'Bo', 'bo'"),
        ("", "'' is not one of the senders"),
    ],
)
def test_an_unknown_or_ambiguous_name_is_rejected(name: str, complaint: str) -> None:
    """The error lists the candidates."""
    with pytest.raises(ChatError, match=complaint):
        find_speaker(name, PEOPLE)


def test_a_sender_has_the_last_displayed_name() -> None:
    messages = [
        message(0, "1", name="Old"),
        message(1, "1", name="New"),
        message(2, "1"),
        message(3, "2"),
        message(4, None),
    ]

    assert speakers_of(messages) == {"1": "New", "2": "2"}


def test_senders_with_the_same_name_are_distinguished() -> None:
    messages = [message(0, "1", name="Sam"), message(1, "2", name="Sam"), message(2, "Sam")]

    assert speakers_of(messages) == {"1": "Sam (1)", "2": "Sam (2)", "Sam": "Sam"}
