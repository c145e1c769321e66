"""Token files of others: the ids as they were written, and all that the files do not say."""

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
from pytok.errors import FormatError, ShardError
from pytok.shards import Split, open_shards

TEXTS = ["the theme of the thesis", "then and there", "é, 漢字 and 🙂"]
TOKENIZER = pytok.train(TEXTS, 270)
EOT = TOKENIZER.eot_token
DOCUMENTS = [TOKENIZER.encode_ordinary(text) for text in TEXTS]


def begun(documents: Sequence[Sequence[int]]) -> list[int]:
    """As llm.c and build-nanogpt write documents."""
    return [id for document in documents for id in (EOT, *document)]


def ended(documents: Sequence[Sequence[int]]) -> list[int]:
    """As nanoGPT, lit-gpt, Megatron and datatrove write documents."""
    return [id for document in documents for id in (*document, EOT)]


def ends_of(documents: Sequence[Sequence[int]]) -> list[int]:
    return np.cumsum([len(document) + 1 for document in documents]).tolist()


# Each as its project's own code writes it.


def llm_c(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """dev/data/data_common.py: write_datafile."""
    ids = begun(documents)
    header = np.zeros(256, dtype=np.int32)
    header[:3] = (20240520, 1, len(ids))
    path.write_bytes(header.tobytes() + np.array(ids, dtype=np.uint16).tobytes())
    return ids


def build_nanogpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """fineweb.py: np.save of uint16."""
    ids = begun(documents)
    np.save(path, np.array(ids, dtype=np.uint16))
    return ids


def nanogpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """data/openwebtext/prepare.py: uint16 by tofile."""
    ids = ended(documents)
    np.array(ids, dtype=np.uint16).tofile(path)
    return ids


def lit_gpt(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """packed_dataset.py: PackedDatasetBuilder._write_chunk."""
    ids = ended(documents)
    with path.open("wb") as file:
        file.write(b"LITPKDS")
        file.write(struct.pack("<Q", 1))
        file.write(struct.pack("<B", 8))
        file.write(struct.pack("<Q", len(ids)))
        file.write(np.array(ids, dtype=np.uint16).tobytes(order="C"))
    return ids


def datatrove(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """pipeline/tokens/tokenizer.py: TokenizedFile."""
    ids = ended(documents)
    path.write_bytes(struct.pack(f"<{len(ids)}H", *ids))
    ends = ends_of(documents)
    Path(f"{path}.index").write_bytes(struct.pack(f"<{len(ends)}Q", *ends))
    Path(f"{path}.metadata").write_text(f"gpt2|2\n{len(ids)}\n0 T", encoding="utf-8")
    return ids


def megatron(path: Path, documents: Sequence[Sequence[int]]) -> list[int]:
    """megatron/core/datasets/indexed_dataset.py: a sequence a document, int32."""
    ids = ended(documents)
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
def test_ids_documents_and_bytes_are_what_was_written(
    write: Writer, suffix: str, tmp_path: Path
) -> None:
    """Of both splits, found by their names, in folders that hold nothing of the ids themselves."""
    source = tmp_path / "theirs"
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


@FORMATS
@given(documents=st.lists(st.lists(st.integers(0, EOT - 1), max_size=9), min_size=1, max_size=9))
def test_any_documents_are_read_as_they_were_written(
    write: Writer,
    suffix: str,
    documents: list[list[int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Empty ones too."""
    folder = tmp_path_factory.mktemp("stream")
    ids = write(folder / f"train{suffix}", documents)
    split = streams.adopt(folder / f"train{suffix}", TOKENIZER, folder / "data").splits["train"]

    assert read(split) == ids
    assert split.document_ends.tolist() == ends_of(documents)
    assert split.bytes == len(TOKENIZER.decode_bytes([id for id in ids if id != EOT]))


@FORMATS
def test_file_that_is_cut_off_is_refused(write: Writer, suffix: str, tmp_path: Path) -> None:
    """By its name; no folder is left."""
    path = tmp_path / f"train{suffix}"
    write(path, DOCUMENTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError, match=f"train{suffix}"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")

    assert not (tmp_path / "data").exists()


@FORMATS
def test_id_that_the_tokenizer_lacks_is_refused_with_its_position(
    write: Writer, suffix: str, tmp_path: Path
) -> None:
    """Before a model reads past its embedding."""
    path = tmp_path / f"train{suffix}"
    position = write(path, [*DOCUMENTS, [5, 300, 7]]).index(300)
    with pytest.raises(ShardError, match=rf"train{suffix}: token {position} .* is id 300, which"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")


def test_negative_id_is_refused(tmp_path: Path) -> None:
    """Signed integers are what Megatron writes."""
    path = tmp_path / "train.bin"
    megatron(path, [[5, -1, 7]])
    with pytest.raises(ShardError, match=r"token 1 .* is id 4294967295"):
        streams.adopt(path, TOKENIZER, tmp_path / "data")


def test_ids_are_looked_at_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same bytes and documents, and positions that count from the file's beginning."""
    path = tmp_path / "train.bin"
    nanogpt(path, DOCUMENTS)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("pytok.streams.adopting._CHUNK", 4)
    split = streams.adopt(
        path, TOKENIZER, tmp_path / "data", progress=lambda *at: told.append(at)
    ).splits["train"]

    assert split.document_ends.tolist() == ends_of(DOCUMENTS)
    assert split.bytes == sum(len(text.encode()) for text in TEXTS)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    nanogpt(path, [[5] * 9, [300]])
    with pytest.raises(ShardError, match="token 10 "):
        streams.adopt(path, TOKENIZER, tmp_path / "again")


def test_documents_go_on_across_files(tmp_path: Path) -> None:
    """The files of llm.c are cut anywhere; a document begins where its end-of-text is."""
    ids = np.array(begun(DOCUMENTS), dtype=np.uint16)
    np.save(tmp_path / "x_train_000001.npy", ids[:30])
    np.save(tmp_path / "x_train_000002.npy", ids[30:])
    split = streams.adopt(tmp_path, TOKENIZER, tmp_path / "data").splits["train"]

    assert read(split) == ids.tolist()
    assert split.document_ends.tolist() == ends_of(DOCUMENTS)


def test_folder_of_shards_without_its_manifest_is_read(tmp_path: Path) -> None:
    """Ours, then, are llm.c's."""
    pytok.shards.write(_corpus(tmp_path), TOKENIZER, tmp_path / "ours", val=0)
    ours = read(open_shards(tmp_path / "ours").splits["train"])
    (tmp_path / "ours" / "shards.json").unlink()
    adopted = streams.adopt(tmp_path / "ours", TOKENIZER, tmp_path / "data")

    assert list(adopted.splits) == ["train"]
    assert read(adopted.splits["train"]) == ours


def _corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return path


def test_megatron_is_named_by_either_file_or_by_neither(tmp_path: Path) -> None:
    """As its own --data-path leaves the ending out."""
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
    """A word of its own says it."""
    (tmp_path / name).touch()

    assert streams.find_token_files(tmp_path) == ({split: [tmp_path / name]} if split else {})


def test_validation_split_may_lie_elsewhere(tmp_path: Path) -> None:
    """A file, or a folder."""
    nanogpt(tmp_path / "one.bin", DOCUMENTS)
    held = nanogpt(tmp_path / "two.bin", DOCUMENTS[1:])
    adopted = streams.adopt(
        tmp_path / "one.bin", TOKENIZER, tmp_path / "data", val=tmp_path / "two.bin"
    )

    assert read(adopted.splits["val"]) == held
    with pytest.raises(ShardError, match="nowhere: no token file for the val split"):
        streams.adopt(tmp_path / "one.bin", TOKENIZER, tmp_path / "more", val=tmp_path / "nowhere")


def test_file_that_has_changed_is_refused_later(tmp_path: Path) -> None:
    """Its manifest says how long it was."""
    path = tmp_path / "train.bin"
    nanogpt(path, DOCUMENTS)
    streams.adopt(path, TOKENIZER, tmp_path / "data")
    nanogpt(path, DOCUMENTS[:1])
    with pytest.raises(ShardError, match=r"train.bin: .* has changed"):
        open_shards(tmp_path / "data")


def test_header_less_ids_are_as_wide_as_the_vocabulary_needs(tmp_path: Path) -> None:
    """Two bytes cannot hold 100,000 ids."""
    from pytok.streams.layouts import stream

    np.array([70_000, 3], dtype=np.uint32).tofile(tmp_path / "train.bin")

    assert stream(tmp_path / "train.bin", 100_000).file.map().tolist() == [70_000, 3]
    assert len(stream(tmp_path / "train.bin", 50_257).file.map()) == 4


def damage_index(path: Path, place: int, data: bytes) -> None:
    index = path.with_suffix(".idx")
    content = bytearray(index.read_bytes())
    content[place : place + len(data)] = data
    index.write_bytes(content)


@pytest.mark.parametrize(
    ("place", "data", "message"),
    [
        (0, b"X", "not the index of Megatron"),
        (17, b"\x06", "dtype code 6 is no integer"),
        (17, b"\x07", "dtype code 7 is no integer"),
        (18, b"\xff" * 8, "it is damaged"),
        (34, b"\x01\0\0\0", "do not lie one after another"),
        (-8, b"\x09" + b"\0" * 7, "its documents are not of sequences 0 to 3"),
    ],
)
def test_damaged_index_is_refused(place: int, data: bytes, message: str, tmp_path: Path) -> None:
    """With what is wrong in it."""
    path = tmp_path / "train.bin"
    megatron(path, DOCUMENTS)
    damage_index(
        path, place if place >= 0 else path.with_suffix(".idx").stat().st_size + place, data
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
def test_array_that_is_no_row_of_ids_is_refused(array: np.ndarray, tmp_path: Path) -> None:
    """Objects are not even unpickled."""
    np.save(tmp_path / "train.npy", array)
    with pytest.raises(ShardError, match=r"train.npy: (an array|no array)"):
        streams.adopt(tmp_path / "train.npy", TOKENIZER, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.npy", b"\1\2\3\4", "no array that numpy can map"),
        ("train.bin", b"", "would be empty"),
        ("train.bin", b"\1\2\3", "3 bytes are no whole number of uint16"),
        ("train.bin", struct.pack("<3i", 20240326, 3, 0), "a model of llm.c"),
        ("train.bin", struct.pack("<3i", 20240522, 1, 0), "an evaluation set of llm.c"),
        ("train.bin", b"LITPKDS\1", "cannot be read"),
        ("train.bin", b"LITPKDS" + struct.pack("<QBQ", 1, 6, 0), "dtype code 6 is no integer"),
        ("train.bin", b"LITPKDS" + struct.pack("<QBQ", 2, 8, 0), "version 2 of LITPKDS"),
        ("train.ds", b"\1\2", "train.ds.index: not found"),
    ],
)
def test_file_of_another_kind_is_refused(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    """By its name, with what it is."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ShardError, match=message):
        streams.adopt(tmp_path / name, TOKENIZER, tmp_path / "data")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "0 bytes are no whole number of uint64"),
        (b"\1" * 9, "9 bytes are no whole number of uint64"),
        (struct.pack("<2Q", 5, 4), "entry 1 of the documents is below the one before it"),
        (struct.pack("<Q", 1 << 63), "below the one before it"),
        (struct.pack("<Q", 5), "its index counts 5 tokens"),
    ],
)
def test_damaged_index_of_datatrove_is_refused(index: bytes, message: str, tmp_path: Path) -> None:
    """Against the file that it is of, too."""
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
    """And is loaded again from what is saved."""
    meta(tmp_path / "meta.pkl", "\n !abcdehlorw")
    made = streams.character_tokenizer(tmp_path / "meta.pkl")
    made.save(tmp_path / "tokenizer.json")
    loaded = pytok.load(tmp_path / "tokenizer.json")

    assert made.encode("hello!\n") == [8, 7, 9, 9, 10, 2, 0]
    assert loaded.encode("hello!\n") == made.encode("hello!\n")
    assert loaded.decode([8, 7, 9, 9, 10]) == "hello"
    assert loaded.decode(loaded.encode("Ärger")) == "Ärger"
    assert loaded.fingerprint == made.fingerprint


def test_pickle_that_would_run_code_runs_none(tmp_path: Path) -> None:
    """Anything may be in a file that somebody else has written."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"itos": {0: Trap()}}))
    with pytest.raises(FormatError, match="it asks for"):
        streams.character_tokenizer(tmp_path / "meta.pkl")

    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no meta.pkl"),
        (b"\x80\x04garbage", "no meta.pkl"),
        (pickle.dumps({"vocab_size": 3}), "no meta.pkl"),
        (pickle.dumps({"itos": {0: "a", 1: "a"}}), "its ids are not those from 0 to 1"),
        (pickle.dumps({"itos": {0: "a", 2: "b"}}), "its ids are not those from 0 to 1"),
        (pickle.dumps({"itos": {0: "a", 1: "é"}}), "'é' is no ASCII character"),
        (pickle.dumps({"itos": {0: "a", 1: "bc"}}), "no meta.pkl"),
    ],
)
def test_other_pickle_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    """By its name."""
    (tmp_path / "meta.pkl").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        streams.character_tokenizer(tmp_path / "meta.pkl")


def test_datatroves_own_writer_is_read(tmp_path: Path) -> None:
    """By the library itself, where it is installed."""
    tokens = pytest.importorskip("datatrove.pipeline.tokens.tokenizer")
    io_module = pytest.importorskip("datatrove.io")
    folder = io_module.get_datafolder(str(tmp_path))
    file = tokens.TokenizedFile(folder, "train.ds", save_index=True)
    for document in DOCUMENTS:
        file.write([*document, EOT], None)
    file.close()
    split = streams.adopt(tmp_path / "train.ds", TOKENIZER, tmp_path / "data").splits["train"]

    assert read(split) == ended(DOCUMENTS)
    assert split.document_ends.tolist() == ends_of(DOCUMENTS)
