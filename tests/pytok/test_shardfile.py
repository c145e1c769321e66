"""Shards are read as one array; damaged ones raise errors with the file and the field."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytok.errors import ShardError
from pytok.shardfile import SplitWriter
from pytok.shards import open_shards, read_shard

IDS = [7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 9]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write twelve tokens of two documents in three files."""
    writer = SplitWriter(tmp_path, "train", "uint16", shard_tokens=5)
    for ids in (IDS[:7], IDS[7:]):
        writer.append(ids)
        writer.end_document()
    record = {"version": 1, "fingerprint": "f00", "vocab_size": 10, "eot": 7, "dtype": "uint16"}
    record["splits"] = {"train": {"bytes": 30, **writer.close()}}
    (tmp_path / "shards.json").write_text(json.dumps(record))
    return tmp_path


def test_an_intact_folder_opens(folder: Path) -> None:
    """The tests below damage a valid folder."""
    train = open_shards(folder).splits["train"]

    assert train.read(0, 12).tolist() == IDS
    assert train.document_ends.tolist() == [7, 12]
    assert (train.tokens, train.documents, train.bytes) == (12, 2, 30)


@pytest.mark.parametrize("start", range(13))
@pytest.mark.parametrize("length", range(13))
def test_a_window_can_cross_files(start: int, length: int, folder: Path) -> None:
    """The files are indexed as one array."""
    stop = min(start + length, 12)

    window = open_shards(folder).splits["train"].read(start, stop)

    assert window.tolist() == IDS[start:stop]
    assert window.dtype == np.uint16


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 2), (0, 13), (13, 13)])
def test_a_window_out_of_range_is_an_error(start: int, stop: int, folder: Path) -> None:
    """It is not clipped silently, as a slice would be."""
    with pytest.raises(ShardError, match="are not within"):
        open_shards(folder).splits["train"].read(start, stop)


@pytest.mark.parametrize("name", ["train_000001.bin", "train_documents.npy"])
def test_a_file_that_shrinks_while_it_is_in_use_is_an_error(name: str, folder: Path) -> None:
    """It was mapped, and killed the process."""
    train = open_shards(folder).splits["train"]
    os.truncate(folder / name, (folder / name).stat().st_size - 1)

    with pytest.raises(ShardError, match=f"{re.escape(name)}: the file was changed while it was"):
        train.read(0, 12), train.document_ends


def test_a_file_that_is_written_to_while_it_is_in_use_is_an_error(folder: Path) -> None:
    """Its ids are no longer those that were checked."""
    train = open_shards(folder).splits["train"]
    path = folder / "train_000001.bin"
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(1, 1))  # the clock of files is coarse

    assert train.read(0, 5).tolist() == IDS[:5]
    with pytest.raises(ShardError, match="was changed while it was in use"):
        train.read(0, 6)


def test_a_file_that_is_replaced_is_read_on_as_it_was(folder: Path) -> None:
    """Writing the shards again makes new files."""
    train = open_shards(folder).splits["train"]
    (folder / "new").write_bytes(b"")
    (folder / "new").replace(folder / "train_000001.bin")

    assert train.read(0, 12).tolist() == IDS


def header(*numbers: int) -> bytes:
    return np.array([*numbers, *[0] * (256 - len(numbers))], dtype="<i4").tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are not a shard"),
        (header(20240520, 1, 5)[:-1], "1,023 bytes are not a shard"),
        (header(1, 1, 5) + bytes(10), "magic and version are 1, 1, not 20240520, 1 or 20240801, 7"),
        (header(20240520, 7, 5) + bytes(10), "magic and version are 20240520, 7"),
        (header(20240520, 1, 5) + bytes(9), "takes? 1,034 bytes, but the file has 1,033"),
        (header(20240520, 1, 5) + bytes(11), "takes? 1,034 bytes, but the file has 1,035"),
        (header(20240520, 1, -1) + bytes(10), "states -1 tokens"),
        (header(20240520, 1, 4) + bytes(8), "4 tokens of uint16, but shards.json says 5"),
        (header(20240801, 7, 5) + bytes(20), "5 tokens of uint32, but .* of uint16"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_file_is_reported(content: bytes | None, message: str, folder: Path) -> None:
    """The message says what is wrong in its header."""
    path = folder / "train_000001.bin"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ShardError, match=rf"{re.escape(str(path))}: .*{message}"):
        open_shards(folder)


def split(field: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["splits"]["train"].update({field: value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda record: record.clear(), r"shards\.json: field 'version' is missing, not int"),
        (lambda record: record.update(version=2), "version is 2; this pytok reads version 1"),
        (lambda record: record.update(fingerprint=1), "field 'fingerprint' is 1, not str"),
        (lambda record: record.update(vocab_size="x"), "field 'vocab_size' is 'x', not int"),
        (lambda record: record.update(eot=True), "field 'eot' is True, not int or NoneType"),
        (lambda record: record.update(dtype="uint8"), "of uint16, but shards.json says 5 of uint8"),
        (lambda record: record.update(splits=[]), r"field 'splits' is \[\], not dict"),
        (lambda record: record.update(splits={"train": 1}), "field 'files' is missing"),
        (split("tokens", 13), "field 'tokens' of train is 13, but its files hold 12"),
        (split("files", {}), "field 'tokens' of train is 12, but its files hold 0"),
        (split("files", {"none.bin": 3}), r"none\.bin: cannot be read"),
        (split("files", {"a\0b": 3}), "cannot be read"),
        (split("bytes", None), "field 'bytes' is None, not int"),
        (split("documents", 3), r"train_documents\.npy: not the ends of 3 documents"),
        (split("document_ends", "none.npy"), r"none\.npy: cannot be read"),
        (split("document_ends", "a\0b"), "cannot be read"),
    ],
)
def test_a_wrong_manifest_is_an_error(
    damage: Callable[[dict[str, Any]], object], message: str, folder: Path
) -> None:
    """The message names the field."""
    path = folder / "shards.json"
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))

    with pytest.raises(ShardError, match=message):
        open_shards(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 10**6, b'{"version": '])
def test_a_manifest_that_is_not_a_json_object_is_an_error(content: bytes, folder: Path) -> None:
    """The message names the file."""
    (folder / "shards.json").write_bytes(content)

    with pytest.raises(ShardError, match=r"shards\.json: "):
        open_shards(folder)


def test_a_folder_without_a_manifest_is_an_error(tmp_path: Path) -> None:
    """The message names the command that writes one."""
    with pytest.raises(
        ShardError, match=r"shards\.json: not found; write shards with `pytok shard`"
    ):
        open_shards(tmp_path)


def npy(header: str) -> bytes:
    """A file of numpy with *header*, a Python literal, and no data."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no array", b"PK\x03\x04", b"\x93NUMPY\x01\x00", npy("{"), npy("(" * 900)),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1" + "0" * 30 + ",), }"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
        npy("{'descr': 5, 'fortran_order': False, 'shape': ('x',), }"),
        npy('"' * 3),
    ],
)
def test_damaged_document_ends_are_an_error(content: bytes, folder: Path) -> None:
    """The message names the file."""
    (folder / "train_documents.npy").write_bytes(content)

    with pytest.raises(ShardError, match=r"train_documents\.npy: cannot be read"):
        open_shards(folder)


@pytest.mark.parametrize("ends", [[7, 11], [12], [[7, 12]], [7.0, 12.0], []])
def test_document_ends_of_other_tokens_are_an_error(ends: list[Any], folder: Path) -> None:
    """Their number, type and last value are checked."""
    np.save(folder / "train_documents.npy", np.array(ends))

    with pytest.raises(ShardError, match="not the ends of 2 documents with 12 tokens"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("magic", "version", "dtype"), [(20240520, 1, "<u2"), (20240801, 7, "<u4")]
)
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_third_party_shard_is_read_without_a_manifest(
    magic: int, version: int, dtype: str, count: int, tmp_path: Path
) -> None:
    """llm.c and modded-nanogpt write such files."""
    ids = np.arange(count, dtype=dtype)
    (tmp_path / "fineweb.bin").write_bytes(header(magic, version, count) + ids.tobytes())

    assert read_shard(tmp_path / "fineweb.bin").tolist() == ids.tolist()
    assert read_shard(tmp_path / "fineweb.bin").dtype == np.dtype(dtype)
