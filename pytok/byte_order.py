"""The 256 bytes as tokens: their order, and the letters that stand for them."""

BYTE_ORDER: tuple[int, ...] = tuple(
    sorted(
        range(256), key=lambda byte: not (33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174)
    )
)
"""The 256 bytes in GPT-2's order, the order of its ids 0-255: the printable bytes of Latin-1, then
the rest. Hugging Face's ``ByteLevel`` alphabet sorts the same way."""

LETTERS = {
    byte: chr(byte) if rank < 188 else chr(68 + rank) for rank, byte in enumerate(BYTE_ORDER)
}
"""GPT-2's byte-level alphabet: a printable byte is itself, any other a letter from U+0100."""


def to_letters(token: bytes) -> str:
    """Return *token* in the byte-level alphabet: one letter for each byte.

    >>> to_letters(b" hi")
    'Ġhi'
    """
    return token.decode("latin-1").translate(LETTERS)
