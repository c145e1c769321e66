"""Identification of senders that two sources name differently, by number or by name.

Two senders are the same person if the sources say so (both have the same number, or the sender in
one is the displayed name in the other), or if enough of their words coincide in the same minutes.
Neither of the two may occur as a sender in the other source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

ENOUGH_CHARACTERS = 20
"""Characters of common text that identify two senders; a message counts for at most this many."""


class Person(NamedTuple):
    """One person: a stable sender and a displayed name."""

    sender: str
    name: str | None


Votes = Iterable[tuple[str, str, str]]
"""Texts that both sources have in one minute: (text, sender in the old, sender in the new)."""


def match_people(
    votes: Votes, old: Mapping[str, str | None], new: Mapping[str, str | None]
) -> dict[str, Person]:
    """Map each sender of either source that has another name in the other source to its person.

    *old* and *new* map the senders of each source to their displayed names.
    """
    weights: dict[str, Counter[str]] = {}
    for text, old_sender, new_sender in votes:
        weights.setdefault(new_sender, Counter())[old_sender] += min(len(text), ENOUGH_CHARACTERS)
    people: dict[str, Person] = {}
    claimed: set[str] = set()
    for sender, name in new.items():
        if sender in old:
            continue
        match = _match_by_name(sender, name, old) or _match_by_text(weights.get(sender, Counter()))
        if match is None or match in new or match in claimed:
            continue
        claimed.add(match)
        person = _person(match, old[match], sender, name)
        people |= {match: person, sender: person}
    return people


def _match_by_name(sender: str, name: str | None, old: Mapping[str, str | None]) -> str | None:
    """Return the only sender of *old* with the same number, or named like *sender* or *name*."""
    matches = [
        old_sender
        for old_sender, old_name in old.items()
        if sender == old_name
        or old_sender == name
        or (_digits(sender) and _digits(sender) == _digits(old_sender))
    ]
    return matches[0] if len(matches) == 1 else None


def _match_by_text(votes: Counter[str]) -> str | None:
    """Return the sender with enough common text, if it has nearly all of it."""
    if not votes:
        return None
    sender, weight = votes.most_common(1)[0]
    return sender if weight >= ENOUGH_CHARACTERS and weight >= 0.8 * votes.total() else None


def _digits(sender: str) -> str:
    """Return the digits of a telephone number, with its country code; "" if it is not a number."""
    number = sender.partition("@")[0].partition(":")[0]
    digits = re.sub(r"\D", "", number)
    return digits if 7 <= len(digits) <= 15 and not re.search(r"[^\W\d_]", number) else ""


def _person(old: str, old_name: str | None, new: str, new_name: str | None) -> Person:
    """Merge two names of one person: a number, if there is one, becomes the sender."""
    if _digits(new) and not _digits(old):
        return Person(new, new_name or old_name or old)
    if _digits(old) and not _digits(new):
        return Person(old, old_name or new_name or new)
    return Person(old, old_name or new_name)
