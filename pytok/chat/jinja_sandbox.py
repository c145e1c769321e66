"""Jinja's sandbox with bounds: a template of others can neither run for hours nor fill the memory.

Jinja bounds `range` alone; loops in loops, macros that call each other and strings that double are
as long as one likes. Here every round of a loop and every call counts, and what would be a long
string is refused before it is made.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2 import TemplateRuntimeError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_STEPS = 5_000_000
"""Steps of a rendering: some seconds. Templates of published models take about a hundred for a
message."""
CALL = 10
"""Steps that a call counts as, where a round of a loop is one."""
MOST_CHARACTERS = 100_000_000
"""Longest string, and largest number: no conversation is as long."""
WIDTH = re.compile(r"[%:][^a-zA-Z0-9%:}]*[0-9]{8}|[.][0-9]{8}")
"""A width in a format, of either kind, that is too large."""

_steps: ContextVar[int] = ContextVar("steps", default=0)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Raises TemplateRuntimeError where a rendering passes a bound."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = {name: _sized(each) for name, each in self.filters.items()}
        self.filters[_counted.__name__] = _counted
        self.filters[_joined.__name__] = _joined

    @staticmethod
    @contextmanager
    def rendering() -> Iterator[None]:
        """Return a context in which a template is rendered, with a count of its own."""
        token = _steps.set(0)
        try:
            yield
        finally:
            _steps.reset(token)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse a template, and count in its loops and before it concatenates."""
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = _filtered(loop.iter, _counted)
        for parent in list(tree.find_all(nodes.Node)):
            for field, child in parent.iter_fields():
                setattr(parent, field, _bounded(child))
        return tree

    def call(self, context: Context, function: Any, /, *args: Any, **options: Any) -> Any:
        """Call a function or a method of the template's."""
        _count(CALL)
        _check_numbers(args)
        _check_numbers(options.values())
        method = inspect.unwrap(function)
        text = getattr(method, "__self__", None)
        if isinstance(text, str):
            _check_growth(method.__name__, text, *args)
        return super().call(context, function, *args, **options)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute *left* *operator* *right*."""
        if operator == "+" and isinstance(left, str):
            _check(len(left) + len(str(right)))
        elif operator == "*":
            sizes = [each if isinstance(each, int | float) else len(each) for each in (left, right)]
            _check(abs(sizes[0] * sizes[1]))
        elif operator == "**":
            _check(abs(left) ** min(abs(right), 64))
        elif isinstance(left, str):
            _check_growth("format", left)
        return super().call_binop(context, operator, left, right)


def _bounded(child: Any) -> Any:
    """Return a field of a node with concatenations replaced by the filter `_joined`."""
    if isinstance(child, list):
        return [_bounded(each) for each in child]
    if isinstance(child, nodes.Concat):
        return _filtered(nodes.List(child.nodes, lineno=child.lineno), _joined)
    return child


def _filtered(value: Any, function: Callable[[Any], Any]) -> nodes.Filter:
    return nodes.Filter(value, function.__name__, [], [], None, None, lineno=value.lineno)


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    """Yield *values*, each a step."""
    for value in values:
        _count(1)
        yield value


def _joined(values: Iterable[Any]) -> str:
    """Return *values* as one string."""
    parts = [str(value) for value in values]
    _check(sum(map(len, parts)))
    return "".join(parts)


def _sized(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that takes no large numbers: widths, for example."""

    @functools.wraps(function)
    def sized(*args: Any, **options: Any) -> Any:
        _count(CALL)
        _check_numbers(args)
        _check_numbers(options.values())
        texts = [each for each in args if isinstance(each, str)]
        _check_growth(function.__name__.removeprefix("do_"), *texts)
        return function(*args, **options)

    return sized


def _count(more: int) -> None:
    steps = _steps.get() + more
    _steps.set(steps)
    if steps > MOST_STEPS:
        raise TemplateRuntimeError("it loops for too long, or calls itself too often")


def _check_growth(name: str, text: str = "", *args: Any) -> None:
    """Refuse what the method or the filter *name* would make much longer than *text*."""
    if name == "replace" and len(args) >= 2:
        old, new = str(args[0]), str(args[1])
        _check(len(text) + text.count(old) * len(new))
    elif name in ("format", "format_map") and WIDTH.search(text):
        _refuse_length()


def _check_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, int | float):
            _check(abs(value))


def _check(size: float) -> None:
    if size > MOST_CHARACTERS:
        _refuse_length()


def _refuse_length() -> None:
    raise TemplateRuntimeError(f"it makes a text of more than {MOST_CHARACTERS:,} characters")
