"""The core of a tokenizer: a vocabulary, a pattern, added tokens, and their ids.

A core is immutable, so one core serves any number of threads. Twin of `bpe-rs/src/core.rs`, with
the same methods (`pytok.engine.Core`).
"""

import itertools
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytok.definition import Definition
from pytok.errors import CorpusError, SpecialTokenError, VocabError
from pytok.reference.added import Allowed
from pytok.reference.budget import Budget
from pytok.reference.decode import decode
from pytok.reference.encode import merges
from pytok.reference.normalize import Normalizer
from pytok.reference.piece import Found, PieceEncoder
from pytok.reference.pretokenize import Pattern
from pytok.reference.search import search
from pytok.reference.split import Split
from pytok.reference.vocab import Vocab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Core:
    """The parts of a tokenizer, ready to encode and decode.

    Raises VocabError if the tokens do not form a vocabulary, two different texts have one id, or an
    added token is empty; PatternError if a pattern does not compile.

    As in the twin, an id that does not fit in 32 bits raises OverflowError.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> from pytok.definition import AddedToken
    >>> tokens = [bytes([byte]) for byte in BYTE_ORDER]
    >>> end = AddedToken("<|end|>", 256)
    >>> core = Core(Definition("bytes", tokens, range(256), "gpt2", (end,)))
    >>> core.encode("hi<|end|>", core.specials(["<|end|>"], [])), core.count("hi<|end|>", None)
    ([71, 72, 256], 9)
    >>> core.decode_bytes([71, 72, 256]), core.token(256), core.id(b"i")
    (b'hi<|end|>', b'<|end|>', 72)
    >>> core.encode_batch(["h", "i"], None, None), core.encode_to_array("hi", None)
    ([[71], [72]], array([71, 72], dtype=uint32))
    >>> core.encode_flat(["h", "", "i"], None, None)
    (array([71, 72], dtype=uint32), array([0, 1, 1, 2]))
    >>> core.encode_with_offsets("é", None)
    ([127, 102], [(0, 1), (0, 1)])
    >>> core.pieces("hi there"), core.encode_piece(b"hi"), core.merges()[0]
    (['hi', ' there'], [71, 72], None)
    """

    def __init__(self, definition: Definition) -> None:
        self.encoder = PieceEncoder(
            Vocab(definition.tokens),
            definition.ids,
            definition.unknown,
            definition.end_of_word_suffix.encode(),
        )
        self.pattern = Pattern(definition.pattern)
        self.splits = [Split(*split) for split in definition.splits]
        self.normalizer = Normalizer(definition.normalizer)
        self.prefix_space = definition.prefix_space
        self.added = definition.added_tokens
        self.token_of_id = dict(self.encoder.tokens)
        further: dict[int, bytes] = {}
        for added in self.added:
            if not added.text:
                raise VocabError("a special token is the empty string")
            if self.token_of_id.get(added.id, added.text.encode()) != added.text.encode():
                raise VocabError(f"two tokens have the id {added.id}")
            # As in tokenizers, a token that is found in normalized text decodes to such a text.
            text = self.normalizer.normalize(added.text) if added.normalized else added.text
            further.setdefault(added.id, text.encode())
        for id, token in definition.decode_only.items():
            if id in self.token_of_id or id in further:
                raise VocabError(f"two tokens have the id {id}")
            further[id] = token
        self.token_of_id = further | self.token_of_id
        always = Allowed((t for t in self.added if not t.special), self.normalizer)
        self.always = Specials(always, None)

    def token(self, id: int) -> bytes | None:
        """Return the bytes of *id*, whatever it is the id of; ``None`` if it is unknown."""
        return self.token_of_id.get(array("I", [id])[0])

    def id(self, token: bytes) -> int | None:
        """Return the id of *token*, ordinary before added; ``None`` if there is none."""
        id = self.encoder.id(token)
        if id is not None:
            return id
        return next((added.id for added in self.added if added.text.encode() == token), None)

    def specials(self, allowed: Iterable[str], refused: Iterable[str]) -> "Specials":
        """Prepare special tokens: *allowed* become ids, *refused* texts are an error.

        Added tokens that are not special are found in every text.
        """
        names = set(allowed)
        tokens = (token for token in self.added if not token.special or token.text in names)
        return Specials(Allowed(tokens, self.normalizer), search(set(refused)))

    def encode(self, text: str, specials: "Specials | None") -> list[int]:
        """Return the ids of *text*.

        Allowed added tokens are found first, the leftmost and longest; the text between them is
        normalized and split. Raises SpecialTokenError, with the token only, for a refused one.
        """
        return [id for id, _, _ in self._encode(text, specials)]

    def encode_with_offsets(
        self, text: str, specials: "Specials | None", limit: int | None = None
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of *text*, and for each the start and end of the characters it stands for.

        For a part of a character, or of what was normalized together, that is the whole. After
        *limit* ids, which is above 0, the rest of the text is not encoded.
        """
        found = list(itertools.islice(self._encode(text, specials), limit))
        return [id for id, _, _ in found], [(start, end) for _, start, end in found]

    def _encode(self, text: str, specials: "Specials | None") -> Iterator[Found]:
        text.encode()  # raises UnicodeEncodeError for lone surrogates, as the native engine does
        specials = specials or self.always
        if specials.refused and (refused := specials.refused.search(text)):
            raise SpecialTokenError(refused[0])
        allowed, budget = specials.allowed, Budget()
        budget.start(len(text.encode()))
        for id, start, end in allowed.verbatim.segments(text):
            if id is None:
                offset = len(text[:start].encode())
                for found, at, to in self._between(text[start:end], offset, allowed, budget):
                    yield found, start + at, start + to
            else:
                yield id, start, end

    def _between(self, text: str, offset: int, allowed: Allowed, budget: Budget) -> Iterator[Found]:
        """Encode text between added tokens, before which are *offset* bytes."""
        normal, sources = self.normalizer.align(text, budget)
        for id, start, end in allowed.normalized.segments(normal):
            if id is None:
                before = offset + len(normal[:start].encode())
                for found, at, to in self._normal(normal[start:end], before, budget):
                    yield found, sources[start + at][0], sources[start + to - 1][1]
            else:
                yield id, sources[start][0], sources[end - 1][1]

    def _normal(self, text: str, offset: int, budget: Budget) -> Iterator[Found]:
        """Encode normalized text, before which are *offset* bytes."""
        prefixed = self._prefixed(text)
        shift = len(prefixed) - len(text)
        self.encoder.check_text(prefixed, offset)
        # The character that each byte is of: a piece is encoded as bytes.
        of_byte = [i for i, character in enumerate(prefixed) for _ in character.encode()]
        for piece, start in self._split(prefixed, offset, budget):
            for id, first, end in self.encoder.encode_ranges(piece):
                # A space that was put in front stands for the first character.
                at = max(0, of_byte[start + first] - shift)
                yield id, at, max(at + 1, of_byte[start + end - 1] + 1 - shift)

    def _prefixed(self, text: str) -> str:
        return " " + text if self.prefix_space and text and not text.startswith(" ") else text

    def _split(self, text: str, offset: int, budget: Budget) -> Iterator[tuple[bytes, int]]:
        """Yield the pieces of normalized text, and the byte at which each starts."""
        start = 0
        for first in self.pattern.split(text, offset, budget):
            pieces = [(first.encode(), start)]
            for split in self.splits:
                pieces = [
                    part
                    for piece, at in pieces
                    for part in split.apply(piece, at, offset + at, budget)
                ]
            yield from pieces
            start += len(first.encode())

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
        return self.encoder.encode_piece(piece)

    def count(self, text: str, specials: "Specials | None") -> int:
        """Return the number of ids of *text*."""
        return len(self.encode(text, specials))

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of *text*, which is normalized first. Added tokens in it are text.

        A part of a character, where a split sees letters of bytes, is shown as U+FFFD.
        """
        budget = Budget()
        budget.start(len(text.encode()))
        normal = self._prefixed(self.normalizer.normalize(text, budget))
        return [piece.decode(errors="replace") for piece, _ in self._split(normal, 0, budget)]

    def normalize(self, text: str) -> str:
        """Return *text* as it is before it is split, as far as no added token is in it."""
        budget = Budget()
        budget.start(len(text.encode()))
        return self.normalizer.normalize(text, budget)

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
        return merges(self.encoder.vocab)


class Specials(NamedTuple):
    """The added tokens that are recognized, and a search for refused ones."""

    allowed: Allowed
    refused: re.Pattern[str] | None


def _read(path: str | PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {error.start} is not UTF-8 (0x{error.object[error.start]:02x}); "
            "convert the file"
        ) from None
