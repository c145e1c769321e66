"""A tokenizer-first toolkit for training a language model from scratch.

>>> import pytok
>>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
>>> tok.decode(tok.encode("sea shells"))
'sea shells'

``import pytok as tiktoken`` runs code written for tiktoken.
"""

from pytok.counting import PieceCounts, count_pieces
from pytok.encodings import (
    encoding_for_model,
    encoding_name_for_model,
    get_encoding,
    list_encoding_names,
)
from pytok.streaming import StreamDecoder
from pytok.tokenizer import Tokenizer
from pytok.training import train

Encoding = Tokenizer
load = Tokenizer.load

__all__ = [
    "Encoding",
    "PieceCounts",
    "StreamDecoder",
    "Tokenizer",
    "count_pieces",
    "encoding_for_model",
    "encoding_name_for_model",
    "get_encoding",
    "list_encoding_names",
    "load",
    "train",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("pytok")
    raise AttributeError(f"module 'pytok' has no attribute {name!r}")
