"""All that a tokenizer is made of, and the fingerprint of it. No engine, no file."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from pytok.errors import PatternError, VocabError
from pytok.patterns import PATTERNS, resolve

END_OF_TEXT = "<|endoftext|>"
"""The special token that marks where a document begins or ends, in GPT-2 and ever since."""


@dataclass(frozen=True, slots=True)
class Definition:
    """All that a tokenizer is made of. Tokens are in rank order, the order of merging.

    *pattern* may be the name of a known pattern; it is kept as the regex. Raises PatternError for
    a bare word that is no such name, VocabError for an id that is not an unsigned 32-bit integer,
    and for half a surrogate pair in *pattern* or a special token.
    """

    name: str
    tokens: Sequence[bytes]
    ids: Sequence[int]
    pattern: str
    special_tokens: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", resolve(self.pattern))
        if self.pattern.isidentifier():
            raise PatternError(
                f"{self.pattern!r} is no known pattern, and as a regex it would find only itself; "
                f"known are {', '.join(PATTERNS)}"
            )
        named = [("pattern", self.pattern), *(("special token", t) for t in self.special_tokens)]
        for what, text in named:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise VocabError(f"the {what} {text!r} holds half a surrogate pair") from None
        for id in (*self.ids, *self.special_tokens.values()):
            if not 0 <= id < 1 << 32:
                raise VocabError(f"the id {id} does not lie between 0 and 4294967295")

    @property
    def next_id(self) -> int:
        """The id after the greatest."""
        return max(*self.ids, *self.special_tokens.values()) + 1

    def grown(self, tokens: Sequence[bytes], special_tokens: Sequence[str]) -> "Definition":
        """The same with more: *tokens* begin with those that there are, *special_tokens* are new.

        New ids follow the greatest, those of special tokens last.
        """
        first_special = self.next_id + len(tokens) - len(self.tokens)
        return replace(
            self,
            tokens=tokens,
            ids=(*self.ids, *range(self.next_id, first_special)),
            special_tokens={
                **self.special_tokens,
                **{text: first_special + place for place, text in enumerate(special_tokens)},
            },
        )

    def truncated(self, size: int) -> "Definition":
        """The first tokens and all special tokens: *size* ids. VocabError; see `Tokenizer`."""
        special_ids = sorted(set(self.special_tokens.values()))
        if list(self.ids) != list(range(len(self.tokens))):
            raise VocabError(
                "the ids of the tokens are not 0, 1, 2, ... in the order of merging, so fewer "
                "tokens would leave holes or have other ids"
            )
        most, kept = len(self.tokens) + len(special_ids), size - len(special_ids)
        if not 256 <= kept <= len(self.tokens):
            raise VocabError(
                f"a vocabulary of {size} cannot be had: with the 256 bytes and "
                f"{len(special_ids)} special tokens {256 + len(special_ids)} to {most} are possible"
            )
        ids = {id: kept + place for place, id in enumerate(special_ids)}
        return replace(
            self,
            tokens=self.tokens[:kept],
            ids=range(kept),
            special_tokens={text: ids[id] for text, id in self.special_tokens.items()},
        )

    def fingerprint(self) -> str:
        """A SHA-256 in hexadecimal over tokens, ids, pattern and special tokens, not the name.

        It hashes numbers as 8 bytes little-endian and strings behind their length: the pattern; the
        number of tokens; each token in rank order, its id before it; and each special token in the
        order of ids, likewise.
        """
        digest = hashlib.sha256(b"pytok tokenizer 1\n")

        def add(*fields: int | bytes) -> None:
            for field in fields:
                number, tail = (field, b"") if isinstance(field, int) else (len(field), field)
                digest.update(struct.pack("<Q", number) + tail)

        add(self.pattern.encode(), len(self.tokens))
        for token, id in zip(self.tokens, self.ids, strict=True):
            add(id, token)
        for text, id in sorted(self.special_tokens.items(), key=itemgetter(1)):
            add(id, text.encode())
        return digest.hexdigest()
