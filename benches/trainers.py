"""The trainers of the training benchmark, each a row of `TRAINERS`, and the process that runs one.

Each training is a fresh process (``python -m benches.trainers``), with its own peak memory and
processor time. All read the same file, split it by GPT-2's pattern, and learn merges over the 256
bytes; a trainer that requires documents gets those of `texts.documents`.
"""

import importlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import process, texts
from pytok import distribution

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The pattern of Radford et al. 2019, for the trainers that have no name for it."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """A trainer: the name of its *distribution* on PyPI, if it has one, and of its *module*."""

    name: str
    distribution: str
    module: str
    train: Callable[[Any, Path, int], Any]
    """Trains, given the module, the file and the size of the vocabulary."""
    tokens: Callable[[Any], list[bytes]]
    """Reads the learned tokens, in order, outside the clock."""
    equals: str | None
    """Name of the row whose tokens it must learn; ``None`` if it merges by another rule."""
    rule: str = ""
    """Description of that other rule."""
    readable: bool = False
    """Whether it is written for readability, and runs on little text."""


def _documents(path: Path) -> list[str]:
    return list(texts.documents(path.read_bytes().decode()))


def _pytok(pytok: Any, path: Path, size: int) -> Any:
    return pytok.train(path, size, pattern="gpt2", special_tokens=())


def _pytok_reference(pytok: Any, path: Path, size: int) -> Any:
    return pytok.train(path, size, pattern="gpt2", special_tokens=(), engine="reference")


def _pytok_tokens(tokenizer: Any) -> list[bytes]:
    return list(tokenizer.vocab)[256:]


def _tokenizers_documents(tokenizers: Any, path: Path, size: int) -> Any:
    tokenizer, trainer = _byte_level(tokenizers, size)
    tokenizer.train_from_iterator(_documents(path), trainer)
    return tokenizer


def _tokenizers_file(tokenizers: Any, path: Path, size: int) -> Any:
    tokenizer, trainer = _byte_level(tokenizers, size)
    tokenizer.train([str(path)], trainer)
    return tokenizer


def _byte_level(tokenizers: Any, size: int) -> tuple[Any, Any]:
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    return tokenizer, tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=byte_level.alphabet(), show_progress=False
    )


def _tokenizers_tokens(tokenizer: Any) -> list[bytes]:
    return _merged_tokens(json.loads(tokenizer.to_str())["model"]["merges"])


def _gigabpe(gigabpe: Any, path: Path, size: int) -> Any:
    _, merges = gigabpe.train_bpe([str(path)], size, special_tokens=[], pretokenizer="bytelevel")
    return merges[: size - 256]  # it gives no ids to bytes that are not in the text


def _gigatoken(gigatoken: Any, path: Path, size: int) -> Any:
    return gigatoken.train_bpe(path, size, [])


def _gigatoken_tokens(trained: Any) -> list[bytes]:
    return [left + right for left, right in trained[1]]


def _rustbpe(rustbpe: Any, path: Path, size: int) -> Any:
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(_documents(path)), size, pattern=GPT2)
    return tokenizer


def _rustbpe_tokens(tokenizer: Any) -> list[bytes]:
    ranks = sorted((rank, bytes(token)) for token, rank in tokenizer.get_mergeable_ranks())
    return [token for _, token in ranks[256:]]


def _minbpe(minbpe: Any, path: Path, size: int) -> Any:
    tokenizer = minbpe.RegexTokenizer(GPT2)
    tokenizer.train(path.read_bytes().decode(), size)
    return tokenizer


def _minbpe_tokens(tokenizer: Any) -> list[bytes]:
    return [tokenizer.vocab[id] for id in range(256, len(tokenizer.vocab))]


def _merged_tokens(merges: list[Any]) -> list[bytes]:
    """Return the tokens that *merges*, in the byte-level alphabet, make."""
    from pytok.formats.merge_list import LETTERS

    byte_of = {letter: byte for byte, letter in LETTERS.items()}
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return [bytes(byte_of[letter] for letter in left + right) for left, right in pairs]


OWN = "pytok"
BY_DOCUMENT = "tokenizers, documents"
BY_LINE = "tokenizers, file"

TRAINERS = (
    Trainer(OWN, distribution.NAME, "pytok", _pytok, _pytok_tokens, BY_DOCUMENT),
    Trainer(
        "pytok reference",
        distribution.NAME,
        "pytok",
        _pytok_reference,
        _pytok_tokens,
        OWN,
        readable=True,
    ),
    Trainer(
        BY_DOCUMENT,
        "tokenizers",
        "tokenizers",
        _tokenizers_documents,
        _tokenizers_tokens,
        BY_DOCUMENT,
    ),
    Trainer(
        BY_LINE,
        "tokenizers",
        "tokenizers",
        _tokenizers_file,
        _tokenizers_tokens,
        None,
        "reads by line, so no piece spans a line end",
    ),
    Trainer("gigabpe", "gigabpe", "gigabpe", _gigabpe, _merged_tokens, BY_LINE),
    Trainer("gigatoken", "gigatoken", "gigatoken", _gigatoken, _gigatoken_tokens, BY_DOCUMENT),
    Trainer(
        "rustbpe",
        "rustbpe",
        "rustbpe",
        _rustbpe,
        _rustbpe_tokens,
        None,
        "of equally frequent pairs, merges the smallest with bytes in numeric order, not GPT-2's",
    ),
    Trainer(
        "minbpe",
        "",
        "minbpe",
        _minbpe,
        _minbpe_tokens,
        None,
        "of equally frequent pairs, merges the one that occurs first",
        readable=True,
    ),
)


def _run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Train as *arguments* says (*name*, *path*, *vocab_size*); return tokens, time and memory."""
    trainer = next(row for row in TRAINERS if row.name == arguments["name"])
    module = importlib.import_module(trainer.module)
    warnings.simplefilter("ignore", UserWarning)  # the number of tokens shows too small a text
    start, cpu_start = time.perf_counter(), time.process_time()
    trained = trainer.train(module, Path(arguments["path"]), arguments["vocab_size"])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak = process.peak_memory()
    tokens = [token.hex() for token in trainer.tokens(trained)]
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak, "tokens": tokens}


if __name__ == "__main__":
    process.serve(_run)
