"""A tokenizer.json as the native engine parses it: the large fields stay in the engine.

The engine reads what other software writes. Everything else, and every error, is for the reader in
Python, `tokenizer_json`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytok import engine as engines
from pytok.engine import EngineName, TokenizerJson
from pytok.errors import FormatError
from pytok.formats.fields import parse_json_text


class Entries(Mapping[str, int]):
    """``model.vocab`` of a tokenizer.json: the entries and their ids."""

    def __init__(self, parsed: TokenizerJson) -> None:
        self._parsed = parsed

    def __getitem__(self, entry: str) -> int:
        id = self._parsed.id(entry)
        if id is None:
            raise KeyError(entry)
        return id

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed.entries())

    def __len__(self) -> int:
        return len(self._parsed)


def parse(path: Path, data: bytes, engine: EngineName) -> tuple[Any, TokenizerJson] | None:
    """Return the document in *data* without ``model.vocab`` and ``model.merges``, and these two.

    *path* is for messages. Returns ``None`` if only the reader in Python can judge the file.
    """
    parsed = engines.load(engine).parse_tokenizer_json(data)
    if parsed is None:
        return None
    try:
        return parse_json_text(path, parsed.rest), parsed
    except FormatError:  # its lines are those of the rest
        return None
