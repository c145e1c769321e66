"""The tokenizer: tiktoken's public API over either engine.

Everything public in ``tiktoken.Encoding`` is here with the same names, meanings and errors, so code
moves by changing the constructor. What pytok adds comes last in each section. The base class has
the methods that decode; an engine's core does the work (`pytok.engine`).
"""

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pytok import engine as engines
from pytok import truncation, unstable
from pytok.decoding import Decoder
from pytok.definition import END_OF_TEXT, AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, UnknownTokenError, VocabError
from pytok.special import NOTHING, AllowedSpecial, DisallowedSpecial, SpecialTokens
from pytok.text import repair

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FlatIds = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
    """Ids of several texts in one array, shape (n,), and offsets, shape (texts + 1,)."""

Result = TypeVar("Result")


class Tokenizer(Decoder):
    """Text to token ids and back.

    *mergeable_ranks* maps the bytes of each token to its id; ids are merge priorities: lower ones
    merge first. *special_tokens* maps texts to ids of their own, which merging never makes.
    *pat_str* is the regex that splits text into pieces before merging, in tiktoken's syntax, or the
    name of a known one (``gpt2``, ``cl100k``, ``o200k``, ``llama3``, ``qwen2``). If given,
    *explicit_n_vocab* must be the number of tokens and one more than the greatest id. Raises
    VocabError or PatternError for arguments that do not fit together.

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
        added = tuple(AddedToken(text, id) for text, id in special_tokens.items())
        self._build(Definition(name, tokens, ids, pat_str, added), engine)
        if explicit_n_vocab:
            count = len(tokens) + len(special_tokens)
            if count != explicit_n_vocab or self.max_token_value != explicit_n_vocab - 1:
                raise VocabError(
                    f"{name}: explicit_n_vocab is {explicit_n_vocab}, but there are {count} tokens "
                    f"and the greatest id is {self.max_token_value}"
                )

    @classmethod
    def from_definition(cls, definition: Definition, engine: EngineName = "native") -> "Tokenizer":
        """Make a tokenizer of *definition*, whose ids can differ from the merge priorities."""
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
        """Read a tokenizer from a file or folder that `save` or another library wrote.

        The content decides what a file is, not its name; it can be compressed (gzip). A
        ``tokenizer.json`` is complete. With all special tokens allowed it encodes as Hugging Face's
        `tokenizers` does with ``add_special_tokens=False``. So are Mistral's ``tekken.json``, a
        pickled `tiktoken.Encoding` (which is not run), and a folder with a tokenizer_config.json
        whose class pytok knows. A list of ranks (``.tiktoken``, Llama's ``tokenizer.model``), or
        ``vocab.json`` and ``merges.txt`` alone, do not say how text is split: pass *pattern*, and
        *special_tokens*. Without a pattern such a folder is GPT-2's, and a UserWarning says so.

        Raises FormatError, with the file and the field or line, for a file that is malformed or
        cannot be represented exactly; OSError for one that cannot be read.
        """
        from pytok import formats  # here: `get_encoding` needs none of them

        try:
            definition, stated = formats.read(
                path, pattern=pattern, special_tokens=special_tokens, engine=engine
            )
            tokenizer = cls.from_definition(definition, engine)
        except (VocabError, PatternError) as error:
            raise FormatError(f"{os.fspath(path)}: {error.message}") from None
        if stated is not None:
            formats.check_merges(path, definition, stated, tokenizer._core.merges())
        return tokenizer

    @classmethod
    def from_tiktoken(cls, encoding: Any, engine: EngineName = "native") -> "Tokenizer":
        """Make a tokenizer with the ids of *encoding*, a ``tiktoken.Encoding``.

        Raises FormatError for another object.
        """
        from pytok.formats.pickled import of_encoding

        return cls.from_definition(of_encoding(encoding), engine)

    def _build(self, definition: Definition, engine: EngineName) -> None:
        self.name = definition.name
        self._engine: EngineName = engine
        self._core = engines.load(engine).Core(definition)
        # PERF: bound once, because `encode` and `count` pass these methods on for every text.
        self._encode, self._count = self._core.encode, self._core.count
        self._definition = definition
        self._special_tokens = definition.special_tokens
        self._special_token_values = set(self._special_tokens.values())
        self._specials = SpecialTokens(self._special_tokens, self._core.specials)
        self.max_token_value = definition.next_id - 1
        self.pickle_as(type(self).from_definition, definition, engine)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __reduce__(self) -> tuple[Callable[..., "Tokenizer"], tuple[Any, ...]]:
        return self._rebuild

    def pickle_as(self, build: Callable[..., "Tokenizer"], *arguments: object) -> None:
        """Set the call by which pickling and copying rebuild an equal tokenizer."""
        self._rebuild = (build, arguments)

    # ------------------------------------------------------------------------------- encoding

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the ids of *text*; special tokens in it are ordinary text.

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
        """Return the ids of *text*.

        Special tokens in untrusted text can change what a model does, so by default they are an
        error. *allowed_special* are those to recognize ("all", or a set); *disallowed_special*
        those to reject ("all": all that are not allowed); any other is ordinary text. Raises
        SpecialTokenError (a ValueError) for a disallowed one.

        Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
        """
        return self._specials.call(self._encode, text, allowed_special, disallowed_special)

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> "npt.NDArray[np.uint32]":
        """Return the ids of *text* as an array, shape (n,), dtype uint32; see `encode`.

        As in tiktoken, lone surrogates raise UnicodeEncodeError.
        """
        return self._specials.call(
            self._core.encode_to_array, text, allowed_special, disallowed_special, repairs=False
        )

    def encode_ordinary_batch(
        self, text: Iterable[str], *, num_threads: int | None = None
    ) -> list[list[int]]:
        """Return the ids of each text; special tokens are ordinary text.

        The work runs on *num_threads* threads (default: all cores), which also share long texts.
        """
        return self._batch(self._core.encode_batch, text, num_threads, NOTHING, ())

    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> list[list[int]]:
        """Return the ids of each text; see `encode`.

        The work runs on *num_threads* threads (default: all cores), which also share long texts.
        """
        return self._batch(
            self._core.encode_batch, text, num_threads, allowed_special, disallowed_special
        )

    def encode_batch_to_numpy(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> "FlatIds":
        """Return the ids of all texts in one array, and the offset at which each text starts.

        ``ids[offsets[i]:offsets[i + 1]]`` are those of text i: ids has shape (n,) and dtype uint32,
        offsets shape (texts + 1,) and dtype int64. The arguments are those of `encode_batch`.
        """
        return self._batch(
            self._core.encode_flat, text, num_threads, allowed_special, disallowed_special
        )

    def encode_files(
        self, paths: Iterable[str | os.PathLike[str]], *, num_threads: int | None = None
    ) -> "FlatIds":
        """Return the ids of the text in each file, as `encode_batch_to_numpy` does.

        A file is one UTF-8 text, and special tokens in it are ordinary text. The files are
        memory-mapped: they must not change meanwhile. Raises CorpusError for a file that is not
        UTF-8, OSError for one that cannot be read.
        """
        engines.check_threads(num_threads)
        return self._core.encode_files(list(paths), num_threads)

    def encode_utf8(self, texts: Iterable[bytes], *, num_threads: int | None = None) -> "FlatIds":
        """Return the ids of each UTF-8 text, as `encode_batch_to_numpy` does.

        The texts are not decoded to strings, and special tokens in them are ordinary text. Raises
        UnicodeDecodeError for a text that is not UTF-8.
        """
        engines.check_threads(num_threads)
        return self._core.encode_utf8(list(texts), num_threads)

    def _batch(
        self,
        method: Callable[..., Result],
        texts: Iterable[str],
        num_threads: int | None,
        allowed: AllowedSpecial,
        disallowed: DisallowedSpecial,
    ) -> Result:
        engines.check_threads(num_threads)
        method = functools.partial(method, num_threads=num_threads)
        return self._specials.call(method, list(texts), allowed, disallowed)

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> tuple[list[int], list[list[int]]]:
        """Return the ids of *text* that more text cannot change, and completions of the rest.

        A completion is a sequence of ids that decodes to the rest of the text or to more than that;
        their order is arbitrary. The results are tiktoken's; see `pytok.unstable`.
        """
        ids = self._specials.call(self._encode, text, allowed_special, disallowed_special)
        rest = text[self._specials.last_end(text, allowed_special) :]
        stable, tail = unstable.stable_and_tail(self._core, rest, ids)
        return stable, unstable.completions(self._core, self._sorted_tokens, tail)

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """Return the id of one token, special or not; UnknownTokenError (a KeyError) if unknown."""
        token = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        id = self._core.id(token)
        if id is None:
            raise UnknownTokenError(token)
        return id

    def count(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> int:
        """Return the number of ids of *text* without building them; see `encode`."""
        return self._specials.call(self._count, text, allowed_special, disallowed_special)

    def count_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> list[int]:
        """Return the number of ids of each text without building them; see `encode_batch`."""
        return self._batch(
            self._core.count_batch, text, num_threads, allowed_special, disallowed_special
        )

    def count_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        num_threads: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> list[int]:
        """Return the number of ids of the text in each file, in memory independent of its size.

        *progress* is called from time to time with the number of bytes done. See `encode_files`.
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
        """Return the beginning of *text* with at most *max_tokens* ids, or all of it if it fits.

        It ends at the end of a token of *text*, moved back to the end of a character. It is cut
        further where it would have more ids by itself than it has within *text*.
        """
        if max_tokens < 0:
            raise ValueError(f"max_tokens is {max_tokens}: pass 0 or more")

        def count(text: str) -> int:
            return self._specials.call(self._count, text, allowed_special, disallowed_special)

        text = repair(text)
        if count(text) <= max_tokens:
            return text
        found = self._specials.find(text, allowed_special)
        return truncation.truncate(self._core, text, max_tokens, found, count)

    # ------------------------------------------------------------------------------ properties

    @property
    def engine(self) -> EngineName:
        """Name of the engine that does the work: ``native`` or ``reference``."""
        return self._engine

    @property
    def vocab(self) -> Mapping[bytes, int]:
        """Id of each token in rank order (the order of merging), without special tokens."""
        return MappingProxyType(self._mergeable_ranks)

    @functools.cached_property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return dict(zip(self._definition.tokens, self._definition.ids, strict=True))

    @property
    def pattern(self) -> str:
        """Regex that splits text into pieces, in tiktoken's syntax."""
        return self._definition.pattern

    @property
    def can_cut(self) -> bool:
        """Whether a text can be cut where `pytok.patterns.last_cut` allows, with the same ids.

        This holds for text without special tokens.
        """
        return self._definition.can_cut

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Id of each special token; of `added_tokens`, those that are special."""
        return MappingProxyType(self._special_tokens)

    @property
    def added_tokens(self) -> tuple[AddedToken, ...]:
        """The texts with ids of their own: special tokens, and those that any text can contain."""
        return self._definition.added_tokens

    @functools.cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
        return set(self._special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Return whether *token* is the id of a special token."""
        assert isinstance(token, int)
        return token in self._special_token_values

    @property
    def eot_token(self) -> int:
        """Id of ``<|endoftext|>``; KeyError if there is no such special token."""
        return self._special_tokens[END_OF_TEXT]

    @property
    def n_vocab(self) -> int:
        """Size of the id space: the greatest id plus one."""
        return self.max_token_value + 1

    def token_byte_values(self) -> list[bytes]:
        """Return all tokens except the special ones, sorted by their bytes."""
        return list(self._sorted_tokens)

    @functools.cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._mergeable_ranks)

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of *text*, which is normalized first; no token spans two of them."""
        return self._core.pieces(repair(text))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of all that decides ids and text, but not of the name.

        Shards and checkpoints carry it, and are rejected by a tokenizer with another.
        """
        return self._definition.fingerprint()

    @property
    def definition(self) -> Definition:
        """The parts of the tokenizer."""
        return self._definition

    def truncated(self, size: int) -> "Tokenizer":
        """Return the vocabulary of *size* ids from the same training: the first merges only.

        Special tokens count, and take the ids after the last token. Raises VocabError for a size
        below the 256 bytes or above the vocabulary, and for ids that are not in merging order.

        >>> import pytok
        >>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
        >>> tok.truncated(260).vocab.keys() == set(list(tok.vocab)[:259])
        True
        """
        return self.from_definition(self._definition.truncated(size), self._engine)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer: ``*.json`` (Hugging Face), ``*.tiktoken``, or a folder.

        The folder is for ``AutoTokenizer.from_pretrained``. Writing is atomic. Raises FormatError
        for a format that cannot hold the tokenizer exactly. ``.tiktoken`` holds ranks only, without
        pattern and special tokens; ``*.json`` all but the chat template and the names of BOS, EOS
        and padding, which are in the folder.
        """
        from pytok import formats

        formats.write(path, self._definition, self._core.merges())

    # ------------------------------------------------------- private members of tiktoken in use

    _pat_str = pattern

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        piece = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        return self._core.encode_piece(piece)

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        return [id for piece in self._core.pieces(text) for id in self._encode_single_piece(piece)]

    def _encode_bytes(self, text: bytes) -> list[int]:
        return unstable.encode_bytes(self._core, text)
