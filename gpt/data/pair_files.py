"""A file of pairs becomes a folder: its splits, and the tokenizer of both sides.

The folder is ``data`` of the run, or one that the user has made. It is written once, completely or
not at all, and reused when the run is resumed.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytok
from gpt.data.json_files import parse_json
from gpt.data.pairs import Ends, Pair, read_pairs
from gpt.data.sources import HELD_OUT, PATTERN, Progress, vocab_size
from gpt.errors import DataError
from pytok.atomic import atomic_folder
from pytok.counted import counted
from pytok.encodings import open_tokenizer
from pytok.tokenizer import Tokenizer

PAIRS = "pairs.json"
"""What a folder was made from; the file that says that it holds pairs."""
TRAIN, VAL, TOKENIZER = "train.jsonl", "val.jsonl", "tokenizer.json"


def is_pair_folder(path: Path) -> bool:
    """Return whether *path* is a folder of pairs."""
    return (path / TRAIN).is_file() and (path / TOKENIZER).is_file()


def prepare_pairs(
    data: Path,
    out: Path,
    *,
    tokenizer: str | None = None,
    val: float | None = None,
    progress: Progress = lambda stage, done, total: None,
    notice: Callable[[str], object] = lambda text: None,
) -> Path:
    """Return the folder for the pairs *data*: itself, or that of the run *out*, made if needed.

    *data* is JSON lines. *tokenizer* is a file or the name of an encoding; by default one is
    trained on both sides of the pairs that are not held out. *val* is the fraction of the pairs,
    from the end of the file, to hold out (`HELD_OUT`).

    An existing folder is reused if it was made from the same pairs in the same way. Raises
    DataError if it was not, for pairs that cannot be read, and for options that do not apply.
    """
    if is_pair_folder(data):
        for option, value in (("--tokenizer", tokenizer), ("--val", val)):
            if value is not None:
                raise DataError(f"{data}: remove {option}: this folder has its own")
        return data
    if data.is_dir():
        raise DataError(
            f"{data}: no pairs; pass a file of JSON lines with source and target, or a folder with "
            f"{TRAIN} and {TOKENIZER}"
        )
    if not data.exists():
        raise DataError(f"{data}: not found; pass a file of JSON lines with source and target")
    fraction = HELD_OUT if val is None else val
    chosen = None if tokenizer is None else open_tokenizer(tokenizer)
    pairs = list(read_pairs(data))
    origin = _origin(pairs, chosen, fraction)
    target = out / "data"
    if (target / PAIRS).is_file():
        if parse_json((target / PAIRS).read_bytes()).get("origin") != origin:
            raise DataError(
                f"{target} was made from other data than {data} as it is now, or with another "
                "tokenizer or held-out fraction; choose another --out, or pass "
                f"--data {target} to use it as it is"
            )
        return target
    held_out = _held_out(data, len(pairs), fraction)
    splits = {TRAIN: pairs[: len(pairs) - held_out], VAL: pairs[len(pairs) - held_out :]}
    if chosen is None:
        chosen = _train(splits[TRAIN], progress)
        notice(f"trained a tokenizer of {chosen.n_vocab:,} ids on both sides of {data}")
    Ends.of(chosen)
    with atomic_folder(target) as folder:
        chosen.save(folder / TOKENIZER)
        for name, split in splits.items():
            if split:
                (folder / name).write_bytes(b"".join(pair.to_json() for pair in split))
        (folder / PAIRS).write_text(json.dumps({"origin": origin}) + "\n", encoding="utf-8")
    notice(f"{data}: {counted(len(pairs), 'pair')} copied into {target}, {held_out:,} held out")
    return target


def _held_out(data: Path, pairs: int, fraction: float) -> int:
    """Return how many of *pairs* pairs are held out: at least one, unless *fraction* is 0."""
    held_out = max(1, round(pairs * fraction)) if fraction else 0
    if held_out >= pairs:
        raise DataError(
            f"{data}: {counted(pairs, 'pair')} leave nothing to train on; pass more, or --val 0 to "
            "hold out nothing"
        )
    return held_out


def _train(pairs: list[Pair], progress: Progress) -> Tokenizer:
    """Train a tokenizer on both sides of *pairs*."""
    texts = [text for pair in pairs for text in pair]
    size = vocab_size(sum(len(text.encode()) for text in texts))
    with warnings.catch_warnings():
        # Few pairs have too few pairs of tokens for the vocabulary, which is then smaller.
        warnings.simplefilter("ignore", UserWarning)
        return pytok.train(texts, size, pattern=PATTERN, progress=progress)


def _origin(pairs: list[Pair], tokenizer: Tokenizer | None, val: float) -> str:
    """Return a digest of *pairs* and of how they are read."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(pair.to_json())
    fingerprint = None if tokenizer is None else tokenizer.fingerprint
    digest.update(json.dumps([fingerprint, val]).encode())
    return digest.hexdigest()
