"""Files are distinguished by content: what is read under any name, and what is named."""

import base64
import contextlib
import gzip
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, PytokError, VocabError
from pytok.tokenizer import Tokenizer

RANKS = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)} | {b"th": 256, b"the": 257}
SPECIALS = {"<|endoftext|>": 258}
TOKENIZER = Tokenizer("any", pat_str="gpt2", mergeable_ranks=RANKS, special_tokens=SPECIALS)
LINES = b"".join(base64.b64encode(token) + b" %d\n" % id for token, id in RANKS.items())


def error_of(path: Path, **arguments: Any) -> str:
    """Return the message of loading *path*, after checking that it names the file."""
    with pytest.raises(FormatError) as caught:
        pytok.load(path, **arguments)
    assert caught.value.message.startswith(f"{path}: ")
    return caught.value.message


def test_ranks_are_read_under_any_name(tmp_path: Path) -> None:
    """Llama and Kimi name them .model; Windows changes line ends; some are compressed."""
    contents = {
        "tokenizer.model": LINES,
        "qwen.tiktoken": LINES.replace(b"\n", b"\r\n"),
        "vocab.bpe": b"\n" + LINES.rstrip(),
        "ranks.tiktoken.gz": gzip.compress(LINES),
        "ranks": LINES,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        loaded = pytok.load(tmp_path / name, pattern="gpt2", special_tokens=SPECIALS)

        assert loaded.fingerprint == TOKENIZER.fingerprint, name


def test_a_tokenizer_json_is_read_under_any_name(tmp_path: Path) -> None:
    """Also if it is compressed."""
    TOKENIZER.save(tmp_path / "a.json")
    content = (tmp_path / "a.json").read_bytes()
    for name, data in (("a.bin", content), ("a.json.gz", gzip.compress(content)), ("a", content)):
        (tmp_path / name).write_bytes(data)

        assert pytok.load(tmp_path / name).fingerprint == TOKENIZER.fingerprint, name


def test_fields_of_a_tokenizer_json_can_be_in_any_order(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    for first in document:
        shuffled = {"_comment": 1, first: document[first], **document}
        (tmp_path / "b.json").write_text(json.dumps(shuffled))

        assert pytok.load(tmp_path / "b.json").fingerprint == TOKENIZER.fingerprint, first


def test_whispers_empty_token_is_only_decoded(engine: EngineName, tmp_path: Path) -> None:
    """Its file lists it as "=", without letters."""
    (tmp_path / "a.tiktoken").write_bytes(LINES + b"= 258\n")
    loaded = pytok.load(tmp_path / "a.tiktoken", pattern="gpt2", engine=engine)

    assert loaded.encode("the") == [257]
    assert loaded.decode([257, 258, 257]) == "thethe"
    assert loaded.n_vocab == 259


def _piece(text: bytes) -> bytes:
    """Return a piece of a SentencePiece model: its text and its score."""
    message = b"\n" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -1.5)
    return b"\n" + bytes([len(message)]) + message


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.model", _piece(b"<unk>") + _piece(b"<s>"), "a model of SentencePiece"),
        ("a.vocab", b"<unk>\t0\n<s>\t0\nthe\t-3.2\n", "a vocabulary list of SentencePiece"),
        ("a.gguf", b"GGUF\x03\0\0\0" + bytes(16), "a model of llama.cpp (GGUF)"),
        ("tokenizer.json", _safetensors(), "weights of a model (safetensors)"),
        ("a.pt", b"PK\x03\x04" + bytes(30), "a zip archive"),
        ("a.zst", b"\x28\xb5\x2f\xfd" + bytes(9), "decompress it first (zstd -d)"),
        ("vocab.txt", b"[PAD]\n[UNK]\nthe\n##ing\n", "a vocabulary of WordPiece"),
        ("words.txt", b"the\nof\nand\n", "a list of words"),
        ("counts.txt", b"the 52\nof 40\nand 3\n", "a list of words and counts"),
        ("rwkv.txt", b"1 '\\x00' 1\n256 ' the' 4\n257 b'\\xe2\\x80' 2\n", "of RWKV World"),
        ("tokenizer.json", b"", "an empty file"),
        ("tokenizer.json", b"\n\n", "an empty file"),
        ("tokenizer.json", b"<!DOCTYPE html><html>", "the answer of a server (a web page)"),
        ("tokenizer.json", b"Entry not found", "the answer of a server (entry not found)"),
        (
            "tokenizer.json",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9085657\n",
            "a pointer of Git LFS",
        ),
        ("a.txt", "the".encode("utf-16"), "text in UTF-16"),
        ("a.bin", b"\x01\x02\xff\0\0", "binary data of an unknown format"),
        ("a.txt", b"Once upon a time, there was\na file.\n", "not a tokenizer that pytok knows"),
        ("a.gz", gzip.compress(LINES)[:-9], "the gzip file is damaged"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"}\n', "JSON lines, a corpus"),
        ("added_tokens.json", b'{"<|im_end|>": 5}', "a list of added tokens: pass the folder"),
        (
            "tokenizer_config.json",
            b'{"tokenizer_class": "Qwen2Tokenizer"}',
            "a file of settings, not the tokenizer itself: pass the folder",
        ),
        ("config.json", b'{"model_type": "qwen2"}', "the configuration of a model"),
        ("merges.txt", b"#version: 0.2\nt h\n", "one of two files, vocabulary and merges"),
        ("merges.txt", b"t h\nth e\n", "one of two files, vocabulary and merges"),
    ],
)
@pytest.mark.parametrize("pattern", [None, "gpt2"])
def test_what_is_no_tokenizer_is_named(
    name: str, content: bytes, message: str, pattern: str | None, tmp_path: Path
) -> None:
    """The message also says what to do; a pattern does not change it."""
    (tmp_path / name).write_bytes(content)

    assert message in error_of(tmp_path / name, pattern=pattern)


@pytest.mark.parametrize("first", ["!", "model", "version", "truncation", "added_tokens"])
def test_a_vocabulary_alone_is_named_whatever_its_first_token(first: str, tmp_path: Path) -> None:
    """Tokens can have the names of the fields of a tokenizer.json."""
    vocab = {first: 0, **{f"token{id}": id for id in range(1, 300)}}
    (tmp_path / "encoder.json").write_text(json.dumps(vocab))

    message = error_of(tmp_path / "encoder.json")
    assert f"one of two files, vocabulary and merges: pass the folder, {tmp_path}" in message


def test_a_file_that_is_too_large_is_rejected_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is large only after decompression."""
    monkeypatch.setattr("pytok.formats.detect.MAX_BYTES", 100_000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(LINES * 100))

    assert "larger than any tokenizer" in error_of(tmp_path / "bomb.gz", pattern="gpt2")


# ------------------------------------------------------------------------------------------ tekken


def tekken(**config: Any) -> dict[str, Any]:
    """Return a small tekken.json with three special tokens, of which two have texts."""
    tokens = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b"unused"]
    return {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+|[^\s\p{L}\p{N}]+",
            "num_vocab_tokens": 259,
            "default_vocab_size": 261,
            "default_num_special_tokens": 3,
            "version": "v3",
            **config,
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
            for rank, token in enumerate(tokens)
        ],
        "special_tokens": [
            {"rank": 0, "token_str": "<unk>", "is_control": True},
            {"rank": 1, "token_str": "<s>", "is_control": True},
        ],
    }


def test_tekken_has_the_ids_of_its_ranks_after_the_special_tokens(
    engine: EngineName, tmp_path: Path
) -> None:
    """As in mistral-common, which encodes with tiktoken and adds the number of special tokens."""
    document = tekken()
    (tmp_path / "tekken.json").write_text(json.dumps(document))
    loaded = pytok.load(tmp_path / "tekken.json", engine=engine)
    theirs = tiktoken.Encoding(
        "theirs",
        pat_str=document["config"]["pattern"],
        mergeable_ranks={
            base64.b64decode(t["token_bytes"]): t["rank"] for t in document["vocab"][:258]
        },
        special_tokens={},
    )
    for text in ("the thesis, unused", "12 ünïcode\n\n 終"):
        assert loaded.encode(text) == [id + 3 for id in theirs.encode(text)]
    assert loaded.special_tokens == {"<unk>": 0, "<s>": 1, "<SPECIAL_2>": 2}
    assert loaded.n_vocab == 261


def test_an_old_tekken_has_mistrals_first_special_tokens(tmp_path: Path) -> None:
    document = tekken(default_num_special_tokens=5, default_vocab_size=263)
    del document["special_tokens"]
    (tmp_path / "tekken.json").write_text(json.dumps(document))

    assert list(pytok.load(tmp_path / "tekken.json").special_tokens) == [
        *("<unk>", "<s>", "</s>", "[INST]", "[/INST]")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["config"].pop("pattern"), "config.pattern is missing"),
        (lambda d: d["config"].update(default_vocab_size=9999), "default_vocab_size is 9999"),
        (lambda d: d["vocab"][7].update(rank=8), "vocab[7].rank is 8, not 7"),
        (lambda d: d["vocab"][7].update(token_bytes="!"), "vocab[7].token_bytes is not base64"),
        (lambda d: d["vocab"].__setitem__(7, 1), "vocab[7].rank is missing"),
        (lambda d: d["special_tokens"][1].update(rank=0), "special_tokens[1].rank is 0"),
        (lambda d: d["special_tokens"][1].update(rank=3), "special_tokens[1].rank is 3"),
    ],
)
def test_a_malformed_tekken_is_reported(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    """The message has the field."""
    document = tekken()
    change(document)
    (tmp_path / "tekken.json").write_text(json.dumps(document))

    assert message in error_of(tmp_path / "tekken.json")


# ----------------------------------------------------------------------------------------- pickles


def encoding(name: str = "theirs") -> tiktoken.Encoding:
    """Return an encoding of tiktoken that it does not know by name."""
    return tiktoken.Encoding(
        name,
        pat_str=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++"
        r"|\s+",
        mergeable_ranks=RANKS,
        special_tokens=SPECIALS,
    )


TEXTS = ["the thesis isn't 12345", " ünïcode\n\n 終<|endoftext|>the"]


def test_an_encoding_of_tiktoken_has_its_ids(engine: EngineName) -> None:
    theirs = encoding()
    ours = Tokenizer.from_tiktoken(theirs, engine)

    assert ours.name == "theirs"
    for text in TEXTS:
        ids = theirs.encode(text, allowed_special="all")
        assert ours.encode(text, allowed_special="all") == ids


def test_only_an_encoding_of_tiktoken_is_taken() -> None:
    with pytest.raises(FormatError, match=r"dict: not a tiktoken\.Encoding"):
        Tokenizer.from_tiktoken({"a": 1})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_encoding_is_read(protocol: int, tmp_path: Path) -> None:
    """The tokenizer.pkl of nanochat is one."""
    theirs = encoding()
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps(theirs, protocol))

    loaded = pytok.load(tmp_path / "tokenizer.pkl")
    assert loaded.fingerprint == Tokenizer.from_tiktoken(theirs).fingerprint


class Trap:
    """An object whose pickle would make a folder."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.mkdir, ("sprung",)  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda trap: trap, lambda trap: {"mergeable_ranks": trap}])
def test_a_pickle_is_not_run(
    wrap: Callable[[Trap], object], protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names what it would run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(wrap(Trap()), protocol))

    with pytest.raises(FormatError, match=r"it refers to|this is|not a tokenizer"):
        pytok.load(tmp_path / "a.pkl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pkl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}), "a pickle of a dict, not of a tiktoken.Encoding"),
        (pickle.dumps(print), "it refers to builtins.print, which is not run"),
        (pickle.dumps(encoding())[:-9], "it is damaged"),
        (b"\x80\x02}r\xff\xff\xff\x3f.", "a pickle of a dict"),
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "it is damaged"),
        (pickle.dumps({(1, 2): 3}), "a key is neither an integer nor a string"),
        (pickle.dumps({1, 2}), "EMPTY_SET is no instruction for a plain value"),
    ],
    ids=["dict", "function", "cut", "memo", "size", "tuple as key", "set"],
)
def test_other_pickles_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    """What asks for gigabytes is rejected without them."""
    (tmp_path / "a.pkl").write_bytes(content)

    assert message in error_of(tmp_path / "a.pkl")


def test_a_pickle_of_wrong_parts_is_an_error(tmp_path: Path) -> None:
    broken = encoding()
    broken._mergeable_ranks = {"a": 1}  # type: ignore[dict-item]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(broken))
    assert "the rank 'a'" in error_of(tmp_path / "a.pkl")

    broken._mergeable_ranks = {b"a": "x" * 10}  # type: ignore[dict-item]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(broken))
    with pytest.raises((PytokError, VocabError, PatternError)):
        pytok.load(tmp_path / "a.pkl")


# ------------------------------------------------------------------------------------- mutations

STARTS = [
    *(
        b"",
        b"{",
        b"[",
        b"#version",
        b"\x80\x04",
        b"\x1f\x8b",
        b"\n\x05\n\x03",
        b"= 1\n",
        b"1 'a' 1\n",
    ),
    *(LINES[:40], pickle.dumps(encoding())[:400], json.dumps(tekken()).encode()[:500]),
]


@pytest.mark.filterwarnings("ignore:.* lacks")
@pytest.mark.parametrize("name", ["a", "a.json", "a.tiktoken", "a.model"])
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=60), pattern=st.booleans())
def test_any_bytes_load_or_raise_a_known_error(
    name: str, start: bytes, rest: bytes, pattern: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(start + rest)
    with contextlib.suppress(PytokError):
        pytok.load(tmp_path / name, pattern="gpt2" if pattern else None)


@given(at=st.integers(0, 3000), drop=st.integers(0, 9), new=st.binary(max_size=9))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_mutated_pickle_loads_or_raises_a_known_error(
    protocol: int, at: int, drop: int, new: bytes, tmp_path: Path
) -> None:
    """The interpreter has no other effects."""
    content = pickle.dumps(encoding(), protocol)
    at %= len(content)
    (tmp_path / "a.pkl").write_bytes(content[:at] + new + content[at + drop :])
    with contextlib.suppress(PytokError):
        pytok.load(tmp_path / "a.pkl", engine="reference")
