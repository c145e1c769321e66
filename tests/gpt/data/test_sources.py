"""What `gpt train` may be given: text, and token files of others, made shards beside the run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import pytok
from gpt.__main__ import main
from gpt.data.shards import open_data
from gpt.data.sources import prepare, vocab_size
from gpt.errors import DataError
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from pytok.errors import ShardError
from pytok.shards import training_text

TEXT = "".join(
    f"The cat number {n} saw a dog by the river, and {n + 1} owls.\n" for n in range(400)
)

SMALL = """
batch_size = 2
steps = 3
device = "cpu"
dtype = "float32"
threads = 1

[model]
context = 16
layers = 1
width = 32
attention = {heads = 2, kv_heads = 2}
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text file."""
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A tokenizer's file."""
    path = tmp_path / "tokenizer.json"
    pytok.train([TEXT], 300).save(path)
    return path


def nanogpt(folder: Path) -> Path:
    """A folder as data/shakespeare_char of nanoGPT, of `TEXT`."""
    folder.mkdir()
    itos = dict(enumerate(sorted(set(TEXT))))
    stoi = {character: id for id, character in itos.items()}
    ids = np.array([stoi[character] for character in TEXT], dtype=np.uint16)
    ids[:-2000].tofile(folder / "train.bin")
    ids[-2000:].tofile(folder / "val.bin")
    meta = {"vocab_size": len(itos), "itos": itos, "stoi": stoi}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    return folder


def given(folder: Path, data: Path, *more: str) -> list[str]:
    config = folder / "recipe.toml"
    config.write_text(SMALL, encoding="utf-8")
    return [
        *("train", "--data", str(data), "--out", str(folder / "run")),
        *("--config", str(config), *more),
    ]


def test_text_is_tokenized_into_the_run(text: Path, trained: Path, tmp_path: Path) -> None:
    """With the tokenizer that is named, and a share held out; the run points to what was made."""
    code = main(given(tmp_path, text, "--tokenizer", str(trained), "--val", "0.2"))
    state = read_checkpoint(tmp_path / "run").state
    made = open_data(tmp_path / "run" / "data")

    assert code == 0
    assert state.recipe.data == tmp_path / "run" / "data"
    assert made.fingerprint == pytok.load(trained).fingerprint
    assert made.splits["train"].bytes == int(len(TEXT) * 0.8)
    assert state.val_bpb is not None


def test_same_command_goes_on_with_what_was_made(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is tokenized twice, and the run needs the text no more."""
    assert main(given(tmp_path, text)) == 0
    manifest = tmp_path / "run" / "data" / "shards.json"
    before = manifest.stat()
    assert main(given(tmp_path, text, "--steps", "5")) == 0
    printed = capsys.readouterr().err

    assert manifest.stat() == before
    assert printed.count("tokenized into") == 1
    assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) == 5
    text.unlink()
    assert main(["eval", str(tmp_path / "run"), "--device", "cpu"]) == 0


def test_text_that_has_changed_is_refused(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two ways to go on."""
    main(given(tmp_path, text))
    text.write_text(TEXT + "More.\n", encoding="utf-8")
    code = main(given(tmp_path, text))
    data = tmp_path / "run" / "data"

    assert code == 1
    assert f"--data {data} to go on" in capsys.readouterr().err
    assert main(given(tmp_path, data, "--steps", "4")) == 0


@pytest.mark.parametrize("change", [{"val": 0.3}, {"tokenizer": "tokenizer.json"}], ids=str)
def test_other_choices_are_refused_too(
    text: Path, trained: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    """They would make other shards."""
    prepare(text, tmp_path / "run")
    if "tokenizer" in change:
        change = {"tokenizer": str(trained)}
    with pytest.raises(DataError, match="with another tokenizer or share held out"):
        prepare(text, tmp_path / "run", **change)


def test_new_tokenizer_learns_nothing_of_what_is_held_out(tmp_path: Path) -> None:
    """A word that only the validation split has makes no token."""
    path = tmp_path / "corpus.txt"
    path.write_text("the cat and the hat " * 200 + "zyzzyva " * 30, encoding="utf-8")
    made = prepare(path, tmp_path / "run")
    tokens = pytok.load(made / "tokenizer.json").vocab

    assert b" the" in tokens
    assert not any(b"zy" in token for token in tokens)


@pytest.mark.parametrize("name", ["corpus.txt", "corpus.jsonl"])
def test_training_text_is_what_shards_are_written_of(name: str, tmp_path: Path) -> None:
    """To the byte."""
    path = tmp_path / name
    lines = [json.dumps({"text": line}) for line in TEXT.splitlines()]
    path.write_text(TEXT if name == "corpus.txt" else "\n".join(lines), encoding="utf-8")
    learnt = "".join(training_text(path, val=0.3, pattern="cl100k"))
    tokenizer = pytok.train([TEXT], 260)
    split = pytok.shards.write(path, tokenizer, tmp_path / "data", val=0.3).splits["train"]
    ids = [id for id in split.read(0, len(split)).tolist() if id != tokenizer.eot_token]

    assert tokenizer.decode(ids) == learnt


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """With the byte; and nothing is left."""
    path = tmp_path / "corpus.txt"
    path.write_bytes(TEXT.encode() + b"\xff" + TEXT.encode())
    with pytest.raises(DataError, match=r"corpus.txt.*byte"):
        prepare(path, tmp_path / "run")

    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.parametrize("tokenizer", [True, False], ids=["encoded", "trained on"])
def test_advice_for_bytes_that_are_no_text_is_for_gpt(
    tokenizer: bool, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In two lines: that they are read, said once, and the failure, with options that there are."""
    path = tmp_path / "ids.dat"
    path.write_bytes(bytes(range(256)))
    named = ["--tokenizer", str(trained)] if tokenizer else []
    code = main(given(tmp_path, path, *named))
    printed = capsys.readouterr().err

    assert code == 1
    assert printed.count("\n") == 2
    assert "byte 128 is not UTF-8" in printed
    assert "the folder that `pytok shard --errors replace` makes from it" in printed
    assert "must end in .bin" in printed
    assert "pass errors" not in printed


@pytest.mark.parametrize(
    ("size", "ids"), [(0, 512), (100_000, 1024), (1_000_000, 2048), (139_000_000, 16_384)]
)
def test_vocabulary_grows_with_the_text(size: int, ids: int) -> None:
    """Up to 32,768."""
    assert vocab_size(size) == ids
    assert vocab_size(10**12) == 32_768


def test_nanogpts_characters_are_enough(tmp_path: Path) -> None:
    """Its meta.pkl is the tokenizer: bits per byte are bits per character."""
    code = main(given(tmp_path, nanogpt(tmp_path / "shakespeare_char")))
    checkpoint = read_checkpoint(tmp_path / "run")
    made = open_data(tmp_path / "run" / "data")

    assert code == 0
    assert checkpoint.state.val_bpb is not None
    assert checkpoint.tokenizer().encode("a dog") == [
        sorted(set(TEXT)).index(character) for character in "a dog"
    ]
    assert (made.splits["val"].bytes, len(made.splits["val"])) == (2000, 2000)
    assert main(["sample", str(tmp_path / "run"), "--prompt", "a", "--tokens", "3"]) == 0


def test_run_reads_token_files_where_they_are(tmp_path: Path) -> None:
    """And misses them when they are gone."""
    folder = nanogpt(tmp_path / "shakespeare_char")
    assert main(given(tmp_path, folder)) == 0
    (folder / "train.bin").unlink()
    with pytest.raises(DataError, match=r"train.bin: cannot be read"):
        open_data(tmp_path / "run" / "data")


def test_token_files_without_a_tokenizer_ask_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No vocabulary and no bytes of text can be guessed."""
    folder = nanogpt(tmp_path / "stream")
    (folder / "meta.pkl").unlink()

    assert main(given(tmp_path, folder)) == 1
    assert "name it with --tokenizer" in capsys.readouterr().err


def test_token_files_without_a_validation_split_are_trained_on_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and how to name one."""
    folder = nanogpt(tmp_path / "stream")
    (folder / "val.bin").rename(tmp_path / "held.bin")
    assert main(given(tmp_path, folder)) == 0
    assert "name it with --val-data" in capsys.readouterr().err
    assert read_checkpoint(tmp_path / "run").state.val_bpb is None
    told: list[str] = []
    made = prepare(folder, tmp_path / "new", val_data=tmp_path / "held.bin", notice=told.append)
    assert len(open_data(made).splits["val"]) == 2000


def test_id_beyond_the_vocabulary_ends_the_command_with_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file, the position and the id."""
    path = tmp_path / "train.bin"
    np.array([5, 6, 4000], dtype=np.uint16).tofile(path)

    assert main(given(tmp_path, path, "--tokenizer", str(trained))) == 1
    printed = capsys.readouterr().err
    assert "train.bin: token 2 (from 0) is id 4000" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("kind", ["shards", "text"])
def test_val_data_is_for_token_files(kind: str, text: Path, data: Path, tmp_path: Path) -> None:
    """Shards and text have other ways."""
    with pytest.raises(DataError, match="--val-data is for token files"):
        prepare(data if kind == "shards" else text, tmp_path / "run", val_data=text)


@pytest.mark.parametrize(
    ("kind", "instead"), [("shards", "`pytok shard --val` makes"), ("tokens", "with --val-data")]
)
def test_share_held_out_is_for_text(kind: str, instead: str, data: Path, tmp_path: Path) -> None:
    """What is in splits already is not divided again, and one line says what to do."""
    source = data if kind == "shards" else nanogpt(tmp_path / "stream")
    with pytest.raises(DataError, match=f"--val is a share of text; .*{instead}"):
        prepare(source, tmp_path / "run", val=0.1)


def test_shards_are_taken_as_they_are(text: Path, trained: Path, tmp_path: Path) -> None:
    """If they are of the tokenizer that is named."""
    pytok.shards.write(text, pytok.load(trained), tmp_path / "data")
    other = tmp_path / "other.json"
    pytok.train([TEXT], 290).save(other)

    assert prepare(tmp_path / "data", tmp_path / "run") == tmp_path / "data"
    assert prepare(tmp_path / "data", tmp_path / "run", tokenizer=str(trained)).is_dir()
    with pytest.raises(ShardError, match="was written with the tokenizer"):
        prepare(tmp_path / "data", tmp_path / "run", tokenizer=str(other))


def test_run_on_a_file_is_called_by_its_name(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its endings."""
    monkeypatch.chdir(tmp_path)
    command = given(tmp_path, text)
    out = command.index("--out")
    del command[out : out + 2]

    assert main(command) == 0
    assert (tmp_path / "runs" / "corpus" / "data" / "shards.json").exists()


def interrupted(stage: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_tokenizing_leaves_nothing(
    text: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the command ends with 130."""
    monkeypatch.setattr("pytok.terminal.Bars.update", lambda self, *at: interrupted(*at))
    command: Sequence[str] = given(tmp_path, text, "--tokenizer", str(trained))

    assert main(command) == 130
    assert {path.name for path in tmp_path.iterdir()} == {
        "corpus.txt",
        "tokenizer.json",
        "recipe.toml",
    }
