"""Whom a name means, and by which names senders go."""

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
def test_a_name_means_whom_it_fits_best(name: str, who: str) -> None:
    """Exactly, in another case, or how only one begins; a name or what stands behind it."""
    assert find_speaker(name, PEOPLE) == who


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("ada", r"'ada' may be any of 'Ada Lovelace', 'Adam'; write more"),
        ("BO", "'BO' may be any of 'Bo', 'bo'"),
        ("Eve", "'Eve' is none of the senders: 'Ada Lovelace', 'Adam', 'Bo', 'bo'"),
        ("", "'' is none of the senders"),
    ],
)
def test_a_name_that_means_nobody_or_several_is_refused(name: str, complaint: str) -> None:
    """With the names that there are."""
    with pytest.raises(ChatError, match=complaint):
        find_speaker(name, PEOPLE)


def test_a_sender_goes_by_the_name_shown_last() -> None:
    messages = [
        message(0, "1", name="Old"),
        message(1, "1", name="New"),
        message(2, "1"),
        message(3, "2"),
        message(4, None),
    ]

    assert speakers_of(messages) == {"1": "New", "2": "2"}


def test_two_of_one_name_are_told_apart() -> None:
    messages = [message(0, "1", name="Sam"), message(1, "2", name="Sam"), message(2, "Sam")]

    assert speakers_of(messages) == {"1": "Sam (1)", "2": "Sam (2)", "Sam": "Sam"}
