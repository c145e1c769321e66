"""Text files go to shards as bytes, without strings: nothing shows of that but time and memory.

The witness is `.jsonl`, whose documents are strings on their way.
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
    """Every file of the shards of *paths*, or why there are none."""
    try:
        write(paths, tokenizer, folder, overwrite=True, **options)  # type: ignore[arg-type]
    except ShardError as error:
        return str(error)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(
    documents=st.lists(st.lists(texts(), max_size=8).map("\n".join), min_size=1, max_size=4),
    as_lines=st.integers(0, 3),
    split=st.sampled_from(["share", "documents"]),
    val=st.sampled_from([0, 0.1, 0.5, 0.77]),
)
def test_a_text_file_has_the_shards_of_its_string(
    documents: list[str],
    as_lines: int,
    split: str,
    val: float,
    twins: Twins,
    tmp_path: Path,
    small_parts: None,
) -> None:
    """Byte for byte, from several files, one of which may be jsonl in both cases."""
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
def test_a_text_file_is_taken_as_it_stands(
    text: str, engine: EngineName, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """Nothing is translated, dropped or added, cut by a share or not."""
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    tokenizer = twins[engine]

    expected = shards_of(tokenizer, [tmp_path / "a.jsonl"], tmp_path / "lines")
    assert shards_of(tokenizer, [tmp_path / "a.txt"], tmp_path / "text") == expected


@pytest.mark.parametrize("options", [{"separator": "|"}, {"errors": "replace"}])
def test_a_text_that_is_not_as_long_as_its_file_is_measured(
    options: dict[str, str], engine: EngineName, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """Else the share would end elsewhere."""
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
def test_what_is_not_utf8_is_refused_as_the_corpus_refuses_it(
    content: bytes, twins: Twins, tmp_path: Path, small_parts: None
) -> None:
    """With the file, the byte and what to do, wherever parts and the share end."""
    fine, path = tmp_path / "0.txt", tmp_path / "1.txt"
    fine.write_bytes(b"fine\n" * 9)
    path.write_bytes(content + b"\x80" * 4)  # no character has so many bytes after its first
    with pytest.raises(CorpusError) as expected:
        list(corpus.read_parts([fine, path]))

    for tokenizer in twins.values():
        with pytest.raises(CorpusError) as error:
            write([fine, path], tokenizer, tmp_path / "data", val=0.4)
        assert str(error.value) == str(expected.value)


def test_memory_does_not_grow_with_the_file(
    trained: pytok.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch and its ids, of a file that is many times larger."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("pytok.corpus.parts.PART_CHARACTERS", 1 << 14)
    monkeypatch.setattr("pytok.corpus.parts.BATCH_CHARACTERS", 1 << 16)
    (tmp_path / "a.txt").write_text("All the world's a stage\n" * 200_000)
    tracemalloc.start()

    write(tmp_path / "a.txt", trained, tmp_path / "data")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < (tmp_path / "a.txt").stat().st_size / 4
