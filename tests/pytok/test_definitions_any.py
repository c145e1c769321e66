"""Tokenizers of any parts: both engines encode, decode and align text the same way."""

from collections.abc import Callable
from dataclasses import fields

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.definition import AddedToken, Definition, Split, Step, Unknown
from pytok.errors import PytokError, VocabError
from tests.conftest import ENGINES
from tests.pytok.strategies import texts

BYTES = [bytes([byte]) for byte in BYTE_ORDER]
ADDED = ["<a>", "<a>b", " ", "  ", "\n", "the", "É", "e\u0301", "<E>", "1", "ab"]
PATTERNS = ["gpt2", "cl100k", r"\p{N}", r"\s+", "-", r"[\s\S]+", r"\p{L}+|\P{L}+"]
STEPS: list[Step] = [
    ("NFC",),
    ("NFD",),
    ("NFKC",),
    ("NFKD",),
    ("Lowercase",),
    ("Prepend", "_"),
    ("Replace", r"\s+", " "),
    ("Replace", "e", "ab"),
    ("Replace", r"\p{N}", ""),
]
BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Draw a definition with any of the parts that a tokenizer can have."""
    words = draw(st.lists(st.sampled_from(["th", "he", "the", "ab", " a", "é", "é ", "\xcc\x81"])))
    tokens = [*BYTES, *dict.fromkeys(word.encode() for word in words)]
    missing = draw(st.sets(st.sampled_from(b"ax\xc3\xcc\xf5 \xa9"), max_size=3))
    tokens = [token for token in tokens if token[0] not in missing or len(token) > 1]
    suffix = draw(st.sampled_from(["", "", "</w>"]))
    if suffix:
        tokens = ending(tokens, suffix, draw(st.sets(st.sampled_from(b"ht\xa9"), max_size=2)))
    # Some ids are the ranks, some are not.
    shift = draw(st.sampled_from([0, 0, 7]))
    ids = [rank + shift for rank in range(len(tokens))]
    flags = st.tuples(*[st.booleans()] * 5)
    listed = draw(st.lists(st.tuples(st.sampled_from(ADDED), flags), unique_by=lambda t: t[0]))
    first = len(tokens) + shift
    added = tuple(AddedToken(text, first + n, *flag) for n, (text, flag) in enumerate(listed))
    after = first + len(added)
    unknown = [None, Unknown(), Unknown(after), Unknown(after, fuse=True)]
    behaviors = st.sampled_from(BEHAVIORS)
    split = st.builds(Split, st.sampled_from(PATTERNS), behaviors, st.booleans(), st.just(False))
    of_letters = split.map(lambda split: split._replace(letters=True))
    return Definition(
        "any",
        tokens,
        ids,
        draw(st.sampled_from(PATTERNS)),
        added,
        (*draw(st.lists(split, max_size=2)), *draw(st.lists(of_letters, max_size=1))),
        tuple(draw(st.lists(st.sampled_from(STEPS), max_size=2))),
        draw(st.booleans()),
        draw(st.sampled_from([{}, {after: b""}, {after: b"unk", after + 1: b"\xff"}])),
        draw(st.sampled_from(unknown[bool(suffix) :])),
        suffix,
    )


def ending(tokens: list[bytes], suffix: str, unknown_ends: set[int]) -> list[bytes]:
    """Return *tokens*, and those that end a piece: all with *suffix* but these single bytes."""
    tokens = [token for token in tokens if token not in (b"\xfe", b"\xff")]
    ends = [token + suffix.encode() for token in tokens if token[0] not in unknown_ends]
    return sorted([*tokens, *ends], key=lambda token: len(token.removesuffix(suffix.encode())) > 1)


def marked() -> st.SearchStrategy[str]:
    """Texts with added tokens in them."""
    part = st.one_of(st.sampled_from([*ADDED, " ", "x"]), texts())
    return st.lists(part, max_size=6).map("".join)


def outcome(call: Callable[[], object]) -> object:
    """Return the result of *call*, or the error with its message."""
    try:
        return call()
    except PytokError as error:
        return type(error), error.message


@given(definitions(), marked(), st.booleans())
def test_both_engines_agree(definition: Definition, text: str, special: bool) -> None:
    """In ids, the characters that they stand for, pieces and decoding."""
    allowed = "all" if special else set()

    def results(tok: pytok.Tokenizer) -> list[object]:
        core = tok._core
        specials = core.specials(list(tok.special_tokens) if special else [], [])
        ids = outcome(
            lambda: tok.encode(text, allowed_special=allowed, disallowed_special=())  # type: ignore[arg-type]
        )
        return [
            ids,
            outcome(lambda: core.encode_with_offsets(text, specials)),
            outcome(lambda: core.pieces(text)),
            outcome(lambda: core.normalize(text)),
            outcome(lambda: core.encode_batch([text, "x", text], specials, 2)),
            outcome(lambda: tok.decode_bytes(ids)) if isinstance(ids, list) else None,
        ]

    native, reference = (pytok.Tokenizer.from_definition(definition, name) for name in ENGINES)
    assert results(native) == results(reference)


@given(definitions(), marked())
def test_offsets_have_the_ids_of_encode(definition: Definition, text: str) -> None:
    """And stay within the text, in order."""
    core = pytok.Tokenizer.from_definition(definition)._core
    specials = core.specials([token.text for token in definition.added_tokens], [])
    found = outcome(lambda: core.encode(text, specials))
    assume(isinstance(found, list))

    ids, offsets = core.encode_with_offsets(text, specials)

    assert ids == found
    assert all(0 <= start <= end <= len(text) for start, end in offsets)


@given(definitions(), marked())
def test_long_texts_are_encoded_as_short_ones(definition: Definition, text: str) -> None:
    """Where they are cut for several threads, nothing changes."""
    tok = pytok.Tokenizer.from_definition(definition)
    once = text + "a\nb"
    long = once * (600_000 // len(once.encode()))
    whole = outcome(lambda: tok.encode(long, allowed_special="all"))

    batch = outcome(lambda: tok.encode_batch([long], allowed_special="all", num_threads=2)[0])

    assert isinstance(whole, tuple) or batch == whole


@given(definitions(), definitions())
def test_fingerprints_are_equal_for_equal_definitions_only(
    first: Definition, second: Definition
) -> None:
    """The names differ, and whether a token is found in normalized text where none is."""
    same = Definition("other", *(getattr(first, each.name) for each in fields(first)[1:]))

    def meaning(definition: Definition) -> list[object]:
        parts = [getattr(definition, each.name) for each in fields(definition)[1:]]
        if not definition.normalizer:
            parts[3] = tuple(token._replace(normalized=False) for token in parts[3])
        return parts

    assert same.fingerprint() == first.fingerprint()
    assert (first.fingerprint() == second.fingerprint()) == (meaning(first) == meaning(second))


def test_a_byte_that_is_missing_is_an_error_where_a_text_has_it(
    engine: pytok.engine.EngineName,
) -> None:
    """With its position."""
    tokens = [token for token in BYTES if token != b"x"]
    tok = pytok.Tokenizer.from_definition(Definition("few", tokens, range(255), "gpt2"), engine)

    assert tok.decode(tok.encode("fine")) == "fine"
    with pytest.raises(VocabError, match="byte 3 of the text is 0x78"):
        tok.encode("é x")
    with pytest.raises(VocabError, match="byte 1 of the text is 0x78"):
        tok._encode_single_piece("ax")
