"""Folders of transformers: read as AutoTokenizer reads them, and written so that it reads them."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

import pytok
from pytok import formats
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.formats.classes import CLASSES
from pytok.tokenizer import Tokenizer
from tests.conftest import CORPUS

TEXTS = [
    "<|im_start|>fox<|im_end|> jumps <|im_end|>",
    "12345 DON'T isn't",
    "a\n\n\nb  c",
    "e\u0301 caf\u00e9 <mask> x<s>  </s>",
    " lead <|endoftext|> <|extra|>",
    "",
]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep transformers from the network, and from advice."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def flags(text: str, **changed: bool) -> dict[str, Any]:
    """Return a token as tokenizer_config.json lists it."""
    fields = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": text, **fields, "special": True, **changed}


def two_files(folder: Path, pattern: str = "gpt2", eol: str = "\n") -> int:
    """Write vocab.json and merges.txt to *folder*; return the number of tokens."""
    tokenizer = pytok.train(CORPUS, 320, pattern=pattern, special_tokens=[])
    tokenizer.save(folder / "base.json")
    model = json.loads((folder / "base.json").read_text())["model"]
    (folder / "base.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in model["merges"])]
    (folder / "merges.txt").write_bytes("".join(line + eol for line in lines).encode())
    return len(model["vocab"])


def write(folder: Path, **documents: Any) -> None:
    """Write JSON files by their names without suffix."""
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False))


def check_like_transformers(folder: Path, engine: EngineName = "native") -> Tokenizer:
    """Check that pytok has the ids of AutoTokenizer, and return its tokenizer."""
    theirs = AutoTokenizer.from_pretrained(folder)
    ours = pytok.load(folder, engine=engine)
    for text in TEXTS:
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text, allowed_special="all") == ids, text
    return ours


@pytest.mark.parametrize("name", [*CLASSES, "GPT2TokenizerFast", "Qwen2TokenizerFast"])
def test_a_folder_is_read_as_its_class_does(name: str, tmp_path: Path) -> None:
    """Nothing else says the pattern, the normalizer and the special tokens."""
    if name in ("LEDTokenizer", "Qwen3_5Tokenizer"):
        pytest.skip("transformers 5 reads no vocab.json with this class")
    if CLASSES.get(name, CLASSES["GPT2Tokenizer"]).suffix:
        pytest.skip("its vocabulary has a suffix: test_end_of_word")
    two_files(tmp_path, "qwen2" if name.startswith("Qwen") else "gpt2", eol="\r\n")
    write(tmp_path, tokenizer_config={"tokenizer_class": name})

    check_like_transformers(tmp_path)


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "RobertaTokenizer", "Qwen2Tokenizer"])
def test_added_tokens_of_the_configuration_are_read(
    name: str, engine: EngineName, tmp_path: Path
) -> None:
    """With their flags, and with ids after the vocabulary."""
    count = two_files(tmp_path)
    added = [
        flags("<|im_start|>"),
        flags("<|im_end|>", lstrip=True),
        flags("<mask>", special=False, normalized=True),
    ]
    config = {
        "tokenizer_class": name,
        "eos_token": "<|im_end|>",
        "bos_token": None,
        "unk_token": None,
        "pad_token": "<|im_end|>",
        "additional_special_tokens": ["<|im_start|>", "<|extra|>"],
        "added_tokens_decoder": {str(count + n): token for n, token in enumerate(added)},
    }
    write(tmp_path, tokenizer_config=config)

    ours = check_like_transformers(tmp_path, engine)
    assert ours.special_tokens["<|im_end|>"] == count + 1
    assert "<mask>" not in ours.special_tokens


def test_added_tokens_of_older_folders_are_read(tmp_path: Path) -> None:
    """In added_tokens.json and special_tokens_map.json."""
    count = two_files(tmp_path)
    eos = flags("<|im_end|>", lstrip=True)
    del eos["special"]
    write(
        tmp_path,
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"},
        added_tokens={"<|im_start|>": count, "<|im_end|>": count + 1, "<|extra|>": count + 2},
        special_tokens_map={"eos_token": eos, "pad_token": "<|extra|>"},
    )

    ours = check_like_transformers(tmp_path)
    assert "<|im_start|>" not in ours.special_tokens


def test_a_prefix_space_of_the_configuration_is_read(tmp_path: Path) -> None:
    two_files(tmp_path)
    write(tmp_path, tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True})

    assert check_like_transformers(tmp_path).definition.prefix_space


def test_the_type_of_a_model_says_the_class(tmp_path: Path) -> None:
    """A folder of an old model has a config.json only."""
    two_files(tmp_path)
    write(tmp_path, config={"model_type": "roberta"})

    assert "<mask>" in check_like_transformers(tmp_path).special_tokens


@pytest.mark.parametrize(
    ("name", "config", "tokens"),
    [
        ("GPT2Tokenizer", {"add_bos_token": True}, ["<|endoftext|>"]),
        ("GPT2Tokenizer", {"add_bos_token": True, "add_eos_token": True}, ["<|endoftext|>"]),
        ("RobertaTokenizer", {}, ["<s>", "</s>"]),
        ("DebertaTokenizer", {}, ["[CLS]", "[SEP]"]),
        ("WhisperTokenizer", {}, ["<|startoftranscript|>", "<|notimestamps|>"]),
    ],
)
def test_special_tokens_around_a_text_are_kept(
    name: str, config: dict[str, Any], tokens: list[str], tmp_path: Path
) -> None:
    """For one text and for two."""
    count = two_files(tmp_path)
    decoder = {str(count + number): flags(text) for number, text in enumerate(tokens)}
    config = {"tokenizer_class": name, "added_tokens_decoder": decoder, **config}
    write(tmp_path, tokenizer_config=config)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    pytok.load(tmp_path).save(tmp_path / "saved")
    saved = AutoTokenizer.from_pretrained(tmp_path / "saved")

    assert saved("the")["input_ids"] == theirs("the")["input_ids"]
    assert len(saved("the")["input_ids"]) > len(
        theirs("the", add_special_tokens=False)["input_ids"]
    )
    assert saved("the", "fox")["input_ids"] == theirs("the", "fox")["input_ids"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "NewTokenizer"}, "'NewTokenizer', whose pattern pytok does not know"),
        ({"tokenizer_class": "LlamaTokenizerFast"}, "'LlamaTokenizer', which is SentencePiece"),
        ({"tokenizer_class": "BertTokenizer"}, "'BertTokenizer', which is WordPiece"),
        ({"tokenizer_class": "HerbertTokenizer"}, "which is BPE over characters with </w>"),
        ({"model_max_length": 512}, "no file says the tokenizer_class"),
        ({"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"x": {}}}, "not an id"),
        ({"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": []}, "is not an object"),
        ({"tokenizer_class": "GPT2Tokenizer", "eos_token": 7}, "eos_token.content is missing"),
        (
            {"tokenizer_class": "GPT2Tokenizer", "additional_special_tokens": "<a>"},
            "additional_special_tokens is string, not array",
        ),
        (
            {"tokenizer_class": "GPT2Tokenizer", "eos_token": {"content": "a", "lstrip": 1}},
            "eos_token: a flag is neither true nor false",
        ),
        (
            {"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"9": {"id": 1}}},
            "added_tokens_decoder['9'].content is missing",
        ),
    ],
)
def test_a_folder_that_pytok_cannot_follow_is_an_error(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """It is never read with a pattern that was guessed."""
    two_files(tmp_path)
    write(tmp_path, tokenizer_config=config)

    with pytest.raises(FormatError) as caught:
        pytok.load(tmp_path)
    assert message in caught.value.message


def test_a_pattern_makes_an_unknown_class_readable(tmp_path: Path) -> None:
    two_files(tmp_path, "cl100k")
    write(tmp_path, tokenizer_config={"tokenizer_class": "NewTokenizer"})

    assert pytok.load(tmp_path, pattern="cl100k").pattern == pytok.patterns.CL100K


def test_a_pattern_for_a_known_class_is_an_error(tmp_path: Path) -> None:
    two_files(tmp_path)
    write(tmp_path, tokenizer_config={"tokenizer_class": "Qwen2Tokenizer"})

    with pytest.raises(FormatError, match="do not pass any"):
        pytok.load(tmp_path, pattern="gpt2")


def test_two_files_alone_are_said_to_be_taken_as_gpt2s(tmp_path: Path) -> None:
    two_files(tmp_path)
    with pytest.warns(UserWarning, match=r"gpt2's is assumed"):
        loaded = pytok.load(tmp_path)

    assert loaded.pattern == pytok.patterns.GPT2


def test_two_files_alone_whose_tokens_are_not_gpt2s_are_an_error(tmp_path: Path) -> None:
    """Under GPT-2's pattern no token mixes letters with punctuation."""
    document = {"(a": 1, ",b": 2, ".c": 3}
    tokenizer = pytok.train([f"{key}{key} " * 30 for key in document], 262, pattern="qwen2")
    tokenizer.save(tmp_path / "base.json")
    model = json.loads((tmp_path / "base.json").read_text())["model"]
    (tmp_path / "base.json").unlink()
    write(tmp_path, vocab=model["vocab"])
    (tmp_path / "merges.txt").write_text("".join(" ".join(m) + "\n" for m in model["merges"]))

    with pytest.raises(FormatError, match=r"gpt2's does not make the token .*: pass it"):
        pytok.load(tmp_path)
    assert pytok.load(tmp_path, pattern="qwen2").encode("(a(a") == tokenizer.encode("(a(a")


def test_openais_names_of_the_two_files_are_read(tmp_path: Path) -> None:
    """encoder.json and vocab.bpe."""
    two_files(tmp_path)
    (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
    (tmp_path / "merges.txt").rename(tmp_path / "vocab.bpe")

    assert pytok.load(tmp_path, pattern="gpt2").encode("the")


def ranks(path: Path) -> Tokenizer:
    """Write a list of ranks to *path* and return its tokenizer."""
    tokenizer = pytok.train(CORPUS, 300, pattern="llama3", special_tokens=[])
    tokenizer.save(path.with_suffix(".tiktoken"))
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".tiktoken").rename(path)
    return tokenizer


def test_a_folder_of_ranks_is_read_with_a_pattern(tmp_path: Path) -> None:
    """Llama's folder original, for example."""
    tokenizer = ranks(tmp_path / "tokenizer.model")

    assert pytok.load(tmp_path, pattern="llama3").encode("the 123") == tokenizer.encode("the 123")
    with pytest.raises(FormatError, match=r"tokenizer\.model: a list of ranks has no pattern"):
        pytok.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "regex"), [("TikTokenTokenizer", r"\p{Han}"), ("QWenTokenizer", "")]
)
def test_a_folder_of_ranks_is_read_as_a_known_class_does(
    name: str, regex: str, tmp_path: Path
) -> None:
    """Kimi's has further special tokens in its configuration."""
    ranks(tmp_path / "tiktoken.model")
    decoder = {"300": flags("[BOS]"), "302": flags("<|im_end|>")}
    write(tmp_path, tokenizer_config={"tokenizer_class": name, "added_tokens_decoder": decoder})
    loaded = pytok.load(tmp_path)

    assert regex in loaded.pattern
    assert (loaded.special_tokens["[BOS]"], loaded.special_tokens["<|im_end|>"]) == (300, 302)
    third = {"TikTokenTokenizer": "<|reserved_token_301|>", "QWenTokenizer": "<|im_start|>"}
    assert loaded.special_tokens[third[name]] == 301


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "the folder has no tokenizer"),
        ({"model.safetensors": b"x"}, "the folder has no tokenizer"),
        ({"vocab.txt": b"[UNK]\n"}, "a vocabulary of WordPiece"),
        ({"tokenizer.model": b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02"}, "a model of SentencePiece"),
    ],
)
def test_a_folder_without_byte_level_bpe_is_named(
    files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(FormatError) as caught:
        pytok.load(tmp_path)
    assert message in caught.value.message


# ----------------------------------------------------------------------------------------- written


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k"])
def test_a_folder_that_pytok_wrote_pads_and_batches(pattern: str, tmp_path: Path) -> None:
    """BOS, EOS and padding are known."""
    ours = pytok.train(CORPUS, 320, pattern=pattern)
    ours.save(tmp_path / "new")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "new")
    texts = ["the", "the thesis and more<|endoftext|>"]
    batch = theirs(texts, padding=True)

    long = ours.encode(texts[1], allowed_special="all")
    end = ours.special_tokens["<|endoftext|>"]
    short = ours.encode(texts[0])
    missing = len(long) - len(short)
    assert (theirs.eos_token, theirs.pad_token) == ("<|endoftext|>", "<|endoftext|>")
    assert batch["input_ids"] == [short + [end] * missing, long]
    assert batch["attention_mask"] == [[1] * len(short) + [0] * missing, [1] * len(long)]
    assert theirs.decode(batch["input_ids"][1]) == texts[1]


def test_gpt2s_two_files_lie_beside_where_they_are_true(tmp_path: Path) -> None:
    for pattern in ("gpt2", "cl100k"):
        pytok.train(CORPUS, 300, pattern=pattern).save(tmp_path / pattern)

    common = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    assert {p.name for p in (tmp_path / "cl100k").iterdir()} == common
    assert {p.name for p in (tmp_path / "gpt2").iterdir()} == common | {"vocab.json", "merges.txt"}


def test_a_folder_keeps_the_configuration_and_the_template(tmp_path: Path) -> None:
    """What transformers wrote is written back, and other files stay."""
    two_files(tmp_path)
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": 512,
        "pad_token": "<|pad|>",
        "padding_side": "left",
    }
    write(tmp_path, tokenizer_config=config)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "README.md").write_text("mine")
    loaded = pytok.load(tmp_path)
    loaded.save(tmp_path)
    loaded.save(tmp_path / "copy")

    theirs = AutoTokenizer.from_pretrained(tmp_path / "copy")
    assert (theirs.pad_token, theirs.bos_token) == ("<|pad|>", "<|endoftext|>")
    assert (theirs.model_max_length, theirs.padding_side) == (512, "left")
    assert theirs.chat_template == "{{ messages }}"
    assert (tmp_path / "README.md").read_text() == "mine"
    again = pytok.load(tmp_path / "copy")
    assert again.fingerprint == loaded.fingerprint == pytok.load(tmp_path).fingerprint
    assert again.definition.settings.config["chat_template"] == "{{ messages }}"


def test_a_changed_template_replaces_the_file_that_would_be_read(tmp_path: Path) -> None:
    """A chat_template.jinja in the folder comes before tokenizer_config.json."""
    ours = pytok.train(CORPUS, 300)
    (tmp_path / "chat_template.jinja").write_text("old")
    settings = ours.definition.settings._replace(config={"chat_template": "new"})
    Tokenizer.from_definition(replace(ours.definition, settings=settings)).save(tmp_path)

    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == "new"


def test_what_a_file_does_not_hold_is_said(tmp_path: Path) -> None:
    count = two_files(tmp_path)
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "chat_template": "{{ messages }}",
        "eos_token": "<|im_end|>",
        "added_tokens_decoder": {str(count): flags("<|im_end|>")},
    }
    write(tmp_path, tokenizer_config=config)
    definition = pytok.load(tmp_path).definition

    [ranks_note] = formats.notes("a.tiktoken", definition)
    for part in (
        "the pattern",
        "2 special tokens",
        "the chat template",
        "which tokens are bos, eos",
    ):
        assert part in ranks_note
    [json_note] = formats.notes("a.json", definition)
    assert "the chat template" in json_note
    assert "pattern" not in json_note
    [assumed] = formats.notes("folder", pytok.train(CORPUS, 300).definition)
    assert "eos_token is '<|endoftext|>', pad_token is '<|endoftext|>'" in assumed
