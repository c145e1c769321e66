"""The libraries that take part in encoding and decoding, and how each opens a named encoding.

They are imported when their turn comes, so that one that is not installed, or breaks, is one line
of the report and no more. What they are asked is in `encoders`.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytok
from benches import report


@dataclass(frozen=True, slots=True)
class Library:
    """*distribution* is what one installs, *module* what one imports.

    *open* takes that module, an encoding's name and its rank file, and gives what the contestants
    of this library call. *most* is how many bytes are enough to time it on, for one that is slower
    by an order of magnitude.
    """

    name: str
    distribution: str
    module: str
    open: Callable[[Any, str, Path], Any]
    encodings: Sequence[str] = ("r50k_base", "cl100k_base", "o200k_base")
    most: int = sys.maxsize

    def load(self, encoding: str, ranks: Path) -> Any:
        """Import it and open *encoding*; raises whatever the library raises."""
        return self.open(importlib.import_module(self.module), encoding, ranks)

    def absent(self, encoding: str) -> str:
        """Why it does not take part, nothing if it does."""
        if report.version(self.distribution) is None:
            return "not installed"
        return "" if encoding in self.encodings else "not offered"


def _named(module: Any, encoding: str, ranks: Path) -> Any:
    """Of tiktoken and those that have its interface."""
    return module.get_encoding(encoding)


def _reference(encodings: Any, encoding: str, ranks: Path) -> Any:
    return encodings.get_encoding(encoding, "reference")


def _tokenizers(tokenizers: Any, encoding: str, ranks: Path) -> Any:
    tokenizer = tokenizers.Tokenizer.from_file(str(ranks.with_suffix(".json")))
    tokenizer.encode_special_tokens = True  # which means: as ordinary text
    return tokenizer


def _gigatoken(gigatoken: Any, encoding: str, ranks: Path) -> Any:
    # It cannot encode a special token as ordinary text, so it is given none.
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

PYTOK = Library("pytok", "pytok", "pytok", _named)
REFERENCE = Library("pytok reference", "pytok", "pytok.encodings", _reference, most=50_000)
TIKTOKEN = Library("tiktoken", "tiktoken", "tiktoken", _named)
TOKENIZERS = Library("tokenizers", "tokenizers", "tokenizers", _tokenizers, most=2_000_000)
GIGATOKEN = Library("gigatoken", "gigatoken", "gigatoken", _gigatoken)
TOKTOK = Library("toktok", "toktok-rs", "toktok", _toktok, _NO_R50K)
QUICKTOK = Library("quicktok", "quicktok-v1", "quicktok", _named, _NO_R50K)
SPLINTR = Library("splintr", "splintr-rs", "splintr", _splintr)
RIPTOKEN = Library("riptoken", "riptoken", "riptoken", _riptoken, most=5_000_000)
BPE_OPENAI = Library("bpe-openai", "bpe-openai", "bpe_openai", _named, _NO_R50K, most=5_000_000)
RS_BPE = Library("rs-bpe", "rs-bpe", "rs_bpe", _rs_bpe, _NO_R50K, most=5_000_000)

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
