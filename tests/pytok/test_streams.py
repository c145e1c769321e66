"""Token files of other software: the ids as written, and what the files do not record."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok import streams
from pytok.definition import AddedToken
from pytok.errors import FormatError, ShardError
from pytok.shards import Split, open_shards

TEXTS = ["the theme of the thesis", "then and there", "é, 漢字 and 🙂"]
TOKENIZER = pytok.train(TEXTS, 270)
EOT = TOKENIZER.eot_token
DOCUMENTS = [TOKENIZER.encode_ordinary(text) for text in TEXTS]


def with_eot_before(documents: Sequence[Sequence[int]]) -> list[int]:
    """Join documents as llm.c and build-nanogpt write them."""
    return [id for document in documents for id in (EOT, *document)]


def with_eot_after(documents: Sequence[Sequence[int]]) -> list[int]:
    """Join documents as nanoGPT, lit-gpt, Megatron and datatrove write them."""
    return [id for document in documents for id in (*document, EOT)]


def ends_of(documents: Sequence[Sequence[int]]) -> list[int]:
    return np.cumsum([len(document) + 1 for document in documents]).tolist()


# Each writes its format as the project's own code does.


def llm_c(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """dev/data/data_common.py: write_datafile."""
    ids = with_eot_before(documents)
    header = np.zeros(256, dtype=np.int32)
    header[:3] = (20240520, 1, len(ids))
    path.write_bytes(header.tobytes() + np.array(ids, dtype=np.uint16).tobytes())
    return ids


def build_nanogpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """fineweb.py: np.save of uint16."""
    ids = with_eot_before(documents)
    np.save(path, np.array(ids, dtype=np.uint16))
    return ids


def nanogpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """data/openwebtext/prepare.py: uint16 by tofile."""
    ids = with_eot_after(documents)
    np.array(ids, dtype=np.uint16).tofile(path)
    return ids


def lit_gpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """packed_dataset.py: PackedDatasetBuilder._write_chunk."""
    ids = with_eot_after(documents)
    with path.open("wb") as file:
        file.write(b"LITPKDS")
        file.write(struct.pack("<Q", 1))
        file.write(struct.pack("<B", 8))
        file.write(struct.pack("<Q", len(ids)))
        file.write(np.array(ids, dtype=np.uint16).tobytes(order="C"))
    return ids


def datatrove(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """pipeline/tokens/tokenizer.py: TokenizedFile."""
    ids = with_eot_after(documents)
    path.write_bytes(struct.pack(f"<{len(ids)}H", *ids))
    ends = ends_of(documents)
    Path(f"{path}.index").write_bytes(struct.pack(f"<{len(ends)}Q", *ends))
    Path(f"{path}.metadata").write_text(f"gpt2|2\n{len(ids)}\n0 T", encoding="utf-8")
    return ids


def megatron(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """megatron/core/datasets/indexed_dataset.py: one sequence per document, int32."""
    ids = with_eot_after(documents)
    np.array(ids, dtype=np.int32).tofile(path)
    lengths = np.array([len(document) + 1 for document in documents], dtype=np.int32)
    with path.with_suffix(".idx").open("wb") as file:
        file.write(b"MMIDIDX\x00\x00")
        file.write(struct.pack("<Q", 1))
        file.write(struct.pack("<B", 4))
        file.write(struct.pack("<Q", len(lengths)))
        file.write(struct.pack("<Q", len(lengths) + 1))
        file.write(lengths.tobytes())
        pointers = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64) * 4])
        file.write(pointers[: len(lengths)].astype(np.int64).tobytes())
        file.write(np.arange(len(lengths) + 1, dtype=np.int64).tobytes())
    return ids


Writer = Callable[[Path, Sequence[Sequence[int]]], list[int]]
WRITERS = {
    "llm.c": (llm_c, ".bin"),
    "build-nanogpt": (build_nanogpt, ".npy"),
    "nanogpt": (nanogpt, ".bin"),
    "lit-gpt": (lit_gpt, ".bin"),
    "datatrove": (datatrove, ".ds"),
    "megatron": (megatron, ".bin"),
}
FORMATS = pytest.mark.parametrize(("write", "suffix"), WRITERS.values(), ids=WRITERS)


def read(split: Split) -> list[int]:
    return split.read(0, len(split)).tolist()


@FORMATS
def test_ids_documents_and_bytes_equal_those_written(
    write: Writer, suffix: str, tmp_path: Path
) -> None:
    """The splits are found by name; the new folder has no copy of the ids."""
    source = tmp_path / "tokens"
    source.mkdir()
    train = write(source / f"some_train_000001{suffix}", DOCUMENTS)
    val = write(source / f"some_val_000000{suffix}", DOCUMENTS[:1])
    adopted = streams.adopt(source, TOKENIZER, tmp_path / "data")

    assert read(adopted.splits["train"]) == train
    assert read(adopted.splits["val"]) == val
    assert adopted.splits["train"].bytes == sum(len(text.encode()) for text in TEXTS)
    assert adopted.splits["train"].document_ends.tolist() == ends_of(DOCUMENTS)
    assert (adopted.vocab_size, adopted.fingerprint) == (270, TOKENIZER.fingerprint)
    assert sum(p.stat().st_size for p in (tmp_path / "data").glob("*.bin")) == 0


def test_added_tokens_that_are_not_special_are_text(tmp_path: Path) -> None:
    """They are found in every text, so a stream of it has them; special tokens are no text."""
    think, end = AddedToken("<think>", 270, special=False), AddedToken("<|end|>", 271)
    tokenizer = TOKENIZER.with_special_tokens([think, end])
    ids = tokenizer.encode("a<think>b<|end|>", allowed_special="all")
    llm_c(tmp_path / "train.bin", [ids])
    adopted = streams.adopt(tmp_path / "train.bin", tokenizer, tmp_path / "data")

    assert adopted.splits["train"].bytes == len("a<think>b")


@FORMATS
@given(documents=st.lists(st.lists(st.integers(0, EOT - 1), max_size=9), min_size=1, max_size=9))
def test_any_documents_are_read_as_written(
    write: Writer,
    suffix: str,
    documents: list[list[int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """They can be empty."""
    folder = tmp_path_factory.mktemp("stream")
    ids = write(folder / f"train{suffix}", documents)
    split = streams.adopt(folder / f"train{suffix}", TOKENIZER, folder / "data").splits["train"]

    assert read(split) == ids
    assert split.document_ends.tolist() == ends_of(documents)
    assert split.bytes == len(TOKENIZER.decode_bytes([id for id in ids if id != EOT]))


@FORMATS
def test_truncated_file_is_an_error(write: Writer, suffix: str, tmp_path: Path) -> None:
    """The message names the file; no folder is written."""
    path = tmp_path / f"train{suffix}"
    write(path, DOCUMENTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError, match=f"train{suffix}"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")

    assert not (tmp_path / "data").exists()


@FORMATS
def test_id_that_the_tokenizer_lacks_is_reported_with_its_position(
    write: Writer, suffix: str, tmp_path: Path
) -> None:
    """A model would read past its embedding."""
    path = tmp_path / f"train{suffix}"
    position = write(path, [*DOCUMENTS, [5, 300, 7]]).index(300)
    with pytest.raises(ShardError, match=rf"train{suffix}: token {position} .* is id 300, which"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")


def test_negative_id_is_an_error(tmp_path: Path) -> None:
    """Megatron writes signed integers."""
    path = tmp_path / "train.bin"
    megatron(path, [[5, -1, 7]])
    with pytest.raises(ShardError, match=r"token 1 .* is id 4294967295"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")


def test_ids_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are counted from the start of the file."""
    path = tmp_path / "train.bin"
    nanogpt(path, DOCUMENTS)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr("pytok.streams.adopting._CHUNK", 4)
    split = streams.adopt(
        path, TOKENIZER, tmp_path / "data", progress=lambda *call: calls.append(call)
    ).splits["train"]

    assert split.document_ends.tolist() == ends_of(DOCUMENTS)
    assert split.bytes == sum(len(text.encode()) for text in TEXTS)
    assert calls[-1] == (path.stat().st_size, path.stat().st_size)
    nanogpt(path, [[5] * 9, [300]])
    with pytest.raises(ShardError, match="token 10 "):
        streams.adopt(path, TOKENIZER, tmp_path / "again")


def test_documents_continue_across_files(tmp_path: Path) -> None:
    """Files of llm.c are cut anywhere; a document starts at its end-of-text token."""
    ids = np.array(with_eot_before(DOCUMENTS), dtype=np.uint16)
    np.save(tmp_path / "x_train_000001.npy", ids[:30])
    np.save(tmp_path / "x_train_000002.npy", ids[30:])
    split = streams.adopt(tmp_path, TOKENIZER, tmp_path / "data").splits["train"]

    assert read(split) == ids.tolist()
    assert split.document_ends.tolist() == ends_of(DOCUMENTS)


def test_folder_of_shards_without_its_manifest_is_read(tmp_path: Path) -> None:
    """Its files then have the format of llm.c."""
    pytok.shards.write(_corpus(tmp_path), TOKENIZER, tmp_path / "shards", val=0)
    expected = read(open_shards(tmp_path / "shards").splits["train"])
    (tmp_path / "shards" / "shards.json").unlink()
    adopted = streams.adopt(tmp_path / "shards", TOKENIZER, tmp_path / "data")

    assert list(adopted.splits) == ["train"]
    assert read(adopted.splits["train"]) == expected


def _corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return path


def test_megatron_files_are_found_by_either_name_or_their_prefix(tmp_path: Path) -> None:
    """Megatron's own --data-path is the prefix."""
    megatron(tmp_path / "my_text_document.bin", DOCUMENTS)
    for name in ("my_text_document", "my_text_document.bin", "my_text_document.idx"):
        assert streams.find_token_files(tmp_path / name) == {
            "train": [tmp_path / "my_text_document.bin"]
        }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.bin", "train"),
        ("val.bin", "val"),
        ("fineweb_val_000000.bin", "val"),
        ("validation_0000000000.bin", "val"),
        ("valley.bin", "train"),
        ("tinystories-valid.bin", "val"),
        ("000_shuffled.ds", "train"),
        ("test.bin", None),
        ("train_documents.npy", None),
        ("meta.pkl", None),
    ],
)
def test_split_is_found_by_the_name(name: str, split: str | None, tmp_path: Path) -> None:
    """Words in the name decide."""
    (tmp_path / name).touch()

    assert streams.find_token_files(tmp_path) == ({split: [tmp_path / name]} if split else {})


def test_validation_split_can_be_elsewhere(tmp_path: Path) -> None:
    nanogpt(tmp_path / "one.bin", DOCUMENTS)
    held_out = nanogpt(tmp_path / "two.bin", DOCUMENTS[1:])
    adopted = streams.adopt(
        tmp_path / "one.bin", TOKENIZER, tmp_path / "data", val=tmp_path / "two.bin"
    )

    assert read(adopted.splits["val"]) == held_out
    with pytest.raises(ShardError, match="nowhere: no token file for the val split"):
        streams.adopt(tmp_path / "one.bin", TOKENIZER, tmp_path / "more", val=tmp_path / "nowhere")


def test_changed_file_is_an_error_later(tmp_path: Path) -> None:
    """The manifest records its length."""
    path = tmp_path / "train.bin"
    nanogpt(path, DOCUMENTS)
    streams.adopt(path, TOKENIZER, tmp_path / "data")
    nanogpt(path, DOCUMENTS[:1])
    with pytest.raises(ShardError, match=r"train.bin: .* was changed"):
        open_shards(tmp_path / "data")


def test_ids_without_a_header_are_as_wide_as_the_vocabulary_needs(tmp_path: Path) -> None:
    """Two bytes cannot hold 100,000 ids."""
    from pytok.streams.layouts import open_stream

    np.array([70_000, 3], dtype=np.uint32).tofile(tmp_path / "train.bin")

    assert open_stream(tmp_path / "train.bin", 100_000).file.open().all.tolist() == [70_000, 3]
    assert len(open_stream(tmp_path / "train.bin", 50_257).file.open()) == 4


def damage_index(path: Path, offset: int, data: bytes) -> None:
    index = path.with_suffix(".idx")
    content = bytearray(index.read_bytes())
    content[offset : offset + len(data)] = data
    index.write_bytes(content)


@pytest.mark.parametrize(
    ("offset", "data", "message"),
    [
        (0, b"X", "not the index of Megatron"),
        (17, b"\x06", "dtype code 6 is not an integer"),
        (17, b"\x07", "dtype code 7 is not an integer"),
        (18, b"\xff" * 8, "the file is damaged"),
        (34, b"\x01\0\0\0", "are not contiguous"),
        (-8, b"\x09" + b"\0" * 7, "the documents do not span sequences 0 to 3"),
    ],
)
def test_damaged_index_is_an_error(offset: int, data: bytes, message: str, tmp_path: Path) -> None:
    """The message says what is wrong."""
    path = tmp_path / "train.bin"
    megatron(path, DOCUMENTS)
    damage_index(
        path, offset if offset >= 0 else path.with_suffix(".idx").stat().st_size + offset, data
    )
    with pytest.raises(ShardError, match=message):
        streams.adopt(path, TOKENIZER, tmp_path / "data")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(4, dtype=np.float32),
        np.zeros((2, 2), dtype=np.uint16),
        np.zeros(4, dtype=">u2"),
        np.array([None], dtype=object),
    ],
    ids=["float", "2-d", "big-endian", "objects"],
)
def test_array_of_another_kind_is_an_error(array: np.ndarray, tmp_path: Path) -> None:
    """Objects are not unpickled."""
    np.save(tmp_path / "train.npy", array)
    with pytest.raises(ShardError, match=r"train.npy: (an array|cannot be read: not an array)"):
        streams.adopt(tmp_path / "train.npy", TOKENIZER, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.npy", b"\1\2\3\4", "not an array that numpy can map"),
        ("train.bin", b"", "would be empty"),
        ("train.bin", b"\1\2\3", "3 bytes are not a multiple of 2"),
        ("train.bin", struct.pack("<3i", 20240326, 3, 0), "a model of llm.c"),
        ("train.bin", struct.pack("<3i", 20240522, 1, 0), "an evaluation set of llm.c"),
        ("train.bin", b"LITPKDS\1", "cannot be read"),
        ("train.bin", b"LITPKDS" + struct.pack("<QBQ", 1, 6, 0), "dtype code 6 is not an integer"),
        ("train.bin", b"LITPKDS" + struct.pack("<QBQ", 2, 8, 0), "version 2 of LITPKDS"),
        ("train.ds", b"\1\2", "train.ds.index: not found"),
    ],
)
def test_file_of_another_kind_is_an_error(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    """The message says what it is."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ShardError, match=message):
        streams.adopt(tmp_path / name, TOKENIZER, tmp_path / "data")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "0 bytes are not a sequence of uint64"),
        (b"\1" * 9, "9 bytes are not a sequence of uint64"),
        (struct.pack("<2Q", 5, 4), "entry 1 of the documents is less than the one before it"),
        (struct.pack("<Q", 1 << 63), "less than the one before it"),
        (struct.pack("<Q", 5), "its index states 5 tokens"),
    ],
)
def test_damaged_index_of_datatrove_is_an_error(index: bytes, message: str, tmp_path: Path) -> None:
    """It can contradict its file."""
    datatrove(tmp_path / "train.ds", DOCUMENTS)
    (tmp_path / "train.ds.index").write_bytes(index)
    with pytest.raises(ShardError, match=message):
        streams.adopt(tmp_path / "train.ds", TOKENIZER, tmp_path / "data")


def meta(path: Path, characters: str) -> None:
    """data/shakespeare_char/prepare.py."""
    itos = dict(enumerate(characters))
    stoi = {character: id for id, character in itos.items()}
    plain = {"vocab_size": len(characters), "itos": itos, "stoi": stoi}
    path.write_bytes(pickle.dumps(plain))


def test_character_vocabulary_becomes_a_tokenizer_with_its_ids(tmp_path: Path) -> None:
    """Saving and loading keeps them."""
    meta(tmp_path / "meta.pkl", "\n !abcdehlorw")
    made = streams.character_tokenizer(tmp_path / "meta.pkl")
    made.save(tmp_path / "tokenizer.json")
    loaded = pytok.load(tmp_path / "tokenizer.json")

    assert made.encode("hello!\n") == [8, 7, 9, 9, 10, 2, 0]
    assert loaded.encode("hello!\n") == made.encode("hello!\n")
    assert loaded.decode([8, 7, 9, 9, 10]) == "hello"
    assert loaded.decode(loaded.encode("Ärger")) == "Ärger"
    assert loaded.fingerprint == made.fingerprint


def test_pickle_cannot_run_code(tmp_path: Path) -> None:
    """The file can come from anywhere."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"itos": {0: Trap()}}))
    with pytest.raises(FormatError, match="it refers to"):
        streams.character_tokenizer(tmp_path / "meta.pkl")

    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a meta.pkl"),
        (b"\x80\x04garbage", "not a meta.pkl"),
        (pickle.dumps({"vocab_size": 3}), "not a meta.pkl"),
        (pickle.dumps({"itos": {0: "a", 1: "a"}}), "the ids are not 0 to 1"),
        (pickle.dumps({"itos": {0: "a", 2: "b"}}), "the ids are not 0 to 1"),
        (pickle.dumps({"itos": {0: "a", 1: "é"}}), "'é' is not ASCII"),
        (pickle.dumps({"itos": {0: "a", 1: "bc"}}), "not a meta.pkl"),
    ],
)
def test_other_pickle_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "meta.pkl").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        streams.character_tokenizer(tmp_path / "meta.pkl")


def test_datatroves_own_writer_is_read(tmp_path: Path) -> None:
    """The library is optional."""
    tokens = pytest.importorskip("datatrove.pipeline.tokens.tokenizer")
    io_module = pytest.importorskip("datatrove.io")
    folder = io_module.get_datafolder(str(tmp_path))
    file = tokens.TokenizedFile(folder, "train.ds", save_index=True)
    for document in DOCUMENTS:
        file.write([*document, EOT], None)
    file.close()
    split = streams.adopt(tmp_path / "train.ds", TOKENIZER, tmp_path / "data").splits["train"]

    assert read(split) == with_eot_after(DOCUMENTS)
    assert split.document_ends.tolist() == ends_of(DOCUMENTS)
