"""A random tokenizer.json over all supported parts equals tokenizers, also after it is saved."""

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import pytok
from pytok.errors import FormatError, VocabError
from pytok.formats.merge_list import LETTERS
from tests.conftest import ENGINES
from tests.pytok.strategies import texts
from tests.pytok.test_formats import without_new_characters

Part = dict[str, Any]

WORDS = [
    "the",
    " the",
    "thé",
    "e\u0301",
    " 12",
    "12",
    "123",
    "漢字",
    "\n\n",
    "THE",
    "!?",
    "ab",
    "<s",
]
ADDED = [
    "<s>",
    "</s>",
    "<mask>",
    "the",
    "THE",
    " 12",
    "\n",
    "e\u0301",
    "ab",
    "<s><s>",
    "b!",
    "ﬁ",
    "K;",
]
ORPHANS = ["zyzzyva", "", "終", "<unk>", "Ġthe?", "<s>", "THE", "the", "a"]
ALPHABET = {bytes([byte]): letter for byte, letter in LETTERS.items()}
NEVER_IN_UTF8 = [0xC0, 0xC1, *range(0xF5, 0x100)]
MISSING = [[], [], NEVER_IN_UTF8, [0xCC], [0x74], [0x21, 0x3F], [*range(0x80, 0x100)]]


def one(**fields: Any) -> Part:
    """Return a part of a file by its fields; ``kind`` is its type."""
    return {"type": fields.pop("kind")} | fields


def flags(*names: str) -> st.SearchStrategy[dict[str, bool]]:
    """Draw values of boolean fields, true in one of four."""
    rarely = st.sampled_from([False, False, False, True])
    return st.fixed_dictionaries(dict.fromkeys(names, rarely))


def letters_of(token: str) -> str:
    """Return *token* in the byte-level alphabet."""
    return "".join(LETTERS[byte] for byte in token.encode())


REPLACEMENTS = st.sampled_from(
    [{"Regex": r"\s+"}, {"Regex": r"e$|^\w"}, {"String": "t"}, {"Regex": r"\p{P}{2}|[[:digit:]]"}]
)
NORMALIZERS = st.one_of(
    st.sampled_from([one(kind=kind) for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")]),
    st.just(one(kind="StripAccents")),
    st.builds(one, kind=st.just("Strip"), strip_left=st.booleans(), strip_right=st.booleans()),
    st.builds(one, kind=st.just("Prepend"), prepend=st.sampled_from(["the", " ", "Ġ"])),
    st.builds(
        one,
        kind=st.just("Replace"),
        pattern=REPLACEMENTS,
        content=st.sampled_from(["", " ", "the", "\\1é"]),
    ),
)
BEHAVIORS = st.sampled_from(
    ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
)
REGEXES = [
    r"\p{N}{1,3}",
    r"\s?\p{L}+",
    r" ?[^(\s|[.,!?…。])]+",
    r"[\p{L}&&[^\p{Han}]]+|\p{Han}",
    r"\w+|[^\w\s]",
    r"[[:punct:]]|\b[[:alpha:]]",
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
PATTERNS = st.sampled_from([{"String": " "}, {"String": "e."}, *({"Regex": r} for r in REGEXES)])
SPLITS = st.one_of(
    st.builds(
        one, kind=st.just("Split"), pattern=PATTERNS, behavior=BEHAVIORS, invert=st.booleans()
    ),
    st.builds(one, kind=st.just("Digits"), individual_digits=st.booleans()),
    st.builds(one, kind=st.just("Punctuation"), behavior=BEHAVIORS),
    st.sampled_from(
        [one(kind=kind) for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer")]
    ),
    st.just(one(kind="CharDelimiterSplit", delimiter="t")),
    st.builds(one, kind=st.just("FixedLength"), length=st.integers(1, 4)),
)


def byte_level(**options: bool) -> Part:
    """Return the part that maps bytes to letters."""
    return (
        one(kind="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True) | options
    )


@st.composite
def pre_tokenizers(draw: st.DrawFn) -> Part:
    """Draw up to three splits, then the mapping to letters."""
    steps = draw(st.lists(SPLITS, max_size=3))
    prefix_space = not steps and draw(st.booleans())
    last = byte_level(use_regex=draw(st.booleans()), add_prefix_space=prefix_space)
    return one(kind="Sequence", pretokenizers=[*steps, last]) if steps else last


def merged(word: str, merges: list[list[str]]) -> list[str]:
    """Return the parts of *word* after each of *merges* in turn."""
    parts = list(word)
    for left, right in merges:
        index = 0
        while index < len(parts) - 1:
            if parts[index : index + 2] == [left, right]:
                parts[index : index + 2] = [left + right]
            index += 1
    return parts


@st.composite
def models(draw: st.DrawFn) -> Part:
    """Draw a vocabulary that can lack bytes, and that has entries that no merge makes."""
    missing = {LETTERS[byte] for byte in draw(st.sampled_from(MISSING))}
    vocab = [letter for letter in LETTERS.values() if letter not in missing]
    merges: list[list[str]] = []
    for word in map(letters_of, draw(st.lists(st.sampled_from(WORDS), unique=True, max_size=5))):
        parts = merged(word, merges)
        while len(parts) > 1 and missing.isdisjoint(parts[0] + parts[1]):
            merges.append(parts[:2])
            parts[:2] = [parts[0] + parts[1]]
            vocab.append(parts[0])
    vocab += draw(st.lists(st.sampled_from(ORPHANS), unique=True, max_size=3))
    return one(
        kind="BPE",
        dropout=None,
        unk_token=draw(st.sampled_from([None, None, "<unk>", "<unk>", "zyzzyva"])),
        continuing_subword_prefix=None,
        end_of_word_suffix=None,
        **draw(flags("fuse_unk", "byte_fallback", "ignore_merges")),
        vocab={text: id for id, text in enumerate(dict.fromkeys(vocab))},
        merges=merges,
    )


@st.composite
def documents(draw: st.DrawFn) -> Part:
    """Draw a complete file."""
    model = draw(models())
    added, next_id = [], len(model["vocab"])
    for text in draw(st.lists(st.sampled_from(ADDED), unique=True, max_size=4)):
        id = model["vocab"].get(text, next_id)
        next_id += text not in model["vocab"]
        names = ("single_word", "lstrip", "rstrip", "normalized")
        special = draw(st.booleans())
        token = {"id": id, "content": text, "special": special} | draw(flags(*names))
        # tokenizers crashes if a normalizer leaves nothing of a normalized token.
        token["normalized"] &= not text.isspace()
        added.append(token)
    steps = draw(st.lists(NORMALIZERS, max_size=3))
    normalizer = one(kind="Sequence", normalizers=steps) if steps else None
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": steps[0] if len(steps) == 1 else normalizer,
        "pre_tokenizer": draw(pre_tokenizers()),
        "post_processor": draw(post_processors(added)),
        "decoder": byte_level(),
        "model": model,
    }


def post_processors(added: list[Part]) -> st.SearchStrategy[Part | None]:
    """Draw a post-processor that adds one of the tokens *added*, or none."""
    if not added:
        return st.sampled_from([None, byte_level()])
    text, id = added[0]["content"], added[0]["id"]
    end = [text, id]
    token = {"SpecialToken": {"id": text, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    template = one(
        kind="TemplateProcessing",
        single=[token, first, token],
        pair=[token, first, second],
        special_tokens={text: {"id": text, "ids": [id], "tokens": [text]}},
    )
    ends = {"sep": end, "cls": end}
    roberta = one(kind="RobertaProcessing", trim_offsets=True, add_prefix_space=True, **ends)
    return st.sampled_from(
        [
            None,
            template,
            roberta,
            one(kind="BertProcessing", **ends),
            one(kind="Sequence", processors=[byte_level(), template]),
        ]
    )


TEXTS = (
    st.lists(st.one_of(st.sampled_from([*WORDS, *ADDED, " ", "K", "é"]), texts()), max_size=8)
    .map("".join)
    .map(without_new_characters)
)


def their_ids(theirs: tokenizers.Tokenizer, text: str, *, add: bool) -> list[int] | None:
    """Return the ids of *text*; ``None`` if tokenizers has an error for an unknown byte."""
    try:
        return theirs.encode(text, add_special_tokens=add).ids
    except Exception as error:
        if "Unk token" not in str(error):
            raise
        return None


def check(path: Path, text: str) -> str:
    """Compare *text* under the file *path* with tokenizers; return what became of the file."""
    try:
        theirs = tokenizers.Tokenizer.from_file(str(path))
    except Exception:
        return "no file of tokenizers"
    try:
        ours = [pytok.load(path, engine=engine) for engine in ENGINES]
    except FormatError:
        return "refused"
    expected = their_ids(theirs, text, add=False)
    for tokenizer in ours:
        if expected is None:
            with pytest.raises(VocabError):
                tokenizer.encode(text, allowed_special="all")
            continue
        assert tokenizer.encode(text, allowed_special="all") == expected
        decoded = theirs.decode(expected, skip_special_tokens=False)
        assert tokenizer.decode(expected) == decoded
    try:
        ours[0].save(path)
    except FormatError:
        return "not saved"
    saved = tokenizers.Tokenizer.from_file(str(path))
    with_ends = their_ids(theirs, text, add=True)
    assert their_ids(saved, text, add=True) == with_ends
    for skips in (False, True):
        decoded = theirs.decode(with_ends or [], skip_special_tokens=skips)
        assert saved.decode(with_ends or [], skip_special_tokens=skips) == decoded
    assert pytok.load(path).fingerprint == ours[0].fingerprint
    return "equal"


def test_any_file_is_equal_to_tokenizers_or_refused(tmp_path: Path) -> None:
    """Most files are equal, in ids, in decoding, and in both after a round trip."""
    fates: Counter[str] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(document=documents(), text=TEXTS)
    def compare(document: Part, text: str) -> None:
        path = tmp_path / "any.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of missing bytes
            fates[check(path, text)] += 1

    compare()

    assert fates["equal"] > 0.7 * fates.total(), fates
