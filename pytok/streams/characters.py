"""nanoGPT's character vocabulary, ``meta.pkl``, as a tokenizer."""

import os
from pathlib import Path
from typing import Any

from pytok.byte_order import BYTE_ORDER
from pytok.definition import Definition
from pytok.errors import FormatError
from pytok.formats.pickled import unpickled
from pytok.tokenizer import Tokenizer


def character_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Return a tokenizer with the ids of *path*, nanoGPT's ``meta.pkl``.

    The characters keep their ids; the other bytes follow, so that any text can be encoded. Raises
    FormatError for another pickle, and for characters outside ASCII, which are several bytes.
    """
    path = Path(path)
    try:
        document: Any = unpickled(path.read_bytes())
        itos = {int(id): ord(character) for id, character in document["itos"].items()}
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error}") from error
    except FormatError as error:
        why = error.message
        raise FormatError(f"{path}: not a meta.pkl of nanoGPT's characters: {why}") from None
    except (
        TypeError,
        KeyError,
        ValueError,
        AttributeError,
        OverflowError,
    ) as error:  # of other contents
        raise FormatError(f"{path}: not a meta.pkl of nanoGPT's characters: {error}") from error
    known = [code for _, code in sorted(itos.items())]
    if sorted(itos) != list(range(len(itos))) or len(set(known)) < len(known):
        raise FormatError(f"{path}: the ids are not 0 to {len(itos) - 1}, each once")
    not_ascii = next((code for code in known if code > 127), None)
    if not_ascii is not None:
        raise FormatError(
            f"{path}: {chr(not_ascii)!r} is not ASCII: it is several bytes, and pytok's tokenizers "
            "start from single bytes; train one on the text with `pytok train`"
        )
    rest = [byte for byte in BYTE_ORDER if byte not in known]
    tokens = [bytes([byte]) for byte in (*known, *rest)]
    return Tokenizer.from_definition(Definition("characters", tokens, range(256), pattern="gpt2"))
