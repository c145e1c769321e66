"""Histories for tests, a line each message."""

from datetime import datetime, timedelta
from typing import Any

from pytok.chat.record import Message

BEGIN = datetime(2024, 1, 1, 12)


def at(minutes: float) -> datetime:
    """So many minutes after the beginning."""
    return BEGIN + timedelta(minutes=minutes)


def message(minutes: float, sender: str | None, text: str = "", **more: Any) -> Message:
    """One message, so many minutes after the beginning."""
    return Message(time=at(minutes), sender=sender, text=text, **more)


def history(*lines: str) -> list[Message]:
    """Messages of lines such as "90 Ada Hi there": the minute, the sender, the text."""
    parts = (line.split(" ", 2) for line in lines)
    return [message(float(minutes), sender, text) for minutes, sender, text in parts]


def long_history(conversations: int) -> list[Message]:
    """So many conversations of Ada, Bo and Cy, two hours apart, each with words of its own."""
    return [
        message(120 * number + place, sender, f"{sender} says word{number} and {number * 37 % 101}")
        for number in range(conversations)
        for place, sender in enumerate(["Ada", "Bo", "Bo", "Ada", "Cy"])
    ]
