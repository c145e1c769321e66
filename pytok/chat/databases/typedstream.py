"""The text in a typedstream, Apple's archive of objects: `message.attributedBody` of iMessage.

An attributed string begins with its characters: the type ``+`` (bytes 84 01 2b), their length, and
UTF-8. A length of 0x80 or more follows its size: 81 and two bytes, or 82 and four bytes, least
significant first. Attributes come later and are not read.
"""

_HEADER = b"\x04\x0bstreamtyped"
_STRING = b"\x84\x01+"
"""A new type, of one character: a string of bytes."""
_SIZES = {0x81: 2, 0x82: 4}


def read_string(data: bytes) -> str:
    """Return the characters of the attributed string *data*.

    Raises ValueError if it is not such an archive, or ends early.
    """
    if not data.startswith(_HEADER):
        raise ValueError("it is not a typedstream")
    start = data.find(_STRING)
    if start < 0:
        raise ValueError("it has no text")
    start += len(_STRING)
    first = data[start : start + 1]
    if not first:
        raise ValueError("it ends early")
    size = _SIZES.get(first[0], 0)
    length = int.from_bytes(data[start + 1 : start + 1 + size], "little") if size else first[0]
    start += 1 + size
    if start + length > len(data):
        raise ValueError(f"it ends at byte {len(data)}, and its text later")
    return data[start : start + length].decode()  # UnicodeDecodeError is a ValueError
