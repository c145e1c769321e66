"""Tokenizers whose words end with a suffix, as CLIP's: encoded as by tokenizers, or an error."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, CLIPTokenizer

import pytok
from pytok.byte_order import BYTE_ORDER, LETTERS
from pytok.definition import Definition, Unknown
from pytok.engine import EngineName
from pytok.errors import FormatError, PytokError, VocabError
from pytok.formats.classes import CLASSES
from pytok.tokenizer import Tokenizer
from tests.conftest import CORPUS, ENGINES
from tests.pytok.strategies import with_specials
from tests.pytok.test_formats import without_new_characters

SUFFIX = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
ALPHABET = [LETTERS[byte] for byte in BYTE_ORDER]
FULL = [*ALPHABET, *(letter + SUFFIX for letter in ALPHABET)]
CLIP = CLASSES["CLIPTokenizer"]

Pairs = Sequence[tuple[str, str]]
Part = dict[str, Any]


def pairs_of_corpus(count: int = 60) -> list[tuple[str, str]]:
    """Return merges of words of the corpus, each also at the end of a word."""
    tokenizer = pytok.train(CORPUS, 256 + count, special_tokens=())
    merges, tokens = tokenizer._core.merges(), list(tokenizer.vocab)
    letters = ["".join(LETTERS[byte] for byte in token) for token in tokens]
    found = [(letters[pair[0]], letters[pair[1]]) for pair in merges if pair]
    return [pair for left, right in found for pair in ((left, right), (left, right + SUFFIX))]


def document(entries: Sequence[str], pairs: Pairs, **model: object) -> Part:
    """Return a tokenizer.json that splits as CLIP's; the ids are the indices of *entries*."""
    listed = [*dict.fromkeys([*entries, *(left + right for left, right in pairs), START, END])]
    vocab = {entry: id for id, entry in enumerate(listed)}
    flags = {"special": True, "single_word": False, "lstrip": False, "rstrip": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": vocab[START], "content": START, "normalized": True, **flags},
            {"id": vocab[END], "content": END, "normalized": False, **flags},
        ],
        "normalizer": {"type": "Sequence", "normalizers": list(CLIP.normalizers)},
        "pre_tokenizer": CLIP.pre_tokenizer(prefix_space=False),
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "unk_token": END,
            "end_of_word_suffix": SUFFIX,
            "vocab": vocab,
            "merges": list(pairs),
            **model,
        },
    }


def written(folder: Path, content: Part) -> Path:
    """Write a tokenizer.json; return its path."""
    (folder / "words.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "words.json"


def without(letters: str, *ends: str, **model: object) -> Part:
    """Return a file as CLIP's that lacks *letters*, and *ends*, others with the suffix."""
    missing = {*letters, *(letter + SUFFIX for letter in letters), *ends}
    known = [
        pair
        for pair in pairs_of_corpus()
        if missing.isdisjoint([*pair, *pair[0]])
        and missing.isdisjoint(pair[1].removesuffix(SUFFIX))
    ]
    kept = [pair for pair in known if not "".join(pair).endswith(tuple(missing))]
    return document([entry for entry in FULL if entry not in missing], kept, **model)


FILES: dict[str, Part] = {
    "as CLIP": document(FULL, pairs_of_corpus()),
    "ids not in the order of merging": document(
        [*FULL, *(left + right for left, right in pairs_of_corpus()[::-1])], pairs_of_corpus()
    ),
    "letters after merges": document(
        [*(left + right for left, right in pairs_of_corpus()), *FULL], pairs_of_corpus()
    ),
    "unknown at the end of a word": without("", "e</w>", "©</w>", "!</w>"),
    "unknown and fused": without("xy", "e</w>", "d</w>", fuse_unk=True),
    "unknown and omitted": without("xt", "e</w>", "d</w>", unk_token=None),
    "ends of no character": without("", *(LETTERS[byte] + SUFFIX for byte in range(0xC0, 0x100))),
    "another suffix": document(
        [*ALPHABET, *(letter + "@@" for letter in ALPHABET)],
        [(left, right.replace(SUFFIX, "@@")) for left, right in pairs_of_corpus()],
        end_of_word_suffix="@@",
    ),
}
TEXTS = with_specials([START, END, "</w>", "e\u0301", "É", "x", "xe", "þÿ", "the"])


@pytest.mark.filterwarnings("ignore:.*lacks")
@pytest.mark.parametrize("name", FILES)
def test_texts_have_the_ids_of_tokenizers(name: str, engine: EngineName, tmp_path: Path) -> None:
    """And what decodes has the suffix's text, as there."""
    path = written(tmp_path, FILES[name])
    theirs, ours = tokenizers.Tokenizer.from_file(str(path)), pytok.load(path, engine=engine)

    @given(text=TEXTS.map(without_new_characters))
    def check(text: str) -> None:
        expected = theirs.encode(text).ids
        assert ours.encode(text, allowed_special="all") == expected
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)

    check()
    expected = theirs.encode("".join(CORPUS)).ids
    assert ours.encode("".join(CORPUS)) == expected


@pytest.mark.filterwarnings("ignore:.*lacks")
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_saved_with_the_same_ids(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, FILES[name])
    ours = pytok.load(path)

    ours.save(tmp_path / "saved.json")

    theirs = tokenizers.Tokenizer.from_file(str(path))
    saved = tokenizers.Tokenizer.from_file(str(tmp_path / "saved.json"))
    assert [saved.encode(text).ids for text in CORPUS] == [theirs.encode(t).ids for t in CORPUS]
    assert pytok.load(tmp_path / "saved.json").fingerprint == ours.fingerprint


@st.composite
def merges(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Draw pairs of letters, and of what earlier pairs make, in any order."""
    made = ["a", "b", "a</w>", "b</w>", "<", "/", "w", ">", "</w>"]
    pairs: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 8))):
        pair = draw(st.sampled_from(made)), draw(st.sampled_from(made))
        pairs.append(pair)
        made.append("".join(pair))
    return draw(st.permutations(pairs)) if draw(st.booleans()) else pairs


@given(pairs=merges(), text=st.lists(st.sampled_from([*"ab</w> ", "</w>", "ab"])).map("".join))
def test_any_merges_encode_the_same_or_raise_an_error(
    pairs: Pairs, text: str, tmp_path: Path
) -> None:
    """Also merges of letters that spell the suffix."""
    content = document([*FULL, SUFFIX], pairs)
    path = written(tmp_path, content | {"pre_tokenizer": {**BYTE_LEVEL, "use_regex": False}})
    theirs = tokenizers.Tokenizer.from_file(str(path))
    try:
        ours = [pytok.load(path, engine=engine) for engine in ENGINES]
    except FormatError:
        return
    for each in (text, "ab", "aab", "abab", "bbaa", "aaaaab", "a</w>", "a</w>b"):
        ids = theirs.encode(each).ids
        assert [tokenizer.encode(each) for tokenizer in ours] == [ids, ids], each


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


@pytest.fixture
def clip(engine: EngineName, tmp_path: Path) -> Tokenizer:
    return pytok.load(written(tmp_path, FILES["as CLIP"]), engine=engine)


def test_offsets_do_not_count_the_suffix(clip: Tokenizer) -> None:
    ids, offsets = clip.encode_with_offsets("é, x")

    assert clip.decode(ids) == "é</w>,</w>x</w>"
    assert list(dict.fromkeys(offsets)) == [(0, 1), (1, 2), (3, 4)]


def test_a_token_is_found_by_its_text_with_the_suffix(clip: Tokenizer) -> None:
    """The byte that engines merge at the end of words appears nowhere."""
    id = clip.encode("a")[0]

    assert clip.decode_single_token_bytes(id) == b"a</w>"
    assert clip.encode_single_token(b"a</w>") == id
    assert clip.vocab[b"a</w>"] == id
    assert not any(b"\xff" in token for token in clip.vocab)


def test_the_list_of_merges_of_openai_is_read(engine: EngineName, tmp_path: Path) -> None:
    """As transformers reads its vocabulary and merges."""
    pairs = pairs_of_corpus()
    lines = ['"bpe_simple_vocab_16e6.txt#version: 0.2', *map(" ".join, pairs)]
    (tmp_path / "bpe.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    theirs = CLIPTokenizer(
        vocab=document(FULL, pairs)["model"]["vocab"],
        merges=list(pairs),  # type: ignore[arg-type]
    )

    ours = pytok.load(tmp_path / "bpe.txt", engine=engine)

    for text in (*CORPUS, f"{START}DON'T  naïve{END}"):
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text, allowed_special="all") == expected


def test_a_folder_of_clip_is_read_as_transformers_does(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a tokenizer.json; of two flags for one text the last counts."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pairs = pairs_of_corpus()
    vocab = document(FULL, pairs)["model"]["vocab"]
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": True}
    end = {"__type": "AddedToken", "content": END, **flags}
    start = {"__type": "AddedToken", "content": START, **flags}
    named = {"eos_token": end, "unk_token": end, "bos_token": start, "pad_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", **named}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, pairs)]))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = AutoTokenizer.from_pretrained(tmp_path)

    ours = pytok.load(tmp_path, engine=engine)

    for text in (*CORPUS, f"{START}DON'T  naïve{END}", START.upper() + END.upper()):
        for around in (False, True):
            ids = ours.encode(text, allowed_special="all", add_special_tokens=around)
            assert ids == theirs(text, add_special_tokens=around)["input_ids"]


def definition(tokens: Sequence[bytes], unknown: Unknown | None = None) -> Definition:
    return Definition(
        "words", tokens, range(len(tokens)), "gpt2", unknown=unknown, end_of_word_suffix=SUFFIX
    )


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([b"a", b"a</w>", b"</w>"], "a token that is the suffix alone"),
        ([b"a", b"a</w>", b"\xff"], "or has a byte 0xfe or 0xff, which no text has"),
        ([b"a", b"a</w>", b"b</w>"], "has none without it: add it"),
        ([b"a", b"a</w>"], "say what becomes of them"),
    ],
)
def test_tokens_that_engines_cannot_apply_are_an_error(tokens: list[bytes], message: str) -> None:
    with pytest.raises(VocabError, match=message):
        definition(tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignore_merges": True}, "model.ignore_merges is true: tokenizers would encode a piece"),
        (
            {"merges": [["a<", "/w>"]], "vocab": dict.fromkeys([*FULL, "a<", "/w>", "a</w>"], 0)},
            "makes 'a</w>', which ends with model.end_of_word_suffix, of 'a<' and '/w>'",
        ),
        ({"vocab": {"a": 0}, "unk_token": "<unk>"}, "and model.unk_token '<unk>' as well"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused(
    changes: Part, message: str, tmp_path: Path
) -> None:
    content = document(FULL, ())
    content["model"] |= {"merges": [], **changes}
    content["added_tokens"] = []

    with pytest.raises(FormatError, match=message):
        pytok.load(written(tmp_path, content))


def test_what_merges_bytes_alone_is_refused(clip: Tokenizer, tmp_path: Path) -> None:
    """With the reason: a list of ranks, training, pruning, healing, unstable tokens."""
    from pytok.healing import heal
    from pytok.pruning import prune

    (tmp_path / "corpus.txt").write_text("a corpus")
    calls: list[Callable[[], object]] = [
        lambda: clip.save(tmp_path / "words.tiktoken"),
        lambda: pytok.train(CORPUS, clip.n_vocab + 9, base=clip),
        lambda: prune(clip, tmp_path / "corpus.txt"),
        lambda: heal(clip, "a cor"),
        lambda: clip.encode_with_unstable("a cor"),
    ]
    for call in calls:
        with pytest.raises(PytokError, match="ends each piece with '</w>'"):
            call()
