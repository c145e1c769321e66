"""The libraries of the encoding and decoding benchmarks, and how each opens a named encoding.

A library is imported when it is used, so one that is not installed or broken is only a line of the
output. `encoders` lists the functions that are timed.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytok
from benches import report
from pytok import distribution


@dataclass(frozen=True, slots=True)
class Library:
    """A library: the name of its *distribution* on PyPI and of its *module*."""

    name: str
    distribution: str
    module: str
    open: Callable[[Any, str, Path], Any]
    """Opens an encoding, given the module, the encoding's name and its rank file."""
    encodings: Sequence[str] = ("r50k_base", "cl100k_base", "o200k_base")
    max_bytes: int = sys.maxsize
    """Bytes of text to time it on, if it is slower by an order of magnitude."""

    def load(self, encoding: str, ranks: Path) -> Any:
        """Import the library and open *encoding*; raises any error of the library."""
        return self.open(importlib.import_module(self.module), encoding, ranks)

    def why_absent(self, encoding: str) -> str:
        """Return why the library is not measured, or an empty string."""
        if report.version(self.distribution) is None:
            return "not installed"
        return "" if encoding in self.encodings else "not offered"


def _named(module: Any, encoding: str, ranks: Path) -> Any:
    """Open an encoding of tiktoken, or of a library with its interface."""
    return module.get_encoding(encoding)


def _reference(encodings: Any, encoding: str, ranks: Path) -> Any:
    return encodings.get_encoding(encoding, "reference")


def _tokenizers(tokenizers: Any, encoding: str, ranks: Path) -> Any:
    tokenizer = tokenizers.Tokenizer.from_file(str(ranks.with_suffix(".json")))
    tokenizer.encode_special_tokens = True  # as ordinary text
    return tokenizer


def _gigatoken(gigatoken: Any, encoding: str, ranks: Path) -> Any:
    # It cannot encode special tokens as ordinary text, so it gets none.
    return gigatoken.Tokenizer.from_tiktoken(ranks, special_tokens={})


def _toktok(toktok: Any, encoding: str, ranks: Path) -> Any:
    return toktok._encoding(encoding)  # "for anyone who knowingly wants the full surface"


def _splintr(splintr: Any, encoding: str, ranks: Path) -> Any:
    patterns = {
        "r50k_base": splintr.GPT2_PATTERN,
        "cl100k_base": splintr.CL100K_BASE_PATTERN,
        "o200k_base": splintr.O200K_BASE_PATTERN,
    }
    return splintr.Tokenizer.from_bytes(ranks.read_bytes(), patterns[encoding])


def _riptoken(riptoken: Any, encoding: str, ranks: Path) -> Any:
    vocab = riptoken.load_tiktoken_bpe(str(ranks))
    return riptoken.CoreBPE(vocab, {}, pytok.get_encoding(encoding).pattern)


def _rs_bpe(rs_bpe: Any, encoding: str, ranks: Path) -> Any:
    return getattr(rs_bpe.openai, encoding)()


_NO_R50K = ("cl100k_base", "o200k_base")

PYTOK = Library("pytok", distribution.NAME, "pytok", _named)
REFERENCE = Library(
    "pytok reference", distribution.NAME, "pytok.encodings", _reference, max_bytes=50_000
)
TIKTOKEN = Library("tiktoken", "tiktoken", "tiktoken", _named)
TOKENIZERS = Library("tokenizers", "tokenizers", "tokenizers", _tokenizers, max_bytes=2_000_000)
GIGATOKEN = Library("gigatoken", "gigatoken", "gigatoken", _gigatoken)
TOKTOK = Library("toktok", "toktok-rs", "toktok", _toktok, _NO_R50K)
QUICKTOK = Library("quicktok", "quicktok-v1", "quicktok", _named, _NO_R50K)
SPLINTR = Library("splintr", "splintr-rs", "splintr", _splintr)
RIPTOKEN = Library("riptoken", "riptoken", "riptoken", _riptoken, max_bytes=5_000_000)
BPE_OPENAI = Library(
    "bpe-openai", "bpe-openai", "bpe_openai", _named, _NO_R50K, max_bytes=5_000_000
)
RS_BPE = Library("rs-bpe", "rs-bpe", "rs_bpe", _rs_bpe, _NO_R50K, max_bytes=5_000_000)

LIBRARIES = (
    PYTOK,
    REFERENCE,
    TIKTOKEN,
    TOKENIZERS,
    GIGATOKEN,
    TOKTOK,
    QUICKTOK,
    SPLINTR,
    RIPTOKEN,
    BPE_OPENAI,
    RS_BPE,
)
