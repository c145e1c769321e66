"""The parts of a tokenizer and their fingerprint, without engine or files."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from pytok.errors import PatternError, VocabError
from pytok.patterns import PATTERNS, can_cut, is_cut_inside, resolve

END_OF_TEXT = "<|endoftext|>"
"""The special token between documents, since GPT-2."""

MAX_ID = (1 << 32) - 1
"""The greatest id: ids are unsigned integers of 32 bits."""

UTF8_BYTES = frozenset(range(256)) - {0xC0, 0xC1, *range(0xF5, 0x100)}
"""The bytes that UTF-8 can have."""

LAST_BYTES = frozenset(range(0xC0))
"""The bytes at which a character of UTF-8 can end."""


class AddedToken(NamedTuple):
    """A text with an id of its own, matched before text is split; fields as in tokenizers.

    A *special* token is matched where a caller allows it, any other in every text. *lstrip* and
    *rstrip* take the white space on that side, *single_word* requires that no word character is
    next to the token, and *normalized* tokens are matched after the others, in the normalized text.
    """

    text: str
    id: int
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


Behavior: TypeAlias = Literal[
    "isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"
]


class Split(NamedTuple):
    """A further split of every piece, at the matches of *pattern* (or, if *invert*, the rest).

    *behavior* is what becomes of the matches, with the names of tokenizers: each is a piece, is
    dropped, joins the piece before or after it, or joins the matches next to it. With *letters* the
    pattern sees one letter for each byte of a piece (`pytok.byte_order.LETTERS`), so it can split
    inside a character; no split of text follows.
    """

    pattern: str
    behavior: Behavior = "isolated"
    invert: bool = False
    letters: bool = False


class Unknown(NamedTuple):
    """What becomes of bytes that a vocabulary lacks: the id *id*, or nothing if it is ``None``.

    With *fuse*, consecutive ones become one id.
    """

    id: int | None = None
    fuse: bool = False


Step: TypeAlias = tuple[str, ...]
"""A step of normalization: its name in tokenizers, and its arguments (see `Definition`)."""

STEPS = {
    "NFC": 0,
    "NFD": 0,
    "NFKC": 0,
    "NFKD": 0,
    "Lowercase": 0,
    "Prepend": 1,
    "Replace": 2,
}
"""The number of arguments of each step of normalization."""


class Settings(NamedTuple):
    """What a tokenizer's files say beyond the ids of a text, as JSON values.

    The first four are fields of a tokenizer.json, *config* is the content of its
    tokenizer_config.json, which has the chat template and the names of BOS, EOS and padding.
    """

    truncation: Mapping[str, Any] | None = None
    padding: Mapping[str, Any] | None = None
    post_processor: Mapping[str, Any] | None = None
    decoder: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = {}


NO_SETTINGS = Settings()

END_OF_WORD, UNKNOWN_END = 0xFF, 0xFE
"""Bytes that UTF-8 never has: engines put the first after a piece for the end-of-word suffix, and
the second instead of a last byte that no token with the suffix stands for."""


def marked(token: bytes, suffix: bytes) -> bytes:
    r"""Return *token* with the mark of engines instead of the end-of-word *suffix*.

    >>> marked(b"a</w>", b"</w>"), marked(b"a", b"</w>")
    (b'a\xff', b'a')
    """
    if not (suffix and token.endswith(suffix)):
        return token
    return token.removesuffix(suffix) + bytes([END_OF_WORD])


@dataclass(frozen=True, slots=True)
class Definition:
    """The parts of a tokenizer. Tokens are in rank order, the order of merging.

    *pattern* can be the name of a known pattern; its regex is stored. The pieces that it gives are
    split further by each of *splits* in turn. Before that, text between added tokens is normalized
    by the steps of *normalizer*: ``("NFC",)``, ``("NFD",)``, ``("NFKC",)``, ``("NFKD",)``,
    ``("Lowercase",)`` (each character by itself), ``("Prepend", text)`` (to text that is not
    empty), ``("Replace", regex, text)``. With *prefix_space* it then gets a space in front if it
    does not start with one. With an *end_of_word_suffix*, tokens that end with it are those at the
    end of a piece: its last byte and the suffix are merged from the start, and the others are not
    used there. *decode_only* are the bytes of ids that nothing is encoded to. A byte that the
    vocabulary lacks is an error where a text has it, unless *unknown* says otherwise.

    Raises PatternError for a bare word that is no name of a pattern, VocabError for an id that is
    not an unsigned 32-bit integer, for an unknown step of normalization, for splits or tokens with
    a suffix that engines cannot apply, and for a lone surrogate in *pattern* or an added token.
    """

    name: str
    tokens: Sequence[bytes]
    ids: Sequence[int]
    pattern: str
    added_tokens: tuple[AddedToken, ...] = ()
    splits: tuple[Split, ...] = ()
    normalizer: tuple[Step, ...] = ()
    prefix_space: bool = False
    decode_only: Mapping[int, bytes] = field(default_factory=dict)
    unknown: Unknown | None = None
    end_of_word_suffix: str = ""
    settings: Settings = NO_SETTINGS

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", resolve(self.pattern))
        if self.pattern.isidentifier():
            raise PatternError(
                f"{self.pattern!r} is not a known pattern, and as a regex it would match only that "
                f"word; the known patterns are {', '.join(PATTERNS)}"
            )
        for step in self.normalizer:
            if STEPS.get(step[0]) != len(step) - 1:
                raise VocabError(f"{step!r} is not a step of normalization: use {', '.join(STEPS)}")
        sees_letters = [split.letters for split in self.splits]
        if sees_letters != sorted(sees_letters):
            raise VocabError(
                "a split of text comes after one of letters, which can split characters"
            )
        self._check_suffix()
        kinds = [("special token" if t.special else "added token", t) for t in self.added_tokens]
        texts = [("pattern", self.pattern), *((kind, token.text) for kind, token in kinds)]
        for what, text in texts:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise VocabError(f"the {what} {text!r} contains a lone surrogate") from None
        for id in self._extreme_ids():
            if not 0 <= id <= MAX_ID:
                raise VocabError(f"the id {id} does not lie between 0 and {MAX_ID}")

    def _check_suffix(self) -> None:
        """Check that the tokens of an end-of-word suffix are those that engines can apply."""
        suffix = self.end_of_word_suffix.encode()
        if not suffix or not self.tokens:
            return
        single = {token[0] for token in self.tokens if len(token) == 1}
        ends = self._ends()
        if suffix in self.tokens or any(
            END_OF_WORD in token or UNKNOWN_END in token for token in self.tokens
        ):
            raise VocabError(
                "with an end-of-word suffix, a token that is the suffix alone, or has a byte 0xfe "
                "or 0xff, which no text has, can only be decoded: list it in decode_only"
            )
        if alone := sorted(ends - single):
            raise VocabError(
                f"the token {bytes(alone[:1]) + suffix!r} with the end-of-word suffix has none "
                "without it: add it"
            )
        if self.unknown is None and self.lacks_bytes:
            raise VocabError(
                "the vocabulary lacks bytes that can end a piece, with the end-of-word suffix: say "
                "what becomes of them (unknown)"
            )

    def _ends(self) -> set[int]:
        """Return the bytes that can end a piece: those of tokens of a byte and the suffix."""
        suffix = self.end_of_word_suffix.encode()
        length = len(suffix) + 1
        return {token[0] for token in self.tokens if len(token) == length and token[1:] == suffix}

    def _extreme_ids(self) -> list[int]:
        """Return the least and the greatest id of each kind, in any order."""
        ids = self.ids
        # PERF: the ids of most vocabularies are a range, whose ends are known.
        ends = (ids[0], ids[-1]) if isinstance(ids, range) and ids else (*ids,)
        ends = (min(ends), max(ends)) if ends else ()
        return [*ends, *(token.id for token in self.added_tokens), *self.decode_only]

    @property
    def special_tokens(self) -> dict[str, int]:
        """Id of each added token that is special, by text."""
        return {token.text: token.id for token in self.added_tokens if token.special}

    @property
    def can_cut(self) -> bool:
        """Whether a text can be cut where `pytok.patterns.last_cut` allows, with the same ids."""
        return (
            can_cut(self.pattern)
            and not self.prefix_space
            # Canonical forms change neither newlines nor slashes, and make no white space.
            and all(step[0] in ("NFC", "NFD") for step in self.normalizer)
            # Special tokens are not looked for in texts that are cut.
            and not any(
                not token.special and (token.lstrip or token.rstrip or is_cut_inside(token.text))
                for token in self.added_tokens
            )
        )

    @property
    def beyond_bytes(self) -> str:
        """What makes the pieces more than text whose bytes are merged, or nothing."""
        if self.end_of_word_suffix:
            return f"ends each piece with {self.end_of_word_suffix!r}"
        return "splits inside characters" if any(split.letters for split in self.splits) else ""

    @property
    def next_id(self) -> int:
        """The greatest id plus one."""
        return max(self._extreme_ids()) + 1

    def grown(self, tokens: Sequence[bytes], special_tokens: Sequence[str]) -> "Definition":
        """Return the same definition with *tokens*, which start with its own, and special tokens.

        The new tokens, then the new *special_tokens*, take the ids after the greatest.
        """
        first_special = self.next_id + len(tokens) - len(self.tokens)
        new = [AddedToken(text, first_special + i) for i, text in enumerate(special_tokens)]
        ids = self.ids
        if len(tokens) > len(self.tokens):
            ids = (*ids, *range(self.next_id, first_special))
        return replace(self, tokens=tokens, ids=ids, added_tokens=(*self.added_tokens, *new))

    def fingerprint(self) -> str:
        """Return the SHA-256 in hexadecimal of all that decides ids and text.

        The hash covers numbers as 8 bytes, little-endian, and strings after their length: the
        pattern; the number of tokens; the id and bytes of each token, in rank order; the id and
        text of each added token, in the order of ids. What few tokenizers have follows as JSON,
        if there is any of it.
        """
        digest = hashlib.sha256(b"pytok tokenizer 1\n")

        def add(*fields: int | bytes) -> None:
            for each in fields:
                number, tail = (each, b"") if isinstance(each, int) else (len(each), each)
                digest.update(struct.pack("<Q", number) + tail)

        add(self.pattern.encode(), len(self.tokens))
        for token, id in zip(self.tokens, self.ids, strict=True):
            add(id, token)
        for added in sorted(self.added_tokens, key=lambda added: added.id):
            add(added.id, added.text.encode())
        if further := self._rare_parts():
            import json  # here: few tokenizers need it, and it takes as long as this module

            add(json.dumps(further, sort_keys=True, separators=(",", ":")).encode())
        return digest.hexdigest()

    @property
    def lacks_bytes(self) -> bool:
        """Whether texts can have bytes that the vocabulary lacks."""
        single = {token[0] for token in self.tokens if len(token) == 1}
        return not single >= UTF8_BYTES or (
            self.end_of_word_suffix != "" and not self._ends() >= LAST_BYTES
        )

    def _rare_parts(self) -> dict[str, Any]:
        """Return the parts that differ from their defaults, as JSON values by name."""
        flags = {token.text: _flags(token) for token in self.added_tokens}
        if not self.normalizer:  # then it hardly matters in which text a token is matched
            flags = {text: names - {"normalized"} for text, names in flags.items()}
        parts = {
            "added_tokens": {text: sorted(names) for text, names in flags.items() if names},
            # Splits of text, which most are, have the fields that they had before `letters`.
            "splits": [split if split.letters else split[:3] for split in self.splits],
            "normalizer": self.normalizer,
            "prefix_space": self.prefix_space,
            "end_of_word_suffix": self.end_of_word_suffix,
            "decode_only": {str(id): token.hex() for id, token in self.decode_only.items()},
            "unknown": self.unknown and self.lacks_bytes and self.unknown._asdict(),
        }
        return {name: part for name, part in parts.items() if part}


def _flags(token: AddedToken) -> set[str]:
    """Return the names of the flags that differ from those of a plain special token."""
    plain = AddedToken(token.text, token.id)
    return {name for name in plain._fields if getattr(token, name) != getattr(plain, name)}
