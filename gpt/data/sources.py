"""The data of a run: text and third-party token files become a shard folder.

Both become the folder ``data`` of the run. Text is tokenized into it; token files are only listed
in it and stay where they are. It is written once, completely or not at all, and reused when the run
is resumed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytok
from gpt.data.shards import check_dense, offering_shards
from gpt.errors import DataError
from pytok import corpus, shards, streams
from pytok.counted import counted
from pytok.encodings import open_tokenizer
from pytok.errors import ShardError
from pytok.tokenizer import Tokenizer

Progress = Callable[[str, int, int], object]
"""Called with the name of the stage, how much of it is done, and the total."""

PATTERN = "cl100k"
"""Pattern of a tokenizer that is trained here."""
HELD_OUT = 0.1
"""Default fraction of the text that is held out."""
META = "meta.pkl"
"""nanoGPT's file for the vocabulary of token files of single characters."""


def prepare(
    data: Path,
    out: Path,
    *,
    tokenizer: str | None = None,
    val_data: Path | None = None,
    val: float | None = None,
    extend: int = 0,
    progress: Progress = lambda stage, done, total: None,
    notice: Callable[[str], object] = lambda text: None,
) -> Path:
    """Return the shard folder for *data*: *data* itself, or that of the run *out*, made if needed.

    *tokenizer* is the path of a file or the name of an encoding: the tokenizer that wrote the token
    files, or that text is tokenized with. By default text gets a new tokenizer of `vocab_size` ids,
    trained on the part that is not held out. *extend* continues the training of *tokenizer* on that
    part, by so many new tokens. *val* is the fraction of the text, from its end, to
    hold out (`HELD_OUT`). The validation split of token files is found by name, or in *val_data*.

    An existing folder is reused if it was made from the same files (by size and time) and in the
    same way. Raises DataError if it was not, if an argument does not apply to *data*, and if text
    cannot be read; PytokError as `pytok.streams.adopt` and `pytok.shards.write` do.
    """
    if (data / "shards.json").is_file():
        _refuse_val(val, data, "shards have their own split, which `pytok shard --val` makes")
        _refuse_extension(extend, data, "shards have their tokenizer")
        return _check_shards(data, tokenizer, val_data)
    token_files = [file for files in streams.find_token_files(data).values() for file in files]
    chosen: Tokenizer | None
    if token_files:
        sources = token_files if val_data is None else [*token_files, val_data]
        _refuse_val(val, data, "name token files to hold out with --val-data")
        _refuse_extension(extend, data, "token files have their tokenizer")
        chosen = _tokenizer_of(data, tokenizer)
    else:
        _refuse_val_data(val_data, data)
        sources = corpus.resolve(data)
        corpus.refuse_pipes(sources, "write its text to a file, or shards with `pytok shard`")
        chosen = None if tokenizer is None else open_tokenizer(tokenizer)

    if chosen is not None:
        check_dense(chosen)
    # What the folder is made from decides whether an existing one can be reused.
    fraction = HELD_OUT if val is None else val
    origin = _origin(sources, None if chosen is None else chosen.fingerprint, fraction, extend)
    target = out / "data"
    if (target / "shards.json").is_file():
        if shards.open_shards(target).origin != origin:
            raise DataError(
                f"{target} was made from other data than {data} as it is now, or with another "
                "tokenizer or held-out fraction; choose another --out, or pass "
                f"--data {target} to use it as it is"
            )
        return target

    notice(f"{data}: {'read' if token_files else 'tokenized'} into {target}, once")
    advance = functools.partial(progress, "shard")
    if token_files:
        assert chosen is not None
        made = streams.adopt(data, chosen, target, val=val_data, origin=origin, progress=advance)
        if "val" not in made.splits:
            notice("no validation split; pass --val-data to measure bits per byte")
        return target
    with _advice_for_options(data, fraction):
        if chosen is None:
            size = vocab_size(round(corpus.size(sources) * (1 - fraction)))
            chosen = _train(data, size, fraction, progress)
            notice(f"trained a tokenizer of {chosen.n_vocab:,} ids on it")
        elif extend:
            before = chosen.n_vocab
            chosen = _train(data, before + extend, fraction, progress, base=chosen)
            new = counted(chosen.n_vocab - before, "new token")
            notice(f"extended the tokenizer by {new}, to {chosen.n_vocab:,} ids")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", corpus.SkippedWarning)
            shards.write(data, chosen, target, val=fraction, origin=origin, progress=advance)
    for warning in caught:
        notice(f"{data}: {warning.message}")
    return target


def vocab_size(text_bytes: int) -> int:
    """Choose the vocabulary size for *text_bytes* of text: 2,048 for 1 MB, 16,384 for 200 MB.

    A power of two near 8 · bytes^0.4, from 512 to 32,768, so that each token occurs often enough.
    """
    wanted = 8 * max(1, text_bytes) ** 0.4
    sizes = [1 << power for power in range(9, 16)]
    return min(sizes, key=lambda size: abs(size - wanted))


def _check_shards(data: Path, tokenizer: str | None, val_data: Path | None) -> Path:
    """Return *data*, a shard folder, if *tokenizer* wrote it."""
    _refuse_val_data(val_data, data)
    if tokenizer is not None:
        shards.open_shards(data).check(open_tokenizer(tokenizer).fingerprint)
    return data


def _refuse_val_data(val_data: Path | None, data: Path) -> None:
    if val_data is not None:
        raise DataError(
            f"{data}: remove --val-data: it applies to token files only; shards have their own "
            "split, and --val holds out a fraction of text"
        )


def _refuse_val(val: float | None, data: Path, instead: str) -> None:
    if val is not None:
        raise DataError(f"{data}: remove --val: it applies to text only; {instead}")


def _tokenizer_of(data: Path, tokenizer: str | None) -> Tokenizer:
    """Open the tokenizer that wrote the token files *data*."""
    if tokenizer is not None:
        return open_tokenizer(tokenizer)
    meta = (data if data.is_dir() else data.parent) / META
    if meta.is_file():
        return streams.character_tokenizer(meta)
    raise DataError(
        f"{data}: token files do not name the tokenizer that wrote them; name it with --tokenizer: "
        "a file, or an encoding such as gpt2"
    )


def _refuse_extension(extend: int, data: Path, because: str) -> None:
    if extend:
        raise DataError(
            f"{data}: remove --extend-vocab: it applies to text only; {because}, which `pytok "
            "train --base` extends before `pytok shard` writes them"
        )


def _train(
    data: Path, size: int, val: float, progress: Progress, base: Tokenizer | None = None
) -> Tokenizer:
    """Train a tokenizer of *size* ids on the text that is not held out, or continue *base*."""
    pattern = PATTERN if base is None else base.pattern
    text = shards.training_text(data, val=val, pattern=pattern)
    with warnings.catch_warnings():
        # A small corpus has too few pairs for the vocabulary, which is then smaller.
        warnings.simplefilter("ignore", UserWarning)
        if base is None:
            return pytok.train(text, size, pattern=pattern, progress=progress)
        return pytok.train(text, size, base=base, progress=progress)


@contextmanager
def _advice_for_options(data: Path, val: float) -> Iterator[None]:
    """Replace advice about arguments of the library by advice about options of the command."""
    try:
        with offering_shards():
            yield
    except ShardError as error:
        if "split would be empty" not in error.message:
            raise
        smaller = ", or --val 0 to hold out nothing" if val else ""
        problem = error.message.partition(";")[0]
        raise DataError(f"{data}: {problem}: it has too little text; pass more{smaller}") from error


def _origin(files: Sequence[Path], fingerprint: str | None, val: float, extend: int) -> str:
    """Return a digest of the paths of *files*, their sizes and times, and how they are read."""
    states = [(str(path.resolve()), path.stat()) for path in files]
    plain: Any = [
        [(name, state.st_size, state.st_mtime_ns) for name, state in states],
        fingerprint,
        val,
        *([extend] if extend else []),
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
