"""Ids in Python: arrays of any kind can be decoded, and lists hold plain integers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiktoken
from hypothesis import given

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName
from pytok.errors import UnknownTokenError
from tests.pytok.strategies import texts

Twins = dict[EngineName, pytok.Tokenizer]

IDS = [64, 300, 0, 599, 598, 64, 300, 300]
BYTES = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)}

ARRAYS: dict[str, Callable[[list[int]], Any]] = {
    "uint32": lambda ids: np.array(ids, np.uint32),
    "int64": lambda ids: np.array(ids, np.int64),
    "int32": lambda ids: np.array(ids, np.int32),
    "int16": lambda ids: np.array(ids, np.int16),
    "uint16": lambda ids: np.array(ids, np.uint16),
    "uint64": lambda ids: np.array(ids, np.uint64),
    "objects": lambda ids: np.array(ids, object),
    "uint32 of the other byte order": lambda ids: np.array(ids, np.dtype(np.uint32).newbyteorder()),
    "int64 of the other byte order": lambda ids: np.array(ids, np.dtype(np.int64).newbyteorder()),
    "uint32 with a step": lambda ids: np.array(ids, np.uint32).repeat(3)[::3],
    "int64 with a step": lambda ids: np.array(ids, np.int64).repeat(3)[::3],
    "uint32 backwards": lambda ids: np.array(ids[::-1], np.uint32)[::-1],
    "int64 backwards": lambda ids: np.array(ids[::-1], np.int64)[::-1],
    "a column of uint32": lambda ids: np.array([ids, ids], np.uint32).T[:, 1],
    "a column of int64": lambda ids: np.array([ids, ids], np.int64).T[:, 1],
    "uint32 off its alignment": lambda ids: unaligned(ids, np.uint32),
    "int64 off its alignment": lambda ids: unaligned(ids, np.int64),
    "uint32 that cannot be written": lambda ids: read_only(np.array(ids, np.uint32)),
    "int64 that cannot be written": lambda ids: read_only(np.array(ids, np.int64)),
    "a list of numpy integers": lambda ids: list(np.array(ids, np.uint32)),
    "a tuple": tuple,
}
"""The same ids in containers of all kinds."""


def unaligned(ids: list[int], dtype: type[Any]) -> npt.NDArray[Any]:
    """*ids* at the second byte of a buffer."""
    data = bytearray(b"\x00" + np.array(ids, dtype).tobytes())
    array: npt.NDArray[Any] = np.frombuffer(data, np.uint8)[1:].view(dtype)
    assert not (ids and array.flags.aligned)
    return array


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """*array*, made read-only."""
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("hold", ARRAYS.values(), ids=ARRAYS)
def test_an_array_decodes_as_the_list_does(
    hold: Callable[[list[int]], Any], engine: EngineName, twins: Twins
) -> None:
    """Whatever its type, byte order and layout; alone and in a batch."""
    tokenizer = twins[engine]
    data = b"".join(tokenizer.decode_single_token_bytes(id) for id in IDS)

    assert tokenizer.decode_bytes(hold(IDS)) == data
    assert tokenizer.decode(hold(IDS)) == data.decode("utf-8", "replace")
    assert tokenizer.decode_bytes_batch([hold(IDS), hold(IDS[:3])])[0] == data


@pytest.mark.parametrize("hold", ARRAYS.values(), ids=ARRAYS)
def test_a_long_array_decodes_as_the_list_does(
    hold: Callable[[list[int]], Any], engine: EngineName, twins: Twins
) -> None:
    """Long enough that the native engine releases the GIL."""
    expected = twins[engine].decode_bytes(IDS * 10_000)

    assert twins[engine].decode_bytes(hold(IDS * 10_000)) == expected
    assert twins[engine].decode_bytes_batch([hold(IDS * 10_000)] * 2) == [expected] * 2


@pytest.mark.parametrize("hold", ARRAYS.values(), ids=ARRAYS)
def test_no_ids_spell_nothing(
    hold: Callable[[list[int]], Any], engine: EngineName, twins: Twins
) -> None:
    """In any kind of array."""
    assert twins[engine].decode_bytes(hold([])) == b""
    assert twins[engine].decode_batch([hold([]), hold([])]) == ["", ""]


@given(text=texts())
def test_an_array_of_ids_decodes_to_its_text(text: str, twins: Twins) -> None:
    """As `encode_to_numpy` and `encode_batch_to_numpy` return it."""
    for tokenizer in twins.values():
        assert tokenizer.decode(tokenizer.encode_to_numpy(text, disallowed_special=())) == text
        ids, _ = tokenizer.encode_batch_to_numpy([text], disallowed_special=())
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    "ids",
    [
        np.array([64, -1], np.int64),
        np.array([64, -1], np.int32),
        np.array([64, -1], np.int64)[::-1],
        np.array([64, 1 << 32], np.int64),
        np.array([64, 1 << 32], np.uint64),
        np.array([64, (1 << 64) - 1], np.uint64),
        np.array([64, 1 << 70], object),
        [64, -1],
        (64, 1 << 32),
    ],
    ids=lambda ids: f"{getattr(ids, 'dtype', type(ids).__name__)} {list(ids)[-1]}",
)
def test_an_id_beyond_32_bits_in_an_array_is_an_overflow(
    ids: Any, engine: EngineName, twins: Twins
) -> None:
    """It is not reduced to its last 32 bits."""
    message = "^a token id lies between 0 and 4294967295$"
    with pytest.raises(OverflowError, match=message):
        twins[engine].decode_bytes(ids)
    with pytest.raises(OverflowError, match=message):
        twins[engine].decode_bytes_batch([[64], ids])


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint16, object])
def test_an_unknown_id_in_an_array_is_a_key_error(
    dtype: type[Any], engine: EngineName, twins: Twins
) -> None:
    """With tiktoken's message, which has the id."""
    with pytest.raises(UnknownTokenError) as error:
        twins[engine].decode_bytes(np.array([64, 60_000, 61_000], dtype))

    assert error.value.args == ("Invalid token for decoding: 60000",)


@pytest.mark.parametrize(
    "ids",
    [
        np.array([64.0]),
        np.array([64], np.complex64),
        np.array([True]),
        np.array(["64"]),
        np.array([[64, 65]], np.uint32),
        np.array([[64], [65]], np.int64),
        np.array(64),
        [64.0],
        [None],
        ["64"],
        "64",
        None,
        64,
        {64},
    ],
    ids=repr,
)
def test_other_values_than_ids_are_a_type_error(ids: Any, engine: EngineName, twins: Twins) -> None:
    """As in tiktoken: nothing is rounded or flattened."""
    theirs = tiktoken.Encoding("bytes", pat_str="[^x]|x", mergeable_ranks=BYTES, special_tokens={})
    with pytest.raises(TypeError):
        theirs.decode_bytes(ids)

    with pytest.raises(TypeError):
        twins[engine].decode_bytes(ids)
    with pytest.raises(TypeError):
        twins[engine].decode_bytes_batch([ids])


def test_bytes_are_a_sequence_of_ids(engine: EngineName, twins: Twins) -> None:
    """As in tiktoken: their buffer is not read as larger integers."""
    assert twins[engine].decode_bytes(b"@A") == twins[engine].decode_bytes([64, 65])


def encoded_by_all_methods(tokenizer: pytok.Tokenizer, text: str) -> list[list[int]]:
    """The ids of *text* from each method that returns lists."""
    return [
        tokenizer.encode(text),
        tokenizer.encode_ordinary(text),
        *tokenizer.encode_batch([text, text]),
        *tokenizer.encode_ordinary_batch([text]),
        tokenizer.encode_with_unstable(text)[0],
        tokenizer._encode_bytes(text.encode()),
        tokenizer._encode_single_piece(text),
    ]


def test_lists_hold_plain_integers(engine: EngineName, twins: Twins) -> None:
    """Which JSON can encode: neither numpy integers nor booleans."""
    for ids in encoded_by_all_methods(twins[engine], "some text and more of it"):
        assert {type(id) for id in ids} == {int}


def test_an_id_is_the_same_object_in_every_list(trained: pytok.Tokenizer) -> None:
    """Once the native engine has listed many ids, it creates each once: eight bytes an id."""
    trained.encode("the other " * 9_000)
    first = trained.encode("the other " * 500)
    lists = [first, *trained.encode_batch(["the other", "of the other " * 9_000])]

    assert max(first) > 256  # smaller integers are shared by Python itself
    for number in set(first):
        assert len({id(one) for ids in lists for one in ids if one == number}) == 1


def test_every_call_returns_a_new_list(engine: EngineName, twins: Twins) -> None:
    """Changing one list does not change the next."""
    first = twins[engine].encode("the other")
    expected = list(first)
    first.clear()

    assert twins[engine].encode("the other") == expected


@pytest.mark.parametrize("greatest", [(1 << 22) - 1, 1 << 22, (1 << 32) - 1])
def test_ids_of_any_size_come_in_lists(greatest: int, engine: EngineName) -> None:
    """Up to 32 bits, although the integers of the largest are not cached."""
    tokenizer = pytok.Tokenizer(
        "far",
        pat_str="gpt2",
        mergeable_ranks=BYTES | {b"aa": greatest},
        special_tokens={"<e>": greatest - 1},
        engine=engine,
    )

    ids = tokenizer.encode("aa<e>a", allowed_special="all")

    assert ids == [greatest, greatest - 1, 64]
    assert tokenizer.decode(ids) == "aa<e>a"
