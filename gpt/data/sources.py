"""What a run may be given to learn from, made a shard folder: text, and token files of others.

Both become the folder ``data`` of the run: text is tokenized into it, token files are named by it
and stay where they are. It is written once, whole or not at all; the run goes on with it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytok
from gpt.data.shards import offering_shards
from gpt.errors import DataError
from pytok import corpus, shards, streams
from pytok.encodings import open_tokenizer
from pytok.tokenizer import Tokenizer

Progress = Callable[[str, int, int], object]
"""Told the stage, how much of it is done, and of how much."""

PATTERN = "cl100k"
"""Of a tokenizer that is trained on the way."""
HELD_OUT = 0.1
"""Share of text that is held out where nothing else is asked for."""
META = "meta.pkl"
"""What nanoGPT has beside token files of single characters."""


def prepare(
    data: Path,
    out: Path,
    *,
    tokenizer: str | None = None,
    val_data: Path | None = None,
    val: float | None = None,
    progress: Progress = lambda stage, done, total: None,
    notice: Callable[[str], object] = lambda text: None,
) -> Path:
    """Return the shard folder for *data*: itself, or that of the run *out*, written if need be.

    *tokenizer*, a file's path or an encoding's name, is the one that wrote the token files; text
    is tokenized with it, or with a new one of `vocab_size`, which learns nothing of what is held
    out: the last share *val* of the text, by default `HELD_OUT`. Token files have their validation
    split by name, or in *val_data*. What is there already is taken if it was made from the same
    files, by their sizes and times, in the same way. Raises DataError where it was not, a choice
    does not fit *data*, or text cannot be read; PytokError as `pytok.streams.adopt` and
    `pytok.shards.write` do.
    """
    if (data / "shards.json").is_file():
        _refuse_val(val, data, "shards have their own split, which `pytok shard --val` makes")
        return _checked(data, tokenizer, val_data)
    token_files = [file for files in streams.find_token_files(data).values() for file in files]
    chosen: Tokenizer | None
    if token_files:
        sources = token_files if val_data is None else [*token_files, val_data]
        _refuse_val(val, data, "name token files to hold out with --val-data")
        chosen = _tokenizer_of(data, tokenizer)
    else:
        _refuse_val_data(val_data, data)
        sources = corpus.resolve(data)
        chosen = None if tokenizer is None else open_tokenizer(tokenizer)
    share = HELD_OUT if val is None else val
    origin = _origin(sources, None if chosen is None else chosen.fingerprint, share)
    target = out / "data"
    if (target / "shards.json").is_file():
        if shards.open_shards(target).origin != origin:
            raise DataError(
                f"{target} was made from other data than {data} as it is now, or with another "
                f"tokenizer or share held out; give another --out, or --data {target} to go on "
                "with what was made"
            )
        return target
    notice(f"{data}: {'read' if token_files else 'tokenized'} into {target}, once")
    if chosen is None:
        with offering_shards():
            chosen = _train(data, sources, share, progress)
        notice(f"a tokenizer of {chosen.n_vocab:,} ids was trained for it")
    advance = functools.partial(progress, "shard")
    if token_files:
        made = streams.adopt(data, chosen, target, val=val_data, origin=origin, progress=advance)
        if "val" not in made.splits:
            notice("no validation split: name it with --val-data to have bits per byte measured")
    else:
        with offering_shards():
            shards.write(data, chosen, target, val=share, origin=origin, progress=advance)
    return target


def vocab_size(text_bytes: int) -> int:
    """Choose how many ids a tokenizer of *text_bytes* of text has: 2,048 for 1 MB, 16,384 for 200.

    A power of two near 8 · bytes^0.4, from 512 to 32,768: each id is to be seen often enough.
    """
    wanted = 8 * max(1, text_bytes) ** 0.4
    sizes = [1 << power for power in range(9, 16)]
    return min(sizes, key=lambda size: abs(size - wanted))


def _checked(data: Path, tokenizer: str | None, val_data: Path | None) -> Path:
    """Return *data*, which is shards, once it is of *tokenizer*."""
    _refuse_val_data(val_data, data)
    if tokenizer is not None:
        shards.open_shards(data).check(open_tokenizer(tokenizer).fingerprint)
    return data


def _refuse_val_data(val_data: Path | None, data: Path) -> None:
    if val_data is not None:
        raise DataError(
            f"{data}: --val-data is for token files; shards have their own split, and of text the "
            "share --val is held out"
        )


def _refuse_val(val: float | None, data: Path, instead: str) -> None:
    if val is not None:
        raise DataError(f"{data}: --val is a share of text; {instead}")


def _tokenizer_of(data: Path, tokenizer: str | None) -> Tokenizer:
    """Open the tokenizer that wrote the token files of *data*."""
    if tokenizer is not None:
        return open_tokenizer(tokenizer)
    meta = (data if data.is_dir() else data.parent) / META
    if meta.is_file():
        return streams.character_tokenizer(meta)
    raise DataError(
        f"{data}: token files do not say which tokenizer wrote them; name it with --tokenizer: "
        "its file, or an encoding's name, such as gpt2"
    )


def _train(data: Path, files: Sequence[Path], val: float, progress: Progress) -> Tokenizer:
    """Train a tokenizer on what is not held out."""
    size = vocab_size(round(corpus.size(files) * (1 - val)))
    text = shards.training_text(data, val=val, pattern=PATTERN)
    with warnings.catch_warnings():
        # A corpus without enough pairs is small, and so then is its vocabulary.
        warnings.simplefilter("ignore", UserWarning)
        return pytok.train(text, size, pattern=PATTERN, progress=progress)


def _origin(files: Sequence[Path], fingerprint: str | None, val: float) -> str:
    """Return a digest of where *files* are, their sizes and times, and how they are read."""
    states = [(str(path.resolve()), path.stat()) for path in files]
    plain: Any = [
        [(name, state.st_size, state.st_mtime_ns) for name, state in states],
        fingerprint,
        val,
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
