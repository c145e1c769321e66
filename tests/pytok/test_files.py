"""Files are encoded and counted as their text; errors have the name of the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.engine import EngineName
from pytok.errors import CorpusError
from tests.pytok.strategies import texts

Twins = dict[EngineName, pytok.Tokenizer]

METHODS = ["encode_files", "count_files"]


def written(folder: Path, contents: list[bytes]) -> list[Path]:
    """Write each of *contents* to a file in *folder*."""
    paths = [folder / f"{number}.txt" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


@given(contents=st.lists(texts(), max_size=4), threads=st.sampled_from([None, 1, 2, 7]))
def test_files_have_the_ids_of_their_texts(
    contents: list[str],
    threads: int | None,
    twins: Twins,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """And the offsets of a batch of the texts."""
    paths = written(tmp_path_factory.mktemp("files"), [text.encode() for text in contents])

    for tokenizer in twins.values():
        ids, offsets = tokenizer.encode_files(paths, num_threads=threads)
        expected, their_offsets = tokenizer.encode_batch_to_numpy(contents)
        assert (ids.tolist(), offsets.tolist()) == (expected.tolist(), their_offsets.tolist())
        assert (ids.dtype, offsets.dtype) == (np.dtype(np.uint32), np.dtype(np.int64))


@given(contents=st.lists(texts(), max_size=4), threads=st.sampled_from([None, 1, 2, 7]))
def test_files_are_counted_as_they_are_encoded(
    contents: list[str],
    threads: int | None,
    twins: Twins,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One number for each file."""
    paths = written(tmp_path_factory.mktemp("files"), [text.encode() for text in contents])

    for tokenizer in twins.values():
        _, offsets = tokenizer.encode_files(paths)
        assert tokenizer.count_files(paths, num_threads=threads) == np.diff(offsets).tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"line\r\nline\r\r\nline\n\r",
        b"\xef\xbb\xbfafter a byte order mark",
        b"\x00 and \x1a are characters",
        "no newline at the end: é".encode(),
    ],
    ids=["empty", "carriage returns", "byte order mark", "control characters", "open end"],
)
def test_a_file_is_encoded_unchanged(
    content: bytes, engine: EngineName, twins: Twins, tmp_path: Path
) -> None:
    """No byte is translated, dropped or added: its ids decode to its bytes."""
    paths = written(tmp_path, [content])

    ids, offsets = twins[engine].encode_files(paths)

    assert ids.tolist() == twins[engine].encode_ordinary(content.decode())
    assert twins[engine].decode_bytes(ids) == content
    assert offsets.tolist() == [0, len(ids)]


def test_special_tokens_in_a_file_are_text(
    engine: EngineName, twins: Twins, tmp_path: Path
) -> None:
    """The author of a file need not be trusted."""
    text = "before<|endoftext|>after"

    ids, _ = twins[engine].encode_files(written(tmp_path, [text.encode()]))

    assert ids.tolist() == twins[engine].encode_ordinary(text)


def test_files_can_be_strings_or_paths_repeated_or_from_an_iterator(
    engine: EngineName, twins: Twins, tmp_path: Path
) -> None:
    """In their order, also with an unusual name."""
    path = tmp_path / "größe 漢 .txt"
    path.write_bytes(b"text")
    tokenizer = twins[engine]
    names: list[str | Path] = [path, str(path)]

    ids, offsets = tokenizer.encode_files(iter(names))

    one = tokenizer.encode_ordinary("text")
    assert (ids.tolist(), offsets.tolist()) == (one * 2, [0, len(one), 2 * len(one)])
    assert tokenizer.count_files(iter(names)) == [len(one)] * 2


def test_no_files_have_no_ids(engine: EngineName, twins: Twins) -> None:
    """And one offset, as an empty batch."""
    ids, offsets = twins[engine].encode_files([])

    assert (ids.tolist(), offsets.tolist()) == ([], [0])
    assert (ids.dtype, offsets.dtype) == (np.dtype(np.uint32), np.dtype(np.int64))
    assert twins[engine].count_files([]) == []


NOT_UTF8 = {
    "a stray byte": (b"fine \xff", 5, 0xFF),
    "Latin-1": ("Straße".encode("latin-1"), 4, 0xDF),
    "half a character at the end": (b"abc\xe6\xbc", 3, 0xE6),
    "a surrogate": (b"a\xed\xa0\x80", 1, 0xED),
    "an overlong slash": (b"\xc0\xaf", 0, 0xC0),
    "beyond Unicode": (b"12\xf4\x90\x80\x80", 2, 0xF4),
    "UTF-16": ("text".encode("utf-16"), 0, 0xFF),
    "far into the file": (b"0123456789abcde\n" * 65_536 + b"\x80", 1_048_576, 0x80),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("content", "at", "byte"), NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_file_that_is_not_utf8_is_rejected_with_the_position(
    content: bytes,
    at: int,
    byte: int,
    method: str,
    engine: EngineName,
    twins: Twins,
    tmp_path: Path,
) -> None:
    """The error has the name of the second of three files."""
    paths = written(tmp_path, [b"fine", content, b"fine"])

    with pytest.raises(CorpusError) as error:
        getattr(twins[engine], method)(paths)

    assert str(error.value) == (
        f"{paths[1]}: byte {at} is not UTF-8 (0x{byte:02x}); convert the file"
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_file_is_an_os_error(
    method: str, engine: EngineName, twins: Twins, tmp_path: Path
) -> None:
    """Python's own, even if the other files exist."""
    paths = [*written(tmp_path, [b"fine"]), tmp_path / "no such file"]

    with pytest.raises(FileNotFoundError, match="No such file"):
        getattr(twins[engine], method)(paths)


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_is_an_os_error(
    method: str, engine: EngineName, twins: Twins, tmp_path: Path
) -> None:
    """It is not an empty text."""
    with pytest.raises(OSError, match=r"[Dd]irectory|device|Permission"):
        getattr(twins[engine], method)([tmp_path])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [0, -3, 1025])
def test_an_invalid_number_of_threads_is_rejected(
    method: str, threads: int, engine: EngineName, twins: Twins
) -> None:
    """Before any file is opened."""
    with pytest.raises(ValueError, match=f"^num_threads is {threads}: pass 1 to 1024$"):
        getattr(twins[engine], method)(["no such file"], num_threads=threads)
