"""nanoGPT's character vocabulary, ``meta.pkl``, as a tokenizer.

A pickle can run any code when it is loaded. This one is dicts, strings and integers, which need
none, so nothing else is looked up for it.
"""

import io
import os
import pickle
from pathlib import Path
from typing import Any, NoReturn

from pytok.byte_order import BYTE_ORDER
from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.tokenizer import Tokenizer


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse to look up anything by its name."""
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def character_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Make a tokenizer with the ids of *path*, nanoGPT's ``meta.pkl``.

    Characters have their ids; the other bytes, without which it could not encode any text, follow.
    Raises FormatError for another pickle, and for characters beyond ASCII, which are several bytes.
    """
    path = Path(path)
    try:
        document: Any = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
        itos = {int(id): ord(character) for id, character in document["itos"].items()}
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error}") from error
    except Exception as error:  # a damaged pickle raises anything
        raise FormatError(f"{path}: no meta.pkl of nanoGPT's characters: {error}") from error
    known = [code for _, code in sorted(itos.items())]
    if sorted(itos) != list(range(len(itos))) or len(set(known)) < len(known):
        raise FormatError(f"{path}: its ids are not those from 0 to {len(itos) - 1}, one each")
    beyond = next((code for code in known if code > 127), None)
    if beyond is not None:
        raise FormatError(
            f"{path}: {chr(beyond)!r} is no ASCII character, so no single byte, as the tokens of a "
            "byte-level tokenizer begin with; tokenize the text anew: `pytok train`"
        )
    rest = [byte for byte in BYTE_ORDER if byte not in known]
    tokens = [bytes([byte]) for byte in (*known, *rest)]
    return Tokenizer.from_definition(
        Definition("characters", tokens, range(256), pattern="gpt2", special_tokens={})
    )
