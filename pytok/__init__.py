"""A tokenizer-first toolkit for training a language model from scratch.

>>> import pytok
>>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
>>> tok.decode(tok.encode("sea shells"))
'sea shells'

``import pytok as tiktoken`` runs code written for tiktoken.
"""

import importlib
from operator import attrgetter
from typing import TYPE_CHECKING

from pytok import errors as errors

if TYPE_CHECKING:
    from pytok.counting import PieceCounts, count_pieces
    from pytok.decoding import StreamDecoder
    from pytok.encodings import (
        encoding_for_model,
        encoding_name_for_model,
        get_encoding,
        list_encoding_names,
    )
    from pytok.healing import heal
    from pytok.pruning import prune
    from pytok.tokenizer import Tokenizer
    from pytok.training import train

    Encoding = Tokenizer
    load = Tokenizer.load
    __version__: str

__all__ = [
    "Encoding",
    "PieceCounts",
    "StreamDecoder",
    "Tokenizer",
    "count_pieces",
    "encoding_for_model",
    "encoding_name_for_model",
    "get_encoding",
    "heal",
    "list_encoding_names",
    "load",
    "prune",
    "train",
]

_LOCATIONS = {
    "Encoding": "tokenizer.Tokenizer",
    "PieceCounts": "counting.PieceCounts",
    "StreamDecoder": "decoding.StreamDecoder",
    "Tokenizer": "tokenizer.Tokenizer",
    "count_pieces": "counting.count_pieces",
    "encoding_for_model": "encodings.encoding_for_model",
    "encoding_name_for_model": "encodings.encoding_name_for_model",
    "get_encoding": "encodings.get_encoding",
    "heal": "healing.heal",
    "list_encoding_names": "encodings.list_encoding_names",
    "load": "tokenizer.Tokenizer.load",
    "prune": "pruning.prune",
    "train": "training.train",
}
"""The module and attribute behind each public name."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: ``import pytok`` alone takes milliseconds."""
    if name in _LOCATIONS:
        module, _, attribute = _LOCATIONS[name].partition(".")
        value = attrgetter(attribute)(importlib.import_module(f"pytok.{module}"))
        globals()[name] = value  # found there from now on, without this function
        return value
    if name == "__version__":
        from pytok.distribution import version

        return version()
    raise AttributeError(f"module 'pytok' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
