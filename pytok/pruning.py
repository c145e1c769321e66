"""Pruning: a smaller vocabulary, with the tokens that a corpus needs.

A token is merged from two parts, each of which is merged from two, down to the bytes; without a
part nothing makes the token. So a pruned vocabulary has the parts of all its tokens, recursively.
Tokens are chosen by how often their merge is applied in the corpus (`pytok.usage.applications`).
A part is applied at least as often as the whole, so the most frequent tokens have their parts among
them, and no other vocabulary of the size that has the parts of its tokens saves more merges.

Ranks and ids keep their order, so a text whose merges are all kept has the same tokens: at each
step the merge of lowest rank is still there, and still the lowest. Any other text has other tokens
for the same bytes.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pytok import usage
from pytok.corpus import Source
from pytok.counting import Progress
from pytok.definition import Definition
from pytok.errors import VocabError
from pytok.formats.merge_list import Merges, implied_merges
from pytok.renumbering import named_ids, renumbered
from pytok.tokenizer import Tokenizer
from pytok.usage import Use


class Pruned(NamedTuple):
    """A tokenizer with some of the tokens of another one."""

    tokenizer: Tokenizer
    ids: npt.NDArray[np.int64]
    """The id that each id had before, ascending: shape (ids,). They select rows of a model."""
    before: Use
    """The use of the tokenizer before on the corpus."""


def prune(
    tokenizer: Tokenizer,
    source: Source,
    size: int | None = None,
    *,
    min_count: int | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> Pruned:
    """Keep *size* ids of *tokenizer*, or the tokens that occur *min_count* times or more.

    The corpus *source* is read as in `pytok.usage.encoded`, and tokens are counted in it, also
    inside longer tokens. The single bytes and all added tokens are kept whatever their number.
    With *size* exactly so many ids remain: the most frequent tokens, those of lower rank first if
    equally frequent. With neither argument, the tokens that occur.

    Raises VocabError if *size* is too small, or not below the number of ids now.

    >>> import pathlib, pytok, tempfile
    >>> tok = pytok.train(["she sells sea shells by the sea shore"], vocab_size=270)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = pathlib.Path(folder, "corpus.txt")
    ...     _ = corpus.write_text("she sells shells")
    ...     pruned = prune(tok, corpus, min_count=2)
    >>> list(pruned.tokenizer.vocab)[256:]
    [b' s', b'he', b'll', b'lls']
    """
    if size is not None and min_count is not None:
        raise ValueError("size and min_count are two ways to choose: pass one of them")
    definition = tokenizer.definition
    if definition.end_of_word_suffix:
        raise VocabError(
            f"the tokenizer {definition.beyond_bytes}, and only tokens that are merged of bytes "
            "alone can be pruned: use another tokenizer"
        )
    kept = _Kept(definition, implied_merges(definition.tokens, tokenizer._core.merges()))
    if size is not None:
        kept.check(size)
    before = usage.count_uses(
        tokenizer,
        source,
        num_threads=num_threads,
        progress=progress,
        **reading,
    )
    ranks, ids = kept.choose(before.uses, size, 1 if min_count is None else min_count)
    pruned = Tokenizer.from_definition(_selected(definition, ranks, ids), tokenizer.engine)
    return Pruned(pruned, np.array(ids, dtype=np.int64), before)


def kept_ids(tokenizer: Tokenizer, pruned: Tokenizer) -> npt.NDArray[np.int64]:
    """Return the id in *tokenizer* of each id of *pruned*: shape (ids,), `Pruned.ids`.

    Raises VocabError if *pruned* is not pruned from *tokenizer*: if it has another token, another
    pattern, or tokens in another order.
    """
    old, new = tokenizer.definition, pruned.definition
    id_of = dict(zip(old.tokens, old.ids, strict=True))
    id_of_added = {token.text: token.id for token in old.added_tokens}
    missing: Iterable[object] = [token for token in new.tokens if token not in id_of]
    missing = missing or [t.text for t in new.added_tokens if t.text not in id_of_added]
    for token in missing:
        raise VocabError(f"not pruned from this vocabulary, which has no token {token!r}")
    pairs = {id: id_of[token] for token, id in zip(new.tokens, new.ids, strict=True)}
    pairs |= {token.id: id_of_added[token.text] for token in new.added_tokens}
    pairs |= zip(sorted(new.decode_only), sorted(old.decode_only), strict=False)
    ids = [pairs[id] for id in sorted(pairs)]
    rank_of = {token: rank for rank, token in enumerate(old.tokens)}
    ranks = [rank_of[token] for token in new.tokens]
    are_same = (
        sorted(pairs) == list(range(len(pairs)))
        and ids == sorted(ids)
        and _further_ids(old) <= {*ids}
    )
    if not are_same or _selected(old, ranks, ids).fingerprint() != pruned.fingerprint:
        raise VocabError(
            "not pruned from this vocabulary, which has the same tokens in another order, further "
            "added tokens, or another pattern"
        )
    return np.array(ids, dtype=np.int64)


class _Kept:
    """The choice of tokens of *definition*, whose *merges* are all those that make a token."""

    def __init__(self, definition: Definition, merges: Merges) -> None:
        self._definition = definition
        self._merges = merges
        self._lengths = np.fromiter(map(len, definition.tokens), np.int64, len(definition.tokens))
        named, rank_of = named_ids(definition), {id: r for r, id in enumerate(definition.ids)}
        self._other_ids = sorted(_further_ids(definition))
        """Ids that are not those of ordinary tokens."""
        single = np.flatnonzero(self._lengths == 1).tolist()
        self._required = self._with_parts(
            [*single, *(rank_of[id] for id in named if id in rank_of)]
        )

    def check(self, size: int) -> None:
        """Raise VocabError unless *size* ids can be kept."""
        others = len(self._other_ids)
        least, most = len(self._required) + others, len(self._lengths) + others - 1
        if not least <= size <= most:
            raise VocabError(
                f"cannot prune the vocabulary to {size} ids: pass {least} to {most}, since the "
                f"single bytes and the added tokens are kept, and it has {most + 1}"
            )

    def choose(
        self, uses: usage.Counts, size: int | None, min_count: int
    ) -> tuple[list[int], list[int]]:
        """Return the ranks to keep, and the ids of all tokens to keep, both ascending."""
        frequency = usage.applications(uses, self._lengths, self._merges)
        frequency[list(self._required)] = np.iinfo(np.int64).max
        order = np.lexsort((self._lengths, self._complete_from(), -frequency))
        if size is None:
            chosen = np.flatnonzero(frequency >= min_count)
        else:
            chosen = np.sort(order[: size - len(self._other_ids)])
        ranks: list[int] = chosen.tolist()
        ids = self._definition.ids
        return ranks, sorted([*(ids[rank] for rank in ranks), *self._other_ids])

    def _complete_from(self) -> usage.Counts:
        """Return for each rank the lowest at which the token and, recursively, its parts are there.

        It is the rank itself, except for a token that precedes a part of it.
        """
        highest = list(range(len(self._merges)))
        for rank in np.argsort(self._lengths, kind="stable").tolist():
            for part in self._merges[rank] or ():
                highest[rank] = max(highest[rank], highest[part])
        return np.array(highest)

    def _with_parts(self, ranks: Iterable[int]) -> set[int]:
        """Return *ranks* and, recursively, those from which their merges make them."""
        found, pending = set[int](), list(ranks)
        while pending:
            rank = pending.pop()
            if rank not in found:
                found.add(rank)
                pending += self._merges[rank] or ()
        return found


def _further_ids(definition: Definition) -> set[int]:
    """Return the ids that are not those of ordinary tokens."""
    further = {token.id for token in definition.added_tokens} | {*definition.decode_only}
    return further.difference(definition.ids)


def _selected(definition: Definition, ranks: list[int], ids: list[int]) -> Definition:
    """Return *definition* with the tokens of *ranks*; *ids* become 0, 1, 2, ... in their order."""
    return renumbered(definition, ranks, {id: index for index, id in enumerate(ids)})
