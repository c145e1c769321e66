"""Pickles of plain values and of a ``tiktoken.Encoding``, read without running any code.

A pickle is a program: Python's own unpickler imports and calls what it names, and reserves the
memory that it asks for. The interpreter here knows the instructions that such files consist of and
has no other effects than the value, whose size is bounded by that of the file.
"""

import pickletools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pytok.definition import AddedToken, Definition
from pytok.errors import FormatError

ENCODING = "tiktoken.core.Encoding"
"""The one class of which a pickle can contain objects."""


class _Name(NamedTuple):
    """A class or function, which is never imported."""

    path: str


class Encoding:
    """What a pickle says of a ``tiktoken.Encoding``: its attributes, or the name of a known one."""

    state: Any = None


_MARK = object()
_ENCODE = "_codecs.encode"  # how protocols before 3 write bytes
_RECONSTRUCT = "copyreg._reconstructor"  # how protocols before 2 make an object
_OLD_MODULES = {"copy_reg": "copyreg", "__builtin__": "builtins"}
_NAMES = (ENCODING, _ENCODE, _RECONSTRUCT, "builtins.object")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("STRING", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
    )
)
"""The instructions that push their argument."""
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}


class _Interpreter:
    """Runs the instructions of one pickle. Raises FormatError, without a path, for others."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, position in pickletools.genops(data):
            name = opcode.name
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                self.stack.append(_EMPTY[name]())
            elif method := getattr(self, f"_{name.lower()}", None):
                method(argument)
            elif name == "STOP":
                return self.stack.pop()
            elif name not in ("PROTO", "FRAME"):
                raise FormatError(f"byte {position}: {name} is no instruction for a plain value")
        raise FormatError("it has no end")  # genops raises before

    def _to_mark(self) -> list[Any]:
        start = max(index for index, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def _mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: None) -> None:
        self.stack.pop()

    def _memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    _binput = _long_binput = _put

    def _get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _binget = _long_binget = _get

    def _dict(self, _: None) -> None:
        values = self._to_mark()
        self.stack.append({})
        self._set(values)

    def _setitem(self, _: None) -> None:
        values = self.stack[-2:]
        del self.stack[-2:]
        self._set(values)

    def _setitems(self, _: None) -> None:
        self._set(self._to_mark())

    def _set(self, values: list[Any]) -> None:
        target = self.stack[-1]
        keys = values[::2]
        # A nested tuple as a key could take for ever to hash.
        if type(target) is not dict or any(type(key) not in (int, str, bytes) for key in keys):
            raise FormatError("a key is neither an integer nor a string")
        target.update(zip(keys, values[1::2], strict=True))

    def _list(self, _: None) -> None:
        self.stack.append(self._to_mark())

    def _append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: None) -> None:
        self._extend(self._to_mark())

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise FormatError("it appends to what is no list")
        self.stack[-1].extend(values)

    def _tuple(self, _: None) -> None:
        self.stack.append(tuple(self._to_mark()))

    def _tuple1(self, _: None) -> None:
        self.stack.append((self.stack.pop(),))

    def _tuple2(self, _: None) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def _tuple3(self, _: None) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: None) -> None:
        name = self.stack.pop()
        self._name(self.stack.pop(), name)

    def _name(self, module: object, name: object) -> None:
        path = f"{_OLD_MODULES.get(str(module), module)}.{name}"
        if path not in _NAMES:
            raise FormatError(f"it refers to {path}, which is not run")
        self.stack.append(_Name(path))

    def _newobj(self, _: None) -> None:
        self._call(self.stack.pop(), self.stack.pop(), made_by=(ENCODING,))

    def _reduce(self, _: None) -> None:
        self._call(self.stack.pop(), self.stack.pop(), made_by=(_ENCODE, _RECONSTRUCT))

    def _call(self, arguments: Any, called: Any, made_by: tuple[str, ...]) -> None:
        path = called.path if isinstance(called, _Name) else ""
        match path if path in made_by else "", arguments:
            case "_codecs.encode", (str(text), "latin1"):
                self.stack.append(text.encode("latin-1"))
            case ("tiktoken.core.Encoding", ()) | (
                "copyreg._reconstructor",
                (_Name("tiktoken.core.Encoding"), _Name("builtins.object"), None),
            ):
                self.stack.append(Encoding())
            case _:
                raise FormatError(f"it calls {path or 'a value'}, which is not run")

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Encoding):
            raise FormatError(f"it sets attributes of what is no {ENCODING}")
        self.stack[-1].state = state


def unpickled(data: bytes) -> Any:
    """Return the value of the pickle *data*; an `Encoding` for one of tiktoken's.

    Raises FormatError, without a path, for a damaged pickle and for one that consists of more than
    dicts, lists, tuples, strings, numbers and such objects.

    >>> import pickle
    >>> unpickled(pickle.dumps({"a": [1, b"b"]}))
    {'a': [1, b'b']}
    >>> unpickled(pickle.dumps(print))
    Traceback (most recent call last):
    pytok.errors.FormatError: it refers to builtins.print, which is not run
    """
    try:
        with warnings.catch_warnings():  # pickletools warns of escapes in damaged strings
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Interpreter().run(data)
    except FormatError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise FormatError(f"it is damaged: {error}") from None


def read(path: Path, data: bytes) -> Definition:
    """Read the pickle *data* of a ``tiktoken.Encoding``, as nanochat's ``tokenizer.pkl``."""
    try:
        value = unpickled(data)
    except FormatError as error:
        raise FormatError(
            f"{path}: this is a pickle, of which pytok reads only those of a tiktoken.Encoding "
            f"(nanochat's tokenizer.pkl), without running it: {error.message}"
        ) from None
    if not isinstance(value, Encoding):
        raise FormatError(
            f"{path}: this is a pickle of a {type(value).__name__}, not of a tiktoken.Encoding: "
            "pass the tokenizer.json of the model"
        )
    match value.state:
        case str(name):
            raise FormatError(f"{path}: it is the encoding {name!r}: pass that name")
        case {
            "name": str(name),
            "pat_str": str(pattern),
            "mergeable_ranks": dict(ranks),
            "special_tokens": dict(specials),
        }:
            return from_parts(path, name, pattern, ranks, specials)
    raise FormatError(f"{path}: the tiktoken.Encoding in it has other attributes than tiktoken's")


def from_parts(
    path: str | Path, name: str, pattern: str, ranks: dict[Any, Any], specials: dict[Any, Any]
) -> Definition:
    """Return the definition of the parts of a ``tiktoken.Encoding``; *path* is for messages."""
    for what, key_type, parts in ("rank", bytes, ranks), ("special token", str, specials):
        for key, id in parts.items():
            if type(key) is not key_type or type(id) is not int:
                key = repr(key)[:60]
                raise FormatError(f"{path}: the {what} {key} is not of its type, or its id is not")
    tokens = sorted(ranks, key=ranks.__getitem__)
    added = tuple(AddedToken(text, id) for text, id in specials.items())
    return Definition(name, tokens, [ranks[token] for token in tokens], pattern, added)


def of_encoding(encoding: Any) -> Definition:
    """Return the definition of a ``tiktoken.Encoding``, or of an object with its attributes."""
    try:
        parts = encoding._pat_str, dict(encoding._mergeable_ranks), dict(encoding._special_tokens)
        return from_parts(encoding.name, encoding.name, *parts)
    except (AttributeError, TypeError, ValueError):
        kind = type(encoding).__name__
        raise FormatError(f"{kind}: not a tiktoken.Encoding: it lacks its attributes") from None
