from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, final

from numpy import int64, uint32
from numpy.typing import NDArray

__all__ = ["PATTERNS", "Core", "PieceCounts", "Specials", "train"]

PATTERNS: Sequence[tuple[str, str]]

@final
class Specials: ...

@final
class Core:
    def __new__(
        cls,
        tokens: Sequence[bytes],
        ids: Sequence[int] | None,
        pattern: str,
        specials: Sequence[tuple[str, int]],
    ) -> Core: ...
    def specials(self, allowed: Sequence[str], refused: Sequence[str]) -> Specials: ...
    def encode(self, text: str, specials: Specials | None) -> list[int]: ...
    def encode_to_array(self, text: str, specials: Specials | None) -> NDArray[uint32]: ...
    def encode_batch(
        self, texts: Sequence[str], specials: Specials | None, num_threads: int | None
    ) -> list[list[int]]: ...
    def encode_flat(
        self, texts: Sequence[str], specials: Specials | None, num_threads: int | None
    ) -> tuple[NDArray[uint32], NDArray[int64]]: ...
    def encode_files(
        self, paths: Sequence[str | PathLike[str]], num_threads: int | None
    ) -> tuple[NDArray[uint32], NDArray[int64]]: ...
    def encode_utf8(
        self, texts: Sequence[bytes], num_threads: int | None
    ) -> tuple[NDArray[uint32], NDArray[int64]]: ...
    def encode_piece(self, piece: bytes) -> list[int]: ...
    def count(self, text: str, specials: Specials | None) -> int: ...
    def count_batch(
        self, texts: Sequence[str], specials: Specials | None, num_threads: int | None
    ) -> list[int]: ...
    def count_files(
        self,
        paths: Sequence[str | PathLike[str]],
        num_threads: int | None,
        progress: Callable[[int], object] | None,
    ) -> list[int]: ...
    def pieces(self, text: str) -> list[str]: ...
    def decode_bytes(self, ids: Sequence[int] | NDArray[Any]) -> bytes: ...
    def decode_batch(
        self, batch: Sequence[Sequence[int] | NDArray[Any]], num_threads: int | None
    ) -> list[bytes]: ...
    def token(self, id: int) -> bytes | None: ...
    def id(self, token: bytes) -> int | None: ...
    def merges(self) -> list[tuple[int, int] | None]: ...

@final
class PieceCounts:
    parts: int
    def __new__(
        cls,
        pattern: str,
        special_tokens: Sequence[str] = ...,
        num_threads: int | None = None,
        max_memory: int | None = None,
        in_order: bool = False,
    ) -> PieceCounts: ...
    def add(self, texts: Sequence[str]) -> None: ...
    def add_files(
        self,
        paths: Sequence[str | PathLike[str]],
        progress: Callable[[int], object] | None,
    ) -> None: ...
    def add_counted(self, pieces: Sequence[bytes], counts: Sequence[int]) -> None: ...
    def gather(self, least: int) -> tuple[int, int]: ...
    def part(self, number: int) -> tuple[list[bytes], list[int]]: ...
    def __len__(self) -> int: ...

def train(
    counts: PieceCounts,
    size: int,
    base: Sequence[bytes] | None = None,
    ties: str = "hf",
    min_frequency: int = 0,
    max_token_length: int | None = None,
    limit_alphabet: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[bytes]: ...
