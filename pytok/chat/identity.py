"""Who is who when two sources name people differently: a number here, a name there.

Two senders are one person where the sources say so (the number of one is the other's, the name
shown of one is the other), or where the same words of both stand in the same minutes, and neither
is ever seen in the other source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

ENOUGH = 20
"""Characters of common words, up to 20 of a message, that make two senders one person."""


class Person(NamedTuple):
    """One person: by what stays the same, and by the name shown."""

    sender: str
    name: str | None


Votes = Iterable[tuple[str, str, str]]
"""Words that both sources have in one minute: the words, the one's sender, the other's."""


def same_people(
    votes: Votes, theirs: Mapping[str, str | None], ours: Mapping[str, str | None]
) -> dict[str, Person]:
    """For each sender that is somebody else's other name, the person.

    *theirs* and *ours* are all senders of either source, each with the name shown.
    """
    weights: dict[str, Counter[str]] = {}
    for words, their, our in votes:
        weights.setdefault(our, Counter())[their] += min(len(words), ENOUGH)
    people: dict[str, Person] = {}
    claimed: set[str] = set()
    for our, shown in ours.items():
        if our in theirs:
            continue
        same = _told(our, shown, theirs) or _heard(weights.get(our, Counter()))
        if same is None or same in ours or same in claimed:
            continue
        claimed.add(same)
        person = _person(same, theirs[same], our, shown)
        people |= {same: person, our: person}
    return people


def _told(our: str, shown: str | None, theirs: Mapping[str, str | None]) -> str | None:
    """The one of *theirs* that the sources themselves say is *our*."""
    same = [
        their
        for their, name in theirs.items()
        if our == name or their == shown or (_digits(our) and _digits(our) == _digits(their))
    ]
    return same[0] if len(same) == 1 else None


def _heard(votes: Counter[str]) -> str | None:
    """The one who said the same at the same time, if it is enough, and one only."""
    if not votes:
        return None
    their, weight = votes.most_common(1)[0]
    return their if weight >= ENOUGH and weight >= 0.8 * votes.total() else None


def _digits(sender: str) -> str:
    """The digits of a telephone number, with its country's code; "" of what is none."""
    number = sender.partition("@")[0].partition(":")[0]
    digits = re.sub(r"\D", "", number)
    return digits if 7 <= len(digits) <= 15 and not re.search(r"[^\W\d_]", number) else ""


def _person(their: str, their_name: str | None, our: str, our_name: str | None) -> Person:
    """A number stays the same, and a name is shown: whichever source has which."""
    if _digits(our) and not _digits(their):
        return Person(our, our_name or their_name or their)
    if _digits(their) and not _digits(our):
        return Person(their, their_name or our_name or our)
    return Person(their, their_name or our_name)
