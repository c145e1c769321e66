"""Synthetic example chats: sessions, styles, and the export."""

from dataclasses import replace
from itertools import pairwise

import pytest

from pytok.chat.example import LONGEST_PAUSE, SHORTEST_GAP, example_chat, example_export
from pytok.chat.whatsapp.export import read_export

CHAT = example_chat(2000)


def test_the_same_seed_gives_the_same_chat() -> None:
    assert example_chat(2000) == CHAT
    assert example_chat(2000, seed=1) != CHAT


def test_pauses_are_short_within_a_session_and_long_between_sessions() -> None:
    pauses = [after.time - before.time for before, after in pairwise(CHAT)]

    assert all(pause <= LONGEST_PAUSE or pause >= SHORTEST_GAP for pause in pauses)
    assert 50 < sum(pause >= SHORTEST_GAP for pause in pauses) < 500


def test_authors_write_in_different_styles() -> None:
    """One in lower case, one in complete sentences."""
    said = {
        name: [m.text for m in CHAT if m.sender == name and m.kind == "text"]
        for name in ("Mara", "Jonas")
    }

    assert all(text == text.lower() for text in said["Mara"])
    assert all(text[0].isupper() for text in said["Jonas"])
    assert min(map(len, said.values())) > 500


def test_an_example_survives_export_and_import() -> None:
    messages = read_export(example_export(CHAT), "_chat.txt").messages

    assert [replace(message, source="", line=None) for message in messages] == CHAT


def test_the_number_of_authors_is_checked() -> None:
    assert {m.sender for m in example_chat(200, authors=4)} >= {"Mara", "Jonas", "Priya", "Tom"}
    with pytest.raises(ValueError, match="give 2 to 4"):
        example_chat(authors=5)
