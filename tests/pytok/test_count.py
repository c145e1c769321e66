"""Counted pieces: exact in both engines, from any source and with any memory limit."""

import gzip
import json
import re
import resource
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.counting import Amount
from pytok.engine import EngineName
from pytok.errors import CorpusError, PatternError, TrainingError, VocabError
from pytok.patterns import PATTERNS
from pytok.reference.pretokenize import Pattern
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import texts, with_specials

SPECIALS = ["<|a|>", "<|a|>b", "x\ny"]


def by_definition(texts: list[str], pattern: str) -> dict[bytes, int]:
    """The counts by their definition."""
    pieces = (piece for text in texts for piece in Pattern(pattern).split(text))
    return {piece.encode(): count for piece, count in Counter(pieces).items()}


def counted(source: object, engine: EngineName, **options: object) -> dict[bytes, int]:
    """The counts of `count_pieces` for *source*."""
    return dict(pytok.count_pieces(source, engine=engine, **options).items())


@given(documents=st.lists(texts(), max_size=4), pattern=st.sampled_from(sorted(PATTERNS)))
def test_counts_are_those_of_the_definition(documents: list[str], pattern: str) -> None:
    """For every known pattern, in both engines."""
    expected = by_definition(documents, pattern)

    for engine in ENGINES:
        assert counted(documents, engine, pattern=pattern, special_tokens=()) == expected


@given(document=with_specials(SPECIALS))
def test_special_tokens_are_cut_out_before_splitting(document: str) -> None:
    """The leftmost and longest first, as `encode` finds them."""
    longest_first = sorted(SPECIALS, key=len, reverse=True)
    parts = re.split("|".join(map(re.escape, longest_first)), document)
    expected = by_definition(parts, "cl100k")

    for engine in ENGINES:
        assert counted([document], engine, special_tokens=SPECIALS) == expected


def test_a_special_token_is_cut_out_wherever_a_long_text_is_cut(
    engine: EngineName, tmp_path: Path
) -> None:
    """Even one that contains a position to cut, in a file, in JSON and in memory."""
    text = "x\ny" * 400_000 + "end"
    (tmp_path / "a.txt").write_text(text, newline="")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))

    for source in ([text], tmp_path / "a.txt", tmp_path / "a.jsonl"):
        assert counted(source, engine, special_tokens=SPECIALS) == {b"end": 1}


def test_an_empty_special_token_is_rejected(engine: EngineName) -> None:
    """An empty string would occur everywhere."""
    with pytest.raises(VocabError, match="a special token is the empty string"):
        counted(CORPUS, engine, special_tokens=[""])


def test_files_of_all_kinds_count_as_their_documents_do(engine: EngineName, tmp_path: Path) -> None:
    """Plain files are read by the engine, others by `pytok.corpus`."""
    (tmp_path / "a.txt").write_text(CORPUS[0], newline="")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(CORPUS[1].encode()))
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": CORPUS[2]}))
    (tmp_path / "d.txt").write_text("")
    (tmp_path / "e.txt").write_text(CORPUS[3], newline="")

    assert counted(tmp_path, engine) == counted(CORPUS[:4], engine)


@pytest.mark.parametrize("pattern", ["cl100k", r"\w+|\s"])
def test_a_long_file_without_a_newline_counts_as_its_text(
    engine: EngineName, tmp_path: Path, pattern: str
) -> None:
    """It is cut for the threads if the pattern is known, and not cut otherwise."""
    text = "one, two, 3,4;字。" * 60_000
    path = tmp_path / "a.txt"
    path.write_text(text)

    assert counted(path, engine, pattern=pattern) == by_definition([text], pattern)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\xff", r"byte 2 is not UTF-8 \(0xff\); convert the file, or pass errors='replace'"),
        (b"ab\xe5\xad", r"byte 2 is not UTF-8 \(0xe5\)"),
        (b"one two\n" * 100_000 + b"\xfe" + b"three\xff" * 100_000, r"byte 800000 is not UTF-8"),
        ("text".encode("utf-16"), r"starts like UTF-16: convert it with iconv"),
    ],
)
def test_a_file_that_is_not_utf8_is_rejected_with_the_offset(
    engine: EngineName, tmp_path: Path, data: bytes, message: str
) -> None:
    """The first offset, whichever thread fails first."""
    path = tmp_path / "bad.txt"
    path.write_bytes(data)

    with pytest.raises(CorpusError, match=f"bad.txt: .*{message}"):
        counted(path, engine)


def test_invalid_bytes_can_be_replaced(engine: EngineName, tmp_path: Path) -> None:
    """With the characters of `bytes.decode`."""
    path = tmp_path / "bad.txt"
    path.write_bytes(b"ab\xff")

    assert counted(path, engine, errors="replace") == {b"ab": 1, "\ufffd".encode(): 1}


def test_a_missing_file_is_named(engine: EngineName, tmp_path: Path) -> None:
    """A file can be removed after it was listed."""
    counts = pytok.PieceCounts(engine=engine)

    with pytest.raises(CorpusError, match=r"gone\.txt: cannot be read: No such file"):
        counts.counts.add_files([tmp_path / "gone.txt"], None)


def test_a_pattern_that_fails_names_its_first_failure(engine: EngineName) -> None:
    """Not that of the thread that fails first."""
    with pytest.raises(PatternError, match="the empty string at byte 2"):
        counted(["aab", "b" * 1_000_000, "b"], engine, pattern="a*")


def test_a_pattern_that_fails_names_the_file_and_the_offset(
    engine: EngineName, tmp_path: Path
) -> None:
    """In bytes of the file, special tokens included."""
    (tmp_path / "a.txt").write_text("aa")
    (tmp_path / "b.txt").write_text("é<|x|>éaab")

    with pytest.raises(PatternError, match=r"b\.txt: the pattern .* the empty string at byte 11:"):
        counted(tmp_path, engine, pattern="é|a*", special_tokens=["<|x|>"])


def test_counts_in_order_cannot_be_added_up(engine: EngineName) -> None:
    """Nor limited in memory."""
    counts = pytok.PieceCounts(engine=engine, in_order=True)

    with pytest.raises(TrainingError, match="counts with in_order cannot be added up"):
        counts.update(pytok.PieceCounts(engine=engine))
    with pytest.raises(TrainingError, match="remove max_memory"):
        pytok.PieceCounts(engine=engine, in_order=True, max_memory=1 << 30)


def test_an_iterator_of_texts_is_never_stored(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most two batches are alive: one is counted while the next one is read."""
    alive = most = 0

    class Text(str):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def stream() -> Iterator[str]:
        nonlocal alive, most
        for number in range(1000):
            alive += 1
            most = max(most, alive)
            yield Text(f"text {number}")

    monkeypatch.setattr("pytok.corpus.parts.BATCH_PARTS", 10)

    assert len(pytok.count_pieces(stream(), engine=engine)) > 10
    assert most <= 2 * 10 + 1


def test_progress_ends_with_all_bytes(engine: EngineName, tmp_path: Path) -> None:
    """Progress never decreases between files."""
    for name in ("a.txt", "b.jsonl", "c.txt"):
        (tmp_path / name).write_text('{"text": "some text"}\n' * 1000)
    seen: list[tuple[int, int]] = []

    pytok.count_pieces(
        tmp_path, engine=engine, progress=lambda done, total: seen.append((done, total))
    )

    assert seen == sorted(seen)
    assert seen[0] == (0, 66_000)
    assert seen[-1] == (66_000, 66_000)


def words(count: int) -> str:
    """*count* different words, short and long."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return "".join(f" {number}{'x' * (number % 20)}".translate(letters) for number in range(count))


def test_a_memory_limit_changes_no_count(tmp_path: Path) -> None:
    """Counts that went to disk many times are read and saved without changes."""
    text = words(20_000)
    spilled = pytok.count_pieces([text, text], max_memory=100_000)
    plain = pytok.count_pieces([text, text])

    assert dict(spilled.items()) == dict(plain.items())

    spilled.save(tmp_path / "spilled.parquet")
    plain.save(tmp_path / "plain.parquet")

    assert (tmp_path / "spilled.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


def test_pieces_beyond_the_memory_limit_are_rejected_unless_enough_are_pruned() -> None:
    """The message has both remedies."""
    text = words(20_000) + " often" * 100

    with pytest.raises(TrainingError, match=r"raise max_memory .*, or drop rare pieces: prune=2"):
        pytok.train([text], 300, max_memory=200_000)
    with pytest.warns(UserWarning, match=r"pruning dropped 20,000 pieces with 20,000 occurrences"):
        tokenizer = pytok.train([text], 262, max_memory=200_000, prune=2)

    assert b" often" in tokenizer.vocab


def test_a_full_disk_changes_no_count() -> None:
    """Pieces written before the error are not counted twice."""
    counts = pytok.PieceCounts(max_memory=1 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(
            TrainingError, match=r"cannot keep counts in temporary files: File too large.*TMPDIR"
        ):
            counts.add([words(100_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert {count for _, count in counts.items()} == {1}


@pytest.mark.parametrize("memory", [0, 1 << 63])
def test_a_memory_limit_out_of_range_is_rejected(memory: int) -> None:
    """It is not interpreted as no limit."""
    with pytest.raises(TrainingError, match=f"max_memory is {memory}: 1 to"):
        pytok.count_pieces(CORPUS, max_memory=memory)


@pytest.mark.parametrize("least", [-1, 1 << 63])
def test_pruning_out_of_range_is_rejected(engine: EngineName, tmp_path: Path, least: int) -> None:
    """In every function that prunes, and in training before anything is counted."""
    counts = pytok.PieceCounts(engine=engine)

    with pytest.raises(TrainingError, match=f"prune is {least}: pass 0 to"):
        counts.prune(least)
    with pytest.raises(TrainingError, match=f"prune is {least}: pass 0 to"):
        counts.save(tmp_path / "counts.parquet", prune=least)
    with pytest.raises(TrainingError, match=f"prune is {least}: pass 0 to"):
        pytok.train((pytest.fail(text) for text in CORPUS), 300, prune=least, engine=engine)


def test_counts_that_are_in_use_are_rejected(tmp_path: Path) -> None:
    """A progress callback that waited for its own counts would wait forever."""
    path = tmp_path / "long.txt"
    path.write_text("ab " * 2_000_000)
    counts = pytok.PieceCounts(r"(?:(?=a)ab)+|\s+")

    with pytest.raises(TrainingError, match="these counts are in use"):
        counts.add(path, progress=lambda done, total: len(counts))


def test_the_reference_rejects_a_memory_limit() -> None:
    """It cannot keep one."""
    with pytest.raises(TrainingError, match="the reference engine has no max_memory"):
        pytok.count_pieces(CORPUS, max_memory=1 << 30, engine="reference")


def test_pruning_drops_rare_pieces_and_returns_how_many(engine: EngineName) -> None:
    """The number of distinct pieces, and of their occurrences."""
    counts = pytok.count_pieces(["a a a b c c"], engine=engine)

    assert counts.prune(2) == Amount(pieces=2, occurrences=2)
    assert dict(counts.items()) == {b" a": 2, b" c": 2}
    assert len(counts) == 2


def test_training_warns_of_what_it_pruned(engine: EngineName) -> None:
    """Pruning changes the result."""
    with pytest.warns(UserWarning, match="dropped 2 pieces with 2 occurrences"):
        pytok.train(["ab ab ab cd"], 258, prune=2, engine=engine)


@given(documents=st.lists(texts(), min_size=2, max_size=6), size=st.integers(256, 290))
def test_parts_that_were_counted_separately_train_as_the_whole(
    documents: list[str], size: int
) -> None:
    """Half in one engine, half in the other, for training in either."""
    first, second = documents[::2], documents[1::2]
    for engine, other in (ENGINES, ENGINES[::-1]):
        counts = pytok.count_pieces(first, engine=engine, special_tokens=())
        counts.update(pytok.count_pieces(second, engine=other, special_tokens=()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from_parts = pytok.train(counts, size, engine=other)
            whole = pytok.train(documents, size, special_tokens=())
        assert from_parts.fingerprint == whole.fingerprint


def test_counts_of_text_that_was_split_differently_are_rejected(engine: EngineName) -> None:
    """By another pattern, or at other special tokens; training rejects them, too."""
    counts = pytok.count_pieces(CORPUS, engine=engine)

    with pytest.raises(TrainingError, match="was split by the pattern gpt2, not cl100k"):
        counts.update(pytok.count_pieces([], pattern="gpt2", engine=engine))
    with pytest.raises(TrainingError, match=r"at the special tokens \[\], not \['<\|endof"):
        counts.update(pytok.count_pieces([], special_tokens=(), engine=engine))
    with pytest.raises(TrainingError, match="was split by the pattern cl100k, not gpt2"):
        pytok.train(counts, 300, pattern="gpt2", engine=engine)


def test_a_count_beyond_63_bits_is_rejected(engine: EngineName) -> None:
    """Sums have at most 63 bits."""
    counts = pytok.PieceCounts(engine=engine)
    counts.counts.add_counted([b"a"], [2**63 - 1])

    with pytest.raises(TrainingError, match="exceeds 2\\^63 - 1"):
        counts.counts.add_counted([b"a"], [1])


def test_an_exception_in_progress_ends_the_count_of_a_file(
    engine: EngineName, tmp_path: Path
) -> None:
    """Ctrl-C has the same effect, in the middle of a file."""
    path = tmp_path / "long.txt"
    path.write_text("ab " * (2_000_000 if engine == "native" else 10))
    counts = pytok.PieceCounts(r"(?:(?=a)ab)+|\s+", engine=engine)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        counts.counts.add_files([path], stop)
