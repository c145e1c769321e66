"""Mutations of valid files: of their bytes, of their lines, and of the values of JSON in them.

All follow from the random state that is passed, so an input that fails can be made again.
"""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

_LONG = 13_000
_DEEP = 100_000
_NESTED = "PLACE OF A DEEP VALUE"
"""Stands for a value that is too deep for `json.dumps`."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 255, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 64, -(1 << 63)),
    *(10**30, 0.5, 1e308, float("inf"), float("nan")),
    *("", " ", "\0", "\ud800", "a" * _LONG, "<|endoftext|>", "1", "\u202e", "🙂", "../../x", "\n"),
    *([], {}, [[]], [None], {"": None}, ["a", 1], [0] * _LONG, _NESTED),
)
"""Values of JSON that another value is replaced by."""

TEXTS = (
    *("\ufeff", "\0", "\r", "\n\n", "\x1b[2J", "\u200e" * 2000, " " * 2000, "a" * _LONG, "<|end|>"),
    *('"', "'", "\\", "{", "}", "[" * 2000, ",", ":", "%", "\ud7ff", "１２", "9" * 400, "-", "/"),
)
"""Texts that are inserted."""

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
"""Integers that are written over bytes, in both byte orders."""


def mutated(data: bytes, random: Random) -> bytes:
    """Return *data* with one or a few changes."""
    kinds: list[Callable[[bytes, Random], bytes | None]] = [_of_bytes, _of_bytes]
    if b"\0" not in data[:1000]:
        kinds += [_of_text, _of_lines, _of_json, _of_json]
    for _ in range(20):
        changed = random.choice(kinds)(data, random)
        if changed is not None and changed != data:
            return changed
    return data + b"\0"


def _of_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        start = random.randrange(len(changed) + 1)
        stop = min(len(changed), start + random.choice((1, 2, 4, 8, 64, 1000)))
        match random.randrange(8):
            case 0 if changed:
                changed[start % len(changed)] ^= 1 << random.randrange(8)
            case 1 if changed:
                changed[start % len(changed)] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del changed[start:stop]
            case 3:
                changed[start:start] = changed[start:stop]
            case 4:
                changed[start:start] = random.randbytes(random.choice((1, 4, 64)))
            case 5:
                del changed[start:]
            case 6:
                size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
                number = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
                changed[start : start + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
            case _:
                changed[start:stop] = bytes(stop - start)
    return bytes(changed)


def _of_text(data: bytes, random: Random) -> bytes | None:
    text = data.decode("utf-8", "surrogateescape")
    numbers = list(re.finditer(r"[0-9]+", text))
    if numbers and random.random() < 0.4:
        number = random.choice(numbers)
        other = random.choice(("0", "-1", "1e999", "9" * 25, "9" * 5000, "00", "1.5", "x", ""))
        text = text[: number.start()] + other + text[number.end() :]
    else:
        start = random.randrange(len(text) + 1)
        text = text[:start] + random.choice(TEXTS) + text[start + random.choice((0, 1, 20)) :]
    return text.encode("utf-8", "surrogateescape")


def _of_lines(data: bytes, random: Random) -> bytes | None:
    lines = data.split(b"\n")
    index, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(5):
        case 0:
            del lines[index]
        case 1:
            lines.insert(other, lines[index])
        case 2:
            lines[index], lines[other] = lines[other], lines[index]
        case 3:
            lines = lines[: index + 1]
        case _:
            lines[index] = lines[index] * random.choice((2, 300))
    return b"\n".join(lines)


def _of_json(data: bytes, random: Random) -> bytes | None:
    """Change a value of *data*, if it is JSON, or of one of its lines."""
    lines = [data]
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    index = 0
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        lines = data.split(b"\n")
        index = random.randrange(len(lines))
        try:
            root = json.loads(lines[index])
        except (ValueError, RecursionError):
            return None
    nodes = _nodes(root)
    if not nodes:
        return None
    parent, key = random.choice(nodes)
    match random.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[random.choice(("", "type", key + "x", "\ud800"))] = parent.pop(key)
        case 1:
            parent.insert(random.randrange(len(parent) + 1), parent[key])
        case 2:
            other, its_key = random.choice(nodes)
            if not _contains(other, its_key, parent) and not _contains(parent, key, other):
                parent[key] = other[its_key]
        case _:
            parent[key] = random.choice(VALUES)
    text = json.dumps(root, ensure_ascii=random.random() < 0.5)
    text = text.replace(f'"{_NESTED}"', "[" * _DEEP + "]" * _DEEP)
    lines[index] = text.encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _nodes(root: Any) -> list[tuple[Any, Any]]:
    """Return all positions in *root*, as a container and a key or an index of it."""
    found: list[tuple[Any, Any]] = []
    pending = [root]
    while pending:
        parent = pending.pop()
        keys = parent if isinstance(parent, dict) else range(len(parent))
        found += [(parent, key) for key in keys]
        pending += [parent[key] for key in keys if isinstance(parent[key], dict | list)]
    # A vocabulary has thousands of entries, the rest a few: both should change.
    few = [node for node in found if len(node[0]) < 20]
    return few * max(1, len(found) // max(1, len(few))) + found


def _contains(parent: Any, key: Any, other: Any) -> bool:
    """Return whether *other* is, or is inside, the value of *key*: a cycle would be made."""
    pending = [parent[key]]
    while pending:
        value = pending.pop()
        if value is other:
            return True
        if isinstance(value, dict | list):
            pending += value.values() if isinstance(value, dict) else value
    return False
