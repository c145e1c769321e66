"""The order of the 256 bytes as tokens, for a vocabulary that starts with them."""

BYTE_ORDER: tuple[int, ...] = tuple(
    sorted(
        range(256), key=lambda byte: not (33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174)
    )
)
"""The 256 bytes in GPT-2's order, the order of its ids 0-255: the printable bytes of Latin-1, then
the rest. Hugging Face's ``ByteLevel`` alphabet sorts the same way."""
