"""Text to ids: one text or many, as lists, arrays or counts."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pytok import engine as engines
from pytok import truncation, unstable
from pytok.definition import Definition
from pytok.errors import UnknownTokenError
from pytok.post_processing import Template, template
from pytok.special import NOTHING, AllowedSpecial, DisallowedSpecial, SpecialTokens
from pytok.text import repair

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FlatIds = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
    """Ids of several texts in one array, shape (n,), and offsets, shape (texts + 1,)."""

Result = TypeVar("Result")


class Encoder:
    """The half of `pytok.Tokenizer` that encodes, with tiktoken's names, meanings and errors."""

    name: str
    _core: engines.Core
    _definition: Definition
    _specials: SpecialTokens
    _encode: Callable[[str, Any], list[int]]
    _count: Callable[[str, Any], int]

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
        add_special_tokens: bool = False,
    ) -> list[int]:
        """Return the ids of *text*.

        Special tokens in untrusted text can change what a model does, so by default they are an
        error. *allowed_special* are those to recognize ("all", or a set); *disallowed_special*
        those to reject ("all": all that are not allowed); any other is ordinary text. Raises
        SpecialTokenError (a ValueError) for a disallowed one. With *add_special_tokens*, the ids
        include those that the model expects around a text, such as BOS: see `post_process`.

        Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
        """
        ids = self._specials.call(self._encode, text, allowed_special, disallowed_special)
        return self.post_process(ids) if add_special_tokens else ids

    def encode_with_offsets(
        self,
        text: str,
        *,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of *text*, and for each the start and end of its characters in *text*.

        ``text[start:end]`` is what an id stands for. A part of a character has the offsets of that
        character; so has each id of characters that are normalized together. The other arguments
        are those of `encode`.

        >>> import pytok
        >>> tok = pytok.train(["the theme of the thesis"], 260)
        >>> tok.encode_with_offsets("the é")
        ([257, 220, 127, 102], [(0, 3), (3, 4), (4, 5), (4, 5)])
        """
        ids, offsets = self._specials.call(
            self._core.encode_with_offsets, text, allowed_special, disallowed_special
        )
        if len(repaired := repair(text)) < len(text):
            # A pair of surrogates is one character of the repaired text.
            starts = list(_starts(text, repaired))
            offsets = [(starts[start], starts[end]) for start, end in offsets]
        return ids, offsets

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
        add_special_tokens: bool = False,
    ) -> list[list[int]]:
        """Return the ids of each text; see `encode`.

        The work runs on *num_threads* threads (default: all cores), which also share long texts.
        """
        batch = self._batch(
            self._core.encode_batch, text, num_threads, allowed_special, disallowed_special
        )
        return [self.post_process(ids) for ids in batch] if add_special_tokens else batch

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

        A file is one UTF-8 text, and special tokens in it are ordinary text. Raises CorpusError for
        a file that is not UTF-8, OSError for one that cannot be read.
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
        their order is arbitrary. The results are tiktoken's; see `pytok.unstable`. Raises
        VocabError for a tokenizer whose ids do not stand for bytes, as if it normalizes text.
        """
        unstable.check(self._definition)
        text = repair(text)
        ids, offsets = self._specials.call(
            self._core.encode_with_offsets, text, allowed_special, disallowed_special
        )
        added = self._specials.recognized_ids(allowed_special)
        rest = unstable.after_added(text, ids, offsets, added)
        stable, tail = unstable.stable_and_tail(self._core, rest, ids)
        return stable, unstable.completions(self._core, self._sorted_tokens, tail)

    def post_process(self, ids: Sequence[int], pair: Sequence[int] | None = None) -> list[int]:
        """Return *ids* with those that the model expects around a text, or around a *pair* of them.

        They are those of the post-processor of the tokenizer.json, as with ``add_special_tokens``
        in transformers; without one there are none. Raises VocabError for one that pytok does not
        know.
        """
        return self._template.apply([ids] if pair is None else [ids, pair])[0]

    def type_ids(self, ids: Sequence[int], pair: Sequence[int] | None = None) -> list[int]:
        """Return for each id of `post_process` which text it belongs to, as BERT takes it."""
        return self._template.apply([ids] if pair is None else [ids, pair])[1]

    @functools.cached_property
    def _template(self) -> Template:
        return template(self._definition.settings.post_processor)

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

        With a custom pattern, or a normalizer, a file is in memory completely. *progress* is called
        from time to time with the number of bytes done. See `encode_files`.
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

        It ends at the end of a token of *text*, moved back to the end of a character, or before
        what is normalized together. It is cut further where it would have more ids by itself than
        it has within *text*.
        """
        if max_tokens < 0:
            raise ValueError(f"max_tokens is {max_tokens}: pass 0 or more")

        def count(text: str) -> int:
            return self._specials.call(self._count, text, allowed_special, disallowed_special)

        text = repair(text)
        if count(text) <= max_tokens:
            return text
        method = functools.partial(self._core.encode_with_offsets, limit=max_tokens + 1)
        _, offsets = self._specials.call(method, text, allowed_special, disallowed_special)
        return truncation.truncate(text, max_tokens, offsets, count)

    # ------------------------------------------------------- private members of tiktoken in use

    @functools.cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._definition.tokens)

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        piece = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        return self._core.encode_piece(piece)

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        return [id for piece in self._core.pieces(text) for id in self._encode_single_piece(piece)]

    def _encode_bytes(self, text: bytes) -> list[int]:
        added = self._specials.recognized_ids(NOTHING)
        return unstable.encode_bytes(self._core, self._definition, text, added)


def _starts(text: str, repaired: str) -> Iterator[int]:
    """Yield where each character of *repaired*, and its end, is in *text*."""
    at = 0
    for character in repaired:
        yield at
        at += 1 if text[at] == character or character == "\ufffd" else 2
    yield at
