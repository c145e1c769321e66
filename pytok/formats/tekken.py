"""``tekken.json``: Mistral's format, with the ranks, the pattern and the special tokens.

Special tokens have the first ids, and those of the ranks follow. mistral-common, the reference,
cuts the list of ranks to the size that the file states.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

from pytok.definition import AddedToken, Definition
from pytok.errors import FormatError
from pytok.formats.fields import Fields

_FIRST_SPECIAL_TOKENS = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]"),
    *("[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    "[TOOL_CONTENT]",
)
"""The special tokens of files that list none, in the order of ids (mistral-common)."""


def read(path: Path, document: dict[str, Any]) -> Definition:
    """Return the definition that *document*, the content of *path*, states."""
    reader = Fields(path)
    config = reader.get(document, "config", dict)
    pattern = reader.get(config, "pattern", str, "config.")
    size = reader.get(config, "default_vocab_size", int, "config.")
    shift = reader.get(config, "default_num_special_tokens", int, "config.")
    listed = reader.get(document, "vocab", list)
    if not 0 <= shift <= size <= len(listed) + shift:
        raise FormatError(
            f"{path}: config.default_vocab_size is {size}, with {shift} special tokens, but the "
            f"vocab has {len(listed)} tokens"
        )
    return Definition(
        path.stem,
        [_token(reader, entry, rank) for rank, entry in enumerate(listed[: size - shift])],
        range(shift, size),
        pattern,
        tuple(AddedToken(text, id) for id, text in _special_tokens(reader, document, shift)),
    )


def _token(reader: Fields, entry: Any, rank: int) -> bytes:
    where = f"vocab[{rank}]."
    if reader.get(entry, "rank", int, where) != rank:
        raise FormatError(f"{reader.path}: {where}rank is {entry['rank']}, not {rank}")
    letters = reader.get(entry, "token_bytes", str, where)
    try:
        return base64.b64decode(letters, validate=True)
    except (ValueError, binascii.Error):
        raise FormatError(f"{reader.path}: {where}token_bytes is not base64") from None


def _special_tokens(reader: Fields, document: dict[str, Any], size: int) -> list[tuple[int, str]]:
    """Return ids and texts of *size* special tokens; those without a text get one by their id."""
    tokens = dict(enumerate(_FIRST_SPECIAL_TOKENS[:size]))
    if document.get("special_tokens") is not None:
        tokens = {}
        for number, entry in enumerate(reader.get(document, "special_tokens", list)):
            where = f"special_tokens[{number}]."
            id = reader.get(entry, "rank", int, where)
            if not 0 <= id < size or id in tokens:
                raise FormatError(
                    f"{reader.path}: {where}rank is {id}: expected each of 0 to {size - 1} once"
                )
            tokens[id] = reader.get(entry, "token_str", str, where)
    return [(id, tokens.get(id, f"<SPECIAL_{id}>")) for id in range(size)]
