"""Tokenizer files: pytok and other libraries load what pytok saved, and pytok what others saved.

Files that raise errors: test_formats_refusals.
"""

import functools
import json
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest
import tiktoken
import tokenizers
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import FormatError
from pytok.tokenizer import Tokenizer
from tests.conftest import CORPUS, ENGINES, on_engine
from tests.pytok.strategies import corpora, texts, with_specials

BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
SPECIALS = ["<|endoftext|>", "<|im start|>", "終"]
PATTERNS = ["gpt2", "cl100k", "o200k", r"\s?[^\s\d]+|\d|\s+"]


@functools.cache
def trained_with(pattern: str) -> Tokenizer:
    """Train a tokenizer of 400 ids, three of them special tokens."""
    return pytok.train(CORPUS, 400, pattern=pattern, special_tokens=SPECIALS)


def build(
    tokens: list[bytes], pattern: str = "gpt2", specials: dict[str, int] | None = None
) -> Tokenizer:
    """Build a tokenizer of the 256 bytes and *tokens*, in this order."""
    ranks = BYTES | {token: 256 + index for index, token in enumerate(tokens)}
    return Tokenizer("built", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials or {})


def in_hugging_face(tokenizer: Tokenizer, folder: Path) -> tokenizers.Tokenizer:
    """Load the saved *tokenizer* with Hugging Face's library."""
    tokenizer.save(folder / "shared.json")
    return tokenizers.Tokenizer.from_file(str(folder / "shared.json"))


def without_new_characters(text: str) -> str:
    """Remove characters newer than Unicode 3.2: the libraries have different Unicode versions."""
    return "".join(c for c in text if unicodedata.ucd_3_2_0.category(c) != "Cn")


class Shared(NamedTuple):
    """One tokenizer, in pytok and loaded by two libraries."""

    ours: Tokenizer
    tokenizers: tokenizers.Tokenizer
    transformers: PreTrainedTokenizerFast


@pytest.fixture(scope="module", params=PATTERNS, ids=["gpt2", "cl100k", "o200k", "custom"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Train with each pattern, save, and load with the other libraries."""
    folder = tmp_path_factory.mktemp("shared")
    theirs = in_hugging_face(trained_with(request.param), folder)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / "shared.json")
    )
    return Shared(trained_with(request.param), theirs, fast)


# -------------------------------------------------------------------------------- save and load


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tokenizer_json_keeps_everything(pattern: str, engine: EngineName, tmp_path: Path) -> None:
    """Tokens, ids, pattern and special tokens are kept."""
    trained_with(pattern).save(tmp_path / "a.json")

    loaded = pytok.load(tmp_path / "a.json", engine=engine)

    assert loaded.fingerprint == trained_with(pattern).fingerprint
    assert (loaded.name, loaded.engine) == ("a", engine)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tiktoken_keeps_the_ranks(pattern: str, engine: EngineName, tmp_path: Path) -> None:
    """Pattern and special tokens are passed again."""
    tokenizer = trained_with(pattern)
    tokenizer.save(tmp_path / "a.tiktoken")

    rest = {"pattern": pattern, "special_tokens": tokenizer.special_tokens}
    loaded = pytok.load(tmp_path / "a.tiktoken", engine=engine, **rest)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


def test_a_folder_keeps_everything(engine: EngineName, tmp_path: Path) -> None:
    """It has a tokenizer.json."""
    trained_with("gpt2").save(tmp_path / "folder")

    assert (
        pytok.load(tmp_path / "folder", engine=engine).fingerprint
        == trained_with("gpt2").fingerprint
    )


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_both_engines_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    """Each derives the same merges from the tokens."""
    written = []
    for side in ENGINES:
        (tmp_path / side).mkdir()
        on_engine(trained_with("gpt2"), side).save(tmp_path / side / name)
        files = sorted((tmp_path / side).rglob("*.*"))
        written.append([(path.name, path.read_bytes()) for path in files])

    assert written[0] == written[1]


@given(documents=corpora(), size=st.integers(259, 300))
@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_any_trained_tokenizer_is_kept(documents: list[str], size: int, tmp_path: Path) -> None:
    tokenizer = pytok.train(documents, size, special_tokens=SPECIALS)
    tokenizer.save(tmp_path / "any.json")

    assert pytok.load(tmp_path / "any.json").fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["any.json", "folder"])
@given(special=st.text(min_size=1))
def test_any_special_token_is_kept_or_raises_an_error(
    name: str, special: str, tmp_path: Path
) -> None:
    """It can be written in the byte-level alphabet."""
    tokenizer = build([b"th", b"the", b" the"], specials={special: 300})
    try:
        tokenizer.save(tmp_path / name)
    except FormatError:
        return

    assert pytok.load(tmp_path / name).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("special", ["h", "the", "Ġthe", "é"])
def test_a_special_token_written_like_a_token_encodes_the_same(
    special: str, tmp_path: Path
) -> None:
    """Otherwise it is an error: Hugging Face's library looks both up by their letters."""
    tokenizer = build([b"th", b"the", b" the"], specials={special: 300})
    try:
        theirs = in_hugging_face(tokenizer, tmp_path)
    except FormatError:
        return
    text = "h the Ġthe é"

    assert theirs.encode(text).ids == tokenizer.encode(text, allowed_special="all")


def test_a_folder_keeps_merges_that_look_like_the_version_line(tmp_path: Path) -> None:
    """Only the first line of merges.txt is the version."""
    word = b"#versions"
    tokenizer = build([word[:end] for end in range(2, len(word) + 1)])
    tokenizer.save(tmp_path / "folder")

    assert pytok.load(tmp_path / "folder").fingerprint == tokenizer.fingerprint


def test_a_folder_loads_the_tokenizer_that_was_saved_last(tmp_path: Path) -> None:
    """It replaces a tokenizer.json in the folder."""
    trained_with("gpt2").save(tmp_path / "tokenizer.json")
    tokenizer = build([b"he"])
    tokenizer.save(tmp_path)

    assert pytok.load(tmp_path).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken"])
def test_holes_in_the_ids_are_kept(name: str, tmp_path: Path) -> None:
    """p50k_base has one, for its special token."""
    ranks = BYTES | {b"th": 256, b"the": 258, b" the": 300}
    specials = {"<|endoftext|>": 257}
    tokenizer = Tokenizer("holes", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=specials)
    tokenizer.save(tmp_path / name)

    rest = {} if name.endswith("json") else {"pattern": "gpt2", "special_tokens": specials}
    loaded = pytok.load(tmp_path / name, **rest)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_a_token_before_its_parts_is_kept(name: str, tmp_path: Path) -> None:
    """A list of merges can express it: only one merge can make the token."""
    tokenizer = build([b"abc", b"ab"])
    tokenizer.save(tmp_path / name)

    rest = {"pattern": "gpt2"} if name == "a.tiktoken" else {}
    loaded = pytok.load(tmp_path / name, **rest)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


# ---------------------------------------------------------------- saved by pytok, loaded by others


@settings(max_examples=200)
@given(text=texts().map(without_new_characters))
def test_ids_equal_those_of_tokenizers(shared: Shared, text: str) -> None:
    assume(not any(special in text for special in SPECIALS))

    assert shared.tokenizers.encode(text).ids == shared.ours.encode_ordinary(text)


@given(text=with_specials(SPECIALS).map(without_new_characters))
def test_ids_equal_those_of_tokenizers_with_special_tokens(shared: Shared, text: str) -> None:
    """Their library always recognizes special tokens."""
    assert shared.tokenizers.encode(text).ids == shared.ours.encode(text, allowed_special="all")


@given(text=with_specials(SPECIALS).map(without_new_characters))
def test_ids_equal_those_of_transformers(shared: Shared, text: str) -> None:
    """Its class loads the tokenizer.json of an unknown model."""
    ids = shared.ours.encode(text, allowed_special="all")

    assert shared.transformers(text)["input_ids"] == ids


@given(text=with_specials(SPECIALS).map(without_new_characters))
def test_transformers_decodes_to_the_same_text(shared: Shared, text: str) -> None:
    """The file also defines decoding."""
    ids = shared.ours.encode(text, allowed_special="all")

    assert shared.transformers.decode(ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize(
    "text", ["\n  ", "a\n  ", "a  \n", "\n\n \n ", " \r\n\t", "\n", "a \u3000"]
)
def test_white_space_at_the_end_is_split_the_same_way(shared: Shared, text: str) -> None:
    """`$` would be the end of a line in Hugging Face's engine."""
    theirs = tiktoken.Encoding(
        "ours",
        pat_str=shared.ours.pattern,
        mergeable_ranks=dict(shared.ours.vocab),
        special_tokens={},
    )

    ids = shared.ours.encode_ordinary(text)

    assert shared.tokenizers.encode(text).ids == ids
    assert theirs.encode(text) == ids


@pytest.mark.parametrize("pattern", [r"\p{L}+|\P{L}+", r"\p{N}{1,3}|\p{L}+|[^\p{L}\p{N}]"])
def test_repeated_classes_can_be_saved(pattern: str, tmp_path: Path) -> None:
    r"""The `}+` of `\p{L}+` is not a possessive quantifier."""
    tokenizer = build([b"th", b"the"], pattern)
    theirs = in_hugging_face(tokenizer, tmp_path)
    assert theirs.encode("the 12345 é\n").ids == tokenizer.encode("the 12345 é\n")


WORDS = [r"\w+|\s+|[^\w\s]+", r"[\w]+|\W", r"\b.+?\b|.", r"[[:alpha:]]+|.", r"\p{Greek}+|."]
SYNTAX = [r"\d{3}?|.", r"(?s).", r"(?-s).", r"(?m)^a|.", r"\h+|.", r"(?i:straße)|.", r"a\z|."]


@pytest.mark.parametrize("pattern", WORDS + SYNTAX)
def test_a_pattern_splits_the_same_way_or_raises_an_error(pattern: str, tmp_path: Path) -> None:
    """Hugging Face's engine has another dialect; patterns with another meaning are not saved."""
    tokenizer = build([b"th", b"the"], pattern)
    try:
        theirs = in_hugging_face(tokenizer, tmp_path)
    except FormatError:
        return

    text = "x²³ ¼Ⅷ\u200d été 1234567 a\nb\n a\n αβγ STRASSE straße fab 09 \t\na"
    splits = theirs.pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in splits] == tokenizer.pieces(text)


def test_a_token_without_a_merge_encodes_the_same(tmp_path: Path) -> None:
    """`ignore_merges` finds it if it is a complete piece."""
    tokenizer = build([b"lo", b" hello", b"1234", b"!!"])
    theirs = in_hugging_face(tokenizer, tmp_path)

    @given(text=st.lists(st.sampled_from([" hello", " hell", "1234", "12", "!!", "lo"])))
    def check(text: list[str]) -> None:
        assert theirs.encode("".join(text)).ids == tokenizer.encode("".join(text))

    check()


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base", "o200k_base"])
def test_published_encodings_encode_the_same_in_tokenizers(
    name: str, rank_files: Path, tmp_path: Path
) -> None:
    """They are converted to tokenizer.json."""
    theirs = in_hugging_face(pytok.get_encoding(name), tmp_path)
    expected = tiktoken.get_encoding(name)

    @settings(max_examples=100)
    @given(text=texts().map(without_new_characters))
    def check(text: str) -> None:
        assert theirs.encode(text).ids == expected.encode(text, allowed_special="all")

    check()
    assert theirs.encode("".join(CORPUS)).ids == expected.encode("".join(CORPUS))


# ---------------------------------------------------------------- saved by others, loaded by pytok


def trained_by_hugging_face(
    pre_tokenizer: pre_tokenizers.PreTokenizer, specials: list[str]
) -> tokenizers.Tokenizer:
    """Train with Hugging Face's BpeTrainer, which gives special tokens the first ids."""
    theirs = tokenizers.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizer
    theirs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=specials,
        show_progress=False,
    )
    theirs.train_from_iterator(CORPUS, trainer)
    return theirs


BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False)
SPLIT = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(r"\s?[^\s\d]+|\d|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)


@pytest.mark.parametrize("specials", [[], SPECIALS], ids=["plain", "specials first"])
@pytest.mark.parametrize("splitter", [BYTE_LEVEL, SPLIT], ids=["ByteLevel", "Split"])
def test_a_tokenizer_trained_by_hugging_face_has_the_same_ids(
    splitter: pre_tokenizers.PreTokenizer, specials: list[str], engine: EngineName, tmp_path: Path
) -> None:
    """The splits are those of GPT-2, and of later models."""
    theirs = trained_by_hugging_face(splitter, specials)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = pytok.load(tmp_path / "theirs.json", engine=engine)

    @given(text=with_specials(specials or SPECIALS).map(without_new_characters))
    def check(text: str) -> None:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids

    check()
    assert list(ours.special_tokens) == specials


@pytest.mark.filterwarnings("ignore:.* gpt2's is assumed")
@pytest.mark.parametrize("specials", [[], SPECIALS[:1]], ids=["plain", "specials first"])
def test_a_folder_written_by_hugging_face_has_the_same_ids(
    specials: list[str], engine: EngineName, tmp_path: Path
) -> None:
    """GPT2TokenizerFast reads such a vocab.json and merges.txt."""
    theirs = trained_by_hugging_face(BYTE_LEVEL, specials)
    theirs.model.save(str(tmp_path))
    ours = pytok.load(tmp_path, engine=engine)

    @given(text=with_specials(SPECIALS[:1]).map(without_new_characters))
    def check(text: str) -> None:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids

    check()


def test_a_tokenizer_of_two_files_has_the_name_of_the_folder(tmp_path: Path) -> None:
    """The files have the same names in every folder."""
    pytok.train(CORPUS, 300, pattern="gpt2").save(tmp_path / "mine")

    assert pytok.load(tmp_path / "mine").name == "mine"


def test_ids_in_another_order_than_the_merges_are_kept(tmp_path: Path) -> None:
    """The list of merges decides the order of merging, not the ids."""
    trained_with("cl100k").save(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    vocab = document["model"]["vocab"]
    document["model"]["vocab"] = {
        token: 396 - id if id <= 396 else id for token, id in vocab.items()
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    ours = pytok.load(tmp_path / "a.json")

    theirs = in_hugging_face(ours, tmp_path)

    assert theirs.encode(CORPUS[0]).ids == ours.encode(CORPUS[0])
    assert ours.encode(CORPUS[0]) == [396 - id for id in trained_with("cl100k").encode(CORPUS[0])]
