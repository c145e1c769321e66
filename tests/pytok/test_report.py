"""The figures of a report, compared with smaller vocabularies, tiktoken and naive versions."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import regex
import tiktoken
from fontTools.unicodedata import script, script_name
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok import report
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import CorpusError
from pytok.report import scripts
from pytok.report.scripts import NO_SCRIPT, ScriptTally
from tests.conftest import CORPUS
from tests.pytok.strategies import corpora, texts

BYTES = [bytes([byte]) for byte in BYTE_ORDER]

LANGUAGES = [
    "The quick brown fox isn't lazy; 3.14 and 1,000 are numbers.",
    "Привет, мир! Съешь ещё этих мягких французских булок.",
    "こんにちは、世界。カタカナも。",
    "ไม่มีช่องว่าง",
    "नमस्ते दुनिया",
    "한국어 문장입니다.",
]


def written(folder: Path, documents: Sequence[str]) -> Path:
    """Write *documents* to a file, one per line."""
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    return path


def tokenizer_of(*merged: bytes, engine: EngineName = "native") -> pytok.Tokenizer:
    """Build a tokenizer of the bytes and the *merged* tokens, whose pieces are lines."""
    ranks = {token: rank for rank, token in enumerate([*BYTES, *merged])}
    return pytok.Tokenizer(
        "t", pat_str=r"[^\n]+|\n", mergeable_ranks=ranks, special_tokens={}, engine=engine
    )


def usage_of(tokenizer: pytok.Tokenizer, source: Path) -> report.Usage:
    """Measure *tokenizer* on *source*."""
    usage = report.measure(tokenizer, source).usage
    assert usage is not None
    return usage


def test_tokens_by_size_equal_those_of_smaller_trained_vocabularies(
    engine: EngineName, tmp_path: Path
) -> None:
    """They are computed from one encoding of the corpus."""
    usage = usage_of(pytok.train(CORPUS, 600, engine=engine), written(tmp_path, CORPUS))

    for size in (256, 257, 300, 443, 598, 599):
        smaller = pytok.train(CORPUS, size, special_tokens=(), engine=engine)
        assert usage.tokens_at(size) == sum(smaller.count_batch(CORPUS)), size


@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
@given(documents=corpora())
def test_tokens_by_size_are_exact_at_every_size(
    documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    documents = [*documents, "aab bc aabbcé"]
    tokens = list(pytok.train(documents, 280, special_tokens=(), pattern="gpt2").vocab)
    tokenizer = tokenizer_of(*tokens[256:])
    usage = usage_of(tokenizer, written(tmp_path_factory.mktemp("corpus"), documents))

    assert usage.tokens_by_size is not None
    assert usage.tokens_by_size.tolist() == [
        sum(tokenizer_of(*tokens[256:size]).count_batch(documents))
        for size in range(256, len(tokens) + 1)
    ]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=20),
    text=st.text("abcd", min_size=1, max_size=60),
)
def test_tokens_by_size_are_exact_for_any_vocabulary_that_has_them(
    pairs: list[tuple[int, int]], text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A vocabulary with unmerged tokens has none."""
    tokens = [b"a", b"b", b"c", b"d"]
    for left, right in pairs:
        token = tokens[left % len(tokens)] + tokens[right % len(tokens)]
        if token not in tokens:
            tokens.append(token)
    merged = tokens[4:]
    figures = report.measure(
        tokenizer_of(*merged), written(tmp_path_factory.mktemp("corpus"), [text])
    )

    assert figures.usage is not None
    assert (figures.usage.tokens_by_size is None) == bool(figures.unmerged)
    if figures.usage.tokens_by_size is not None:
        assert figures.usage.tokens_by_size.tolist() == [
            tokenizer_of(*merged[:count]).count(text) for count in range(len(merged) + 1)
        ]


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base"])
def test_tokens_by_size_equal_tiktokens_with_fewer_ranks(
    name: str, rank_files: Path, tmp_path: Path
) -> None:
    tokenizer = pytok.get_encoding(name)
    usage = usage_of(tokenizer, written(tmp_path, CORPUS))

    for size in (300, 5_000, 50_000):
        theirs = tiktoken.Encoding(
            "fewer",
            pat_str=tokenizer.pattern,
            mergeable_ranks=dict(list(tokenizer.vocab.items())[:size]),
            special_tokens={},
        )
        assert usage.tokens_at(size) == sum(map(len, theirs.encode_ordinary_batch(CORPUS)))


def test_uses_are_the_counts_of_tiktokens_ids(
    twins: dict[EngineName, pytok.Tokenizer],
    theirs: tiktoken.Encoding,
    engine: EngineName,
    tmp_path: Path,
) -> None:
    usage = usage_of(twins[engine], written(tmp_path, CORPUS))
    ids = np.concatenate([theirs.encode_ordinary(text) for text in CORPUS])

    assert usage.uses.tolist() == np.bincount(ids, minlength=599).tolist()
    assert usage.tokens == len(ids)
    assert usage.bytes == sum(len(text.encode()) for text in CORPUS)
    assert usage.bytes_per_token == usage.bytes / len(ids)
    assert usage.unused == 599 - len(set(ids.tolist()))
    assert usage.documents == len(CORPUS)


def test_tokens_that_occur_only_in_longer_ones_are_counted(tmp_path: Path) -> None:
    """``he`` occurs only in ``the``; ``xy`` and 252 bytes occur in no form."""
    usage = usage_of(tokenizer_of(b"he", b"the", b"xy"), written(tmp_path, ["thethethe", "e"]))

    assert usage.uses.nonzero()[0].tolist() == [BYTES.index(b"e"), 257]
    assert usage.unused == 259 - 2
    assert usage.only_in_longer == 3  # t, h, he


def test_ids_can_be_in_any_order(tmp_path: Path) -> None:
    """They can have gaps."""
    path = written(tmp_path, ["hello hello yellow"])
    plain = tokenizer_of(b"el", b"ell", b"lo")
    tokens = list(plain.vocab)
    scattered = pytok.Tokenizer.from_definition(
        type(plain._definition)("t", tokens, range(7000, 7000 - 259 * 7, -7), plain.pattern)
    )

    assert usage_of(scattered, path).uses.tolist() == usage_of(plain, path).uses.tolist()


def test_an_unmerged_token_leaves_no_smaller_vocabularies(tmp_path: Path) -> None:
    """``hel`` is found as a complete piece only: no two tokens merge to it."""
    figures = report.measure(tokenizer_of(b"hel"), written(tmp_path, ["hel hello"]))

    assert figures.unmerged == (b"hel",)
    assert figures.usage is not None
    assert figures.usage.tokens_by_size is None
    assert figures.usage.only_in_longer is None
    assert figures.as_dict()["corpus"]["tokens_by_size"] is None
    with pytest.raises(ValueError, match="not prefixes of this one"):
        figures.usage.tokens_at(256)


@pytest.mark.parametrize("size", [0, 255, 258])
def test_a_size_out_of_range_is_an_error(size: int, tmp_path: Path) -> None:
    """The message has the valid sizes."""
    usage = usage_of(tokenizer_of(b"he"), written(tmp_path, ["he"]))

    with pytest.raises(ValueError, match=f"size is {size}: pass 256 to 257"):
        usage.tokens_at(size)


def test_lengths_are_counted_in_the_vocabulary_and_in_use(tmp_path: Path) -> None:
    """Lengths are in bytes: é has two."""
    figures = report.measure(tokenizer_of(b"he", "é".encode()), written(tmp_path, ["heé e é"]))

    assert figures.tokens_by_length == (0, 256, 2)
    assert figures.uses_by_length == (0, 3, 3)


def test_without_a_corpus_only_the_vocabulary_is_measured(trained: pytok.Tokenizer) -> None:
    figures = report.measure(trained)

    assert figures.usage is None
    assert sum(figures.tokens_by_length) == len(trained.vocab)
    assert figures.uses_by_length == ()
    assert json.loads(json.dumps(figures.as_dict()))["corpus"] is None


def test_an_empty_corpus_has_no_tokens(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """It causes no division by zero."""
    path = tmp_path / "empty.txt"
    path.touch()
    usage = usage_of(trained, path)

    assert (usage.tokens, usage.bytes, usage.documents) == (0, 0, 0)
    assert (usage.bytes_per_token, usage.scripts, usage.excerpts) == (0.0, (), ())
    assert usage.tokens_at(300) == 0


def test_figures_are_the_same_on_both_engines(
    twins: dict[EngineName, pytok.Tokenizer], tmp_path: Path
) -> None:
    path = written(tmp_path, [*CORPUS, *LANGUAGES])
    native, reference = (report.measure(twins[name], path) for name in ("native", "reference"))

    assert native.as_dict() == reference.as_dict()


def test_figures_survive_json(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    figures = report.measure(trained, written(tmp_path, CORPUS))
    loaded = json.loads(json.dumps(figures.as_dict()))["corpus"]

    assert figures.usage is not None
    assert loaded["tokens"] == figures.usage.tokens
    assert loaded["tokens_by_size"] == {
        str(size): figures.usage.tokens_at(size) for size in (256, 512, 599)
    }
    assert sum(row["bytes"] for row in loaded["scripts"]) == loaded["bytes"]


def test_progress_ends_with_the_total(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """It is in bytes on disk, and never decreases."""
    path = written(tmp_path, CORPUS)
    calls: list[tuple[int, int]] = []

    report.measure(trained, path, progress=lambda *call: calls.append(call))

    assert calls[-1] == (path.stat().st_size, path.stat().st_size)
    assert calls == sorted(calls)


def test_an_unreadable_corpus_is_an_error(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """The message has the file and the byte."""
    path = tmp_path / "bad.txt"
    path.write_bytes(b"good \xff")

    with pytest.raises(CorpusError, match=r"bad\.txt: byte 5 is not UTF-8"):
        report.measure(trained, path)


def test_excerpts_are_spaced_over_the_corpus(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """They are complete lines from its start to near its end, each once."""
    lines = [f"line {number:04} of many, each of which is there once" for number in range(5000)]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines))
    excerpts = usage_of(trained, path).excerpts

    numbers = [int(line.split()[1]) for text in excerpts for line in text.split("\n")]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert max(after - before for before, after in pairwise(numbers)) <= 5000 / 8 + 1
    assert numbers[-1] >= 5000 * 7 / 8
    assert all(text.split("\n")[0] in lines for text in excerpts)


def test_short_documents_are_one_excerpt_each(trained: pytok.Tokenizer, tmp_path: Path) -> None:
    """They were read from disk at once."""
    usage = usage_of(trained, written(tmp_path, LANGUAGES))

    assert usage.excerpts == tuple(LANGUAGES)


# Scripts.


def rows_of(tokenizer: pytok.Tokenizer, documents: Sequence[str]) -> dict[str, report.ScriptUse]:
    """Return the rows of `ScriptTally` for *documents*, by script."""
    lengths = np.zeros(tokenizer.n_vocab, dtype=np.int64)
    for token, id in tokenizer.vocab.items():
        lengths[id] = len(token)
    tally = ScriptTally()
    for text in documents:
        ids = np.array(tokenizer.encode_ordinary(text), dtype=np.int64)
        tally.add(text, lengths[ids], ends_document=True)
    return {row.script: row for row in tally.rows()}


def naive_rows(tokenizer: pytok.Tokenizer, documents: Sequence[str]) -> dict[str, list[float]]:
    """Add up characters, bytes and tokens by script, byte by byte."""
    sums: dict[str, list[float]] = {}
    for text in documents:
        parts = tokenizer.decode_tokens_bytes(tokenizer.encode_ordinary(text))
        fractions = [1 / len(part) for part in parts for _ in part]
        name, offset = NO_SCRIPT, 0
        for character in text:
            code = script(character)
            if code not in ("Zyyy", "Zinh", "Zzzz"):
                name = script_name(code)
            row = sums.setdefault(name, [0, 0, 0])
            size = len(character.encode())
            row[0] += 1
            row[1] += size
            row[2] += sum(fractions[offset : offset + size])
            offset += size
    return sums


@given(
    documents=st.lists(st.one_of(texts(), st.sampled_from(LANGUAGES)), max_size=5),
    batch_size=st.integers(1, 100),
)
def test_scripts_equal_the_naive_sums(
    documents: list[str], batch_size: int, trained: pytok.Tokenizer
) -> None:
    with mock.patch.object(scripts, "FLUSH_CHARACTERS", batch_size):
        rows, plain = rows_of(trained, documents), naive_rows(trained, documents)

    assert rows.keys() == plain.keys()
    for name, row in rows.items():
        assert [row.characters, row.bytes, row.tokens] == pytest.approx(plain[name]), name


def test_a_token_of_two_scripts_is_divided_by_its_bytes() -> None:
    """One byte is Latin, two bytes are Cyrillic."""
    rows = rows_of(tokenizer_of("я".encode(), "aя".encode()), ["aяaя"])

    assert rows["Latin"].tokens == pytest.approx(2 / 3)
    assert rows["Cyrillic"].tokens == pytest.approx(4 / 3)
    assert rows["Cyrillic"].bytes_per_token == pytest.approx(3)
    assert rows["Cyrillic"].tokens_per_character == pytest.approx(2 / 3)


def test_punctuation_counts_with_the_script_before_it() -> None:
    """At the start of a document there is no script."""
    rows = rows_of(tokenizer_of(), ["1. да, нет!", "2. yes?"])

    assert {name: row.characters for name, row in rows.items()} == {
        NO_SCRIPT: 6,
        "Cyrillic": 8,
        "Latin": 4,
    }


def test_the_script_continues_from_part_to_part() -> None:
    """The parts of a document can be in several batches."""
    tally = ScriptTally()
    text = "да" + "." * (1 << 20)
    for part in (text, "!!"):
        tally.add(part, np.ones(len(part.encode()), dtype=np.int64), ends_document=False)

    assert [(row.script, row.characters) for row in tally.rows()] == [("Cyrillic", len(text) + 2)]


@pytest.mark.parametrize(
    "text",
    [
        *LANGUAGES[:2],
        LANGUAGES[5],
        "Don't say foo.bar_baz, it's 1,000.5 o'clock: 'quoted' a-b",
        "шесть   пять\n\nl'été e\u0301te\u0301 שלום",
        "end. Begin ... a.. .b 7'7",
    ],
)
def test_words_equal_those_of_the_regex_library(text: str) -> None:
    """The library implements all rules of Annex 29."""
    segments = regex.split(r"(?wV1)\b", text)
    words = sum(bool(regex.match(r"[\p{L}\p{N}_]", segment)) for segment in segments)

    assert sum(row.words or 0 for row in rows_of(tokenizer_of(), [text]).values()) == words


def test_scripts_without_spaces_have_no_words() -> None:
    """They have no fertility."""
    rows = rows_of(tokenizer_of(), LANGUAGES)

    assert {name for name, row in rows.items() if row.tokens_per_word is None} == {
        *("Han", "Hiragana", "Katakana", "Thai"),
    }
    assert rows["Hangul"].tokens_per_word == rows["Hangul"].tokens / 2
