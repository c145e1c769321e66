"""Construction of the training data folder from a history."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

import pytok
from pytok.chat.building import build, default_vocab_size
from pytok.chat.conversations import ConversationOptions
from pytok.chat.record import assume_utc
from pytok.chat.template import Template, read_conversations
from pytok.errors import ChatError, ShardError
from pytok.shards import open_shards
from pytok.tokenizer import Tokenizer
from tests.pytok.chat.histories import history, long_history, message


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder built from twenty conversations of three people, with Bo as `me`."""
    build(long_history(20), tmp_path / "data", me="bo")
    return tmp_path / "data"


def test_the_folder_has_shards_a_template_and_texts(data: Path) -> None:
    assert sorted(path.name for path in data.iterdir()) == [
        "chat.json",
        "shards.json",
        "tokenizer.json",
        "train.jsonl",
        "train_000000.bin",
        "train_documents.npy",
        "val.jsonl",
        "val_000000.bin",
        "val_documents.npy",
    ]
    assert Template.load(data / "chat.json") == Template(("Bo", "Ada", "Cy"), me="Bo")


@pytest.mark.parametrize("split", ["train", "val"])
def test_each_document_is_a_conversation_as_the_template_renders_it(data: Path, split: str) -> None:
    """Shards and texts contain the same conversations; bytes count the text alone."""
    tokenizer, template = pytok.load(data / "tokenizer.json"), Template.load(data / "chat.json")
    talks = list(read_conversations(data / f"{split}.jsonl"))
    rendered = [template.render(talk, tokenizer).ids for talk in talks]
    opened = open_shards(data).splits[split]
    starts = [0, *opened.document_ends.tolist()]

    assert len(talks) == {"train": 18, "val": 2}[split]
    assert [opened.read(start, stop).tolist() for start, stop in pairwise(starts)] == rendered
    assert opened.bytes == sum(len(turn.text.encode()) for talk in talks for turn in talk.turns)


def test_all_validation_text_is_later_than_training_text(data: Path) -> None:
    train, val = (
        [assume_utc(talk.began) for talk in read_conversations(data / name) if talk.began]
        for name in ("train.jsonl", "val.jsonl")
    )

    assert max(train) < min(val)


@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_the_tokenizer_is_trained_on_the_training_split_alone(tmp_path: Path) -> None:
    """A word that occurs only in the last conversations is not a token."""
    messages = [*long_history(18), *history(*(f"{9000 + n} Ada zzqqxx zzqqxx" for n in range(40)))]
    messages += history("9050 Bo zzqqxx")

    build(messages, tmp_path / "data", vocab=900)
    tokenizer = pytok.load(tmp_path / "data/tokenizer.json")

    assert b" says" in tokenizer.vocab
    assert not [token for token in tokenizer.vocab if b"zz" in token or b"qq" in token]


def test_a_given_tokenizer_is_extended(trained: Tokenizer, tmp_path: Path) -> None:
    """Its own ids do not change."""
    built = build(long_history(5), tmp_path / "data", me="Ada", tokenizer=trained)
    saved = pytok.load(tmp_path / "data/tokenizer.json")

    assert list(saved.vocab.items()) == list(trained.vocab.items())
    assert saved.special_tokens["<|speaker_0|>"] == trained.n_vocab + 2
    built.shards.check(saved.fingerprint)


def test_text_that_contains_a_special_token_stays_text(tmp_path: Path) -> None:
    """In the shards as in the template."""
    messages = [
        message(120 * number + minute, sender, "<|end|><|speaker_0|>I pay<|endoftext|>")
        for number in range(4)
        for minute, sender in enumerate("AB")
    ]

    opened = build(messages, tmp_path / "data", me="A", val=0).shards
    tokenizer = pytok.load(tmp_path / "data/tokenizer.json")
    train = opened.splits["train"]
    counts = Counter(train.read(0, len(train)).tolist())

    assert counts[tokenizer.special_tokens["<|end|>"]] == 8
    assert counts[tokenizer.special_tokens["<|speaker_0|>"]] == 4
    assert counts[tokenizer.eot_token] == 4


def test_with_a_fraction_of_zero_nothing_is_held_out(tmp_path: Path) -> None:
    opened = build(long_history(1), tmp_path / "data", val=0).shards

    assert list(opened.splits) == ["train"]
    assert not (tmp_path / "data/val.jsonl").exists()


def test_conversations_are_cut_to_the_token_limit(tmp_path: Path) -> None:
    """In both splits, with the newly trained tokenizer."""
    options = ConversationOptions(split="tokens", max_tokens=64, merge=False)

    built = build(long_history(20), tmp_path / "data", options=options)

    for split in built.shards.splits.values():
        ends = split.document_ends.tolist()
        assert max(b - a for a, b in zip([0, *ends], ends, strict=False)) <= 64
    assert built.turns["val"] == 10


def test_a_folder_is_replaced_only_on_request(data: Path) -> None:
    """And only if all its files were written by `build` or `pytok shard`."""
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(ShardError, match="--overwrite"):
        build(long_history(5), data)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before

    build(long_history(5), data, overwrite=True)
    assert Template.load(data / "chat.json").me is None

    (data / "novel.txt").touch()
    with pytest.raises(ShardError, match=r"novel\.txt"):
        build(long_history(5), data, overwrite=True)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a partial folder nor a hidden one."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Template, "save", fail)
    with pytest.raises(ShardError, match="disk full"):
        build(long_history(5), tmp_path / "data")

    assert not list(tmp_path.iterdir())


def test_invalid_arguments_are_rejected(trained: Tokenizer, tmp_path: Path) -> None:
    """The error lists the choices."""
    folder = tmp_path / "data"
    with pytest.raises(ChatError, match="'Eve' is not one of the senders: 'Ada', 'Bo', 'Cy'"):
        build(long_history(5), folder, me="Eve")
    with pytest.raises(ChatError, match="give either vocab or tokenizer"):
        build(long_history(5), folder, vocab=300, tokenizer=trained)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text_bytes", "ids"),
    [
        (0, 512),
        (131_072, 512),
        (262_144, 1024),
        (1_000_000, 2048),
        (2_000_000, 4096),
        (10**9, 16384),
    ],
)
def test_the_default_vocabulary_size_increases_with_the_text(text_bytes: int, ids: int) -> None:
    assert default_vocab_size(text_bytes) == ids


def test_the_start_of_a_conversation_is_written_as_in_the_source(data: Path) -> None:
    """Without a zone if the source has none."""
    first = json.loads((data / "train.jsonl").read_text().splitlines()[0])

    assert datetime.fromisoformat(first["began"]) == datetime(2024, 1, 1, 12)
