"""Short histories for tests."""

from datetime import datetime, timedelta
from typing import Any

from pytok.chat.record import Message

START = datetime(2024, 1, 1, 12)


def at(minutes: float) -> datetime:
    """The time *minutes* after `START`."""
    return START + timedelta(minutes=minutes)


def message(minutes: float, sender: str | None, text: str = "", **more: Any) -> Message:
    """A message *minutes* after `START`."""
    return Message(time=at(minutes), sender=sender, text=text, **more)


def history(*lines: str) -> list[Message]:
    """Messages from lines such as "90 Ada Hi there": minute, sender, text."""
    parts = (line.split(" ", 2) for line in lines)
    return [message(float(minutes), sender, text) for minutes, sender, text in parts]


def long_history(conversations: int) -> list[Message]:
    """A number of conversations of Ada, Bo and Cy, two hours apart, with different words."""
    return [
        message(
            120 * number + minute, sender, f"{sender} says word{number} and {number * 37 % 101}"
        )
        for number in range(conversations)
        for minute, sender in enumerate(["Ada", "Bo", "Bo", "Ada", "Cy"])
    ]
