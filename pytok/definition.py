"""The parts of a tokenizer and their fingerprint, without engine or files."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from pytok.errors import PatternError, VocabError
from pytok.patterns import PATTERNS, resolve

END_OF_TEXT = "<|endoftext|>"
"""The special token between documents, since GPT-2."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The parts of a tokenizer. Tokens are in rank order, the order of merging.

    *pattern* can be the name of a known pattern; its regex is stored. Raises PatternError for a
    bare word that is no such name, VocabError for an id that is not an unsigned 32-bit integer, and
    for a lone surrogate in *pattern* or a special token.
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
                f"{self.pattern!r} is not a known pattern, and as a regex it would match only that "
                f"word; the known patterns are {', '.join(PATTERNS)}"
            )
        texts = [("pattern", self.pattern), *(("special token", t) for t in self.special_tokens)]
        for what, text in texts:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise VocabError(f"the {what} {text!r} contains a lone surrogate") from None
        for id in (*self.ids, *self.special_tokens.values()):
            if not 0 <= id < 1 << 32:
                raise VocabError(f"the id {id} does not lie between 0 and 4294967295")

    @property
    def next_id(self) -> int:
        """The greatest id plus one."""
        return max(*self.ids, *self.special_tokens.values()) + 1

    def grown(self, tokens: Sequence[bytes], special_tokens: Sequence[str]) -> "Definition":
        """Return the same definition with *tokens*, which start with its own, and special tokens.

        The new tokens, then the new *special_tokens*, take the ids after the greatest.
        """
        first_special = self.next_id + len(tokens) - len(self.tokens)
        new_specials = {text: first_special + i for i, text in enumerate(special_tokens)}
        return replace(
            self,
            tokens=tokens,
            ids=(*self.ids, *range(self.next_id, first_special)),
            special_tokens={**self.special_tokens, **new_specials},
        )

    def truncated(self, size: int) -> "Definition":
        """Return *size* ids: the first tokens and all special tokens; see `Tokenizer.truncated`."""
        special_ids = sorted(set(self.special_tokens.values()))
        if list(self.ids) != list(range(len(self.tokens))):
            raise VocabError(
                "cannot truncate the vocabulary: the ids of the tokens are not 0, 1, 2, ... in the "
                "order of merging"
            )
        kept = size - len(special_ids)
        if not 256 <= kept <= len(self.tokens):
            least, most = 256 + len(special_ids), len(self.tokens) + len(special_ids)
            raise VocabError(
                f"cannot truncate the vocabulary to {size} ids: pass {least} to {most}, since the "
                "256 bytes and the special tokens are kept"
            )
        new_ids = {id: kept + i for i, id in enumerate(special_ids)}
        return replace(
            self,
            tokens=self.tokens[:kept],
            ids=range(kept),
            special_tokens={text: new_ids[id] for text, id in self.special_tokens.items()},
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 in hexadecimal of tokens, ids, pattern and special tokens.

        The hash covers numbers as 8 bytes, little-endian, and strings after their length: the
        pattern; the number of tokens; the id and bytes of each token, in rank order; the id and
        text of each special token, in the order of ids.
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
