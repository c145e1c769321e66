"""The public API: tiktoken's members with tiktoken's meanings, and those that pytok adds."""

import copy
import pickle

import pytest
import tiktoken

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName, load
from pytok.errors import PytokError, SpecialTokenError, VocabError
from tests.conftest import CORPUS, on_engine

BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}
SPECIALS = {"<|endoftext|>": 256, "<|end|>": 257}


def build(engine: EngineName = "native", **changes: object) -> pytok.Tokenizer:
    parts: dict[str, object] = {
        "pat_str": "gpt2",
        "mergeable_ranks": BYTES,
        "special_tokens": SPECIALS,
        "engine": engine,
    }
    return pytok.Tokenizer("bytes", **parts | changes)  # type: ignore[arg-type]


def test_the_tokenizer_has_every_public_member_of_tiktokens_encoding() -> None:
    """And the private members that other libraries use."""
    theirs = tiktoken.Encoding(
        "bytes", pat_str=r"\w+", mergeable_ranks=BYTES, special_tokens=SPECIALS
    )
    public = {name for name in dir(theirs) if not name.startswith("_")}
    private = {"_pat_str", "_mergeable_ranks", "_special_tokens", "_encode_single_piece"}
    private |= {"_encode_bytes", "_encode_only_native_bpe"}

    assert public | private <= set(dir(build()))


def test_the_module_has_tiktokens_functions() -> None:
    """`import pytok as tiktoken` runs existing code."""
    names = {"get_encoding", "list_encoding_names", "encoding_for_model", "Encoding"}

    assert names | {"encoding_name_for_model"} <= set(dir(pytok))
    assert pytok.Encoding is pytok.Tokenizer


def test_a_disallowed_special_token_raises_tiktokens_message(engine: EngineName) -> None:
    """Character for character, as a ValueError."""
    theirs = tiktoken.Encoding(
        "bytes", pat_str=r"\w+", mergeable_ranks=BYTES, special_tokens=SPECIALS
    )
    with pytest.raises(ValueError, match="disallowed special token") as expected:
        theirs.encode("a <|endoftext|> b")

    with pytest.raises(SpecialTokenError) as error:
        build(engine).encode("a <|endoftext|> b")

    assert str(error.value) == str(expected.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    ("allowed", "disallowed", "ids"),
    [
        ("all", "all", [64, 257]),
        ({"<|end|>"}, "all", [64, 257]),
        ({"<|end|>"}, (), [64, 257]),
        (set(), (), [64, 27, 91, 68, 77, 67, 91, 29]),
        ({"<|endoftext|>"}, ["<|endoftext|>"], [64, 27, 91, 68, 77, 67, 91, 29]),
        (set(), {"something else"}, [64, 27, 91, 68, 77, 67, 91, 29]),
    ],
)
def test_arguments_decide_whether_special_tokens_are_ids_or_text(
    allowed: object, disallowed: object, ids: list[int], engine: EngineName
) -> None:
    """For a single text, a batch, an array and a count."""
    tokenizer = build(engine)
    asked = {"allowed_special": allowed, "disallowed_special": disallowed}

    assert tokenizer.encode("a<|end|>", **asked) == ids
    assert tokenizer.encode_batch(["a<|end|>"], **asked) == [ids]
    assert tokenizer.encode_to_numpy("a<|end|>", **asked).tolist() == ids
    assert tokenizer.count("a<|end|>", **asked) == len(ids)


@pytest.mark.parametrize("method", ["encode", "encode_to_numpy", "encode_with_unstable", "count"])
def test_special_tokens_are_rejected_by_default(method: str, engine: EngineName) -> None:
    """By every method: the default is the safe behavior."""
    with pytest.raises(SpecialTokenError):
        getattr(build(engine), method)("<|end|>")


def test_a_special_token_in_one_text_rejects_the_batch(engine: EngineName) -> None:
    """No text of it is encoded."""
    with pytest.raises(SpecialTokenError):
        build(engine).encode_batch(["a", "<|end|>"])


def test_numpy_does_not_repair_surrogates(engine: EngineName) -> None:
    """As in tiktoken; `encode` does repair them."""
    with pytest.raises(UnicodeEncodeError):
        build(engine).encode_to_numpy("\ud800")

    assert build(engine).encode("\ud800") == build(engine).encode("\ufffd")


def test_offsets_are_indices_into_the_decoded_text(engine: EngineName) -> None:
    """A token that starts inside a character has the index of that character."""
    assert build(engine).decode_with_offsets(list(build().encode("aé!"))) == ("aé!", [0, 1, 1, 2])


def test_batches_decode_one_by_one(engine: EngineName) -> None:
    """As text and as bytes."""
    tokenizer = build(engine)

    assert tokenizer.decode_batch([[64], [65, 66]]) == ["a", "bc"]
    assert tokenizer.decode_bytes_batch([[64], [65, 66]], num_threads=2) == [b"a", b"bc"]


def test_decode_replaces_invalid_utf8_by_default(engine: EngineName) -> None:
    """`errors` has the meaning of `bytes.decode`."""
    tokenizer = build(engine)
    half = tokenizer._encode_bytes(b"\xc3")

    assert tokenizer.decode(half) == "\ufffd"
    assert tokenizer.decode(half, errors="ignore") == ""
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode(half, errors="strict")


def test_properties_have_the_values_of_the_definition(engine: EngineName) -> None:
    """And `repr` has the name, the size and the pattern."""
    tokenizer = build(engine)

    assert repr(tokenizer) == "<Tokenizer 'bytes': 258 ids, gpt2, 2 special tokens>"
    assert (tokenizer.n_vocab, tokenizer.max_token_value, tokenizer.eot_token) == (258, 257, 256)
    assert tokenizer.special_tokens_set == {"<|endoftext|>", "<|end|>"}
    assert (tokenizer.is_special_token(257), tokenizer.is_special_token(5)) == (True, False)
    assert tokenizer.token_byte_values() == [bytes([byte]) for byte in range(256)]
    assert tokenizer.encode_single_token("<|end|>") == 257
    assert tokenizer.encode_single_token(b"\xff") == BYTES[b"\xff"]
    assert tokenizer.decode_tokens_bytes([64, 257]) == [b"a", b"<|end|>"]
    assert tokenizer.engine == engine
    assert tokenizer._encode_only_native_bpe("a b") == tokenizer.encode("a b")


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_is_the_same_tokenizer(copied, engine: EngineName) -> None:  # type: ignore[no-untyped-def]
    """With the same fingerprint, engine and name."""
    original = pytok.train(CORPUS, 300, engine=engine, name="mine")

    twin = copied(original)

    assert (twin.fingerprint, twin.engine, twin.name) == (original.fingerprint, engine, "mine")
    assert twin.encode("some text") == original.encode("some text")


def test_the_fingerprint_depends_on_the_content_only(trained: pytok.Tokenizer) -> None:
    """Not on the name or the engine, but on the pattern and the special tokens."""
    same = on_engine(trained, "reference")
    same.name = "another"
    parts = {"mergeable_ranks": trained.vocab, "special_tokens": trained.special_tokens}
    other_pattern = pytok.Tokenizer("x", pat_str="gpt2", **parts)
    other_special = pytok.Tokenizer(
        "x", pat_str=trained.pattern, **parts | {"special_tokens": {"<|x|>": 599}}
    )

    assert same.fingerprint == trained.fingerprint
    assert len({trained.fingerprint, other_pattern.fingerprint, other_special.fingerprint}) == 3


def test_the_fingerprint_never_changes() -> None:
    """Shards and checkpoints contain it, so its value must stay the same."""
    assert build().fingerprint == (
        "da0d72f308cf78cce3811ced4cad30da62718b90b64f6f3856c6aa2a0e923b9b"
    )


def test_two_special_tokens_may_have_one_id(engine: EngineName) -> None:
    """As in o200k_harmony; the id decodes to the first."""
    tokenizer = build(engine, special_tokens={"<|a|>": 256, "<|b|>": 256})

    assert tokenizer.encode("<|a|><|b|>", allowed_special="all") == [256, 256]
    assert tokenizer.decode([256]) == "<|a|>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mergeable_ranks": BYTES | {b"": 300}}, "the token at rank 256 is empty"),
        ({"mergeable_ranks": BYTES | {b"ab": 5}}, "two tokens have the id 5"),
        ({"mergeable_ranks": BYTES | {b"ab": -1}}, "the id -1 does not lie between 0 and"),
        ({"mergeable_ranks": BYTES | {b"ab": 1 << 32}}, "the id 4294967296 does not lie"),
        ({"special_tokens": {"<e>": 7}}, "two tokens have the id 7"),
        ({"special_tokens": {"": 300}}, "a special token is the empty string"),
        ({"special_tokens": {"<e>": -1}}, "the id -1 does not lie between"),
        ({"explicit_n_vocab": 300}, "explicit_n_vocab is 300, but there are 258 tokens"),
    ],
)
def test_parts_that_do_not_fit_together_are_rejected(
    changes: dict[str, object], message: str, engine: EngineName
) -> None:
    """By the constructor, with the same message on both engines."""
    with pytest.raises(VocabError) as error:
        build(engine, **changes)

    assert message in str(error.value)
    with pytest.raises(VocabError) as other:
        build("native" if engine == "reference" else "reference", **changes)
    assert str(other.value) == str(error.value)


def test_an_unknown_engine_is_rejected() -> None:
    """The message has the names of the engines."""
    with pytest.raises(ValueError, match="unknown engine 'turbo': it is 'native' or 'reference'"):
        load("turbo")  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, 1_000_000])
def test_the_number_of_threads_is_1_to_1024(threads: int, engine: EngineName) -> None:
    """None means all cores; a million threads would exhaust the machine."""
    with pytest.raises(ValueError, match=f"num_threads is {threads}: pass 1 to 1024"):
        build(engine).encode_ordinary_batch(["a"], num_threads=threads)
    with pytest.raises(ValueError, match=f"num_threads is {threads}: pass 1 to 1024"):
        pytok.train(CORPUS, 300, engine=engine, num_threads=threads)


def test_every_error_is_a_pytok_error() -> None:
    """One except clause catches every exception of pytok."""
    from pytok import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    drawn = [name for name in errors.__doc__.split() if name.endswith("Error")]  # type: ignore[union-attr]

    assert all(issubclass(value, PytokError) for value in classes)
    assert {value.__name__ for value in classes} == {"PytokError", *drawn} & set(dir(errors))
