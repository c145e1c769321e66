"""What an import read and made, in figures: nothing is dropped without being counted here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args

from pytok.chat.record import Kind, Message
from pytok.chat.source import Source
from pytok.counted import counted

SHOWN = 10
"""Numbers of lines, and names, that are told in words; JSON has all."""


@dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """One file."""

    name: str
    format: str
    messages: int
    duplicates: int
    """Messages that the files before it had, too."""
    unread_lines: tuple[int, ...]
    """Numbers of the lines that are in no message."""
    doubtful_lines: tuple[int, ...]
    """Numbers of the lines that look like the beginning of a message, and were taken as text."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All files together."""

    sources: tuple[SourceSummary, ...]
    messages: int
    senders: Mapping[str, int]
    """How many messages each wrote, most first."""
    days: int
    """On which there was a message."""
    first: datetime
    last: datetime
    kinds: Mapping[Kind, int]
    """How many messages are of each kind, those included of which there are none."""
    edited: int
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it, as what JSON can hold."""
        plain = asdict(self)
        return plain | {"first": self.first.isoformat(), "last": self.last.isoformat()}

    def rows(self) -> dict[str, str]:
        """All of it in words, a name and its value a row."""
        senders = [f"{name} ({count:,})" for name, count in self.senders.items()]
        kinds = [f"{count:,} {kind}" for kind, count in self.kinds.items() if count]
        rows: dict[str, str] = {}
        for number, source in enumerate(self.sources, start=1):
            told = [counted(source.messages, "message"), source.format]
            if len(self.sources) > 1:
                told.append(f"{source.duplicates:,} of them known from the files before")
            if source.unread_lines:
                told.append(f"could not read {_lines(source.unread_lines)}")
            if source.doubtful_lines:
                told.append(f"took as text {_lines(source.doubtful_lines)}")
            again = f" ({number})" if source.name in rows else ""
            rows[source.name + again] = "; ".join(told)
        return rows | {
            "messages": f"{self.messages:,}: {', '.join(kinds)}; {self.edited:,} edited",
            "senders": f"{len(senders):,}: {_some(senders)}",
            "days": f"{self.days:,}, from {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}",
        }


def summarise(
    messages: Sequence[Message],
    sources: Sequence[Source],
    duplicates: Sequence[int],
    warnings: Sequence[str],
) -> Summary:
    """Count *messages*, made of *sources*, each of which had so many *duplicates*."""
    kinds = Counter(message.kind for message in messages)
    senders = Counter(message.author for message in messages if message.author is not None)
    return Summary(
        sources=tuple(
            SourceSummary(
                name=source.name,
                format=source.format,
                messages=len(source.messages),
                duplicates=count,
                unread_lines=tuple(source.unread),
                doubtful_lines=tuple(source.doubtful),
            )
            for source, count in zip(sources, duplicates, strict=True)
        ),
        messages=len(messages),
        senders=dict(senders.most_common()),
        days=len({message.time.date() for message in messages}),
        first=messages[0].time,
        last=messages[-1].time,
        kinds={kind: kinds[kind] for kind in get_args(Kind)},
        edited=sum(message.edited for message in messages),
        warnings=tuple(warnings),
    )


def _lines(numbers: Sequence[int]) -> str:
    what = "line" if len(numbers) == 1 else f"{len(numbers):,} lines:"
    return f"{what} {_some([str(number) for number in numbers])}"


def _some(shown: Sequence[str]) -> str:
    more = f" and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
