"""Histories as JSON lines: round trips and errors."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.record import Message, from_dict, read_history, to_dict, write_history
from pytok.errors import ChatError

texts = st.text(st.characters(exclude_categories=["Cs"]))
messages = st.builds(
    Message,
    time=st.datetimes() | st.datetimes(timezones=st.just(timezone.utc)),
    sender=st.none() | texts,
    name=st.none() | texts,
    kind=st.sampled_from(["text", "media", "system", "deleted", "call", "poll", "location"]),
    text=texts,
    edited=st.booleans(),
    media=st.none() | texts,
    id=st.none() | texts,
    reactions=st.lists(texts, max_size=3).map(tuple),
    line=st.none() | st.integers(1),
)


@given(messages)
def test_a_message_survives_the_round_trip(message: Message) -> None:
    assert from_dict(to_dict(message)) == message


def test_a_history_survives_the_round_trip(tmp_path: Path) -> None:
    """Unicode line separators within a message do not end a line of the file."""
    path = tmp_path / "chat.jsonl"
    sent = [Message(time=datetime(2024, 1, 1), sender="A", text="one\u2028two\nthree\x85four")]

    write_history(path, sent)

    assert list(read_history(path)) == sent


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not an object"),
        ('{"sender": "A"}', "line 2: time is None"),
        ('{"time": "2024-01-01", "kind": "song"}', "kind is 'song'"),
        ('{"time": "2024-01-01", "text": 7}', "text is 7, not a string"),
        ('{"time": "2024-01-01", "color": 7}', "'color' is not a field"),
        ('{"time": "2024-01-01", "line": true}', "line is True"),
    ],
)
def test_an_invalid_message_is_rejected_with_its_line(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(f'{{"time": "2024-01-01T00:00:00", "sender": "A"}}\n{line}\n')

    with pytest.raises(ChatError, match=complaint):
        list(read_history(path))
