"""Exercises of chapter 5: special tokens and ranks."""


def read_ranks_checked(data: bytes) -> dict[bytes, int]:
    """Return the rank of each token of a `.tiktoken` file: lines of a token in base64 and a rank.

    Empty lines are ignored. Any other line that is not these two fields, and a token that a line
    before has, raises a ValueError that names the line by its number; the first is 1.
    """
    raise NotImplementedError


def recover_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """Return the two tokens whose merge made *token*, which is in *ranks*.

    They are what its bytes are merged into by the ranks below its own, the lowest rank first, of
    equal ones the leftmost. If that is not two tokens, as for a single byte, return None.
    """
    raise NotImplementedError


def split_special(text: str, special: list[str]) -> list[str]:
    """Return *text* cut before and after each occurrence of a special token, without empty parts.

    Of two special tokens that begin at the same position, the longer one is found. "Hi<|end|>!"
    with ["<|end|>"] gives ["Hi", "<|end|>", "!"].
    """
    raise NotImplementedError
