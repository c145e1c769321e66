"""Anonymizing takes time in proportion to a text, whatever it repeats.

The bound is far above what a slow machine needs, and far below what a quadratic search takes.
"""

import time
from datetime import datetime

import pytest

from pytok.chat.anonymize import anonymize
from pytok.chat.record import Message

SENDERS = (
    "Anna Schmidt-Huber",
    "山田太郎",
    "김민수",
    "Иван Петров",
    "أحمد علي",
    "さくら",
    "a a a b",
)
REPEATED = (
    "a 1 1- 1. 12/ + @ @a a@ a. a.b a@b. :// http://! www. mailto:! x:y@ a: anna anna_ _"
    " Schmidt- a_1 1a A1 AT61 12: :: 1.1. ° 1° 48.2082, ///a. pwd= token pass: 8+2C ́ ุ่ が"
    " 山 山田 太郎 ｱ 김 김민 मो و علي 一 (at) 31.12.2024 31.12. 1.000. 6-4( 18.30- 0900-"
    " 1234567/ ! ( (0 a.b/ €1 Tel v1. Ив σ İ 🎉 1️⃣ 00:1A: a- 550e8400- A1B2C3- @all @1 @山"
    " 1' lat= data: sig="
)
ATOMS = REPEATED.split(" ")
ATOMS += [f"{atom} " for atom in ("1", "12", "a", "Anna", "@1", "1 -", "Anna Schmidt", "€1", "is")]
ATOMS += [" ", "\t", "\n", "\u200b", "\u200e", "1\u200b", "a\u0301\u0316", "か\u3099", "@\u2068a"]


def seconds(text: str) -> float:
    """CPU time of a chat with *text*."""
    at = datetime(2024, 1, 1)
    history = [Message(time=at, sender=name, text=text[: len(name)]) for name in SENDERS]
    history.append(Message(time=at, sender="Bob", text=text))
    start = time.process_time()
    anonymize(history)
    return time.process_time() - start


@pytest.mark.parametrize("atom", ATOMS, ids=ascii)
def test_a_repeated_text_takes_linear_time(atom: str) -> None:
    assert seconds(atom * (50_000 // len(atom)) + "x") < 10


@pytest.mark.slow
@pytest.mark.parametrize("atom", ATOMS, ids=ascii)
def test_a_million_characters_take_linear_time(atom: str) -> None:
    assert seconds(atom * (1_000_000 // len(atom)) + "x") < 60
