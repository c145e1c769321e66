"""Tokenizers whose pieces are lines, for tests of what merges."""

import pytok
from pytok.byte_order import BYTE_ORDER
from pytok.engine import EngineName

BYTES = [bytes([byte]) for byte in BYTE_ORDER]


def tokenizer_of(
    *merged: bytes, special: str, gap: int = 0, engine: EngineName = "native"
) -> pytok.Tokenizer:
    """Build a tokenizer of the bytes, the *merged* tokens and, *gap* ids later, a special token."""
    ranks = {token: rank for rank, token in enumerate([*BYTES, *merged])}
    return pytok.Tokenizer(
        "t",
        pat_str=r"[^\n]+|\n",
        mergeable_ranks=ranks,
        special_tokens={special: len(ranks) + gap},
        engine=engine,
    )
