"""Small training data: a byte tokenizer, its token shards, and a recipe of a second."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pytok
from gpt.evaluation.bits_per_byte import Evaluation
from gpt.spec.architecture import Architecture
from gpt.spec.attention import GroupedQuery
from gpt.spec.dropout import Dropout
from gpt.spec.recipe import Recipe
from pytok import shards
from pytok.patterns import GPT2

TEXT = "".join(
    f"{animal} {number} saw {other} by the {landmark}.\n"
    for number in range(4)
    for animal in ("cat", "dog", "owl")
    for other in ("cat", "dog", "owl")
    for landmark in ("river", "barn")
)


class ByteTokenizer:
    """Ids 0-255 are bytes, *end* is <|endoftext|>; only the methods that gpt uses."""

    def __init__(self, end: int | None = 256) -> None:
        self.special_tokens = {} if end is None else {"<|endoftext|>": end}
        self.n_vocab = 256 if end is None else end + 1
        self.pattern, self.can_cut = GPT2, True
        self._tokenizer = pytok.Tokenizer(
            "bytes",
            pat_str=self.pattern,
            mergeable_ranks={bytes([byte]): byte for byte in range(256)},
            special_tokens=self.special_tokens,
        )
        self.fingerprint = self._tokenizer.fingerprint
        self.prefix_ids: list[int] = []
        self.bos_token_id = self.eos_token_id = None

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the bytes of *text*."""
        return list(text.encode())

    def encode_utf8(
        self, texts: Sequence[bytes], **options: Any
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the ids of all *texts*, and their offsets."""
        offsets = np.cumsum([0, *map(len, texts)])
        return np.frombuffer(b"".join(texts), np.uint8).astype(np.uint32), offsets

    def decoder(self) -> ByteDecoder:
        """Return a streaming decoder."""
        return ByteDecoder()

    def save(self, path: Path) -> None:
        """Write tokenizer.json."""
        self._tokenizer.save(path)


class ByteDecoder:
    """A streaming decoder of `ByteTokenizer`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, id: int) -> str:
        """Return the text that *id* completes."""
        return self._decoder.decode(bytes([id]))

    def finish(self) -> str:
        """Return the remaining text."""
        return self._decoder.decode(b"", final=True)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the bits per byte of the successive evaluations of a run."""

    def measure(*figures: float) -> None:
        remaining = iter(figures)

        def evaluate(*arguments: Any, **options: Any) -> Evaluation:
            bits = next(remaining)
            return Evaluation(
                nats_per_token=bits,
                perplexity=1.0,
                bits_per_byte=bits,
                token_accuracy=0.0,
                tokens=1,
                bytes=1,
            )

        monkeypatch.setattr("gpt.training.tasks.pretraining.evaluate", evaluate)

    return measure


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute on one thread: these tensors are too small for more."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random tensors of a test do not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tokenizer() -> ByteTokenizer:
    """The tokenizer of `data`."""
    return ByteTokenizer()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, tokenizer: ByteTokenizer) -> Path:
    """A shard folder of `TEXT`; its last fifth is held out."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "corpus.txt").write_text(TEXT, encoding="utf-8")
    shards.write(folder / "corpus.txt", tokenizer, folder / "data", val=0.2)
    return folder / "data"


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Recipe:
    """A run of a second: a model of 2 layers, 12 steps, in float32 on the CPU."""
    return Recipe(
        data=data,
        out=tmp_path / "run",
        steps=12,
        batch_size=2,
        accumulate=2,
        eval_every=5,
        checkpoint_every=4,
        device="cpu",
        dtype="float32",
        threads=1,
        compile=False,
        model=Architecture(
            context=16,
            layers=2,
            width=32,
            attention=GroupedQuery(heads=2, kv_heads=1),
            dropout=Dropout(rate=0.1),
        ),
    )
