"""A proof, by its structure, that backtracking engines match a pattern in linear time.

An attempt to match takes more than linear time only if its automaton is ambiguous without bound:
if two states p and q, each in a loop, have a text that leads from p to p, from p to q and from q to
q, then n copies of it can be divided between the loops in n ways, and a failure behind them tries
all. If p is q and the text leads there on two ways, it tries 2 to the power of n ways. (Weber and
Seidl 2008, "On the degree of ambiguity of finite automata"; Weideman et al. 2016, "Analyzing
matching time behavior of backtracking regular expression matchers by using ambiguity of NFA".)

A search begins at every position of a text, so it is the pattern after a loop over any characters.
Such an ambiguity is harmless where the match can end in q: the attempt succeeds, and the next one
begins behind it.

The automaton has a state for each character of the pattern (Glushkov 1961). Texts consist of one
character of each class that the pattern distinguishes. Assertions about one character before or
after are respected; other assertions, and group references, are assumed to hold.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import regex

try:
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_constants as sre
    import sre_parse

Pattern: TypeAlias = "re.Pattern[Any] | regex.Pattern[Any]"
Characters: TypeAlias = Callable[[str], bool]
"""Whether a character belongs to a class."""

UNROLLED = 3
"""Copies of a part that is repeated a limited number of times: two show an ambiguity between them,
the third stands for all others."""

OTHERS = "a0 \n\t_-.:/@<>([éß中א\u0301\u200e\u202f\u2068\u3042\uac00👍"
"""Characters that represent those which a pattern does not name."""

START = ""
"""The position before the first character of a text."""


class UnsupportedError(Exception):
    """A part of a pattern that has no meaning here."""


class Condition(NamedTuple):
    """What must hold between two characters: of the one before, or of the one after."""

    before: bool
    holds: Characters


MAYBE = Condition(False, lambda after: True)
"""A condition that can hold or not: where it does not, an attempt fails."""


class Way(NamedTuple):
    """A way to or from a position, or past a part: the conditions on it."""

    position: int
    conditions: tuple[Condition, ...] = ()


@dataclass
class Part:
    """The automaton of a part of a pattern: where it begins and ends, and how it can be empty."""

    first: list[Way] = field(default_factory=list)
    last: list[Way] = field(default_factory=list)
    empty: list[tuple[Condition, ...]] = field(default_factory=list)


class Loop(NamedTuple):
    """An ambiguity: a text that, repeated, can be divided between two loops."""

    kind: str
    """How the number of ways grows with the repetitions: "exponential", "quadratic", or "quadratic
    search" for attempts at all positions together."""
    text: str

    def __str__(self) -> str:
        return f"{self.kind} with {self.text!r}, repeated"


class Automaton:
    """The Glushkov automaton of a pattern, with how often each edge exists."""

    def __init__(self, pattern: Pattern) -> None:
        self.flags = pattern.flags
        self.is_bytes = isinstance(pattern.pattern, bytes)
        self.classes: list[Characters] = []
        self.atoms: list[frozenset[int]] = []
        """The atomic groups around each position."""
        self.edges: Counter[tuple[int, int, tuple[Condition, ...]]] = Counter()
        self._atomic: tuple[int, ...] = ()
        self._groups = itertools.count()
        self._names: set[str] = set()
        source, self._properties = _with_markers(pattern)
        whole = self._sequence(_parsed(source, pattern.flags))
        self._steps: dict[int, list[tuple[int, tuple[Condition, ...], int]]] = {}
        for (end, begin, conditions), number in self.edges.items():
            self._steps.setdefault(end, []).append((begin, conditions, number))
        self._next: dict[tuple[int, str, str], list[tuple[int, int]]] = {}
        self.begins = whole.first
        self.ends = {way.position for way in whole.last if not way.conditions}
        self.alphabet = self._alphabet()

    # ------------------------------------------------------------------------------ the automaton

    def _sequence(self, tree: Iterable[Any]) -> Part:
        part = Part(empty=[()])
        for operation, argument in tree:
            part = self._joined(part, self._part(operation, argument))
        return part

    def _joined(self, left: Part, right: Part) -> Part:
        for end, begin in itertools.product(left.last, right.first):
            self.edges[end.position, begin.position, (*end.conditions, *begin.conditions)] += 1
        return Part(
            left.first + [Way(at, past + own) for past in left.empty for at, own in right.first],
            right.last + [Way(at, own + past) for past in right.empty for at, own in left.last],
            [one + two for one in left.empty for two in right.empty],
        )

    def _part(self, operation: Any, argument: Any) -> Part:
        if operation in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            return self._character(self._class(operation, argument))
        if operation is sre.GROUPREF:
            return self._character(lambda character: True)
        if operation is sre.SUBPATTERN:
            return self._sequence(argument[-1])
        if operation is sre.BRANCH:
            parts = [self._sequence(branch) for branch in argument[1]]
            return Part(
                [way for part in parts for way in part.first],
                [way for part in parts for way in part.last],
                [past for part in parts for past in part.empty],
            )
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._repeated(*argument)
        if operation is getattr(sre, "POSSESSIVE_REPEAT", None):
            return self._atomically(lambda: self._repeated(*argument))
        if operation is getattr(sre, "ATOMIC_GROUP", None):
            return self._atomically(lambda: self._sequence(argument))
        if operation is sre.AT:
            return Part(empty=[self._at(argument)])
        if operation in (sre.ASSERT, sre.ASSERT_NOT):
            return Part(empty=[self._around(operation is sre.ASSERT, *argument)])
        raise UnsupportedError(str(operation))

    def _character(self, characters: Characters) -> Part:
        self.classes.append(characters)
        self.atoms.append(frozenset(self._atomic))
        way = Way(len(self.classes) - 1)
        return Part([way], [way])

    def _repeated(self, least: int, most: Any, body: Iterable[Any]) -> Part:
        body = list(body)
        unlimited = most is sre.MAXREPEAT
        copies = max(1, min(least, UNROLLED) if unlimited else min(int(most), UNROLLED))
        part = Part(empty=[()])
        for number in reversed(range(copies)):  # x{1,3} is x(x(x)?)?
            copy = self._sequence(body)
            if unlimited and number == copies - 1:
                for end, begin in itertools.product(copy.last, copy.first):
                    conditions = (*end.conditions, *begin.conditions)
                    self.edges[end.position, begin.position, conditions] += 1
            part = self._joined(copy, part)
            if number >= least:
                part.empty = [()]  # engines do not repeat an empty match
        return part

    def _atomically(self, build: Callable[[], Part]) -> Part:
        outside = self._atomic
        self._atomic = (*outside, next(self._groups))
        try:
            return build()
        finally:
            self._atomic = outside

    def _at(self, kind: Any) -> tuple[Condition, ...]:
        if kind is sre.AT_BEGINNING_STRING or (
            kind is sre.AT_BEGINNING and not self.flags & re.MULTILINE
        ):
            return (Condition(True, lambda before: before == START),)
        if kind is sre.AT_BEGINNING:
            return (Condition(True, lambda before: before in (START, "\n")),)
        return (MAYBE,)  # the end of a text, a line or a word

    def _around(self, positive: bool, direction: int, body: Sequence[Any]) -> tuple[Condition, ...]:
        """Return the condition of an assertion about one character; for others, `MAYBE`."""
        tree = list(body)
        while len(tree) == 1 and tree[0][0] is sre.SUBPATTERN:
            tree = list(tree[0][1][-1])
        alternatives = [tree]
        if len(tree) == 1 and tree[0][0] is sre.BRANCH:
            alternatives = [list(branch) for branch in tree[0][1][1]]
        single = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
        if any(len(each) != 1 or each[0][0] not in single for each in alternatives):
            return (MAYBE,)
        classes = [self._class(*each[0]) for each in alternatives]

        def holds(character: str) -> bool:
            found = character != START and any(each(character) for each in classes)
            return found is positive

        return (Condition(direction < 0, holds),)

    # --------------------------------------------------------------------------------- characters

    def _class(self, operation: Any, argument: Any) -> Characters:
        if operation is sre.ANY:
            dotall = bool(self.flags & re.DOTALL)
            return lambda character: dotall or character != "\n"
        if operation is sre.IN:
            members = [self._member(*member) for member in argument]
            negated = argument[0][0] is sre.NEGATE
            return self._of_any_case(members, negated)
        self._names.add(chr(argument))
        return self._of_any_case(
            [self._member(sre.LITERAL, argument)], operation is sre.NOT_LITERAL
        )

    def _of_any_case(self, members: list[Characters], negated: bool) -> Characters:
        ignoring = bool(self.flags & re.IGNORECASE)

        def contains(character: str) -> bool:
            cases = {character}
            if ignoring:
                cases |= {character.lower(), character.upper()}
            return any(each(case) for each in members for case in cases) is not negated

        return contains

    def _member(self, operation: Any, argument: Any) -> Characters:
        if operation is sre.NEGATE:
            return lambda character: False
        if operation is sre.LITERAL:
            if chr(argument) in self._properties:
                found = self._properties[chr(argument)]
                return lambda character: found.match(character) is not None
            self._names.add(chr(argument))
            return lambda character: character == chr(argument)
        if operation is sre.RANGE:
            low, high = argument
            self._names |= {chr(low), chr(high), chr((low + high) // 2)}
            return lambda character: len(character) == 1 and low <= ord(character) <= high
        if operation is sre.CATEGORY:
            written = "\\" + _CATEGORIES[argument]
            category = re.compile(written, re.ASCII if self.is_bytes else self.flags & re.ASCII)
            return lambda character: category.match(character) is not None
        raise UnsupportedError(str(operation))

    def _alphabet(self) -> list[str]:
        """Return a character of each class that the positions and conditions distinguish."""
        conditions = {condition.holds for *_, each in self.edges for condition in each}
        conditions |= {condition.holds for way in self.begins for condition in way.conditions}
        tests = [*self.classes, *conditions]
        signatures: dict[tuple[bool, ...], str] = {}
        for character in sorted(self._names) + list(OTHERS):
            signature = tuple(holds(character) for holds in tests)
            signatures.setdefault(signature, character)
        return list(signatures.values())

    # -------------------------------------------------------------------------------- ambiguities

    def next(self, position: int, before: str, after: str) -> list[tuple[int, int]]:
        """Return the positions that *after* leads to, and on how many ways."""
        key = position, before, after
        if key not in self._next:
            self._next[key] = [
                (begin, number)
                for begin, conditions, number in self._steps.get(position, ())
                if self.allows(begin, conditions, before, after)
            ]
        return self._next[key]

    def allows(
        self, position: int, conditions: tuple[Condition, ...], before: str, after: str
    ) -> bool:
        """Return whether *after* leads to *position*."""
        return self.classes[position](after) and all(
            condition.holds(before if condition.before else after) for condition in conditions
        )

    def loops(self, without: set[int] | None = None) -> list[frozenset[int]]:
        """Return the sets of positions that lead to each other, also without some others."""
        without = without or set()
        after: dict[int, set[int]] = {}
        for end, begin, _ in self.edges:
            if end not in without and begin not in without:
                after.setdefault(end, set()).add(begin)
        reached = {position: _closure(after, position) for position in after}
        inside = [at for at in reached if at in reached[at]]
        return sorted(
            {frozenset(b for b in inside if b in reached[a] and a in reached[b]) for a in inside},
            key=min,
        )

    def leading_to(self, loop: frozenset[int]) -> set[int]:
        """Return the positions from which a text leads to *loop*, those of it included."""
        ahead: dict[int, set[int]] = {}
        for end, begin, _ in self.edges:
            ahead.setdefault(begin, set()).add(end)
        return _closure(ahead, min(loop)) | loop


_CATEGORIES = {
    sre.CATEGORY_DIGIT: "d",
    sre.CATEGORY_NOT_DIGIT: "D",
    sre.CATEGORY_SPACE: "s",
    sre.CATEGORY_NOT_SPACE: "S",
    sre.CATEGORY_WORD: "w",
    sre.CATEGORY_NOT_WORD: "W",
}


def _closure(after: dict[int, set[int]], start: int) -> set[int]:
    """Return the positions behind *start*."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        new = after.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _with_markers(pattern: Pattern) -> tuple[str, dict[str, regex.Pattern[str]]]:
    """Return the source, in which a private character stands for each Unicode property."""
    source = pattern.pattern
    source = source.decode("latin-1") if isinstance(source, bytes) else source
    if isinstance(pattern, re.Pattern):
        return source, {}
    properties: dict[str, regex.Pattern[str]] = {}

    def marker(found: re.Match[str]) -> str:
        private = chr(0xF0000 + len(properties))
        properties[private] = regex.compile(found[0])
        return private

    return re.sub(r"\\[pP](?:\{[^{}]*\}|\w)", marker, source), properties


def _parsed(source: str, flags: int) -> Any:
    supported = flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.ASCII)
    if not hasattr(sre, "POSSESSIVE_REPEAT"):  # Python 3.10: as if they could be tried again
        source = re.sub(r"(?<!\\)([+*?}])\+", r"\1", source).replace("(?>", "(?:")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # sets in sets mean something else in `regex`
        try:
            return sre_parse.parse(source, supported)
        except (re.error, FutureWarning) as error:
            raise UnsupportedError(str(error)) from None


def ambiguities(pattern: Pattern) -> Iterator[Loop]:
    """Yield the ambiguities by which *pattern* can take more than linear time.

    Raises UnsupportedError for what only the library regex can parse.
    """
    automaton = Automaton(pattern)
    loops = automaton.loops()
    for loop in loops:
        if text := _two_ways(automaton, loop):
            yield Loop("exponential", text)
    for p, q in itertools.permutations(loops, 2):
        if text := _divided(automaton, p, q):
            yield Loop("quadratic", text)
    for q in automaton.loops(without=automaton.ends):  # where the match can end, it does not fail
        if text := _found_again(automaton, q):
            yield Loop("quadratic search", text)


State: TypeAlias = tuple[int, ...]


def _search(
    automaton: Automaton,
    start: State,
    goal: State,
    following: Callable[[State, str, str], Iterable[State]],
) -> str:
    """Return a text that leads from *start* to *goal*, behind any character that leads there."""
    positions = {position for position in start if position in range(len(automaton.classes))}
    waiting = [
        (start, character, "")
        for character in automaton.alphabet
        if all(automaton.classes[position](character) for position in positions)
    ]
    seen: set[tuple[State, str]] = set()
    for state, before, text in waiting:  # breadth first: it grows meanwhile
        for after in automaton.alphabet:
            for found in following(state, before, after):
                if found == goal:
                    return text + after
                if (found, after) not in seen:
                    seen.add((found, after))
                    waiting.append((found, after, text + after))
    return ""


SAME, DIFFERENT = -1, -2
"""Whether two ways have been the same so far."""


def _two_ways(automaton: Automaton, loop: frozenset[int]) -> str:
    """Return a text that leads from a position of *loop* back to it on two ways."""

    def following(state: State, before: str, after: str) -> Iterator[State]:
        a, b, ways = state
        for one, number in automaton.next(a, before, after):
            for two, _ in automaton.next(b, before, after):
                if one in loop and two in loop:
                    split = one != two or (a == b and number > 1)
                    yield one, two, DIFFERENT if split else ways

    for start in loop:
        text = _search(automaton, (start, start, SAME), (start, start, DIFFERENT), following)
        if text:
            return text
    return ""


def _divided(automaton: Automaton, p: frozenset[int], q: frozenset[int]) -> str:
    """Return a text from *p* to *p*, from there to *q*, and from *q* to *q*."""
    useful = automaton.leading_to(q)

    def following(state: State, before: str, after: str) -> Iterator[State]:
        for next, _ in automaton.next(state[0], before, after):
            if next in p:
                for middle, _ in automaton.next(state[1], before, after):
                    if middle in useful:
                        for last, _ in automaton.next(state[2], before, after):
                            if last in q:
                                yield next, middle, last

    for a, b in itertools.product(p & useful, q):
        # An atomic group is not tried again once it is left.
        retried = not automaton.atoms[a] - automaton.atoms[b]
        if retried and (text := _search(automaton, (a, a, b), (a, b, b), following)):
            return text
    return ""


def _found_again(automaton: Automaton, q: frozenset[int]) -> str:
    """Return a text that leads from a beginning of the pattern to *q*, and from *q* to *q*."""
    useful = automaton.leading_to(q)
    outside = -1  # an attempt that has not begun
    begins = [way for way in automaton.begins if way.position in useful]

    def ways(position: int, before: str, after: str) -> Iterator[int]:
        if position == outside:
            yield outside
            for begin, conditions in begins:
                if automaton.allows(begin, conditions, before, after):
                    yield begin
        else:
            for next, _ in automaton.next(position, before, after):
                if next in useful:
                    yield next

    def following(state: State, before: str, after: str) -> Iterator[State]:
        inside = [next for next, _ in automaton.next(state[1], before, after) if next in q]
        if inside:
            yield from itertools.product(ways(state[0], before, after), inside)

    for b in q:
        if text := _search(automaton, (outside, b), (b, b), following):
            return text
    return ""
