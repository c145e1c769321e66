"""Texts for experiments that are on every machine, and what each process makes of them once."""

from __future__ import annotations

import atexit
import functools
import importlib
import inspect
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data import topics

import pytok
from pytok import shards

END = "<|endoftext|>"


def english() -> str:
    """Return the help texts of Python: some 460,000 characters of English.

    >>> "statement" in english()
    True
    """
    found: dict[str, str] = topics.topics
    return "\n\n".join(found[name] for name in sorted(found))


CODE = (
    "_pydecimal",
    "argparse",
    "ast",
    "difflib",
    "doctest",
    "inspect",
    "pydoc",
    "tarfile",
    "typing",
)


def python_code() -> str:
    """Return modules of Python's library that are long and written in Python.

    >>> "def __init__(self" in python_code()
    True
    """
    return "\n\n".join(inspect.getsource(importlib.import_module(name)) for name in CODE)


def library() -> dict[str, str]:
    """Return the modules of Python's library, without its packages: 4 to 5 MB of code and text.

    >>> len(library()) > 100
    True
    """
    folder = Path(inspect.__file__).parent
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


def once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder *name* that *make* has filled, once in each process.

    It is removed when the process ends, and if *make* raises. Trials are functions of their
    settings, so what they share must be so too: *name* says all that it depends on.
    """
    folder = _scratch() / name
    if not folder.exists():
        folder.mkdir(parents=True)
        try:
            make(folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
    return folder


def english_shards(vocab_size: int) -> Path:
    """Return token shards of `english`, of which the last tenth is held out.

    The tokenizer is trained on the rest.
    """

    def make(folder: Path) -> None:
        text, tokenizer = english(), folder / "tokenizer.json"
        (folder / "english.txt").write_text(text, encoding="utf-8")
        pytok.train([text[: len(text) * 9 // 10]], vocab_size=vocab_size).save(tokenizer)
        # Imported here: it loads the readers of many formats, which few experiments need.
        from gpt.data.sources import prepare

        prepare(folder / "english.txt", folder / "run", tokenizer=str(tokenizer), val=0.1)

    return once(f"english-{vocab_size}", make) / "run/data"


PIECE = 1000
"""Characters of a piece of a short text."""


def short_shards(characters: int, vocab_size: int) -> Path:
    """Return token shards of *characters* of `english`, of which it holds out the same part.

    They are pieces of it at equal distances, so a shorter text has as many topics as fit. The
    tokenizer is that of `english_shards`, too.
    """

    def make(folder: Path) -> None:
        text = english()
        split, count = len(text) * 9 // 10, max(1, characters // PIECE)
        pieces = (text[split * i // count :][:PIECE] for i in range(count))
        short, held_out = "".join(pieces), text[split:]
        (folder / "text.txt").write_text(short + held_out, encoding="utf-8")
        tokenizer = pytok.Tokenizer.load(english_shards(vocab_size) / "tokenizer.json")
        val = (len(held_out) - 0.5) / len(short + held_out)  # whatever the rounding
        shards.write(folder / "text.txt", tokenizer, folder / "shards", val=val)

    return once(f"english-{characters}-{vocab_size}", make) / "shards"


def shards_of(name: str, texts: Sequence[str], vocab_size: int, *, val: float = 0.1) -> Path:
    """Return token shards of *texts*, each a document; *val* of them are held out.

    *name* says which texts they are. The tokenizer is trained on all of them.
    """

    def make(folder: Path) -> None:
        tokenizer = pytok.train(texts, vocab_size, special_tokens=(END,))
        for number, text in enumerate(texts):
            path = folder / f"texts/{number:06}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        shards.write(folder / "texts", tokenizer, folder / "shards", val=val)

    return once(f"{name}-{vocab_size}", make) / "shards"


@functools.cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pytok-lab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
