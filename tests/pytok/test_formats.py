"""Tokenizer files: what is saved is what is loaded, by pytok and by the libraries that share them.

The other way, tokenizers that others trained, is here too. What is refused: test_formats_refusals.
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
def learnt(pattern: str) -> Tokenizer:
    """A tokenizer of 400 ids, three of them special tokens."""
    return pytok.train(CORPUS, 400, pattern=pattern, special_tokens=SPECIALS)


def build(
    tokens: list[bytes], pattern: str = "gpt2", specials: dict[str, int] | None = None
) -> Tokenizer:
    """The bytes, then *tokens*, in this order."""
    ranks = BYTES | {token: 256 + place for place, token in enumerate(tokens)}
    return Tokenizer("built", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials or {})


def in_hugging_face(tokenizer: Tokenizer, folder: Path) -> tokenizers.Tokenizer:
    """What Hugging Face's library makes of the saved *tokenizer*."""
    tokenizer.save(folder / "shared.json")
    return tokenizers.Tokenizer.from_file(str(folder / "shared.json"))


def settled(text: str) -> str:
    """*text* without what is newer than Unicode 3.2: libraries differ in the version they know."""
    return "".join(c for c in text if unicodedata.ucd_3_2_0.category(c) != "Cn")


class Shared(NamedTuple):
    """One tokenizer, and what the two libraries made of its file."""

    ours: Tokenizer
    tokenizers: tokenizers.Tokenizer
    transformers: PreTrainedTokenizerFast


@pytest.fixture(scope="module", params=PATTERNS, ids=["gpt2", "cl100k", "o200k", "custom"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """`learnt` on each pattern, here and there."""
    folder = tmp_path_factory.mktemp("shared")
    theirs = in_hugging_face(learnt(request.param), folder)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / "shared.json")
    )
    return Shared(learnt(request.param), theirs, fast)


# ------------------------------------------------------------------------- what is saved is loaded


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tokenizer_json_keeps_all(pattern: str, engine: EngineName, tmp_path: Path) -> None:
    """Tokens, ids, pattern and special tokens."""
    learnt(pattern).save(tmp_path / "a.json")

    loaded = pytok.load(tmp_path / "a.json", engine=engine)

    assert loaded.fingerprint == learnt(pattern).fingerprint
    assert (loaded.name, loaded.engine) == ("a", engine)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tiktoken_keeps_the_ranks(pattern: str, engine: EngineName, tmp_path: Path) -> None:
    """The rest is told again."""
    tokenizer = learnt(pattern)
    tokenizer.save(tmp_path / "a.tiktoken")

    told = {"pattern": pattern, "special_tokens": tokenizer.special_tokens}
    loaded = pytok.load(tmp_path / "a.tiktoken", engine=engine, **told)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


def test_a_folder_keeps_all(engine: EngineName, tmp_path: Path) -> None:
    """GPT-2's two files say no pattern, since theirs is the only one."""
    learnt("gpt2").save(tmp_path / "folder")

    assert pytok.load(tmp_path / "folder", engine=engine).fingerprint == learnt("gpt2").fingerprint


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_both_engines_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    """The merges that each derives from the tokens are the same."""
    written = []
    for side in ENGINES:
        (tmp_path / side).mkdir()
        on_engine(learnt("gpt2"), side).save(tmp_path / side / name)
        files = sorted((tmp_path / side).rglob("*.*"))
        written.append([(path.name, path.read_bytes()) for path in files])

    assert written[0] == written[1]


@given(documents=corpora(), size=st.integers(259, 300))
@pytest.mark.filterwarnings("ignore:the corpus has no more pairs")
def test_any_trained_tokenizer_is_kept(documents: list[str], size: int, tmp_path: Path) -> None:
    """Whatever it was trained on."""
    tokenizer = pytok.train(documents, size, special_tokens=SPECIALS)
    tokenizer.save(tmp_path / "any.json")

    assert pytok.load(tmp_path / "any.json").fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["any.json", "folder"])
@given(special=st.text(min_size=1))
def test_any_special_token_is_kept_or_refused(name: str, special: str, tmp_path: Path) -> None:
    """Also one that the byte-level alphabet could spell."""
    tokenizer = build([b"th", b"the", b" the"], specials={special: 300})
    try:
        tokenizer.save(tmp_path / name)
    except FormatError:
        return

    assert pytok.load(tmp_path / name).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("special", ["h", "the", "Ġthe", "é"])
def test_a_special_token_spelled_as_a_token_is_shared(special: str, tmp_path: Path) -> None:
    """Or refused: Hugging Face looks both up by their spelling."""
    tokenizer = build([b"th", b"the", b" the"], specials={special: 300})
    try:
        theirs = in_hugging_face(tokenizer, tmp_path)
    except FormatError:
        return
    text = "h the Ġthe é"

    assert theirs.encode(text).ids == tokenizer.encode(text, allowed_special="all")


def test_a_folder_keeps_merges_that_look_like_its_first_line(tmp_path: Path) -> None:
    """Only the first line of merges.txt says the version."""
    word = b"#versions"
    tokenizer = build([word[:end] for end in range(2, len(word) + 1)])
    tokenizer.save(tmp_path / "folder")

    assert pytok.load(tmp_path / "folder").fingerprint == tokenizer.fingerprint


def test_a_saved_folder_is_what_the_folder_loads(tmp_path: Path) -> None:
    """Whatever was in it before."""
    learnt("gpt2").save(tmp_path / "tokenizer.json")
    tokenizer = build([b"he"])
    try:
        tokenizer.save(tmp_path)
    except FormatError:
        return

    assert pytok.load(tmp_path).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken"])
def test_holes_in_the_ids_are_kept(name: str, tmp_path: Path) -> None:
    """p50k_base has one, where its special token is."""
    ranks = BYTES | {b"th": 256, b"the": 258, b" the": 300}
    specials = {"<|endoftext|>": 257}
    tokenizer = Tokenizer("holes", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=specials)
    tokenizer.save(tmp_path / name)

    told = {} if name.endswith("json") else {"pattern": "gpt2", "special_tokens": specials}
    loaded = pytok.load(tmp_path / name, **told)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", ["a.json", "a.tiktoken", "folder"])
def test_a_token_before_its_parts_is_kept(name: str, tmp_path: Path) -> None:
    """A list of merges says it, too: only one merge ever makes the token."""
    tokenizer = build([b"abc", b"ab"])
    tokenizer.save(tmp_path / name)

    told = {"pattern": "gpt2"} if name == "a.tiktoken" else {}
    loaded = pytok.load(tmp_path / name, **told)  # type: ignore[arg-type]

    assert loaded.fingerprint == tokenizer.fingerprint


# ------------------------------------------------------------- what is saved is what others load


@settings(max_examples=200)
@given(text=texts().map(settled))
def test_ids_equal_those_of_tokenizers(shared: Shared, text: str) -> None:
    """Text without special tokens."""
    assume(not any(special in text for special in SPECIALS))

    assert shared.tokenizers.encode(text).ids == shared.ours.encode_ordinary(text)


@given(text=with_specials(SPECIALS).map(settled))
def test_ids_equal_those_of_tokenizers_with_special_tokens(shared: Shared, text: str) -> None:
    """They recognise special tokens always."""
    assert shared.tokenizers.encode(text).ids == shared.ours.encode(text, allowed_special="all")


@given(text=with_specials(SPECIALS).map(settled))
def test_ids_equal_those_of_transformers(shared: Shared, text: str) -> None:
    """With the class that loads a tokenizer.json of no known model."""
    ids = shared.ours.encode(text, allowed_special="all")

    assert shared.transformers(text)["input_ids"] == ids


@given(text=with_specials(SPECIALS).map(settled))
def test_text_comes_back_in_transformers(shared: Shared, text: str) -> None:
    """The file says how to decode, too."""
    ids = shared.ours.encode(text, allowed_special="all")

    assert shared.transformers.decode(ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize(
    "text", ["\n  ", "a\n  ", "a  \n", "\n\n \n ", " \r\n\t", "\n", "a \u3000"]
)
def test_white_space_at_the_end_is_split_alike(shared: Shared, text: str) -> None:
    """Where `$` would mean the end of a line to Hugging Face."""
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
def test_classes_that_repeat_can_be_saved(pattern: str, tmp_path: Path) -> None:
    r"""`\p{L}+` is no possessive repeat."""
    tokenizer = build([b"th", b"the"], pattern)
    theirs = in_hugging_face(tokenizer, tmp_path)
    assert theirs.encode("the 12345 é\n").ids == tokenizer.encode("the 12345 é\n")


WORDS = [r"\w+|\s+|[^\w\s]+", r"[\w]+|\W", r"\b.+?\b|.", r"[[:alpha:]]+|.", r"\p{Greek}+|."]
SYNTAX = [r"\d{3}?|.", r"(?s).", r"(?-s).", r"(?m)^a|.", r"\h+|.", r"(?i:straße)|.", r"a\z|."]


@pytest.mark.parametrize("pattern", WORDS + SYNTAX)
def test_a_pattern_is_read_alike_or_refused(pattern: str, tmp_path: Path) -> None:
    """Hugging Face's engine knows another dialect; what it would read differently is not saved."""
    tokenizer = build([b"th", b"the"], pattern)
    try:
        theirs = in_hugging_face(tokenizer, tmp_path)
    except FormatError:
        return

    text = "x²³ ¼Ⅷ\u200d été 1234567 a\nb\n a\n αβγ STRASSE straße fab 09 \t\na"
    splits = theirs.pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in splits] == tokenizer.pieces(text)


def test_a_token_that_no_merge_makes_is_shared(tmp_path: Path) -> None:
    """`ignore_merges` finds it where it is a whole piece."""
    tokenizer = build([b"lo", b" hello", b"1234", b"!!"])
    theirs = in_hugging_face(tokenizer, tmp_path)

    @given(text=st.lists(st.sampled_from([" hello", " hell", "1234", "12", "!!", "lo"])))
    def check(text: list[str]) -> None:
        assert theirs.encode("".join(text)).ids == tokenizer.encode("".join(text))

    check()


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base", "o200k_base"])
def test_published_encodings_are_shared(name: str, rank_files: Path, tmp_path: Path) -> None:
    """By way of tokenizer.json, with tiktoken's ids."""
    theirs = in_hugging_face(pytok.get_encoding(name), tmp_path)
    expected = tiktoken.get_encoding(name)

    @settings(max_examples=100)
    @given(text=texts().map(settled))
    def check(text: str) -> None:
        assert theirs.encode(text).ids == expected.encode(text, allowed_special="all")

    check()
    assert theirs.encode("".join(CORPUS)).ids == expected.encode("".join(CORPUS))


# --------------------------------------------------------------- what others save is what we load


def trained_by_hugging_face(
    pre_tokenizer: pre_tokenizers.PreTokenizer, specials: list[str]
) -> tokenizers.Tokenizer:
    """Their BpeTrainer puts special tokens first in the ids."""
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
def test_what_hugging_face_trained_has_the_same_ids(
    splitter: pre_tokenizers.PreTokenizer, specials: list[str], engine: EngineName, tmp_path: Path
) -> None:
    """GPT-2's way to split, and the way since."""
    theirs = trained_by_hugging_face(splitter, specials)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = pytok.load(tmp_path / "theirs.json", engine=engine)

    @given(text=with_specials(specials or SPECIALS).map(settled))
    def check(text: str) -> None:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids

    check()
    assert list(ours.special_tokens) == specials


@pytest.mark.parametrize("specials", [[], SPECIALS[:1]], ids=["plain", "specials first"])
def test_a_folder_that_hugging_face_wrote_has_the_same_ids(
    specials: list[str], engine: EngineName, tmp_path: Path
) -> None:
    """vocab.json and merges.txt, as GPT2TokenizerFast reads them."""
    theirs = trained_by_hugging_face(BYTE_LEVEL, specials)
    theirs.model.save(str(tmp_path))
    ours = pytok.load(tmp_path, engine=engine)

    @given(text=with_specials(SPECIALS[:1]).map(settled))
    def check(text: str) -> None:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids

    check()


def test_a_folder_of_two_files_names_the_tokenizer(tmp_path: Path) -> None:
    """The files have the same names in every folder."""
    pytok.train(CORPUS, 300, pattern="gpt2").save(tmp_path / "mine")

    assert pytok.load(tmp_path / "mine").name == "mine"


def test_ids_in_another_order_than_merges_are_kept(tmp_path: Path) -> None:
    """The list of merges says what merges first; ids are names."""
    learnt("cl100k").save(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    vocab = document["model"]["vocab"]
    document["model"]["vocab"] = {
        token: 396 - id if id <= 396 else id for token, id in vocab.items()
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    ours = pytok.load(tmp_path / "a.json")

    theirs = in_hugging_face(ours, tmp_path)

    assert theirs.encode(CORPUS[0]).ids == ours.encode(CORPUS[0])
    assert ours.encode(CORPUS[0]) == [396 - id for id in learnt("cl100k").encode(CORPUS[0])]
