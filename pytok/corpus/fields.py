"""The text in one field of a row, which can be nested: ``messages.content``.

Dots walk into objects. A list stands for its elements: their texts are joined with newlines. A name
that contains dots itself has precedence.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from pytok.corpus.options import REPLACE, SKIP, Options
from pytok.errors import CorpusError


def names(field: str) -> Iterator[tuple[str, str]]:
    """Yield the names with which *field* can start, longest first, each with the rest.

    >>> list(names("a.b.c"))
    [('a.b.c', ''), ('a.b', 'c'), ('a', 'b.c')]
    """
    parts = field.split(".")
    for count in range(len(parts), 0, -1):
        yield ".".join(parts[:count]), ".".join(parts[count:])


def text_in(record: dict[str, Any], where: str, options: Options) -> str | None:
    """Return the text in the field of *record*, or ``None`` if it has none and may be skipped.

    Raises CorpusError with *where* for a field that is missing, or is not text.
    """
    field = options.field
    value = record.get(field)
    if not isinstance(value, str):
        found = _find(record, field, where, options)
        value = joined(found, f"{where}: field {field!r}", options)
        if value is None:
            return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        if options.errors == "strict":
            raise CorpusError(
                f"{where}: field {field!r} contains a lone surrogate "
                f"(\\u{ord(value[error.start]):04x}); fix the file, or {REPLACE}"
            ) from None
        value = re.sub("[\ud800-\udfff]", "\ufffd", value)
    return value


def joined(value: Any, what: str, options: Options) -> str | None:
    """Return the text *value*, or the texts in the list *value* joined with newlines.

    Text that is missing is counted, and ``None`` is returned for a row without any. Raises
    CorpusError with *what* for a value that is not text, and, unless it may be skipped, for one
    that is missing.
    """
    elements = list(_flat(value))
    texts = []
    for element in elements:
        if isinstance(element, str):
            texts.append(element)
        elif element is not None:
            raise CorpusError(f"{what} is {type(element).__name__}, not a string")
        elif options.missing == "error":
            raise CorpusError(f"{what} is null, not a string; to skip rows without text, {SKIP}")
    if elements and not texts:
        options.skipped.empty_rows += 1
        return None
    options.skipped.empty_elements += len(elements) - len(texts)
    return "\n".join(texts)


def reject_field(where: str, field: str, fields: Iterable[str], advice: str = "") -> NoReturn:
    """Raise CorpusError: *where* has no *field*, but *fields*."""
    known = ", ".join(map(repr, fields)) or "none"
    raise CorpusError(f"{where}: no field {field!r}; the fields are {known}{advice}")


def _find(value: Any, field: str, where: str, options: Options) -> Any:
    """Return what *field* names in *value*: for lists on the way a list, ``None`` if absent."""
    if isinstance(value, list):
        return [_find(each, field, where, options) for each in value]
    if value is None:
        return None
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise CorpusError(
            f"{where}: field {options.field!r}: {kind} found where {field!r} is expected"
        )
    for name, rest in names(field):
        if name in value:
            return _find(value[name], rest, where, options) if rest else value[name]
    if options.missing == "error":
        reject_field(where, options.field, value, f"; to skip rows without text, {SKIP}")
    return None


def _flat(value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        yield value
        return
    for each in value:
        yield from _flat(each)
