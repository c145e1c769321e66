"""The data of `gpt train`: text and third-party token files, converted to shards."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import pytok
from gpt.__main__ import main
from gpt.data.shards import open_data
from gpt.data.sources import prepare, vocab_size
from gpt.errors import DataError
from gpt.interop.imported import write_imported
from gpt.runs.metrics import read_metrics
from gpt.runs.reading import read_checkpoint
from pytok import shards
from pytok.definition import AddedToken
from pytok.errors import CorpusError, ShardError
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
    """The file of a tokenizer."""
    path = tmp_path / "tokenizer.json"
    pytok.train([TEXT], 300).save(path)
    return path


def nanogpt(folder: Path) -> Path:
    """Write a folder like data/shakespeare_char of nanoGPT, from `TEXT`."""
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
    """With --tokenizer, and the fraction --val held out; the recipe has the path of the shards."""
    code = main(given(tmp_path, text, "--tokenizer", str(trained), "--val", "0.2"))
    state = read_checkpoint(tmp_path / "run").state
    made = open_data(tmp_path / "run" / "data")

    assert code == 0
    assert state.recipe.data == tmp_path / "run" / "data"
    assert made.fingerprint == pytok.load(trained).fingerprint
    assert made.splits["train"].bytes == int(len(TEXT) * 0.8)
    assert state.score is not None


def test_same_command_reuses_the_shards(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is tokenized twice, and evaluation does not need the text."""
    assert main(given(tmp_path, text)) == 0
    manifest = tmp_path / "run" / "data" / "shards.json"
    before = manifest.stat().st_mtime_ns, manifest.stat().st_ino
    assert main(given(tmp_path, text, "--steps", "5")) == 0
    printed = capsys.readouterr().err

    # Not all of stat: reading changes the time of the last access, once a tick of the clock.
    assert (manifest.stat().st_mtime_ns, manifest.stat().st_ino) == before
    assert printed.count("tokenized into") == 1
    assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) == 5
    text.unlink()
    assert main(["eval", str(tmp_path / "run"), "--device", "cpu"]) == 0


def test_changed_text_is_refused(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error has two ways to continue."""
    main(given(tmp_path, text))
    text.write_text(TEXT + "More.\n", encoding="utf-8")
    code = main(given(tmp_path, text))
    data = tmp_path / "run" / "data"

    assert code == 1
    assert f"--data {data} to use it as it is" in capsys.readouterr().err
    assert main(given(tmp_path, data, "--steps", "4")) == 0


@pytest.mark.parametrize("change", [{"val": 0.3}, {"tokenizer": "tokenizer.json"}], ids=str)
def test_other_options_for_existing_shards_are_refused(
    text: Path, trained: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    """They would give other shards."""
    prepare(text, tmp_path / "run")
    if "tokenizer" in change:
        change = {"tokenizer": str(trained)}
    with pytest.raises(DataError, match="with another tokenizer or held-out fraction"):
        prepare(text, tmp_path / "run", **change)


def test_new_tokenizer_is_not_trained_on_held_out_text(tmp_path: Path) -> None:
    """A word that occurs in the validation split only is no token."""
    path = tmp_path / "corpus.txt"
    path.write_text("the cat and the hat " * 200 + "zyzzyva " * 30, encoding="utf-8")
    made = prepare(path, tmp_path / "run")
    tokens = pytok.load(made / "tokenizer.json").vocab

    assert b" the" in tokens
    assert not any(b"zy" in token for token in tokens)


@pytest.mark.parametrize("name", ["corpus.txt", "corpus.jsonl"])
def test_training_text_is_the_training_split_of_the_shards(name: str, tmp_path: Path) -> None:
    """To the byte."""
    path = tmp_path / name
    lines = [json.dumps({"text": line}) for line in TEXT.splitlines()]
    path.write_text(TEXT if name == "corpus.txt" else "\n".join(lines), encoding="utf-8")
    expected = "".join(training_text(path, val=0.3, pattern="cl100k"))
    tokenizer = pytok.train([TEXT], 260)
    split = pytok.shards.write(path, tokenizer, tmp_path / "data", val=0.3).splits["train"]
    ids = [id for id in split.read(0, len(split)).tolist() if id != tokenizer.eot_token]

    assert tokenizer.decode(ids) == expected


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """The error has the offset, and nothing is written."""
    path = tmp_path / "corpus.txt"
    path.write_bytes(TEXT.encode() + b"\xff" + TEXT.encode())
    with pytest.raises(DataError, match=r"corpus.txt.*byte"):
        prepare(path, tmp_path / "run")

    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.parametrize("tokenizer", [True, False], ids=["encoded", "trained on"])
def test_advice_for_binary_data_names_options_of_gpt(
    tokenizer: bool, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines announce the run, and the error names existing options only."""
    path = tmp_path / "ids.dat"
    path.write_bytes(bytes(range(256)))
    named = ["--tokenizer", str(trained)] if tokenizer else []
    code = main(given(tmp_path, path, *named))
    printed = capsys.readouterr().err

    assert code == 1
    assert printed.count("\n") == 3
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
    """Its meta.pkl is the tokenizer, and bits per byte are bits per character."""
    code = main(given(tmp_path, nanogpt(tmp_path / "shakespeare_char")))
    checkpoint = read_checkpoint(tmp_path / "run")
    made = open_data(tmp_path / "run" / "data")

    assert code == 0
    assert checkpoint.state.score is not None
    assert checkpoint.tokenizer().encode("a dog") == [
        sorted(set(TEXT)).index(character) for character in "a dog"
    ]
    assert (made.splits["val"].bytes, len(made.splits["val"])) == (2000, 2000)
    assert main(["sample", str(tmp_path / "run"), "--prompt", "a", "--tokens", "3"]) == 0


def test_run_reads_token_files_where_they_are(tmp_path: Path) -> None:
    """If they are removed, the shards cannot be opened."""
    folder = nanogpt(tmp_path / "shakespeare_char")
    assert main(given(tmp_path, folder)) == 0
    (folder / "train.bin").unlink()
    with pytest.raises(DataError, match=r"train.bin: cannot be read"):
        open_data(tmp_path / "run" / "data")


def test_token_files_need_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the vocabulary nor the bytes of text can be guessed."""
    folder = nanogpt(tmp_path / "stream")
    (folder / "meta.pkl").unlink()

    assert main(given(tmp_path, folder)) == 1
    assert "name it with --tokenizer" in capsys.readouterr().err


def test_token_files_without_a_validation_split_can_be_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notice says so, and how to name one."""
    folder = nanogpt(tmp_path / "stream")
    (folder / "val.bin").rename(tmp_path / "held.bin")
    assert main(given(tmp_path, folder)) == 0
    assert "no validation split; pass --val-data" in capsys.readouterr().err
    assert read_checkpoint(tmp_path / "run").state.score is None
    notices: list[str] = []
    made = prepare(folder, tmp_path / "new", val_data=tmp_path / "held.bin", notice=notices.append)
    assert len(open_data(made).splits["val"]) == 2000


def test_id_beyond_the_vocabulary_is_one_line(
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
    """Shards and text are split in other ways."""
    with pytest.raises(DataError, match="remove --val-data: it applies to token files only"):
        prepare(data if kind == "shards" else text, tmp_path / "run", val_data=text)


@pytest.mark.parametrize(
    ("kind", "instead"), [("shards", "`pytok shard --val` makes"), ("tokens", "with --val-data")]
)
def test_val_is_for_text(kind: str, instead: str, data: Path, tmp_path: Path) -> None:
    """Data that is split already is not split again; the error says what to do."""
    source = data if kind == "shards" else nanogpt(tmp_path / "stream")
    with pytest.raises(DataError, match=f"remove --val: it applies to text only; .*{instead}"):
        prepare(source, tmp_path / "run", val=0.1)


def test_shards_are_used_as_they_are(text: Path, trained: Path, tmp_path: Path) -> None:
    """If the named tokenizer wrote them."""
    pytok.shards.write(text, pytok.load(trained), tmp_path / "data")
    other = tmp_path / "other.json"
    pytok.train([TEXT], 290).save(other)

    assert prepare(tmp_path / "data", tmp_path / "run") == tmp_path / "data"
    assert prepare(tmp_path / "data", tmp_path / "run", tokenizer=str(trained)).is_dir()
    with pytest.raises(ShardError, match="was written with the tokenizer"):
        prepare(tmp_path / "data", tmp_path / "run", tokenizer=str(other))


def test_run_on_a_file_has_the_name_of_the_file(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its extensions."""
    monkeypatch.chdir(tmp_path)
    command = given(tmp_path, text)
    out = command.index("--out")
    del command[out : out + 2]

    assert main(command) == 0
    assert (tmp_path / "runs" / "corpus" / "data" / "shards.json").exists()


def interrupted(stage: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_tokenizing_writes_nothing(
    text: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 130."""
    monkeypatch.setattr("pytok.terminal.Bars.update", lambda self, *at: interrupted(*at))
    command: Sequence[str] = given(tmp_path, text, "--tokenizer", str(trained))

    assert main(command) == 130
    assert {path.name for path in tmp_path.iterdir()} == {
        "corpus.txt",
        "tokenizer.json",
        "recipe.toml",
    }


@pytest.mark.parametrize("val", ["0.1", "0"])
def test_empty_text_is_refused(
    val: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advice has options of this command, not arguments of the library."""
    path = tmp_path / "empty.txt"
    path.write_text("")
    code = main(given(tmp_path, path, "--tokenizer", str(trained), "--val", val))
    error = capsys.readouterr().err.splitlines()[-1]

    assert code == 1
    assert error.startswith(f"gpt: {path}: the train split would be empty")
    assert ("--val 0" in error) is (val != "0")
    assert "split=" not in error
    assert not (tmp_path / "run" / "data").exists()


def test_imported_and_tuned_runs_are_not_resumed(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names `gpt tune`, and nothing is tokenized."""
    assert main(given(tmp_path, text)) == 0
    run, folder = tmp_path / "run", tmp_path / "model"
    write_imported(folder, read_checkpoint(run).model(), read_checkpoint(run).tokenizer())
    command = ["train", "--data", str(text), "--out", str(folder)]

    assert main(command) == 1
    assert f"{folder} holds an imported model; to train it on, use `gpt tune {folder}" in (
        capsys.readouterr().err
    )
    tuned = ["tune", str(run), "--data", str(run / "data"), "--out", str(tmp_path / "tuned")]
    assert main([*tuned, "--set", "steps=1", "--device", "cpu", "--dtype", "float32"]) == 0
    capsys.readouterr()
    assert main(["train", "--data", str(text), "--out", str(tmp_path / "tuned")]) == 1
    assert (
        "tuned holds a run of another task; resume it with the `gpt tune`"
        in capsys.readouterr().err
    )
    assert not (folder / "data").exists()


def test_option_that_changes_a_run_is_refused_by_name(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the text is read again: it may have been moved."""
    assert main(given(tmp_path, text)) == 0
    text.unlink()
    code = main(given(tmp_path, text, "--width", "64"))

    assert code == 1
    assert "gpt: --width 64: " in capsys.readouterr().err


def test_text_can_be_in_an_archive(tmp_path: Path) -> None:
    """What is skipped in it is said once."""
    said: list[str] = []
    with tarfile.open(tmp_path / "text.tar", "w") as archive:
        for name, content in (("a.txt", TEXT.encode()), (".hidden", b"x")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    folder = prepare(tmp_path / "text.tar", tmp_path / "run", notice=said.append)

    assert open_data(folder).splits.keys() == {"train", "val"}
    assert [line for line in said if "skipped" in line] == [
        f"{tmp_path / 'text.tar'}: skipped 1 member of archives (1 hidden)"
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_text_cannot_be_a_pipe(tmp_path: Path) -> None:
    """It is read twice, and again when a run is resumed."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CorpusError, match=r"only once: .*`pytok shard`"):
        prepare(tmp_path / "pipe", tmp_path / "run")


@pytest.mark.parametrize("given_as", ["text", "shards"])
def test_one_special_token_far_away_is_refused(
    given_as: str, text: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model would have a row for each id up to it, of which nearly none is a token."""
    far = pytok.load(trained).with_special_tokens([AddedToken("<far>", 4_000_000_000)])
    far.save(trained)
    data, more = text, ["--tokenizer", str(trained)]
    if given_as == "shards":
        data, more = tmp_path / "shards", []
        shards.write(text, far, data)

    assert main(given(tmp_path, data, *more)) == 1
    assert "the greatest id is 4,000,000,000, of only 301 tokens" in capsys.readouterr().err
