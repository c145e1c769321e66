"""Tokenizer files: this engine leaves them to `pytok.formats`, whose readers are in Python already.

Twin of `bpe-rs/src/files/`.
"""


def parse_ranks(data: bytes) -> None:
    """Return ``None``: the reader in `pytok.formats` judges every .tiktoken file."""


def parse_tokenizer_json(data: bytes) -> None:
    """Return ``None``: the reader in `pytok.formats` judges every tokenizer.json."""
