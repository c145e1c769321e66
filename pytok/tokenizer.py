"""The tokenizer: tiktoken's public API over either engine.

Everything public in ``tiktoken.Encoding`` is here with the same names, meanings and errors, so code
moves by changing the constructor. What pytok adds comes last in each section. The base classes
have the methods that encode and decode; an engine's core does the work (`pytok.engine`).
"""

import functools
import itertools
import os
from collections.abc import Callable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytok import engine as engines
from pytok.counted import counted
from pytok.decoding import Decoder
from pytok.definition import END_OF_TEXT, AddedToken, Definition
from pytok.engine import EngineName
from pytok.errors import FormatError, PatternError, VocabError
from pytok.growing import NewTokens, with_added
from pytok.model_inputs import ModelInputs
from pytok.patterns import pattern_name
from pytok.renumbering import truncated
from pytok.special import SpecialTokens
from pytok.text import repair

if TYPE_CHECKING:
    from pytok.notebook import ShownText


SHOWN = 12
"""Special tokens and merges that a notebook shows of a tokenizer."""


class Tokenizer(ModelInputs, Decoder):
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
        self._specials = SpecialTokens(definition.added_tokens, self._core.specials)
        self.max_token_value = definition.next_id - 1
        self.pickle_as(type(self).from_definition, definition, engine)

    def __repr__(self) -> str:
        parts = (
            counted(self.n_vocab, "id"),
            pattern_name(self.pattern) or "its own pattern",
            counted(len(self._special_tokens), "special token"),
        )
        return f"<{type(self).__name__} {self.name!r}: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks: size, pattern, special tokens and the first merges."""
        from pytok.notebook import facts_html  # here: only notebooks need it

        specials = [f"{text} = {id}" for text, id in self._special_tokens.items()]
        more = f" and {len(specials) - SHOWN:,} more" if len(specials) > SHOWN else ""
        merges = itertools.islice((each for each in self.vocab.items() if len(each[0]) > 1), SHOWN)
        facts = {
            "ids": f"{self.n_vocab:,}",
            "pattern": pattern_name(self.pattern) or self.pattern,
            "special tokens": (", ".join(specials[:SHOWN]) + more) or "none",
        }
        return facts_html(f"{type(self).__name__} {self.name!r}", facts, merges)

    def show(self, text: str) -> "ShownText":
        """Return *text* as its tokens: colored in a notebook, with bars between them elsewhere.

        Special tokens in it are encoded as ordinary text.

        >>> import pytok
        >>> pytok.train(["she sells sea shells"], vocab_size=262).show("she sells")
        s|h|e| s|ells
        5 tokens, 9 bytes, 1.80 bytes per token: [82, 71, 68, 256, 259]
        """
        from pytok.notebook import ShownText  # here: only notebooks need it

        ids = self.encode_ordinary(text)
        return ShownText(self.decode_tokens_bytes(ids), ids)

    def __reduce__(self) -> tuple[Callable[..., "Tokenizer"], tuple[Any, ...]]:
        return self._rebuild

    def pickle_as(self, build: Callable[..., "Tokenizer"], *arguments: object) -> None:
        """Set the call by which pickling and copying rebuild an equal tokenizer."""
        self._rebuild = (build, arguments)

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
        return self.from_definition(truncated(self._definition, size), self._engine)

    def with_special_tokens(self, tokens: NewTokens) -> "Tokenizer":
        """Return the tokenizer with further *tokens*: texts, texts with ids, or `AddedToken`.

        A text without an id is a special token. It takes the id of the token with this text, if
        there is one, else the one after the greatest id; nothing else changes. Raises VocabError
        for an id that another token has, and for a text that has another id.

        >>> import pytok
        >>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
        >>> tok.with_special_tokens(["<|user|>", "<|bot|>"]).special_tokens
        mappingproxy({'<|endoftext|>': 269, '<|user|>': 270, '<|bot|>': 271})
        """
        return self.from_definition(with_added(self._definition, tokens), self._engine)

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
