"""A tokenizer.json of any supported shape encodes as Hugging Face's tokenizers does with it.

Shapes that raise errors: test_tokenizer_json_refusals.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from transformers.convert_slow_tokenizer import TikTokenConverter

import pytok
from pytok.engine import EngineName
from pytok.formats.merge_list import LETTERS
from pytok.patterns import O200K
from tests.conftest import CORPUS
from tests.pytok.strategies import with_specials
from tests.pytok.test_formats import without_new_characters

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
CL100K_ONIGURUMA = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
LINE_ENDS = [regex.replace(r"\r\n", "\r\n") for regex in DEEPSEEK]
"""As in its file: with literal line ends."""
KANJI = [
    "か",
    "漢",
    "ー",
    "゠",
    "・",
    "\u3040",
    "\u3097",
    "\u3099",
    "\u3000",
    "1",
    " ",
    "a",
    "$",
    "\n",
]

TRICKY = [".", "o.", "\u212b", "\u1e9b\u0323", "ﬁ", "É", "e\u0301", "½", "²", " ", "the", "、"]

SPECIALS = ["<|endoftext|>", "<|im start|>", "終"]

Part = dict[str, Any]
Edit = Callable[[Part], object]


def byte_level(**options: bool) -> Part:
    """Return the step that maps bytes to letters, and splits by GPT-2's pattern if *use_regex*."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True} | options


def split(pattern: str | Part, behavior: str = "Isolated", invert: bool = False) -> Part:
    """Return the step that splits by a regex, or by another kind of pattern."""
    pattern = {"Regex": pattern} if isinstance(pattern, str) else pattern
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def in_sequence(*parts: Part) -> Part:
    """Return a pre-tokenizer that runs *parts* in sequence."""
    return {"type": "Sequence", "pretokenizers": list(parts)}


def splits(*parts: Part) -> Edit:
    """Split by *parts*, then map bytes to letters."""
    return put("pre_tokenizer", in_sequence(*parts, byte_level(use_regex=False)))


def digits(*, individual: bool) -> Edit:
    """Split by digits, then by GPT-2's pattern."""
    part = {"type": "Digits", "individual_digits": individual}
    return put("pre_tokenizer", in_sequence(part, byte_level(use_regex=True)))


def put(field: str, value: object) -> Edit:
    """Set a *field* of the file."""
    return lambda document: document.__setitem__(field, value)


def put_in_model(field: str, value: object) -> Edit:
    """Set a *field* of the model."""
    return lambda document: document["model"].__setitem__(field, value)


def added(**flags: list[bool]) -> Edit:
    """Set flags of the added tokens, one value for each token."""

    def edit(document: Part) -> None:
        for flag, values in flags.items():
            for token, value in zip(document["added_tokens"], values, strict=True):
                token[flag] = value

    return edit


def not_in_vocab(document: Part) -> None:
    """Remove the added tokens from the vocabulary."""
    for token in document["added_tokens"]:
        del document["model"]["vocab"][token["content"]]


def no_added_tokens(document: Part) -> None:
    """Remove the added tokens."""
    not_in_vocab(document)
    document["added_tokens"] = []


def listed_twice(document: Part) -> None:
    """List some merges twice; the last one counts."""
    merges = document["model"]["merges"]
    document["model"]["merges"] = merges[-5:] + merges


def all_splits_listed(document: Part) -> None:
    """List the merges as transformers does for a .tiktoken file."""
    vocab, model = document["model"]["vocab"], document["model"]
    model["ignore_merges"] = True
    model["merges"] = [
        [token[:end], token[end:]]
        for token in vocab
        if token not in SPECIALS
        for end in range(1, len(token))
        if token[:end] in vocab and token[end:] in vocab
    ]


def entries(*texts: str) -> Edit:
    """Add entries to the vocabulary, without merges."""

    def edit(document: Part) -> None:
        vocab = document["model"]["vocab"]
        vocab.update({text: len(vocab) + index for index, text in enumerate(texts)})

    return edit


def lacking(*missing: int) -> Edit:
    """Remove bytes from the vocabulary, and all that is made of them; ids stay as they are."""
    letters = {LETTERS[byte] for byte in missing}

    def edit(document: Part) -> None:
        model = document["model"]
        model["vocab"] = {
            text: id
            for text, id in model["vocab"].items()
            if text in SPECIALS or letters.isdisjoint(text)
        }
        model["merges"] = [
            pair for pair in model["merges"] if letters.isdisjoint(pair[0] + pair[1])
        ]

    return edit


NORMALIZERS = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]

START = {"SpecialToken": {"id": SPECIALS[0], "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [START, TEXT],
    "pair": [START, TEXT, START, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {
        SPECIALS[0]: {"id": SPECIALS[0], "ids": [397], "tokens": [SPECIALS[0]]},
    },
}
ENDS = {"sep": [SPECIALS[0], 397], "cls": [SPECIALS[0], 397]}

SHAPES: dict[str, Edit] = {
    # pre_tokenizer
    "ByteLevel": put("pre_tokenizer", byte_level(use_regex=True)),
    "ByteLevel before it had use_regex": put("pre_tokenizer", byte_level()),
    "ByteLevel that does not split": put("pre_tokenizer", byte_level(use_regex=False)),
    "Sequence of ByteLevel": put("pre_tokenizer", in_sequence(byte_level(use_regex=True))),
    "Sequence in Sequence": splits(in_sequence(split(LLAMA3))),
    "Split by Llama-3's regex": splits(split(LLAMA3)),
    "Split by Qwen2's regex": splits(split(QWEN2)),
    "Split by o200k's regex": splits(split(O200K)),
    "Split by cl100k's regex": splits(split(CL100K_ONIGURUMA)),
    "Split by a regex that matches not all": splits(split(r"\p{L}+")),
    "Split inverted": splits(split(r"\p{L}+", invert=True)),
    "Split Removed and inverted": splits(split(CL100K_ONIGURUMA, "Removed", invert=True)),
    "Split by a String": splits(split({"String": " "})),
    "Split by a String of metacharacters": splits(split({"String": "isn't it?\n\n"})),
    "Split by a String that is a word": splits(split({"String": "the"})),
    "Digits one by one": digits(individual=True),
    "Digits": digits(individual=False),
    "DeepSeek's three splits": splits(*map(split, DEEPSEEK)),
    "DeepSeek's, line ends not escaped": splits(*map(split, LINE_ENDS)),
    "three splits in sequence": splits(split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\p{N}")),
    "Split, then ByteLevel's": put(
        "pre_tokenizer", in_sequence(split(r"\p{N}{1,3}"), byte_level(use_regex=True))
    ),
    "Split by Oniguruma's classes": splits(split(r"[[:alpha:]]+|\b[^[:punct:]\w]|\W$|^\s\W?")),
    "Split Removed": splits(split(" ", "Removed")),
    "Split Removed and inverted, not all": splits(split(r"\p{L}+", "Removed", invert=True)),
    "Split MergedWithPrevious": splits(split({"String": " "}, "MergedWithPrevious")),
    "Split MergedWithNext": splits(split({"String": " "}, "MergedWithNext")),
    "Split Contiguous": splits(split(r"\s", "Contiguous")),
    "Split Contiguous and inverted": splits(split(r"\s", "Contiguous", invert=True)),
    "Punctuation": splits({"type": "Punctuation"}),
    "Punctuation Contiguous": splits({"type": "Punctuation", "behavior": "Contiguous"}),
    "Whitespace": splits({"type": "Whitespace"}),
    "WhitespaceSplit": splits({"type": "WhitespaceSplit"}),
    "CharDelimiterSplit": splits({"type": "CharDelimiterSplit", "delimiter": "."}),
    "FixedLength": splits({"type": "FixedLength", "length": 4}),
    "BertPreTokenizer": splits({"type": "BertPreTokenizer"}),
    "ByteLevel with a space in front": put(
        "pre_tokenizer", byte_level(add_prefix_space=True, use_regex=True)
    ),
    "ByteLevel that only puts a space in front": put(
        "pre_tokenizer", byte_level(add_prefix_space=True, use_regex=False)
    ),
    "Falcon's splits, two of them of letters": put(
        "pre_tokenizer",
        in_sequence(
            {"type": "Punctuation", "behavior": "Contiguous"},
            byte_level(use_regex=True),
            {"type": "Digits", "individual_digits": False},
            split("[0-9][0-9][0-9]"),
        ),
    ),
    "a split of letters alone": put(
        "pre_tokenizer",
        in_sequence(byte_level(use_regex=False), split("[^\x00-\x7f]", "MergedWithNext")),
    ),
    "a split of letters that removes": put(
        "pre_tokenizer",
        in_sequence(byte_level(use_regex=True), split("[Ġ¼-¾]", "Removed")),
    ),
    "a space in front, and a split of letters": put(
        "pre_tokenizer",
        in_sequence(
            byte_level(add_prefix_space=True, use_regex=True),
            {"type": "Digits", "individual_digits": True},
        ),
    ),
    # added_tokens
    "added tokens with white space": added(lstrip=[True, False, True], rstrip=[True] * 3),
    "added tokens that are single words": added(single_word=[True] * 3, special=[False] * 3),
    "an empty added token": lambda document: document["added_tokens"].append(
        document["added_tokens"][0] | {"content": ""}
    ),
    "an added token twice": lambda document: document["added_tokens"].append(
        document["added_tokens"][0]
    ),
    "an added token that merges make": lambda document: document["added_tokens"].append(
        document["added_tokens"][0]
        | {"content": "the", "id": document["model"]["vocab"]["the"], "special": False}
    ),
    "added tokens not special": added(special=[False] * 3),
    "added tokens normalized": added(normalized=[True] * 3, special=[False] * 3),
    "added tokens of both kinds": added(normalized=[True, False, True], special=[False] * 3),
    "added tokens not in model.vocab": not_in_vocab,
    "no added tokens": no_added_tokens,
    # normalizer, post_processor, decoder, options of calls
    **{name: put("normalizer", {"type": name}) for name in NORMALIZERS},
    "Strip": put("normalizer", {"type": "Strip", "strip_left": True, "strip_right": True}),
    "Prepend": put("normalizer", {"type": "Prepend", "prepend": "the "}),
    "Replace a String": put(
        "normalizer", {"type": "Replace", "pattern": {"String": "o."}, "content": "\\1"}
    ),
    "Sequence of normalizers": put(
        "normalizer",
        {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFD"},
                {"type": "StripAccents"},
                {"type": "Replace", "pattern": {"Regex": r"\s+$|\w\b"}, "content": "e"},
            ],
        },
    ),
    "normalizer and normalized added tokens": lambda document: (
        document.update(normalizer={"type": "NFKC"}),
        added(normalized=[True] * 3)(document),
    ),
    "Fuse after ByteLevel": put(
        "decoder", {"type": "Sequence", "decoders": [byte_level(), {"type": "Fuse"}]}
    ),
    "truncation and padding": lambda document: document.update(
        truncation={
            "direction": "Right",
            "max_length": 7,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        padding={
            "strategy": {"Fixed": 9},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 397,
            "pad_type_id": 0,
            "pad_token": SPECIALS[0],
        },
    ),
    "normalizer of no parts": put("normalizer", {"type": "Sequence", "normalizers": []}),
    "TemplateProcessing": put("post_processor", TEMPLATE),
    "RobertaProcessing": put(
        "post_processor",
        {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False} | ENDS,
    ),
    "BertProcessing": put("post_processor", {"type": "BertProcessing"} | ENDS),
    "Sequence of post-processors": put(
        "post_processor", {"type": "Sequence", "processors": [byte_level(), TEMPLATE]}
    ),
    # model
    "model without a type": lambda document: document["model"].pop("type"),
    "byte_fallback": put_in_model("byte_fallback", True),
    "unk_token": put_in_model("unk_token", "終"),
    "fuse_unk": put_in_model("fuse_unk", True),
    "dropout of nothing": put_in_model("dropout", 0.0),
    "empty prefix and suffix": lambda document: document["model"].update(
        continuing_subword_prefix="", end_of_word_suffix=""
    ),
    "ignore_merges": put_in_model("ignore_merges", True),
    "entries that no merge makes": entries("zyzzyva", "", "漢字", "Ġ漢"),
    "bytes that UTF-8 never has are missing": lacking(0xC0, 0xC1, *range(0xF5, 0x100)),
    "merges as words": lambda document: document["model"].update(
        merges=[" ".join(pair) for pair in document["model"]["merges"]]
    ),
    "merges listed twice": listed_twice,
    "all splits listed": all_splits_listed,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a tokenizer.json of 400 ids whose tokens span the splits of every pattern."""
    path = tmp_path_factory.mktemp("plain") / "plain.json"
    pytok.train(CORPUS, 400, pattern=r"[\s\S]+", special_tokens=SPECIALS).save(path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, plain: str, tmp_path: Path) -> Path:
    """Write a file of each shape."""
    document = json.loads(plain)
    SHAPES[request.param](document)
    (tmp_path / "shape.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path / "shape.json"


def by_tokenizers(path: Path) -> tokenizers.Tokenizer:
    """Load *path* in tokenizers, without truncation and padding."""
    theirs = tokenizers.Tokenizer.from_file(str(path))
    theirs.no_truncation()
    theirs.no_padding()
    return theirs


TEXTS = with_specials([*SPECIALS, *KANJI, *TRICKY]).map(without_new_characters)


def test_every_shape_has_the_ids_of_tokenizers(shape: Path, engine: EngineName) -> None:
    """Added tokens are always matched there; its post-processor is turned off."""
    theirs = by_tokenizers(shape)
    ours = pytok.load(shape, engine=engine)

    @given(text=TEXTS)
    def check(text: str) -> None:
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, allowed_special="all") == expected
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)

    check()
    expected = theirs.encode("".join(CORPUS), add_special_tokens=False).ids
    assert ours.encode("".join(CORPUS)) == expected


def test_every_shape_is_saved_with_the_same_ids(shape: Path, tmp_path: Path) -> None:
    """The file has the shape that pytok writes; the post-processor is in it."""
    theirs = tokenizers.Tokenizer.from_file(str(shape))
    ours = pytok.load(shape)
    ours.save(tmp_path / "saved.json")
    saved = tokenizers.Tokenizer.from_file(str(tmp_path / "saved.json"))

    @given(text=TEXTS)
    def check(text: str) -> None:
        expected = theirs.encode(text).ids
        assert saved.encode(text).ids == expected
        for skips in (False, True):
            decoded = theirs.decode(expected, skip_special_tokens=skips)
            assert saved.decode(expected, skip_special_tokens=skips) == decoded

    check()
    again = pytok.load(tmp_path / "saved.json")
    assert again.fingerprint == ours.fingerprint
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "saved.json").read_bytes()


@pytest.mark.parametrize(
    "step",
    [
        {"type": "Digits", "individual_digits": True},
        {"type": "Digits", "individual_digits": False},
        {"type": "Whitespace"},
        {"type": "WhitespaceSplit"},
        {"type": "Punctuation", "behavior": "Contiguous"},
    ],
    ids=str,
)
def test_steps_with_a_type_of_their_own_keep_it(step: Part, plain: str, tmp_path: Path) -> None:
    """The engine of tokenizers 1.0 applies them, and no other regexes."""
    document = json.loads(plain)
    splits(step)(document)
    (tmp_path / "named.json").write_text(json.dumps(document), encoding="utf-8")

    pytok.load(tmp_path / "named.json").save(tmp_path / "saved.json")

    saved = json.loads((tmp_path / "saved.json").read_text(encoding="utf-8"))
    assert step in saved["pre_tokenizer"]["pretokenizers"]


@pytest.mark.parametrize("pattern", [LLAMA3, QWEN2, O200K], ids=["llama3", "qwen2", "o200k"])
def test_ranks_converted_by_transformers_have_the_same_ids(
    pattern: str, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists every split of every token in two, and sets ignore_merges."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    tokens = pytok.train(CORPUS, 400, pattern=pattern, special_tokens=()).vocab
    # No merge makes these two; they are found as complete pieces.
    ranks = dict(tokens) | {b" zyzzyva": 400, b"\n\n\n\n\n\n": 401}
    source = pytok.Tokenizer("ranks", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    source.save(tmp_path / "ranks.tiktoken")
    converter = TikTokenConverter(  # type: ignore[no-untyped-call]
        str(tmp_path / "ranks.tiktoken"), pattern, extra_special_tokens=SPECIALS
    )
    theirs = converter.converted()
    theirs.save(str(tmp_path / "theirs.json"))
    ours = pytok.load(tmp_path / "theirs.json", engine=engine)

    @given(text=with_specials([*SPECIALS, " zyzzyva", "\n\n\n\n\n\n"]).map(without_new_characters))
    def check(text: str) -> None:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids

    check()
    assert ours.vocab == source.vocab
