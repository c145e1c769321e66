"""The encoders that take part, each a row of `ENCODERS`.

All are called as their own documentation calls them for one text that is to be ordinary text. They
are imported when their turn comes, so that one that is not installed, or breaks, is one line of the
report and no more.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytok

Encode: TypeAlias = Callable[[str], Sequence[int]]

OWN = "pytok"
"""The name of the row that the others are compared with, in either kind of result."""

_NO_R50K = ("cl100k_base", "o200k_base")


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to turn text to ids.

    *distribution* is what one installs, *module* what one imports; *build* takes that module, an
    encoding's name and its rank file; *returns* is "list" or "array"; *share* is how much of a text
    is enough to time it on, for one that is slower by an order of magnitude.
    """

    name: str
    distribution: str
    module: str
    returns: str
    build: Callable[[Any, str, Path], Encode]
    encodings: Sequence[str] = ("r50k_base", *_NO_R50K)
    share: float = 1.0

    def load(self, encoding: str, ranks: Path) -> Encode:
        """The function to time; raises whatever the library raises."""
        return self.build(importlib.import_module(self.module), encoding, ranks)


def _list(module: Any, name: str, ranks: Path) -> Any:
    """Of tiktoken and those that have its interface."""
    return module.get_encoding(name).encode_ordinary


def _array(module: Any, name: str, ranks: Path) -> Any:
    """Of tiktoken and those that have its interface."""
    return partial(module.get_encoding(name).encode_to_numpy, disallowed_special=())


def _pytok_reference(encodings: Any, name: str, ranks: Path) -> Any:
    return encodings.get_encoding(name, "reference").encode_ordinary


def _tokenizers(tokenizers: Any, name: str, ranks: Path) -> Any:
    path = ranks.with_suffix(".json")
    pytok.get_encoding(name).save(path)
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _gigatoken(gigatoken: Any, name: str, ranks: Path) -> Any:
    return _gigatoken_tokenizer(gigatoken, ranks).as_tiktoken().encode_ordinary


def _gigatoken_array(gigatoken: Any, name: str, ranks: Path) -> Any:
    return _gigatoken_tokenizer(gigatoken, ranks).encode


def _gigatoken_tokenizer(gigatoken: Any, ranks: Path) -> Any:
    # It cannot encode a special token as ordinary text, so it is given none.
    return gigatoken.Tokenizer.from_tiktoken(ranks, special_tokens={})


def _toktok(toktok: Any, name: str, ranks: Path) -> Any:
    return toktok._encoding(name).encode_ordinary


def _toktok_array(toktok: Any, name: str, ranks: Path) -> Any:
    return partial(toktok._encoding(name).encode_to_numpy, disallowed_special=())


def _splintr(splintr: Any, name: str, ranks: Path) -> Any:
    patterns = {
        "r50k_base": splintr.GPT2_PATTERN,
        "cl100k_base": splintr.CL100K_BASE_PATTERN,
        "o200k_base": splintr.O200K_BASE_PATTERN,
    }
    return splintr.Tokenizer.from_bytes(ranks.read_bytes(), patterns[name]).encode_ordinary


def _riptoken(riptoken: Any, name: str, ranks: Path) -> Any:
    vocab = riptoken.load_tiktoken_bpe(str(ranks))
    return riptoken.CoreBPE(vocab, {}, pytok.get_encoding(name).pattern).encode_ordinary


def _rs_bpe(rs_bpe: Any, name: str, ranks: Path) -> Any:
    return getattr(rs_bpe.openai, name)().encode


ENCODERS = (
    Encoder(OWN, "pytok", "pytok", "list", _list),
    Encoder("pytok reference", "pytok", "pytok.encodings", "list", _pytok_reference, share=0.05),
    Encoder("tiktoken", "tiktoken", "tiktoken", "list", _list),
    Encoder("tokenizers", "tokenizers", "tokenizers", "list", _tokenizers),
    Encoder("gigatoken", "gigatoken", "gigatoken", "list", _gigatoken),
    Encoder("toktok", "toktok-rs", "toktok", "list", _toktok, _NO_R50K),
    Encoder("quicktok", "quicktok-v1", "quicktok", "list", _list, _NO_R50K),
    Encoder("splintr", "splintr-rs", "splintr", "list", _splintr),
    Encoder("riptoken", "riptoken", "riptoken", "list", _riptoken),
    Encoder("bpe-openai", "bpe-openai", "bpe_openai", "list", _list, _NO_R50K),
    Encoder("rs-bpe", "rs-bpe", "rs_bpe", "list", _rs_bpe, _NO_R50K),
    Encoder(OWN, "pytok", "pytok", "array", _array),
    Encoder("tiktoken", "tiktoken", "tiktoken", "array", _array),
    Encoder("gigatoken", "gigatoken", "gigatoken", "array", _gigatoken_array),
    Encoder("toktok", "toktok-rs", "toktok", "array", _toktok_array, _NO_R50K),
)
