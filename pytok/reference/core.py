"""The core of a tokenizer: a vocabulary, a pattern, special tokens, and their ids.

A core is immutable, so one core serves any number of threads. Twin of `bpe-rs/src/core.rs`, with
the same methods (`pytok.engine.Core`).
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytok.errors import CorpusError, SpecialTokenError, VocabError
from pytok.reference.decode import decode
from pytok.reference.encode import encode_piece, merges
from pytok.reference.pretokenize import Pattern
from pytok.reference.search import search
from pytok.reference.vocab import Vocab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Core:
    """A vocabulary, a pattern and special tokens, with the ids that callers see.

    *tokens* are in rank order; *ids* are the ids of the ranks (default: the ranks themselves);
    *specials* are the texts of special tokens and their ids. Two special tokens can have the same
    id, as in o200k_harmony; the id decodes to the first. Raises VocabError if the tokens do not
    form a vocabulary, two ids are the same, or a special token is empty; PatternError if the
    pattern does not compile.

    As in the twin, an id that does not fit in 32 bits raises OverflowError.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> core = Core([bytes([byte]) for byte in BYTE_ORDER], None, "gpt2", [("<|end|>", 256)])
    >>> core.encode("hi<|end|>", core.specials(["<|end|>"], [])), core.count("hi<|end|>", None)
    ([71, 72, 256], 9)
    >>> core.decode_bytes([71, 72, 256]), core.token(256), core.id(b"i")
    (b'hi<|end|>', b'<|end|>', 72)
    >>> core.encode_batch(["h", "i"], None, None), core.encode_to_array("hi", None)
    ([[71], [72]], array([71, 72], dtype=uint32))
    >>> core.encode_flat(["h", "", "i"], None, None)
    (array([71, 72], dtype=uint32), array([0, 1, 1, 2]))
    >>> core.pieces("hi there"), core.encode_piece(b"hi"), core.merges()[0]
    (['hi', ' there'], [71, 72], None)
    """

    def __init__(
        self,
        tokens: Iterable[bytes],
        ids: Sequence[int] | None,
        pattern: str,
        specials: Sequence[tuple[str, int]],
    ) -> None:
        self.vocab = Vocab(tokens)
        self.pattern = Pattern(pattern)
        if ids is not None and len(ids) != len(self.vocab):
            raise VocabError(
                f"there are {len(self.vocab)} tokens but {len(ids)} ids: give one id for each token"
            )
        self.ids = range(len(self.vocab)) if ids is None else list(ids)
        self.specials_by_text = dict(specials)
        self.token_of_id: dict[int, bytes] = {}
        for id, token in zip(self.ids, self.vocab.tokens, strict=True):
            if id in self.token_of_id:
                raise VocabError(f"two tokens have the id {id}")
            self.token_of_id[id] = token
        special_of_id: dict[int, bytes] = {}
        for text, id in specials:
            if not text:
                raise VocabError("a special token is the empty string")
            if id in self.token_of_id:
                raise VocabError(f"two tokens have the id {id}")
            special_of_id.setdefault(id, text.encode())
        self.token_of_id |= special_of_id

    def token(self, id: int) -> bytes | None:
        """Return the bytes of *id*, ordinary or special; ``None`` if it is unknown."""
        return self.token_of_id.get(array("I", [id])[0])

    def id(self, token: bytes) -> int | None:
        """Return the id of *token*, ordinary before special; ``None`` if there is none."""
        rank = self.vocab.ranks.get(token)
        if rank is not None:
            return self.ids[rank]
        return {text.encode(): id for text, id in self.specials_by_text.items()}.get(token)

    def specials(self, allowed: Iterable[str], refused: Iterable[str]) -> "Specials":
        """Prepare special tokens: *allowed* become ids, *refused* texts are an error."""
        return Specials(search(self.specials_by_text.keys() & set(allowed)), search(set(refused)))

    def encode(self, text: str, specials: "Specials | None") -> list[int]:
        """Return the ids of *text*.

        Allowed special tokens are found first, the leftmost and longest; the text between them is
        split by the pattern. Raises SpecialTokenError, with the token only, for a refused one.
        """
        text.encode()  # raises UnicodeEncodeError for lone surrogates, as the native engine does
        if specials and specials.refused and (found := specials.refused.search(text)):
            raise SpecialTokenError(found[0])
        ids: list[int] = []
        offset = 0
        for span, special in self._spans(text, specials):
            for piece in self.pattern.split(span, offset):
                ids += self.encode_piece(piece.encode())
            if special is not None:
                ids.append(self.specials_by_text[special])
                offset += len((span + special).encode())
        return ids

    def _spans(self, text: str, specials: "Specials | None") -> Iterator[tuple[str, str | None]]:
        """Yield the spans of ordinary text, each with the special token after it."""
        start = 0
        if specials and specials.allowed:
            for match in specials.allowed.finditer(text):
                yield text[start : match.start()], match[0]
                start = match.end()
        yield text[start:], None

    def encode_to_array(self, text: str, specials: "Specials | None") -> "NDArray[np.uint32]":
        """Return the ids of *text*, shape (n,)."""
        import numpy as np

        return np.array(self.encode(text, specials), np.uint32)

    def encode_batch(
        self, texts: Iterable[str], specials: "Specials | None", num_threads: int | None
    ) -> list[list[int]]:
        """Return the ids of each text. *num_threads*, an argument of the twin, has no effect."""
        return [self.encode(text, specials) for text in texts]

    def encode_flat(
        self, texts: Iterable[str], specials: "Specials | None", num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of all texts, shape (n,), and their offsets, shape (texts + 1,)."""
        import numpy as np

        ids, offsets = array("I"), array("q", [0])
        for text in texts:
            ids.extend(self.encode(text, specials))
            offsets.append(len(ids))
        return np.array(ids, np.uint32), np.array(offsets, np.int64)

    def encode_files(
        self, paths: Iterable[str | PathLike[str]], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of the text in each file; see `encode_flat`."""
        return self.encode_flat(map(_read, paths), None, num_threads)

    def encode_utf8(
        self, texts: Iterable[bytes], num_threads: int | None
    ) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """Return the ids of each UTF-8 text; see `encode_flat`."""
        return self.encode_flat((str(text, "utf-8") for text in texts), None, num_threads)

    def count_batch(
        self, texts: Iterable[str], specials: "Specials | None", num_threads: int | None
    ) -> list[int]:
        """Return the number of ids of each text."""
        return [self.count(text, specials) for text in texts]

    def count_files(
        self,
        paths: Iterable[str | PathLike[str]],
        num_threads: int | None,
        progress: Callable[[int], object] | None,
    ) -> list[int]:
        """Return the number of ids of the text in each file."""
        counts, done = [], 0
        for path in paths:
            text = _read(path)
            counts.append(self.count(text, None))
            done += len(text.encode())
            if progress:
                progress(done)
        return counts

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of *piece*, which is not split further."""
        return [self.ids[rank] for rank in encode_piece(self.vocab, piece)]

    def count(self, text: str, specials: "Specials | None") -> int:
        """Return the number of ids of *text*."""
        return len(self.encode(text, specials))

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of *text*, in order."""
        text.encode()
        return self.pattern.split(text)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of *ids*; UnknownTokenError for an unknown id."""
        if not hasattr(ids, "__getitem__"):
            raise TypeError(f"ids come in a sequence or an array, not a {type(ids).__name__}")
        return decode(self.token_of_id, array("I", list(ids)))

    def decode_batch(self, batch: Iterable[Iterable[int]], num_threads: int | None) -> list[bytes]:
        """Return the bytes of each sequence. *num_threads* has no effect."""
        return [self.decode_bytes(ids) for ids in batch]

    def merges(self) -> list[tuple[int, int] | None]:
        """Return for each rank the pair of lower ranks that makes its token, or ``None``."""
        return merges(self.vocab)


class Specials(NamedTuple):
    """Searches for the allowed and the refused special tokens; made by `Core.specials`."""

    allowed: re.Pattern[str] | None
    refused: re.Pattern[str] | None


def _read(path: str | PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {error.start} is not UTF-8 (0x{error.object[error.start]:02x}); "
            "convert the file"
        ) from None
