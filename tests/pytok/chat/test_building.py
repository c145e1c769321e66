"""A history to the folder that models learn from: whole, true to the template, and no other."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

import pytok
from pytok.chat.building import build, usual_vocab
from pytok.chat.conversations import Division
from pytok.chat.record import in_order
from pytok.chat.template import Template, read_conversations
from pytok.errors import ChatError, ShardError
from pytok.shards import open_shards
from pytok.tokenizer import Tokenizer
from tests.pytok.chat.histories import history, long_history, message


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What is built of twenty conversations of three, as Bo."""
    build(long_history(20), tmp_path / "data", me="bo")
    return tmp_path / "data"


def test_the_folder_is_one_of_shards_with_a_template_and_texts(data: Path) -> None:
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
    """Ids and texts are two spellings of the same; bytes are those of the texts alone."""
    tokenizer, template = pytok.load(data / "tokenizer.json"), Template.load(data / "chat.json")
    talks = list(read_conversations(data / f"{split}.jsonl"))
    rendered = [template.render(talk, tokenizer).ids for talk in talks]
    opened = open_shards(data).splits[split]
    starts = [0, *opened.document_ends.tolist()]

    assert len(talks) == {"train": 18, "val": 2}[split]
    assert [opened.read(start, stop).tolist() for start, stop in pairwise(starts)] == rendered
    assert opened.bytes == sum(len(turn.text.encode()) for talk in talks for turn in talk.turns)


def test_validation_comes_after_all_that_is_learnt(data: Path) -> None:
    learnt, held = (
        [in_order(talk.began) for talk in read_conversations(data / name) if talk.began]
        for name in ("train.jsonl", "val.jsonl")
    )

    assert max(learnt) < min(held)


@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_the_tokenizer_has_seen_nothing_that_is_held_out(tmp_path: Path) -> None:
    """A word that comes in the last conversations alone is no token."""
    messages = [*long_history(18), *history(*(f"{9000 + n} Ada zzqqxx zzqqxx" for n in range(40)))]
    messages += history("9050 Bo zzqqxx")

    build(messages, tmp_path / "data", vocab=900)
    tokenizer = pytok.load(tmp_path / "data/tokenizer.json")

    assert b" says" in tokenizer.vocab
    assert not [token for token in tokenizer.vocab if b"zz" in token or b"qq" in token]


def test_a_given_tokenizer_gets_what_it_lacks(trained: Tokenizer, tmp_path: Path) -> None:
    """And its own ids stay."""
    built = build(long_history(5), tmp_path / "data", me="Ada", tokenizer=trained)
    saved = pytok.load(tmp_path / "data/tokenizer.json")

    assert list(saved.vocab.items()) == list(trained.vocab.items())
    assert saved.special_tokens["<|speaker_0|>"] == trained.n_vocab + 2
    built.shards.check(saved.fingerprint)


def test_text_that_spells_a_special_token_stays_text(tmp_path: Path) -> None:
    """In the shards as in the template."""
    messages = [
        message(120 * number + place, sender, "<|end|><|speaker_0|>I pay<|endoftext|>")
        for number in range(4)
        for place, sender in enumerate("AB")
    ]

    opened = build(messages, tmp_path / "data", me="A", val=0).shards
    tokenizer = pytok.load(tmp_path / "data/tokenizer.json")
    train = opened.splits["train"]
    counts = Counter(train.read(0, len(train)).tolist())

    assert counts[tokenizer.special_tokens["<|end|>"]] == 8
    assert counts[tokenizer.special_tokens["<|speaker_0|>"]] == 4
    assert counts[tokenizer.eot_token] == 4


def test_nothing_is_held_out_if_so_wanted(tmp_path: Path) -> None:
    opened = build(long_history(1), tmp_path / "data", val=0).shards

    assert list(opened.splits) == ["train"]
    assert not (tmp_path / "data/val.jsonl").exists()


def test_conversations_are_cut_to_a_length_in_tokens(tmp_path: Path) -> None:
    """By the tokenizer that is trained, on either side."""
    division = Division(split="tokens", max_tokens=64, merge=False)

    built = build(long_history(20), tmp_path / "data", division=division)

    for split in built.shards.splits.values():
        ends = split.document_ends.tolist()
        assert max(b - a for a, b in zip([0, *ends], ends, strict=False)) <= 64
    assert built.turns["val"] == 10


def test_the_folder_is_replaced_only_if_so_wanted(data: Path) -> None:
    """And only what `build` or `pytok shard` wrote."""
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
    """Not half a folder, and not the hidden one."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Template, "save", fail)
    with pytest.raises(ShardError, match="disk full"):
        build(long_history(5), tmp_path / "data")

    assert not list(tmp_path.iterdir())


def test_what_cannot_be_built_is_refused(trained: Tokenizer, tmp_path: Path) -> None:
    """With a reason, and what there is to choose from."""
    folder = tmp_path / "data"
    with pytest.raises(ChatError, match="'Eve' is none of the senders: 'Ada', 'Bo', 'Cy'"):
        build(long_history(5), folder, me="Eve")
    with pytest.raises(ChatError, match="no conversation is left: 1 conversation with too few"):
        build(history("0 Ada hi"), folder)
    with pytest.raises(ChatError, match="no conversation is left: nothing"):
        build([], folder)
    quiet = message(999, "Dee", kind="media")
    with pytest.raises(ChatError, match="'Dee' says nothing in the conversations"):
        build([*long_history(5), quiet], folder, me="Dee")
    with pytest.raises(ChatError, match="say one"):
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
def test_the_usual_vocabulary_grows_with_the_text(text_bytes: int, ids: int) -> None:
    assert usual_vocab(text_bytes) == ids


def test_when_a_conversation_began_is_told_as_the_source_does(data: Path) -> None:
    """Without a zone where it names none."""
    first = json.loads((data / "train.jsonl").read_text().splitlines()[0])

    assert datetime.fromisoformat(first["began"]) == datetime(2024, 1, 1, 12)
