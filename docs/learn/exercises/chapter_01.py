"""Exercises of chapter 1: text is bytes."""


def utf8(code_point: int) -> bytes:
    """Return the UTF-8 bytes of a code point, computed from its bits.

    One byte up to U+007F, two up to U+07FF, three up to U+FFFF, four above:

        0xxxxxxx
        110xxxxx 10xxxxxx
        1110xxxx 10xxxxxx 10xxxxxx
        11110xxx 10xxxxxx 10xxxxxx 10xxxxxx

    Neither `chr(code_point).encode()` nor a library: that would be no exercise.
    """
    raise NotImplementedError


def count_characters(data: bytes) -> int:
    """Return the number of characters in valid UTF-8, without decoding it."""
    raise NotImplementedError


def split_complete(data: bytes) -> tuple[bytes, bytes]:
    r"""Return the longest beginning of *data* that ends with a complete character, and the rest.

    *data* is the beginning of valid UTF-8, cut anywhere. For the first four bytes of "né!é" it is
    (b"n\xc3\xa9!", b""), for the first five (b"n\xc3\xa9!", b"\xc3").
    """
    raise NotImplementedError
