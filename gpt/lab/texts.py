"""Texts for experiments that are on every machine: nothing is downloaded."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from pydoc_data import topics

from gpt.data.sources import prepare


def english() -> str:
    """Return the help texts of Python: some 460,000 characters of English.

    >>> "statement" in english()
    True
    """
    found: dict[str, str] = topics.topics
    return "\n\n".join(found[name] for name in sorted(found))


@functools.cache
def english_shards(vocab_size: int) -> Path:
    """Return token shards of `english`, made once in each process, removed when it ends.

    The tokenizer is trained on the part that is not held out, the last tenth.
    """
    folder = Path(tempfile.mkdtemp(prefix="pytok-lab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    text, tokenizer = folder / "english.txt", folder / "tokenizer.json"
    text.write_text(english(), encoding="utf-8")
    import pytok

    kept = english()
    pytok.train([kept[: len(kept) * 9 // 10]], vocab_size=vocab_size).save(tokenizer)
    return prepare(text, folder / "run", tokenizer=str(tokenizer), val=0.1)
