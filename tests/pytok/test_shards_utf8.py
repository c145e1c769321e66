"""Text files are sharded as bytes, without strings: only time and memory differ.

The expected result is that of `.jsonl`, whose documents are read as strings.
"""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pytok
from pytok import blocks, corpus
from pytok.engine import EngineName
from pytok.errors import CorpusError, ShardError
from pytok.shards import write
from tests.pytok.strategies import texts

Twins = dict[EngineName, pytok.Tokenizer]


def shards_of(
    tokenizer: pytok.Tokenizer, paths: list[Path], folder: Path, **options: object
) -> object:
    """Shard *paths*; return the bytes of every file, or the message of the error."""
    try:
        write(paths, tokenizer, folder, overwrite=True, **options)  # type: ignore[arg-type]
    except ShardError as error:
        return str(error)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(
    documents=st.lists(st.lists(texts(), max_size=8).map("\n".join), min_size=1, max_size=4),
    as_lines=st.integers(0, 3),
    split=st.sampled_from(["tail", "documents"]),
    val=st.sampled_from([0, 0.1, 0.5, 0.77]),
)
def test_a_text_file_has_the_same_shards_as_its_string(
    documents: list[str],
    as_lines: int,
    split: str,
    val: float,
    twins: Twins,
    tmp_path: Path,
    small_parts: None,
) -> None:
    """One of the files can be .jsonl in both cases."""
    lines, mixed = [], []
    for number, document in enumerate(documents):
        lines.append(tmp_path / f"{number}.jsonl")
        lines[-1].write_text(json.dumps({"text": document}))
        mixed.append(lines[-1] if number == as_lines else tmp_path / f"{number}.txt")
        if number != as_lines:
            mixed[-1].write_bytes(document.encode())

    for tokenizer in twins.values():
        expected = shards_of(tokenizer, lines, tmp_path / "lines", split=split, val=val)
        assert shards_of(tokenizer, mixed, tmp_path / "mixed", split=split, val=val) == expected


@pytest.mark.parametrize(
    "text",
    ["", "\ufeffafter a mark\n" * 9, "line\r\nline\r\r\nline\n\r" * 9, "no newline é漢😀" * 9],
    ids=["empty", "byte order mark", "carriage returns", "no newline"],
)
def test_a_text_file_is_not_translated(
    text: str, engine: EngineName, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """Nothing is changed, dropped or added, even where it is cut into splits."""
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    tokenizer = twins[engine]

    expected = shards_of(tokenizer, [tmp_path / "a.jsonl"], tmp_path / "lines")
    assert shards_of(tokenizer, [tmp_path / "a.txt"], tmp_path / "text") == expected


@pytest.mark.parametrize("options", [{"separator": "|"}, {"errors": "replace"}])
def test_a_text_with_another_size_than_its_file_is_measured(
    options: dict[str, str], engine: EngineName, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """The tail would otherwise start at another byte."""
    content = b"one\n|two\n" * 9 + b"\xff" * 9 * ("errors" in options)
    text = content.decode("utf-8", "replace")
    documents = text.split(options["separator"]) if "separator" in options else [text]
    (tmp_path / "a.txt").write_bytes(content)
    lines = "\n".join(json.dumps({"text": document}) for document in documents)
    (tmp_path / "a.jsonl").write_text(lines)
    tokenizer = twins[engine]

    expected = shards_of(tokenizer, [tmp_path / "a.jsonl"], tmp_path / "lines", val=0.3)
    found = shards_of(tokenizer, [tmp_path / "a.txt"], tmp_path / "text", val=0.3, **options)
    assert found == expected


@example(content="text".encode("utf-16"))
@example(content=b"\x80" * 60)
@given(content=st.binary(max_size=60) | texts().map(lambda text: text.encode()[1:-1]))
def test_invalid_utf8_raises_the_error_of_reading_the_corpus(
    content: bytes, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """It is independent of the ends of parts and splits."""
    valid, path = tmp_path / "0.txt", tmp_path / "1.txt"
    valid.write_bytes(b"valid\n" * 9)
    path.write_bytes(content + b"\x80" * 4)  # no character has so many bytes after its first
    with pytest.raises(CorpusError) as expected:
        list(corpus.read_parts([valid, path]))

    for tokenizer in twins.values():
        with pytest.raises(CorpusError) as error:
            write([valid, path], tokenizer, tmp_path / "data", val=0.4)
        assert str(error.value) == str(expected.value)


def test_memory_does_not_grow_with_the_file(
    trained: pytok.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a batch and its ids; the file is many times larger."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("pytok.corpus.parts.PART_CHARACTERS", 1 << 14)
    monkeypatch.setattr("pytok.corpus.parts.BATCH_CHARACTERS", 1 << 16)
    (tmp_path / "a.txt").write_text("All the world's a stage\n" * 200_000)
    tracemalloc.start()

    write(tmp_path / "a.txt", trained, tmp_path / "data")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < (tmp_path / "a.txt").stat().st_size / 4
