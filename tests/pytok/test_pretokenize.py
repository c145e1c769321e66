"""Patterns split text identically in both engines, as the regexes do in tiktoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytok
import pytok.reference.budget
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import PatternError
from pytok.patterns import PATTERNS, can_cut, last_cut, last_cut_of_utf8, parts
from pytok.reference.pretokenize import Pattern, disputed
from tests.pytok.strategies import texts

BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}


def splitter(
    pattern: str, engine: EngineName, special_tokens: dict[str, int] | None = None
) -> pytok.Tokenizer:
    return pytok.Tokenizer(
        "bytes",
        pat_str=pattern,
        mergeable_ranks=BYTES,
        special_tokens=special_tokens or {},
        engine=engine,
    )


KNOWN = {
    (name, engine): splitter(name, engine)
    for name in PATTERNS
    for engine in ("native", "reference")
}


@pytest.mark.parametrize("name", PATTERNS)
@given(text=texts())
def test_known_patterns_split_identically_in_both_engines(name: str, text: str) -> None:
    """Piece for piece."""
    assert KNOWN[name, "native"].pieces(text) == KNOWN[name, "reference"].pieces(text)


@pytest.mark.parametrize("name", PATTERNS)
@given(text=texts())
def test_pieces_concatenate_to_the_text(name: str, text: str) -> None:
    """Nothing is dropped, nothing is added."""
    assert "".join(KNOWN[name, "native"].pieces(text)) == text


@pytest.mark.parametrize("name", PATTERNS)
def test_characters_whose_class_unicode_versions_dispute_split_identically(name: str) -> None:
    """The reference uses the native engine's tables where the installed `regex` differs."""
    text = "".join(f"a{character}b {character}1" for character in sorted(disputed())[::7])

    assert text
    assert KNOWN[name, "native"].pieces(text) == KNOWN[name, "reference"].pieces(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", PATTERNS)
def test_every_character_splits_identically_in_both_engines(name: str) -> None:
    """All 1,112,064, next to a letter, a digit, a space and an apostrophe."""
    for start in range(0, 0x110000, 0x8000):
        points = (point for point in range(start, start + 0x8000) if not 0xD800 <= point < 0xE000)
        text = "".join(f"a{chr(point)}B {chr(point)}1'{chr(point)}" for point in points)
        assert KNOWN[name, "native"].pieces(text) == KNOWN[name, "reference"].pieces(text)


@pytest.mark.parametrize("name", PATTERNS)
@given(text=texts())
def test_a_text_splits_the_same_when_it_is_cut(name: str, text: str) -> None:
    """No piece crosses an index of `last_cut`."""
    cut = list(parts(text, size=4))

    assert "".join(cut) == text
    pieces = [piece for part in cut for piece in Pattern(name).split(part)]
    assert pieces == Pattern(name).split(text)


@pytest.mark.parametrize("text", ["", "\n", "a\n", "a\n ", "a \nb", "\na", "!\n/", "a\r\nb"])
def test_there_is_no_cut_next_to_white_space_or_before_a_slash(text: str) -> None:
    """A longer run of white space, or the slashes of o200k, could cross it."""
    assert last_cut(text) == 0


@given(before=texts(), after=texts(), missing=st.integers(0, 3))
def test_the_last_cut_of_utf8_is_that_of_its_characters(
    before: str, after: str, missing: int
) -> None:
    """Of the complete ones: the rest of the last one is not known yet."""
    utf8 = f"{before}\n{after}".encode()
    utf8 = utf8[: len(utf8) - missing]
    text = utf8.decode("utf-8", "ignore")

    assert last_cut_of_utf8(utf8) == len(text[: last_cut(text)].encode())


def test_only_known_patterns_can_be_cut() -> None:
    """It is unknown where the pieces of another pattern end."""
    assert [can_cut("gpt2"), can_cut(PATTERNS["o200k"]), can_cut(r"\w+")] == [True, True, False]


CUSTOM = [
    r"\p{L}+",
    r"\s+$|\S",
    r"(?<=a)b|[^\p{L}\s]+(?=\s)",
    r"[\p{Ll}x]+",
    r"\p{Lu}?+.|\n",
    r"\z|a+",
    r"[\p{Han}]+|[\p{L}&&[^\p{Han}]]+|[^\p{L}]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"[^\p{L}&&[^\p{Lu}]&&[\P{Lo}a]]+",
    r"[[:alpha:][:^ascii:]]+|[^[:punct:]\w]",
    r"\x{61}\b|[\P{L}\p{Lu}]+",
]


@pytest.mark.parametrize("pattern", CUSTOM)
@given(text=texts())
def test_custom_patterns_split_identically_in_both_engines(pattern: str, text: str) -> None:
    r"""Text between matches is a piece; Unicode classes, `$` and look-around mean the same."""
    native, reference = splitter(pattern, "native"), splitter(pattern, "reference")

    assert native.pieces(text) == reference.pieces(text)


@pytest.mark.parametrize(
    "pattern",
    [r"[a--b]+", r"[a~~b]+", r"\h+", r"\X"],
)
def test_the_reference_rejects_syntax_that_python_reads_differently(pattern: str) -> None:
    """It never splits differently without an error."""
    with pytest.raises(PatternError, match="use the native engine"):
        splitter(pattern, "reference")


def test_an_empty_match_at_the_end_splits_nothing(engine: EngineName) -> None:
    """An empty text has no pieces."""
    assert splitter("a*", engine).pieces("aa") == ["aa"]
    assert splitter("a*", engine).pieces("") == []
    assert splitter("$", engine).pieces("x") == ["x"]


def test_text_that_a_pattern_does_not_match_is_a_piece(engine: EngineName) -> None:
    """As in Hugging Face's isolated Split; tiktoken drops it."""
    assert splitter(r"\d+", engine).pieces("ab12c3") == ["ab", "12", "c", "3"]


def test_a_pattern_that_does_not_compile_is_rejected(engine: EngineName) -> None:
    """The message has the regex engine's explanation."""
    with pytest.raises(PatternError, match=r"the pattern does not compile: .+"):
        splitter("(", engine)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:a?+){9999999999}b",
        "(?:a?+){5,99999999999999999999999}",
        "(?:a{1000}){101}",
        r"((\p{L}{99}b){99}[a{1}\]]?+){99}",
        "|".join(["a{10000}b?"] * 11),
    ],
)
def test_a_pattern_with_enormous_repeats_is_rejected(pattern: str, engine: EngineName) -> None:
    """Written out they would take a text's time, or the memory of an automaton."""
    message = "^the pattern does not compile: with its repeats written out it has more than 100000 "
    with pytest.raises(PatternError, match=message):
        splitter(pattern, engine)


@pytest.mark.parametrize("pattern", [r"\x{100001}|\p{L}{3}", "[a{100001}]b", r"\{100001}|[^]{9}]"])
def test_what_only_looks_like_a_repeat_is_none(pattern: str, engine: EngineName) -> None:
    """Escapes and sets have braces, too."""
    assert splitter(pattern, engine).pieces("{") == ["{"]


@pytest.mark.parametrize("pattern", [r"(?R)a", r"(?1)a", r"(?&x)a", r"(?|a|b)", r"(?R){1000}"])
def test_the_reference_rejects_groups_that_python_reads_differently(pattern: str) -> None:
    """What is a flag to Rust can be a recursion to Python, which takes all memory."""
    with pytest.raises(PatternError, match="use the native engine"):
        splitter(pattern, "reference")


SLOW = r"a*b|a|(?<=x)y"
"""Each of its searches is short, but it reads a text of a's once for each of them."""


def test_a_pattern_that_takes_too_long_is_an_error(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text has a budget, by its length."""
    monkeypatch.setattr(pytok.reference.budget, "BASE", 0.01)
    monkeypatch.setattr(pytok.reference.budget, "PER_BYTE", 0.0)
    pattern = {"native": r"(?:(?=x)x+x+)+y|[\s\S]", "reference": SLOW}[engine]
    text = {"native": ("x" * 20 + " ") * 500, "reference": "a" * 10_000}[engine]
    tokenizer = splitter(pattern, engine)

    message = r"^the pattern takes too long on the text at byte \d+: it matches the same text in "
    with pytest.raises(PatternError, match=message):
        tokenizer.encode(text)
    with pytest.raises(PatternError, match=message):
        tokenizer.encode_batch([text])
    with pytest.raises(PatternError, match=message):
        pytok.train([text], 260, pattern=pattern, engine=engine)
    assert tokenizer.encode("ab") == tokenizer.encode_batch(["ab"])[0]


def test_added_tokens_in_a_text_add_no_time(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget is that of the text, not of each part between two of them."""
    monkeypatch.setattr(pytok.reference.budget, "BASE", 0.01)
    monkeypatch.setattr(pytok.reference.budget, "PER_BYTE", 0.0)
    pattern = {"native": r"(?:(?=x)x+x+)+y|[\s\S]", "reference": SLOW}[engine]
    part = {"native": "x" * 20, "reference": "a" * 500}[engine]
    tokenizer = splitter(pattern, engine, {"|": 256})

    with pytest.raises(PatternError, match="takes too long"):
        tokenizer.encode((part + "|") * 1_000, allowed_special="all")


def test_a_pattern_that_matches_the_empty_string_is_an_error(engine: EngineName) -> None:
    """Its position is in bytes of the text."""
    message = (
        r"^the pattern matches the empty string at byte 3: each match must take at least one char"
    )
    with pytest.raises(PatternError, match=message):
        splitter(r"é|a|(?=b)", engine).encode("éab")
