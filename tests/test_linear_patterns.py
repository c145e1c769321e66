"""Every regular expression is linear: no text makes it slow, however it is called.

All patterns of both packages are found, by walking the modules and the calls in their sources. Each
is proven linear by its structure (`tests.linear`), or it is in `LINEAR`, with the reason. The slow
tests also measure each: they feed it one character of its own alphabet, or one of its own
beginnings, again and again, with an end that does not match.
"""

import ast
import dataclasses
import functools
import importlib
import operator
import pkgutil
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import regex

import gpt
import pytok
from tests.linear import Pattern, UnsupportedError, ambiguities

try:
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_constants as sre
    import sre_parse

TRIAL_SIZE, FIRST_SIZE, LAST_SIZE = 1 << 9, 1 << 10, 1 << 17
"""Characters of the texts by which the slowest is found, and of the shortest and the longest that
are measured."""

TOLERANCE = 8
"""Allowed factor over proportional time, for a machine that is busy with other things. From the
first size to the last, quadratic time grows by 128 times as much as linear time."""

LEAST_SECONDS = 5e-5
"""Least CPU time that can be compared."""

SAMPLES = "a0 \n\t_-.:/@<>([éß中א\u200e\u202f\u2068👍"
"""A character of each class that the patterns distinguish."""

ENDS = ("\n", "\0")

OWN_TEXT = {
    "gpt.lab.apparatus.plain_bpe": "texts of experiments",
    "gpt.lab.apparatus.words": "texts of experiments",
    "gpt.lab.experiments.ladgpt": "a chat that is generated; the pattern is lad-gpt's",
    "gpt.spec.fields": "docstrings of the specs",
}
"""Modules whose patterns read no foreign text, and what they read instead."""

TRUSTED = {
    "gpt.spec.overrides": "the name of a field, as plain text",
    "pytok.atomic": "matches the name of a temporary file, whose length the system bounds",
    "gpt.model.shapes": "the name of a tensor, as plain text",
    "pytok.chat.anonymize.context": "patterns of the module, found by walking it",
    "pytok.chat.anonymize.harmless": "patterns of the module, found by walking it",
    "pytok.chat.anonymize.names": "alternatives of names, which are plain text",
    "pytok.chat.anonymize.unspaced": "alternatives of names, which are plain text",
    "pytok.chat.code_pages": "one class of characters",
    "pytok.chat.example": "made-up sentences, not foreign text",
    "pytok.chat.formats.kakaotalk": "patterns of the module, found by walking it",
    "pytok.chat.jinja_template": "alternatives of special tokens, which are plain text",
    "pytok.chat.months": "patterns of the module, found by walking it",
    "pytok.chat.skeleton": "one class of characters, or alternatives of plain text",
    "pytok.chat.whatsapp.phrases": "patterns of the module, found by walking it",
    "pytok.corpus.forms": "the first bytes of a file",
    "pytok.formats.detect": "the first hundred lines of a file, one at a time",
    "pytok.formats.oniguruma": "patterns of the class, found by walking it",
    "pytok.reference.normalize": "one class of characters, repeated once",
    "pytok.reference.pretokenize": "a pattern of the user's",
    "pytok.reference.search": "alternatives of plain text",
    "pytok.report.scripts": "classes of characters, each repeated once",
}
"""Modules that compile a pattern from values known only when they run, and why that is linear."""


LINEAR = {
    " ?(?:\\$|%|[円元원₫万萬億亿만억]|[人": "where `million\\w*` ends, `(?!\\w)` holds",
    "(?:[01]?[0-9]|2[0-4])\\.[0-5]": "the last alternative matches what another has read",
    "(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}://": "a link can end at any letter",
    "\u200b*(?:(?:[^\\w": "the second alternative matches what the first has read",
    '"(?:[^"\\\\]|\\\\.)*': "a string ends at a quotation mark or where the text ends",
    "\\(- ((?:[^(\\n]|\\((?!- ))*)": "the loop ends where the pattern begins",
    "\\(\\( ((?:[^(\\n]|\\((?!\\( ))*)": "the loop ends where the pattern begins",
    "(\\d+)(\\w)": "the loop gives back one digit, which is a `\\w`",
    "\\[[^\\]\\n]*(?:\\]|(?=\\n)|\\Z)": "whatever ends the loop is one of the alternatives",
    "(?V1)(?P<unspaced>": "loops are possessive, and begin where no other character of theirs was",
    "[\\p{Extended_Pictographic}--": "without a loop",
    "\\X": "without a loop",
    "\\\\[pP]\\{\\^?\\w+\\}": "begins with a backslash, which is no part of the loop",
}
"""How patterns begin for which `tests.linear` has no proof, and why they are linear."""


def modules() -> Iterator[ModuleType]:
    for package in (pytok, gpt):
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def patterns_within(value: Any, depth: int = 4) -> Iterator[Pattern]:
    """All compiled patterns in *value*: a module's variable, or what it contains."""
    if isinstance(value, re.Pattern | regex.Pattern):
        yield value
    elif depth and isinstance(value, Mapping):
        for each in (*value.keys(), *value.values()):
            yield from patterns_within(each, depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from patterns_within(each, depth - 1)
    elif depth and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for name in getattr(type(value), "__slots__", None) or vars(value):
            yield from patterns_within(getattr(value, name, None), depth - 1)
    elif depth and isinstance(value, type):
        for each in list(vars(value).values()):
            yield from patterns_within(each, depth - 1)


def patterns_in_calls(module: ModuleType) -> Iterator[Pattern]:
    """The patterns of calls such as ``re.sub(pattern, ...)`` inside the functions of *module*."""
    file = Path(str(module.__file__))
    tree = ast.parse(file.read_text(encoding="utf-8") if file.suffix == ".py" else "")
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("re", "regex")
            and node.func.attr not in ("escape", "purge")
        ):
            engine = {"re": re, "regex": regex}[node.func.value.id]
            given = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            flags = [
                getattr(engine, each.attr)
                for each in given
                if isinstance(each, ast.Attribute) and each.attr.isupper()
            ]
            try:
                expression = compile(ast.Expression(node.args[0]), "pattern", "eval")
                pattern = eval(expression, dict(vars(module)))
            except NameError:  # it depends on a function's variables
                assert module.__name__ in TRUSTED, f"{file}, line {node.lineno}: why is it linear?"
                continue
            if isinstance(pattern, str | bytes):
                pattern = engine.compile(pattern, functools.reduce(operator.or_, flags, 0))
            yield pattern


def all_patterns() -> dict[tuple[Any, int], tuple[str, Pattern]]:
    """Each different pattern, with the name of a module that has it."""
    found: dict[tuple[Any, int], tuple[str, Pattern]] = {}
    for module in modules():
        for value in list(vars(module).values()):
            for pattern in patterns_within(value):
                found.setdefault((pattern.pattern, pattern.flags), (module.__name__, pattern))
        for pattern in patterns_in_calls(module):
            found.setdefault((pattern.pattern, pattern.flags), (module.__name__, pattern))
    return found


def beginnings(pattern: str) -> Iterator[str]:
    """Texts that lead to each repetition in *pattern*; none if only `regex` can parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets in sets, which `regex` has
            tree = sre_parse.parse(re.sub(r"\\p\{[^{}]*\}|\\p\w", r"\\w", pattern))
    except re.error:
        return
    yield from _walk(tree, "")


def _walk(tree: Any, before: str) -> Iterator[str]:
    for operation, argument in tree:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield before
            yield from _walk(argument[2], before)
        elif operation is sre.SUBPATTERN:
            yield from _walk(argument[-1], before)
        elif operation is sre.BRANCH:
            for branch in argument[1][:4]:
                yield from _walk(branch, before)
        before += _example([(operation, argument)])
    yield before


def _example(tree: Any) -> str:
    """A short text that *tree* matches, without regard to its assertions."""
    text = ""
    for operation, argument in tree:
        if operation is sre.LITERAL:
            text += chr(argument)
        elif operation in (sre.NOT_LITERAL, sre.ANY):
            text += "a"
        elif operation is sre.IN:
            text += _member(argument)
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            text += _example(argument[2]) * max(argument[0], 1)
        elif operation is sre.SUBPATTERN:
            text += _example(argument[-1])
        elif operation is sre.BRANCH:
            text += _example(argument[1][0])
    return text


def _member(members: Any) -> str:
    negated = any(operation is sre.NEGATE for operation, _ in members)
    if negated:
        literals = {chr(argument) for operation, argument in members if operation is sre.LITERAL}
        return next(character for character in "a0 -" if character not in literals)
    operation, argument = members[0]
    if operation is sre.LITERAL:
        return chr(argument)
    if operation is sre.RANGE:
        return chr(argument[0])
    return {sre.CATEGORY_DIGIT: "0", sre.CATEGORY_SPACE: " "}.get(argument, "a")


def makers(pattern: Pattern) -> Iterator[Callable[[int], Any]]:
    """Functions from a size to a text of that size."""
    written = pattern.pattern
    is_bytes = isinstance(written, bytes)
    source = written.decode("latin-1") if is_bytes else written
    literals = [character for character in dict.fromkeys(source) if not character.isalnum()][:24]
    alphabet = dict.fromkeys([*SAMPLES, *literals, *source[:8]])
    starts = [start[:200] for start in dict.fromkeys(beginnings(source))][:8]

    def maker(start: str, atom: str, end: str) -> Callable[[int], Any]:
        def make(size: int) -> Any:
            text = start + atom * (size // len(atom)) + end
            return text.encode("latin-1", "ignore") if is_bytes else text

        return make

    for end in ENDS:
        for atom in alphabet:
            yield maker("", atom, end)
        for start in filter(None, starts):
            yield maker("", start, end)
    for start in filter(None, starts):
        for atom in SAMPLES:
            yield maker(start, atom, "\0")


def seconds(pattern: Pattern, text: Any) -> float:
    """CPU time of this thread for matching *text* in each way."""
    before = time.thread_time()
    pattern.match(text)
    if isinstance(pattern, re.Pattern):  # none of `regex` is called so
        pattern.fullmatch(text)
    for _ in pattern.finditer(text):
        pass
    return time.thread_time() - before


def slow_text(
    pattern: Pattern, first_size: int = FIRST_SIZE, last_size: int = LAST_SIZE
) -> str | None:
    """Return the text whose time grows faster than its length, or None."""
    trials = []
    for number, make in enumerate(makers(pattern)):
        took = 0.0
        for size in (16, 32, 64, 128):
            before, took = took, seconds(pattern, make(size))
            if took > 64 * max(before, LEAST_SECONDS):  # exponential: longer texts never end
                return f"{make(size)!r}: {before:.4f} s for half of it, and {took:.4f} s"
        trials.append((seconds(pattern, make(TRIAL_SIZE)), number, make))
    trials.sort()
    first, _, make = max(
        (min(seconds(pattern, make(first_size)) for _ in range(2)), number, make)
        for _, number, make in trials[-4:]
    )
    size = first_size
    while size < last_size:
        size = min(size * 16, last_size)
        allowed = TOLERANCE * max(first, LEAST_SECONDS) * size / first_size
        took = seconds(pattern, make(size))
        if took > allowed and seconds(pattern, make(size)) > allowed:
            return f"{make(first_size)[:40]!r}: {first:.4f} s, and {took:.4f} s for {size:,}"
    return None


SLOW = [r"\A\s*x?\s*\Z", r"<[^>]*>", r"(?:a|b)*c", r"(?:a|aa)*b"]
"""Adjacent stars, searches that begin everywhere, and an ambiguous repetition."""


def test_every_pattern_is_linear_by_its_structure() -> None:
    """Or it is known why it is."""
    unproven = {}
    for module, pattern in all_patterns().values():
        if module in OWN_TEXT:
            continue
        try:
            found = [str(loop) for loop in ambiguities(pattern)]
        except UnsupportedError as error:
            found = [str(error)]
        if found:
            unproven[pattern.pattern] = f"{module}: {pattern.pattern!r:.200}: {'; '.join(found)}"
    unknown = [text for source, text in unproven.items() if not source.startswith(tuple(LINEAR))]

    assert not unknown, "\n" + "\n".join(unknown)
    assert all(any(source.startswith(start) for source in unproven) for start in LINEAR)


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        *zip(SLOW, ["quadratic", *["quadratic search"] * 2, "exponential"], strict=True),
        (r"(a+)+b", "exponential"),
        (r"(?:a+){2,3}b", "quadratic"),
        (r"\s+$", "quadratic search"),
        (r"(?:\s+x|\s)", "quadratic search"),
        (r"\d+(?=x)", "quadratic search"),
        (r"(?i)<[^>A]*a>", "quadratic search"),
        (r"(?<=x)\w+y", "quadratic search"),
    ],
)
def test_an_ambiguous_pattern_is_found(pattern: str, kind: str) -> None:
    """Of each kind."""
    assert kind in [found.kind for found in ambiguities(re.compile(pattern))]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s+",
        r"<[^<>]*>",
        r"(?<!\s)\s+x",
        r"\A\s*x",
        r"\b[a-z]+(?:-[a-z]+)*",
        r"(?:a?){3}b",
        r"[0-9]{1,4}(?:\.[0-9]{1,6}){2,}",
        r"[<>]x{1,2000}",
        r"(?i)a[B]*a",
        r"(?<!\p{L})\p{L}++x",
    ],
)
def test_a_linear_pattern_is_proven(pattern: str) -> None:
    """A loop that no other continues, or that ends where a match can end."""
    assert not list(ambiguities(regex.compile(pattern)))


@pytest.mark.slow
@pytest.mark.parametrize("size", [LAST_SIZE, 1 << 20])
def test_every_pattern_takes_linear_time(size: int) -> None:
    """Many characters take at most eight times as long as in proportion to a few thousand."""
    slow = [
        f"{module}: {pattern.pattern!r:.200}: {text}"
        for module, pattern in all_patterns().values()
        if module not in OWN_TEXT and (text := slow_text(pattern, last_size=size))
    ]

    assert not slow, "\n" + "\n".join(slow)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_takes_longer_is_found(pattern: str) -> None:
    """In what is measured, too."""
    assert slow_text(re.compile(pattern), 1 << 9, 1 << 14) is not None
