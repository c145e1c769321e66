"""The tokens that more text could change: tiktoken's `encode_with_unstable`.

A text that is cut off can end inside what would become another token. Its *stable* tokens are those
before its last piece; its *completions* are the token sequences that could stand for the rest once
more text follows. The method, its approximations included, is that of tiktoken's
`_encode_unstable_native`, so the results are equal.
"""

import bisect
from collections.abc import Sequence

from pytok.definition import Definition
from pytok.engine import Core
from pytok.errors import VocabError


def check(definition: Definition) -> None:
    """Raise VocabError for a tokenizer whose ids do not stand for the bytes of a text."""
    reasons = {
        definition.beyond_bytes: definition.beyond_bytes,
        "normalizes text": definition.normalizer,
        "puts a space in front of a text": definition.prefix_space,
        "drops what it splits at": any(split.behavior == "removed" for split in definition.splits),
        "has an id for unknown bytes, or drops them": definition.unknown,
    }
    for reason, holds in reasons.items():
        if holds:
            raise VocabError(
                f"the tokenizer {definition.name!r} {reason}, so which ids more bytes could change "
                "does not follow from the bytes: use encode"
            )


def after_added(
    text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], added: set[int]
) -> str:
    """Return what follows the last added token in *text*; *added* are the ids of those found."""
    ends = (end for id, (_, end) in zip(ids, offsets, strict=True) if id in added)
    return text[max(ends, default=0) :]


def stable_and_tail(core: Core, text: str, ids: list[int]) -> tuple[list[int], bytes]:
    """Split *ids* before the last piece of *text*: return the stable ids and the remaining bytes.

    *text* is what follows the last added token; *ids* can start before it. A tail of white space
    extends back over all white space before it, since more text could join the two.
    """
    pieces = core.pieces(text)
    if not pieces:
        return ids, b""
    tail = len(core.encode_piece(pieces[-1].encode()))
    if _is_space(core, ids[-tail]):
        while tail < len(ids) and _is_space(core, ids[-tail - 1]):
            tail += 1
    return ids[:-tail], core.decode_bytes(ids[-tail:])


def _is_space(core: Core, id: int) -> bool:
    token = core.token(id)
    return token is not None and not token.strip(b" \n\t")


def completions(core: Core, tokens: Sequence[bytes], tail: bytes) -> list[list[int]]:
    """Return the token sequences that could stand for *tail* once more text follows.

    *tokens* is the vocabulary without special tokens, sorted by bytes. Each sequence decodes to at
    least *tail*; their order is arbitrary.
    """
    if not tail:
        return []
    found = {tuple(core.encode_piece(token)) for token in _starting_with(tokens, tail)}
    # A token can start anywhere in the tail and extend past its end.
    for start in range(1, len(tail)):
        for token in _starting_with(tokens, tail[start:]):
            found.add(_covering(core, tail[:start] + token, len(tail)))
    # More text can split the last character off white space: in gpt2, "\n\n" before a "0" is split.
    last = _last_character(tail)
    if last and last.isspace() and len(last.encode()) < len(tail):
        head = tail[: -len(last.encode())]
        found.add((*core.encode_piece(head), *core.encode_piece(last.encode())))
    return [list(sequence) for sequence in found]


def encode_bytes(core: Core, definition: Definition, data: bytes, added: set[int]) -> list[int]:
    """Return ids that decode to *data*, which need not be UTF-8.

    The first byte that is not UTF-8, the piece before it and everything after it are one piece.
    *added* are the ids of the added tokens that are found in every text. Raises VocabError for data
    that is not UTF-8 if `check` does.
    """
    try:
        return core.encode(data.decode(), None)
    except UnicodeDecodeError as error:
        check(definition)
        valid = data[: error.start].decode()
        ids, offsets = core.encode_with_offsets(valid, None)
        rest = after_added(valid, ids, offsets, added)
        stable, tail = stable_and_tail(core, rest, ids)
        return stable + core.encode_piece(tail + data[error.start :])


def _starting_with(tokens: Sequence[bytes], prefix: bytes) -> Sequence[bytes]:
    start = stop = bisect.bisect_left(tokens, prefix)
    while stop < len(tokens) and tokens[stop].startswith(prefix):
        stop += 1
    return tokens[start:stop]


def _covering(core: Core, candidate: bytes, length: int) -> tuple[int, ...]:
    """Return the first ids of *candidate* that together decode to *length* bytes or more."""
    try:
        ids = core.encode(candidate.decode(), None)
    except UnicodeDecodeError:
        ids = core.encode_piece(candidate)
    size = 0
    for count, id in enumerate(ids, 1):
        size += len(core.token(id) or b"")
        if size >= length:
            return tuple(ids[:count])
    return tuple(ids)


def _last_character(tail: bytes) -> str:
    """Return the last character of *tail*, or "" if *tail* ends inside a character."""
    for length in range(1, min(4, len(tail)) + 1):
        try:
            return tail[-length:].decode()
        except UnicodeDecodeError:
            continue
    return ""
