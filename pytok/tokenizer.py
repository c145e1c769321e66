"""The tokenizer: tiktoken's public API, once, over either engine.

Everything public in ``tiktoken.Encoding`` is here with the same names, meanings and errors, so that
code moves by changing the constructor. What pytok adds comes last in each section. The work itself
is done by an engine's core (`pytok.engine`).
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pytok import engine as engines
from pytok import formats, unstable
from pytok.definition import END_OF_TEXT, Definition
from pytok.engine import EngineName
from pytok.errors import (
    FormatError,
    PatternError,
    SpecialTokenError,
    UnknownTokenError,
    VocabError,
)
from pytok.special import NOTHING, AllowedSpecial, DisallowedSpecial, SpecialTokens, refusal
from pytok.streaming import StreamDecoder
from pytok.text import repair

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")


class Tokenizer:
    """Text to token ids and back.

    *mergeable_ranks* gives each token's bytes its id, and ids are merge priorities: lower ones
    merge first. *special_tokens* are texts with ids of their own, never made by merging. *pat_str*
    is the regex that splits text into pieces before merging, in tiktoken's spelling, or the name of
    a known one (``gpt2``, ``cl100k``, ``o200k``). With *explicit_n_vocab* the number of tokens and
    the greatest id are checked. Raises VocabError or PatternError where the parts do not fit.

    >>> from pytok.byte_order import BYTE_ORDER
    >>> ranks = {bytes([byte]): rank for rank, byte in enumerate(BYTE_ORDER)} | {b"he": 256}
    >>> specials = {"<|e|>": 257}
    >>> tok = Tokenizer("tiny", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=specials)
    >>> tok.encode("hey<|e|>", allowed_special="all")
    [256, 88, 257]
    >>> tok.decode([256, 88])
    'hey'
    """

    def __init__(
        self,
        name: str,
        *,
        pat_str: str,
        mergeable_ranks: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        explicit_n_vocab: int | None = None,
        engine: EngineName = "native",
    ) -> None:
        ordered = sorted(mergeable_ranks.items(), key=itemgetter(1))
        tokens, ids = [token for token, _ in ordered], [id for _, id in ordered]
        self._build(Definition(name, tokens, ids, pat_str, dict(special_tokens)), engine)
        if explicit_n_vocab:
            count = len(tokens) + len(special_tokens)
            if count != explicit_n_vocab or self.max_token_value != explicit_n_vocab - 1:
                raise VocabError(
                    f"{name}: explicit_n_vocab is {explicit_n_vocab}, but there are {count} tokens "
                    f"and the greatest id is {self.max_token_value}"
                )

    @classmethod
    def from_definition(cls, definition: Definition, engine: EngineName = "native") -> "Tokenizer":
        """A tokenizer whose ids need not be its merge priorities: tokens come in rank order."""
        tokenizer = cls.__new__(cls)
        tokenizer._build(definition, engine)
        return tokenizer

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
        engine: EngineName = "native",
    ) -> "Tokenizer":
        """Reads a tokenizer from a file or folder that `save` or another library wrote.

        A ``tokenizer.json`` says all by itself. It encodes as `tokenizers` does with
        ``add_special_tokens=False``, when all special tokens are allowed; its added tokens, special
        or not, are special tokens here, and what a post-processor would put around a text is the
        caller's to add. A ``.tiktoken`` file holds ranks only: give
        *pattern* and *special_tokens*. A folder with ``vocab.json`` and ``merges.txt`` is GPT-2's
        format: the pattern is gpt2's, and entries that no merge makes are special tokens.

        Raises FormatError, naming the file and the place, for what is malformed or cannot be
        represented exactly; OSError where the file cannot be read.
        """
        try:
            definition, stated = formats.read(path, pattern=pattern, special_tokens=special_tokens)
            tokenizer = cls.from_definition(definition, engine)
        except (VocabError, PatternError) as error:
            raise FormatError(f"{os.fspath(path)}: {error.message}") from None
        if stated is not None:
            formats.check_merges(path, definition, stated, tokenizer._core.merges())
        return tokenizer

    def _build(self, definition: Definition, engine: EngineName) -> None:
        tokens, ids = definition.tokens, list(definition.ids)
        specials = definition.special_tokens
        self.name = definition.name
        self._engine: EngineName = engine
        identity = ids == list(range(len(tokens)))
        self._core = engines.load(engine).Core(
            tokens, None if identity else ids, definition.pattern, list(specials.items())
        )
        self._definition = definition
        self._mergeable_ranks = dict(zip(tokens, ids, strict=True))
        self._special_tokens = dict(specials)
        self._special_token_values = set(specials.values())
        self._asked = SpecialTokens(specials, self._core.specials)
        self.max_token_value = max(max(ids), max(specials.values(), default=0))
        self.pickle_as(type(self).from_definition, definition, engine)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __reduce__(self) -> tuple[Callable[..., "Tokenizer"], tuple[Any, ...]]:
        return self._rebuild

    def pickle_as(self, build: Callable[..., "Tokenizer"], *arguments: object) -> None:
        """Pickle and copy as this call, where it gives an equal tokenizer more cheaply."""
        self._rebuild = (build, arguments)

    # ------------------------------------------------------------------------------- encoding

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of *text*; special tokens in it are ordinary text.

        Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
        """
        try:
            return self._core.encode(text, None)
        except UnicodeEncodeError:
            return self._core.encode(repair(text), None)

    def encode(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> list[int]:
        """The ids of *text*.

        Text that spells a special token can make a model do what its writer wants, so by default it
        is an error. *allowed_special* are those to recognise ("all", or a set);
        *disallowed_special* those to refuse ("all" means all that are not allowed); one that is
        neither is ordinary text. Raises SpecialTokenError (a ValueError) for a disallowed one.

        Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
        """
        specials = self._asked.specials(allowed_special, disallowed_special)
        try:
            return self._core.encode(text, specials)
        except SpecialTokenError as error:
            raise refusal(error.message) from None
        except UnicodeEncodeError:
            return self.encode(
                repair(text), allowed_special=allowed_special, disallowed_special=disallowed_special
            )

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> "npt.NDArray[np.uint32]":
        """The ids of *text* as an array, shape (n,), dtype uint32; see `encode`.

        As in tiktoken, lone surrogates are not repaired here: UnicodeEncodeError.
        """
        specials = self._asked.specials(allowed_special, disallowed_special)
        try:
            return self._core.encode_to_array(text, specials)
        except SpecialTokenError as error:
            raise refusal(error.message) from None

    def encode_ordinary_batch(
        self, text: Iterable[str], *, num_threads: int | None = None
    ) -> list[list[int]]:
        """The ids of each text; special tokens are ordinary text.

        Runs on *num_threads* threads, all cores if ``None``. They share long texts, too.
        """
        return self._batch(self._core.encode_batch, list(text), None, num_threads)

    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> list[list[int]]:
        """The ids of each text; see `encode`.

        Runs on *num_threads* threads, all cores if ``None``. They share long texts, too.
        """
        specials = self._asked.specials(allowed_special, disallowed_special)
        return self._batch(self._core.encode_batch, list(text), specials, num_threads)

    def encode_batch_to_numpy(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        """The ids of all texts in one array, and the offsets where those of each begin.

        ``ids[offsets[i]:offsets[i + 1]]`` are those of text i: ids has shape (n,) and dtype uint32,
        offsets shape (texts + 1,) and dtype int64. Otherwise as `encode_batch`.
        """
        specials = self._asked.specials(allowed_special, disallowed_special)
        return self._batch(self._core.encode_flat, list(text), specials, num_threads)

    def encode_files(
        self, paths: Iterable[str | os.PathLike[str]], *, num_threads: int | None = None
    ) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        """The ids of the text in each file, as `encode_batch_to_numpy` has them.

        A file is one UTF-8 text as it stands, and special tokens in it are ordinary text. The files
        are mapped, not read: nobody may change them meanwhile. Raises CorpusError for one that is
        not UTF-8, OSError for one that cannot be read.
        """
        engines.check_threads(num_threads)
        return self._core.encode_files(list(paths), num_threads)

    def encode_utf8(
        self, texts: Iterable[bytes], *, num_threads: int | None = None
    ) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        """The ids of each of *texts*, which are UTF-8, as `encode_batch_to_numpy` has them.

        No strings are made of them, and special tokens in them are ordinary text. Raises
        UnicodeDecodeError for one that is not UTF-8.
        """
        engines.check_threads(num_threads)
        return self._core.encode_utf8(list(texts), num_threads)

    def _batch(
        self,
        encode: Callable[[Sequence[str], Any, int | None], T],
        texts: Sequence[str],
        specials: Any,
        num_threads: int | None,
    ) -> T:
        engines.check_threads(num_threads)
        try:
            return encode(texts, specials, num_threads)
        except SpecialTokenError as error:
            raise refusal(error.message) from None
        except UnicodeEncodeError:
            return self._batch(encode, [repair(text) for text in texts], specials, num_threads)

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> tuple[list[int], list[list[int]]]:
        """The ids of *text* that more text cannot change, and what could stand for the rest.

        Each of the second list is a sequence of ids that spells the rest of the text or begins
        with it, in no particular order. The results are tiktoken's; see `pytok.unstable`.
        """
        ids = self.encode(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        start = 0
        for special in self._asked.places(text, allowed_special):
            start = special.end()
        stable, tail = unstable.stable_and_tail(self._core, text[start:], ids)
        return stable, unstable.completions(self._core, self._sorted_tokens, tail)

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, special tokens included; UnknownTokenError (a KeyError) if none."""
        if isinstance(text_or_bytes, str):
            text_or_bytes = text_or_bytes.encode()
        id = self._core.id(text_or_bytes)
        if id is None:
            raise UnknownTokenError(text_or_bytes)
        return id

    def count(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> int:
        """How many ids *text* has, without building them; see `encode`."""
        specials = self._asked.specials(allowed_special, disallowed_special)
        try:
            return self._core.count(text, specials)
        except SpecialTokenError as error:
            raise refusal(error.message) from None
        except UnicodeEncodeError:
            return self.count(
                repair(text), allowed_special=allowed_special, disallowed_special=disallowed_special
            )

    def count_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> list[int]:
        """How many ids each text has, without building them; see `encode_batch`."""
        specials = self._asked.specials(allowed_special, disallowed_special)
        return self._batch(self._core.count_batch, list(text), specials, num_threads)

    def count_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        num_threads: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[int]:
        """How many ids the text in each file has, in memory that does not grow with the files.

        *progress* is told now and then how many bytes are done. See `encode_files`.
        """
        engines.check_threads(num_threads)
        return self._core.count_files(list(paths), num_threads, progress)

    def truncate(
        self,
        text: str,
        max_tokens: int,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> str:
        """The beginning of *text* that has at most *max_tokens* ids; all of it if it has no more.

        It ends where a token of *text* ends, moved back to the end of a whole character, and is cut
        shorter still where it would have more ids by itself than it has within *text*.
        """
        if max_tokens < 0:
            raise ValueError(f"max_tokens is {max_tokens}: at least 0 is needed")
        specials = self._asked.specials(allowed_special, disallowed_special)
        text = repair(text)
        if (
            self.count(text, allowed_special=allowed_special, disallowed_special=disallowed_special)
            <= max_tokens
        ):
            return text
        lengths = itertools.islice(self._token_lengths(text, allowed_special), max_tokens)
        for end in reversed([0, *itertools.accumulate(lengths)]):
            beginning = text.encode()[:end].decode("utf-8", "ignore")
            if self._core.count(beginning, specials) <= max_tokens:
                return beginning
        return ""

    def _token_lengths(self, text: str, allowed: AllowedSpecial) -> Iterator[int]:
        """How many bytes of *text* each of its ids stands for."""
        start = 0
        for special in self._asked.places(text, allowed):
            ids = self._core.encode(text[start : special.start()], None)
            yield from map(len, self.decode_tokens_bytes(ids))
            yield len(special[0].encode())
            start = special.end()
        ids = self._core.encode(text[start:], None)
        yield from map(len, self.decode_tokens_bytes(ids))

    # ------------------------------------------------------------------------------- decoding

    def decode_bytes(self, tokens: "Sequence[int] | npt.NDArray[Any]") -> bytes:
        """What *tokens*, a sequence or an array, spell.

        UnknownTokenError (a KeyError) for an id that is none.
        """
        try:
            return self._core.decode_bytes(tokens)
        except OverflowError:
            raise OverflowError("a token id lies between 0 and 4294967295") from None

    def decode(self, tokens: "Sequence[int] | npt.NDArray[Any]", errors: str = "replace") -> str:
        """What *tokens* spell, as text.

        Tokens may end in the middle of a character; *errors* says what becomes of bytes that are
        not UTF-8, as in `bytes.decode`.
        """
        return self.decode_bytes(tokens).decode("utf-8", errors=errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one id, special or not; UnknownTokenError (a KeyError) if there is none."""
        try:
            found = self._core.token(token)
        except OverflowError:
            raise OverflowError("a token id lies between 0 and 4294967295") from None
        if found is None:
            raise UnknownTokenError(str(token))
        return found

    def decode_tokens_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each id."""
        return [self.decode_single_token_bytes(token) for token in tokens]

    def decode_with_offsets(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """What *tokens* spell, and where in that text each token begins, in characters.

        A token that begins inside a character has the place of that character. Raises
        UnicodeDecodeError when the tokens spell no valid UTF-8.
        """
        spelled = self.decode_tokens_bytes(tokens)
        length = 0
        offsets = []
        for token in spelled:
            offsets.append(max(0, length - (0x80 <= token[0] < 0xC0)))
            length += sum(not 0x80 <= byte < 0xC0 for byte in token)
        return b"".join(spelled).decode("utf-8", errors="strict"), offsets

    def decode_batch(
        self,
        batch: Sequence["Sequence[int] | npt.NDArray[Any]"],
        *,
        errors: str = "replace",
        num_threads: int | None = None,
    ) -> list[str]:
        """What each of *batch* spells, as text; see `decode` and `decode_bytes_batch`."""
        decoded = self.decode_bytes_batch(batch, num_threads=num_threads)
        return [text.decode("utf-8", errors=errors) for text in decoded]

    def decode_bytes_batch(
        self,
        batch: Sequence["Sequence[int] | npt.NDArray[Any]"],
        *,
        num_threads: int | None = None,
    ) -> list[bytes]:
        """What each of *batch* spells, on *num_threads* threads, all cores if ``None``."""
        engines.check_threads(num_threads)
        try:
            return self._core.decode_batch(batch, num_threads)
        except OverflowError:
            raise OverflowError("a token id lies between 0 and 4294967295") from None

    def decoder(self, errors: str = "replace") -> StreamDecoder:
        """A decoder for ids that come one by one, which never gives out half a character."""
        return StreamDecoder(self.decode_bytes, errors)

    # -------------------------------------------------------------------------- what it is made of

    @property
    def engine(self) -> EngineName:
        """Which engine does the work: ``native`` or ``reference``."""
        return self._engine

    @property
    def vocab(self) -> Mapping[bytes, int]:
        """The id of each token, in rank order (the order of merging), without special tokens."""
        return MappingProxyType(self._mergeable_ranks)

    @property
    def pattern(self) -> str:
        """The regex that splits text into pieces, in tiktoken's spelling."""
        return self._definition.pattern

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The id of each special token."""
        return MappingProxyType(self._special_tokens)

    @functools.cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
        return set(self._special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Whether *token* is the id of a special token."""
        assert isinstance(token, int)
        return token in self._special_token_values

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``; KeyError if there is no such special token."""
        return self._special_tokens[END_OF_TEXT]

    @property
    def n_vocab(self) -> int:
        """The size of the id space: the greatest id and one."""
        return self.max_token_value + 1

    def token_byte_values(self) -> list[bytes]:
        """All tokens but the special ones, sorted by their bytes."""
        return list(self._sorted_tokens)

    @functools.cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._mergeable_ranks)

    def pieces(self, text: str) -> list[str]:
        """The pieces that the pattern splits *text* into; no token spans two of them."""
        return self._core.pieces(repair(text))

    @functools.cached_property
    def fingerprint(self) -> str:
        """A SHA-256 in hexadecimal over tokens, ids, pattern and special tokens, not the name.

        Whatever was written with one tokenizer is refused with another by it.
        """
        return self._definition.fingerprint()

    @property
    def definition(self) -> Definition:
        """All that the tokenizer is made of."""
        return self._definition

    def truncated(self, size: int) -> "Tokenizer":
        """The vocabulary of *size* ids that the same training gives: the first merges alone.

        Special tokens count, and take the ids after the last token. Raises VocabError for a size
        that leaves no room for the 256 bytes or is larger than the vocabulary, and for a vocabulary
        whose ids are not in the order of merging.

        >>> import pytok
        >>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
        >>> tok.truncated(260).vocab.keys() == set(list(tok.vocab)[:259])
        True
        """
        return self.from_definition(self._definition.truncated(size), self._engine)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the tokenizer: ``*.json`` (Hugging Face's), ``*.tiktoken``, or a folder (GPT-2's).

        A file appears whole or not at all. Raises FormatError when the format cannot hold the
        tokenizer exactly. ``.tiktoken`` holds ranks only, neither pattern nor special tokens. A
        post-processor, and which added tokens decoding should keep, are not written.
        """
        formats.write(path, self._definition, self._core.merges())

    # ----------------------------------------------------------------- tiktoken's half-private part

    @property
    def _pat_str(self) -> str:
        return self._definition.pattern

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        if isinstance(text_or_bytes, str):
            text_or_bytes = text_or_bytes.encode()
        return self._core.encode_piece(text_or_bytes)

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        return [id for piece in self._core.pieces(text) for id in self._encode_single_piece(piece)]

    def _encode_bytes(self, text: bytes) -> list[int]:
        """The ids of bytes that need not be UTF-8; they decode to the same bytes.

        From the first byte that is not UTF-8 on, and the piece before it, all is one piece.
        """
        try:
            return self._core.encode(text.decode(), None)
        except UnicodeDecodeError as error:
            valid = text[: error.start].decode()
            ids = self._core.encode(valid, None)
            stable, tail = unstable.stable_and_tail(self._core, valid, ids)
            return stable + self._core.encode_piece(tail + text[error.start :])
