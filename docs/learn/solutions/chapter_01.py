"""Solutions of chapter 1."""


def utf8(code_point: int) -> bytes:
    """Return the UTF-8 bytes of a code point, computed from its bits.

    One byte up to U+007F, two up to U+07FF, three up to U+FFFF, four above:

        0xxxxxxx
        110xxxxx 10xxxxxx
        1110xxxx 10xxxxxx 10xxxxxx
        11110xxx 10xxxxxx 10xxxxxx 10xxxxxx

    Neither `chr(code_point).encode()` nor a library: that would be no exercise.
    """
    if code_point <= 0x7F:
        return bytes([code_point])
    continuations = 1 if code_point <= 0x7FF else 2 if code_point <= 0xFFFF else 3
    marker = (0b11000000, 0b11100000, 0b11110000)[continuations - 1]
    first = marker | code_point >> 6 * continuations
    rest = [
        0b10000000 | code_point >> 6 * index & 0b111111 for index in reversed(range(continuations))
    ]
    return bytes([first, *rest])


def count_characters(data: bytes) -> int:
    """Return the number of characters in valid UTF-8, without decoding it."""
    return sum(byte & 0b11000000 != 0b10000000 for byte in data)


def split_complete(data: bytes) -> tuple[bytes, bytes]:
    r"""Return the longest beginning of *data* that ends with a complete character, and the rest.

    *data* is the beginning of valid UTF-8, cut anywhere. For the first four bytes of "né!é" it is
    (b"n\xc3\xa9!", b""), for the first five (b"n\xc3\xa9!", b"\xc3").
    """
    start = len(data) - 1
    while start > 0 and data[start] & 0b11000000 == 0b10000000:
        start -= 1
    if start < 0:
        return data, b""
    first = data[start]
    length = (
        1 if first < 0b11000000 else 2 if first < 0b11100000 else 3 if first < 0b11110000 else 4
    )
    if start + length <= len(data):
        return data, b""
    return data[:start], data[start:]
