"""Solutions of chapter 5."""

import base64
import math
import re


def read_ranks_checked(data: bytes) -> dict[bytes, int]:
    """Return the rank of each token of a `.tiktoken` file: lines of a token in base64 and a rank.

    Empty lines are ignored. Any other line that is not these two fields, and a token that a line
    before has, raises a ValueError that names the line by its number; the first is 1.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if not line:
            continue
        try:
            encoded, rank = line.split()
            token = base64.b64decode(encoded, validate=True)
            value = int(rank)
        except ValueError:
            raise ValueError(f"line {number} is not a token in base64 and its rank") from None
        if token in ranks:
            raise ValueError(f"line {number} has the token {token!r} for the second time")
        ranks[token] = value
    return ranks


def recover_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """Return the two tokens whose merge made *token*, which is in *ranks*.

    They are what its bytes are merged into by the ranks below its own, the lowest rank first, of
    equal ones the leftmost. If that is not two tokens, as for a single byte, return None.
    """
    limit = ranks[token]
    parts = [token[index : index + 1] for index in range(len(token))]
    while len(parts) > 1:
        spelled = [
            ranks.get(parts[index] + parts[index + 1], math.inf) for index in range(len(parts) - 1)
        ]
        lowest = min(spelled)
        if lowest >= limit:
            break
        index = spelled.index(lowest)
        parts[index : index + 2] = [parts[index] + parts[index + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def split_special(text: str, special: list[str]) -> list[str]:
    """Return *text* cut before and after each occurrence of a special token, without empty parts.

    Of two special tokens that begin at the same position, the longer one is found. "Hi<|end|>!"
    with ["<|end|>"] gives ["Hi", "<|end|>", "!"].
    """
    longest_first = sorted(special, key=len, reverse=True)
    pattern = f"({'|'.join(map(re.escape, longest_first))})"
    parts = re.split(pattern, text) if special else [text]
    return [part for part in parts if part]
