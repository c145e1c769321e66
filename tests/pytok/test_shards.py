"""Token shards: llm.c can read what is written, and reading restores it."""

import json
import math
import os
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pytok
from pytok.errors import CorpusError, ShardError
from pytok.shards import END_OF_TEXT, open_shards, write, writing
from pytok.tokenizer import Tokenizer

TEXT = "One day, naïve – 東京 \U0001f600.\nTwo days\n\n three\r\n" * 5
DOCUMENTS = [f"{number} {TEXT[: 7 * number]}" for number in range(1, 21)]

one_folder = settings(
    deadline=None,  # files are written and synced
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each overwrites the same folder
)


@pytest.fixture(scope="module", params=["native", "reference"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Train a small vocabulary, on either engine."""
    return pytok.train([TEXT], vocab_size=280, special_tokens=(END_OF_TEXT,), engine=request.param)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Write `DOCUMENTS`, one per line."""
    path = tmp_path / "documents.jsonl"
    path.write_text("\n".join(json.dumps({"text": document}) for document in DOCUMENTS))
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Write `TEXT`, one document."""
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def ids_of(folder: Path, split: str) -> list[int]:
    """Read all ids of a split with numpy."""
    files = sorted(folder.glob(f"{split}_*.bin"))
    return list(chain.from_iterable(np.fromfile(file, "<u2", offset=1024) for file in files))


def listing(folder: Path) -> dict[str, bytes]:
    """Return every file below *folder* and its bytes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# Writing.


def test_a_shard_has_the_format_of_llm_c(tokenizer: Tokenizer, text: Path, tmp_path: Path) -> None:
    """Header and ids are at the offsets that its loader reads."""
    write(text, tokenizer, tmp_path / "data", val=0)

    header = np.fromfile(tmp_path / "data/train_000000.bin", "<i4", count=256)
    ids = np.fromfile(tmp_path / "data/train_000000.bin", "<u2", offset=1024)

    assert header.tolist() == [20240520, 1, len(ids), *[0] * 253]
    assert ids.tolist() == [tokenizer.eot_token, *tokenizer.encode_ordinary(TEXT)]


class Wide:
    """A tokenizer whose id space is one too large for uint16."""

    n_vocab = (1 << 16) + 1

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def test_an_id_space_past_65536_is_written_as_uint32(
    tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """Magic and version are those of llm.c's Llama 3 shards."""
    opened = write(text, Wide(tokenizer), tmp_path / "data", val=0)  # type: ignore[arg-type]

    header = np.fromfile(tmp_path / "data/train_000000.bin", "<i4", count=256)
    ids = np.fromfile(tmp_path / "data/train_000000.bin", "<u4", offset=1024)

    assert header[:3].tolist() == [20240801, 7, len(ids)]
    assert opened.splits["train"].read(0, len(ids)).tolist() == ids.tolist()


def test_every_document_starts_with_the_end_of_text_token(
    tokenizer: Tokenizer, documents: Path, tmp_path: Path
) -> None:
    """Each end is the start of the next document."""
    opened = write(documents, tokenizer, tmp_path / "data", val=0)
    train = opened.splits["train"]
    expected = [[opened.eot, *tokenizer.encode_ordinary(document)] for document in DOCUMENTS]

    assert train.read(0, len(train)).tolist() == list(chain.from_iterable(expected))
    assert train.document_ends.tolist() == np.cumsum([len(ids) for ids in expected]).tolist()
    assert (train.documents, train.bytes) == (20, sum(len(each.encode()) for each in DOCUMENTS))


def test_documents_given_as_ids_make_the_same_folder(
    tokenizer: Tokenizer, documents: Path, tmp_path: Path
) -> None:
    """Further files of the caller appear with it."""
    write(documents, tokenizer, tmp_path / "text", val=0)

    with writing(tmp_path / "ids", tokenizer, ["train"]) as writer:
        for document in DOCUMENTS:
            ids = tokenizer.encode_ordinary(document)
            writer.append("train", ids, len(document.encode()), ends_document=True)
            writer.flush()
        (writer.folder / "chat.json").write_bytes(b"{}")
        assert not (tmp_path / "ids").exists()

    assert listing(tmp_path / "ids") == {**listing(tmp_path / "text"), "chat.json": b"{}"}


def test_documents_follow_each_other_without_that_token(documents: Path, tmp_path: Path) -> None:
    """The manifest then records that there is none."""
    tokenizer = pytok.train([TEXT], vocab_size=270, special_tokens=())

    opened = write(documents, tokenizer, tmp_path / "data", val=0)

    ids = [tokenizer.encode_ordinary(document) for document in DOCUMENTS]
    assert opened.eot is None
    assert ids_of(tmp_path / "data", "train") == list(chain.from_iterable(ids))


def test_a_special_token_in_the_text_is_ordinary_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A corpus cannot forge the end of a document."""
    (tmp_path / "a.txt").write_text(END_OF_TEXT)

    write(tmp_path / "a.txt", tokenizer, tmp_path / "data", val=0)

    assert ids_of(tmp_path / "data", "train").count(tokenizer.eot_token) == 1


def test_the_size_of_parts_and_batches_changes_nothing(
    tokenizer: Tokenizer, text: Path, documents: Path, tmp_path: Path, request: Any
) -> None:
    sources = [text, documents]
    write(sources, tokenizer, tmp_path / "large", shard_tokens=37)
    request.getfixturevalue("small_parts")

    write(sources, tokenizer, tmp_path / "small", shard_tokens=37, num_threads=2)

    assert listing(tmp_path / "small") == listing(tmp_path / "large")


def test_documents_are_not_cut_for_a_custom_pattern(tmp_path: Path, small_parts: None) -> None:
    """Its pieces can span any point at which a document could be cut."""
    (tmp_path / "a.txt").write_text("a\nb" * 50)
    tokenizer = pytok.train(["a\nb" * 50], vocab_size=260, pattern=r"[^0]+")

    write(tmp_path / "a.txt", tokenizer, tmp_path / "data", val=0)

    assert ids_of(tmp_path / "data", "train")[1:] == tokenizer.encode_ordinary("a\nb" * 50)


def test_the_folder_holds_its_tokenizer(tokenizer: Tokenizer, text: Path, tmp_path: Path) -> None:
    """Its fingerprint is in the manifest."""
    opened = write(text, tokenizer, tmp_path / "data")

    assert pytok.load(tmp_path / "data/tokenizer.json").fingerprint == opened.fingerprint


# Splits.


@one_folder
@given(text=st.text("ab\n é東\U0001f600", min_size=2), val=st.floats(0.01, 0.99))
def test_the_tail_starts_at_its_byte_moved_back_to_a_character(
    text: str, val: float, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The two splits concatenate to the text."""
    content = text.encode()
    expected = content[: math.floor(len(content) * (1 - val))].decode("utf-8", "ignore")
    (tmp_path / "a.txt").write_bytes(content)
    if not expected:
        with pytest.raises(ShardError, match="the train split would be empty"):
            write(tmp_path / "a.txt", tokenizer, tmp_path / "data", val=val, overwrite=True)
        return

    opened = write(tmp_path / "a.txt", tokenizer, tmp_path / "data", val=val, overwrite=True)

    sides = [tokenizer.decode(ids_of(tmp_path / "data", name)[1:]) for name in ("train", "val")]
    assert sides == [expected, text[len(expected) :]]
    assert [opened.splits[name].bytes for name in ("train", "val")] == [
        len(side.encode()) for side in sides
    ]


def test_a_document_cut_at_the_tail_is_one_in_each_split(
    tokenizer: Tokenizer, documents: Path, tmp_path: Path
) -> None:
    """The first has an end, the second an end-of-text token."""
    opened = write(documents, tokenizer, tmp_path / "data", val=0.5)
    train, val = opened.splits["train"], opened.splits["val"]

    assert train.documents + val.documents == len(DOCUMENTS) + 1
    assert train.document_ends[-1] == len(train)
    assert val.read(0, 1).tolist() == [opened.eot]


@pytest.mark.parametrize("val", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_documents_are_held_out_evenly(
    val: float, tokenizer: Tokenizer, documents: Path, tmp_path: Path, small_parts: None
) -> None:
    """The rule is that of the docstring of `write`."""
    held_out = [math.floor((i + 1) * val) > math.floor(i * val) for i in range(len(DOCUMENTS))]

    write(documents, tokenizer, tmp_path / "data", val=val, split="documents")

    texts = tokenizer.decode(ids_of(tmp_path / "data", "val")).split(END_OF_TEXT)[1:]
    assert texts == [each for each, held in zip(DOCUMENTS, held_out, strict=True) if held]
    assert len(texts) == round(val * len(DOCUMENTS))


def test_holding_out_nothing_is_allowed(tokenizer: Tokenizer, text: Path, tmp_path: Path) -> None:
    """There is no second split then."""
    assert list(write(text, tokenizer, tmp_path / "data", val=0).splits) == ["train"]
    assert not list((tmp_path / "data").glob("val*"))


@pytest.mark.parametrize(
    ("split", "reads"), [("tail", {"text": 1, "lines": 2}), ("documents", {"lines": 1})]
)
def test_progress_moves_from_zero_to_the_total(
    split: str,
    reads: dict[str, int],
    tokenizer: Tokenizer,
    text: Path,
    documents: Path,
    tmp_path: Path,
    small_parts: None,
) -> None:
    """It is in bytes on disk; files that are measured first count twice."""
    paths = {"text": text, "lines": documents}
    calls: list[tuple[int, ...]] = []

    folder, sources = tmp_path / "data", [paths[name] for name in reads]
    write(sources, tokenizer, folder, split=split, progress=lambda *call: calls.append(call))

    total = sum(paths[name].stat().st_size * times for name, times in reads.items())
    assert calls == sorted(calls)
    assert len(calls) > 10
    assert (calls[0], calls[-1]) == ((0, total), (total, total))


# Errors and interruptions.


@pytest.mark.parametrize(
    "argument",
    [{"val": 1}, {"val": -0.1}, {"val": math.nan}, {"split": "half"}, {"shard_tokens": 0}],
)
def test_an_invalid_argument_is_an_error(
    argument: dict[str, Any], tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """The message names it, and nothing is written."""
    with pytest.raises(ShardError, match=next(iter(argument))):
        write(text, tokenizer, tmp_path / "data", **argument)
    assert list(tmp_path.iterdir()) == [text]


def test_opening_a_file_as_a_folder_is_an_error(text: Path) -> None:
    """The message names the command that writes shards."""
    with pytest.raises(ShardError, match=r"not found; write shards with `pytok shard`"):
        open_shards(text)


def test_too_few_documents_are_an_error(tokenizer: Tokenizer, text: Path, tmp_path: Path) -> None:
    """The message says what to do."""
    with pytest.raises(ShardError, match=r"the val split would be empty; .* split='tail'"):
        write(text, tokenizer, tmp_path / "data", split="documents")
    assert list(tmp_path.iterdir()) == [text]


def test_a_corpus_that_changes_between_reads_is_an_error(
    tokenizer: Tokenizer, documents: Path, tmp_path: Path
) -> None:
    """The held-out fraction would be another."""

    def grow(done: int, total: int) -> None:
        if 0 < done < total:
            documents.write_text(json.dumps({"text": TEXT}))

    with pytest.raises(ShardError, match="changed while it was read"):
        write(documents, tokenizer, tmp_path / "data", progress=grow)


@pytest.mark.parametrize("size", [0, 7, 50 * len(TEXT), 300 * len(TEXT)])
@pytest.mark.parametrize("when", ["before it is read", "while it is read"])
def test_a_text_that_shrinks_or_grows_is_an_error(
    when: str, size: int, tokenizer: Tokenizer, text: Path, tmp_path: Path, small_parts: None
) -> None:
    """The process does not crash."""
    text.write_bytes(100 * TEXT.encode())  # more than is read ahead

    def change(done: int, total: int) -> None:
        if (done > 0) == (when == "while it is read"):
            os.truncate(text, size)

    with pytest.raises(ShardError, match="changed while it was read"):
        write(text, tokenizer, tmp_path / "data", progress=change)


@pytest.mark.parametrize("calls", [1, 2, 3, 6])
def test_an_interruption_changes_nothing(
    calls: int, tokenizer: Tokenizer, documents: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """The old folder stays, whenever Ctrl-C is pressed."""
    write(documents, tokenizer, tmp_path / "data")
    before = listing(tmp_path)
    monkeypatch.setattr("pytok.corpus.parts.BATCH_CHARACTERS", 500)
    remaining = iter(range(calls))

    def interrupt(done: int, total: int) -> None:
        if next(remaining, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(documents, tokenizer, tmp_path / "data", overwrite=True, progress=interrupt)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_rename_changes_nothing(
    failing: int, tokenizer: Tokenizer, text: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """The old folder is restored."""
    write(text, tokenizer, tmp_path / "data")
    before = listing(tmp_path)
    rename, calls = Path.rename, iter(range(1, 9))

    def fail(path: Path, target: Path) -> Path:
        if next(calls) == failing:
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ShardError, match="cannot be written: the disk is gone"):
        write(text, tokenizer, tmp_path / "data", overwrite=True, val=0)
    assert listing(tmp_path) == before


def test_nothing_is_written_if_a_document_cannot_be_read(
    tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """The parents of the folder are not created."""
    text.write_bytes(TEXT.encode() + b"\xff")

    with pytest.raises(CorpusError, match="not UTF-8"):
        write(text, tokenizer, tmp_path / "new/data")
    assert list(tmp_path.iterdir()) == [text]


def test_shards_are_replaced_only_on_request(
    tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """No file of the old folder stays."""
    write(text, tokenizer, tmp_path / "data", shard_tokens=10)

    with pytest.raises(ShardError, match="overwrite=True"):
        write(text, tokenizer, tmp_path / "data", val=0)
    write(text, tokenizer, tmp_path / "data", val=0, overwrite=True)
    names = {"shards.json", "tokenizer.json", "train_000000.bin", "train_documents.npy"}
    assert listing(tmp_path).keys() == {"text.txt", *(f"data/{name}" for name in names)}


@pytest.mark.parametrize("kind", ["no shards", "shards and more", "a file"])
def test_a_folder_with_other_files_is_never_replaced(
    kind: str, tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """`overwrite` changes nothing."""
    if kind == "shards and more":
        write(text, tokenizer, tmp_path / "data")
    path = tmp_path / ("data" if kind == "a file" else "data/thesis.txt")
    path.parent.mkdir(exist_ok=True)
    path.write_text("years of work")
    before = listing(tmp_path)

    with pytest.raises(ShardError, match=r"choose another|Not a directory"):
        write(text, tokenizer, tmp_path / "data", overwrite=True)
    assert listing(tmp_path) == before


def test_a_folder_that_appears_meanwhile_is_kept(
    tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    """It is checked again before anything is replaced."""

    def appear(done: int, total: int) -> None:
        if done == total:
            (tmp_path / "data").mkdir()
            (tmp_path / "data/thesis.txt").write_text("years of work")

    with pytest.raises(ShardError, match="choose another"):
        write(text, tokenizer, tmp_path / "data", progress=appear)
    assert listing(tmp_path).keys() == {"text.txt", "data/thesis.txt"}


def test_an_empty_folder_is_filled(tokenizer: Tokenizer, text: Path, tmp_path: Path) -> None:
    """There is nothing to lose in it."""
    (tmp_path / "data").mkdir()

    assert write(text, tokenizer, tmp_path / "data").splits.keys() == {"train", "val"}


# Reading.


def test_shards_of_another_tokenizer_are_an_error(
    tokenizer: Tokenizer, text: Path, tmp_path: Path
) -> None:
    write(text, tokenizer, tmp_path / "data")
    opened = open_shards(tmp_path / "data")
    opened.check(tokenizer.fingerprint)

    with pytest.raises(ShardError, match="was written with the tokenizer"):
        opened.check(pytok.train([TEXT], vocab_size=270).fingerprint)
