"""All that a tokenizer is made of, and the fingerprint of it. No engine, no file."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from pytok.errors import PatternError, VocabError
from pytok.reference.pretokenize import PATTERNS, resolve

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
