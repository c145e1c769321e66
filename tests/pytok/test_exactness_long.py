"""The ids of the published encodings equal tiktoken's on large amounts of text.

``PYTOK_CORPUS`` is a folder (text, ``.jsonl``, ``.parquet``, compressed or not) of which the first
gigabyte is compared; the default is Python's documentation and sources. ``PYTOK_STRINGS`` is the
number of generated strings; ten million take some minutes.

tiktoken encodes many strings at a time, joined with a special token that none of them contains. It
splits at special tokens first, so each string is encoded as it would be alone.
"""

import os
import pydoc
import pydoc_data.topics
import string
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiktoken

import pytok
from pytok.corpus import read_parts
from tests.pytok.strategies import CONTRACTIONS, MARKS, NUMBERS, SPACES, UNASSIGNED, WORDS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("rank_files")]

NAMES = ["r50k_base", "cl100k_base", "o200k_base"]
CORPUS_BYTES = 10**9
STRINGS = int(os.environ.get("PYTOK_STRINGS", "200000"))
SEED = 20_240_520

SEPARATOR = "\uf8f0\uf8f1"
"""A special token of private-use characters, which no generated string contains."""

THREADS = 2
"""Both libraries release the GIL while they encode."""


class Pair(NamedTuple):
    """A published encoding in tiktoken and in pytok, with `SEPARATOR` as its only special token."""

    theirs: tiktoken.Encoding
    ours: pytok.Tokenizer

    def assert_same_ids(self, texts: list[str]) -> None:
        """Assert that *texts* have tiktoken's ids, in a batch and between special tokens."""
        joined = SEPARATOR.join(texts)
        expected = self.theirs.encode_to_numpy(joined, allowed_special="all")
        between = np.flatnonzero(expected == self.theirs.max_token_value)
        starts = np.concatenate([[0], between - np.arange(len(between))])
        expected_ids = np.delete(expected, between)

        ids, offsets = self.ours.encode_batch_to_numpy(texts, num_threads=1, disallowed_special=())

        if not (np.array_equal(ids, expected_ids) and np.array_equal(offsets[:-1], starts)):
            self.report(texts)
        special = self.ours.encode_to_numpy(joined, allowed_special="all")
        assert np.array_equal(special, expected), f"{self.ours.name}: differs between specials"

    def report(self, texts: list[str]) -> None:
        """Fail with the first of *texts* that has other ids, alone or in a batch."""
        for text in texts:
            ours = self.ours.encode_ordinary(text)
            theirs = self.theirs.encode_ordinary(text)
            assert ours == theirs, f"{self.ours.name}: {text[:2000]!a} has other ids"
        pytest.fail(f"{self.ours.name}: a batch has other ids than each of {texts!a:.2000}")


@pytest.fixture(scope="module")
def pairs(rank_files: Path) -> list[Pair]:
    """The encodings of `NAMES`."""
    encodings = []
    for name in NAMES:
        published = tiktoken.get_encoding(name)
        parts: dict[str, Any] = {
            "pat_str": published._pat_str,
            "mergeable_ranks": published._mergeable_ranks,
            "special_tokens": {SEPARATOR: published.n_vocab},
        }
        encodings.append(Pair(tiktoken.Encoding(name, **parts), pytok.Tokenizer(name, **parts)))
    return encodings


def compare(pairs: list[Pair], batches: Iterable[list[str]]) -> int:
    """Compare all *batches* in all encodings, and return their size in bytes."""

    def compared(batch: list[str]) -> int:
        for pair in pairs:
            pair.assert_same_ids(batch)
        return sum(len(text.encode()) for text in batch)

    batches = iter(batches)
    total = 0
    with ThreadPoolExecutor(THREADS) as pool:
        # A few batches at a time, which bounds the memory.
        while some := list(islice(batches, 4 * THREADS)):
            total += sum(pool.map(compared, some))
    return total


def in_batches(texts: Iterable[str], characters: int = 1 << 22) -> Iterator[list[str]]:
    """Yield *texts* in lists of about *characters* in total."""
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text)
        if length >= characters:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def up_to(limit: int, texts: Iterable[str]) -> Iterator[str]:
    """Yield *texts* until they have *limit* bytes in total."""
    total = 0
    for text in texts:
        if total >= limit:
            return
        total += len(text.encode())
        yield text


def corpus() -> Iterator[str]:
    """Yield texts from ``PYTOK_CORPUS``, or from Python's documentation and sources."""
    folder = os.environ.get("PYTOK_CORPUS")
    if folder:
        yield from (part.text for part in read_parts(folder, errors="replace"))
        return
    yield from pydoc_data.topics.topics.values()
    for module in (os, pydoc, np, np.ndarray, Path, str, int, dict):
        yield pydoc.plain(pydoc.render_doc(module))
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            yield path.read_bytes().decode("utf-8", "replace")


def test_a_corpus_has_tiktokens_ids(
    pairs: list[Pair], record_property: Callable[[str, object], None]
) -> None:
    """Up to a gigabyte of it."""
    texts = (part for text in up_to(CORPUS_BYTES, corpus()) for part in text.split(SEPARATOR))

    compared = compare(pairs, in_batches(texts))

    record_property("bytes", compared)
    print(f"{compared:,} bytes in {len(pairs)} encodings")
    assert compared


def words(text: str) -> list[str]:
    """Return the words of *text*, each with and without a space before it."""
    return [word for one in text.split() for word in (one, f" {one}")]


ENGLISH = words(
    "the of and to in is that it was for on are with as his they at be this have from I"
)
OTHERS = words(
    "привет мир и в не на что Ещё ЖИЗНЬ γειά σου Κόσμε שלום עולם مرحبا بالعالم नमस्ते दुनिया "
    "こんにちは 世界 カタカナ 你好 天地玄黃 안녕하세요 สวัสดี ជំរាបសួរ Ünïcödé straße İstanbul ǆ ﬁ ﬃ"
)
CODE = words(
    "def return () : { } ; == != -> // /* # self. __init__ camelCase HTTPServer 0x1F 1e-9 3.14 %s"
)
CODE += ["\t\t", "    ", "():\n", "};\r\n", "\n\n    "]
LIKE_SPECIALS = ["<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|", "|>", "<s>", "[INST]"]
EMOJI = ["😀", "👋🏽", "👨\u200d👩\u200d👧", "🇩🇪", "❤️", "\ufe0f", "\u200d", "🏽", "1️⃣"]
PIECES = [*SPACES, *CONTRACTIONS, *WORDS, *NUMBERS, *MARKS, *UNASSIGNED, *LIKE_SPECIALS, *EMOJI]
PIECES += [*ENGLISH, *OTHERS, *CODE, *string.printable, *([" "] * 40), *(["\n"] * 10)]
"""Pieces of the generated strings."""

PIECES_A_STRING = 8
STRINGS_A_BATCH = 50_000


def generated(seed: int, count: int, tokens: list[str]) -> list[str]:
    """Return *count* strings, which depend on *seed* only.

    In addition to `PIECES` they contain some of *tokens*, characters from all of Unicode, and runs
    of one piece, chosen by the seed. Separators are shuffled among the pieces, so strings of all
    lengths occur, most often the empty one.
    """
    source = np.random.default_rng([SEED, seed])
    limits = np.repeat([0x100, 0x800, 0x3000, 0x10000, 0x110000], 40)
    # No surrogates, and no private-use characters (from U+E000 on), which are the separator's.
    points = [point for point in source.integers(0, limits) if not 0xD800 <= point < 0xF900]
    some_tokens = [tokens[i] for i in source.integers(0, len(tokens), 300)]
    pieces = [*PIECES, *some_tokens, *map(chr, points)]
    lengths = source.geometric(0.06, 100).tolist()
    pieces += [pieces[source.integers(len(pieces))] * length for length in lengths]
    drawn = source.integers(0, len(pieces), count * PIECES_A_STRING)
    separators = np.full(count - 1, len(pieces))
    shuffled = source.permutation(np.concatenate([drawn, separators]))
    return "".join(map([*pieces, SEPARATOR].__getitem__, shuffled.tolist())).split(SEPARATOR)


def test_generated_strings_have_tiktokens_ids(
    pairs: list[Pair], record_property: Callable[[str, object], None]
) -> None:
    """Many scripts, white space, contractions, digits, emoji, marks, text like special tokens."""
    starts = range(0, STRINGS, STRINGS_A_BATCH)
    tokens = [token.decode("utf-8", "ignore") for token in pairs[-1].theirs.token_byte_values()]
    batches = (generated(start, min(STRINGS_A_BATCH, STRINGS - start), tokens) for start in starts)

    compared = compare(pairs, batches)

    record_property("strings", STRINGS)
    record_property("bytes", compared)
    print(f"{STRINGS:,} strings of {compared:,} bytes in {len(pairs)} encodings")
    assert compared
