"""Summary of an import: counts of everything that was read, including what is in no message."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args

from pytok.chat.record import KIND_NAMES, Kind, Message
from pytok.chat.source import Source
from pytok.chat.speakers import listed
from pytok.counted import counted


@dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """Summary of one file."""

    name: str
    format: str
    messages: int
    duplicates: int
    """Messages that earlier files already contain."""
    unread_lines: tuple[int, ...]
    """Numbers of the lines that belong to no message."""
    doubtful_lines: tuple[int, ...]
    """Numbers of the lines that look like the start of a message but were read as text."""
    separators: tuple[int, ...]
    """Numbers of the lines that only name the day of the messages after them."""
    unsure: Mapping[str, tuple[int, ...]]
    """Lines of the messages that were taken for the app's words by their wording alone, by body:
    nothing else shows that their sender has not written them."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Summary of all files."""

    sources: tuple[SourceSummary, ...]
    messages: int
    senders: Mapping[str, int]
    """Messages per sender, in descending order."""
    days: int
    """Number of days with a message."""
    first: datetime
    last: datetime
    kinds: Mapping[Kind, int]
    """Messages per kind, zeros included."""
    edited: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
        return asdict(self) | {"first": self.first.isoformat(), "last": self.last.isoformat()}

    def rows(self) -> dict[str, str]:
        """Return the labels and values to print."""
        senders = [f"{name} ({count:,})" for name, count in self.senders.items()]
        kinds = [counted(count, KIND_NAMES[kind]) for kind, count in self.kinds.items() if count]
        edited = f"; {self.edited:,} edited" if self.edited else ""
        rows: dict[str, str] = {}
        for number, source in enumerate(self.sources, start=1):
            facts = [counted(source.messages, "message"), source.format]
            if len(self.sources) > 1:
                facts.append(f"{source.duplicates:,} already in earlier files")
            if source.unread_lines:
                facts.append(f"could not read {_lines(source.unread_lines)}")
            if source.doubtful_lines:
                facts.append(f"read {_lines(source.doubtful_lines)} as text")
            if source.separators:
                facts.append(f"{counted(len(source.separators), 'line')} between days")
            if source.unsure:
                facts.append(_describe_unsure(source.unsure))
            suffix = f" ({number})" if source.name in rows else ""
            rows[source.name + suffix] = "; ".join(facts)
        return rows | {
            "messages": f"{self.messages:,}: {', '.join(kinds)}{edited}",
            "senders": f"{len(senders):,}: {listed(senders)}",
            "days": f"{self.days:,}, {_period(self.first, self.last)}",
        }


def summarize(
    messages: Sequence[Message],
    sources: Sequence[Source],
    duplicates: Sequence[int],
    warnings: Sequence[str],
) -> Summary:
    """Count *messages*, merged from *sources* that have *duplicates* messages in common."""
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
                separators=tuple(source.separators),
                unsure={body: tuple(lines) for body, lines in source.unsure.items()},
            )
            for source, count in zip(sources, duplicates, strict=True)
        ),
        messages=len(messages),
        senders=dict(senders.most_common()),
        days=len({message.time.date() for message in messages}),
        first=min(message.time for message in messages),
        last=max(message.time for message in messages),
        kinds={kind: kinds[kind] for kind in get_args(Kind)},
        edited=sum(message.edited for message in messages),
        warnings=tuple(warnings),
    )


def _period(first: datetime, last: datetime) -> str:
    if first.date() == last.date():
        return f"on {first.day} {first:%B %Y}"
    return f"from {first.day} {first:%B %Y} to {last.day} {last:%B %Y}"


def _describe_unsure(unsure: Mapping[str, Sequence[int]]) -> str:
    counts = Counter({body: len(lines) for body, lines in unsure.items()})
    first = listed([f"{body[:40]!r} ({count:,})" for body, count in counts.most_common()])
    total = counted(counts.total(), "message")
    return f"unsure about {total}, taken for words of the app: {first}"


def _lines(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    return f"{len(numbers):,} lines ({listed(map(str, numbers))})"
