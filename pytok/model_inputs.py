"""What a model takes besides the ids of a text: tokens around it, padding, and a mask."""

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytok.encoding import Encoder
from pytok.errors import VocabError
from pytok.special import NOTHING, AllowedSpecial, DisallowedSpecial

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Side = Literal["left", "right"]


class PaddedBatch(NamedTuple):
    """Rows of equal length, with the names of a model's arguments in transformers."""

    input_ids: "npt.NDArray[np.int64]"
    """Ids: shape (rows, length). int64, which PyTorch takes as indices and as targets."""
    attention_mask: "npt.NDArray[np.int64]"
    """1 for an id of the text, 0 for padding: shape (rows, length)."""


class ModelInputs(Encoder):
    """The part of `pytok.Tokenizer` that prepares the inputs of a model, as transformers does."""

    def encode_batch_padded(
        self,
        text: Iterable[str],
        *,
        length: int | None = None,
        max_length: int | None = None,
        multiple_of: int = 1,
        pad_id: int | None = None,
        side: Side | None = None,
        add_special_tokens: bool = False,
        num_threads: int | None = None,
        allowed_special: AllowedSpecial = NOTHING,
        disallowed_special: DisallowedSpecial = "all",
    ) -> PaddedBatch:
        """Return the ids of each text as rows of one array, filled with *pad_id*, and their mask.

        A row has *length* ids, by default those of the longest text, rounded up to a multiple of
        *multiple_of*. Of a text with more than *max_length* ids the last ones are dropped, but none
        of those that *add_special_tokens* adds (see `encode`). *pad_id* defaults to `pad_token_id`,
        *side* to the side on which the tokenizer's files say that it pads, else the right. The
        other arguments are those of `encode_batch`. Raises ValueError without a *pad_id*, and for a
        text that is longer than *length*.

        For PyTorch: ``{name: torch.from_numpy(rows) for name, rows in batch._asdict().items()}``
        are the arguments of a model.

        >>> import pytok
        >>> tok = pytok.train(["the theme of the thesis"], 260)
        >>> batch = tok.encode_batch_padded(["the", "e"], length=2, pad_id=tok.eot_token)
        >>> batch.input_ids.tolist(), batch.attention_mask.tolist()
        ([[257, 259], [68, 259]], [[1, 0], [1, 0]])
        """
        import numpy as np

        pad_id = self.pad_token_id if pad_id is None else pad_id
        if pad_id is None:
            raise ValueError(
                f"the tokenizer {self.name!r} names no padding token: pass pad_id, for example "
                "eot_token"
            )
        before, after = self._around if add_special_tokens else ((), ())
        added = len(before) + len(after)
        if max_length is not None and max_length < added:
            raise ValueError(f"max_length is {max_length}, but {added} ids are added to each text")
        ids, offsets = self.encode_batch_to_numpy(
            text,
            num_threads=num_threads,
            allowed_special=allowed_special,
            disallowed_special=disallowed_special,
        )
        full = np.diff(offsets)
        lengths = full if max_length is None else np.minimum(full, max_length - added)
        kept = np.arange(len(ids)) - np.repeat(offsets[:-1], full) < np.repeat(lengths, full)
        width = _width(int(lengths.max(initial=0)) + added, length, multiple_of)
        starts = np.zeros_like(lengths)
        if (side or self._padding_side) == "left":
            starts = width - added - lengths
        columns = np.arange(width)
        rows = np.full((len(lengths), width), pad_id, np.int64)

        def spans(first: Any, length: Any) -> Any:
            """Return where each row has the *length* columns from *first* on."""
            return (columns >= first[:, None]) & (columns < (first + length)[:, None])

        rows[spans(starts + len(before), lengths)] = ids[kept]
        rows[spans(starts, len(before))] = np.tile(np.array(before, np.int64), len(rows))
        ends = starts + len(before) + lengths
        rows[spans(ends, len(after))] = np.tile(np.array(after, np.int64), len(rows))
        return PaddedBatch(rows, spans(starts, lengths + added).astype(np.int64))

    @functools.cached_property
    def _around(self) -> tuple[Sequence[int], Sequence[int]]:
        """The ids that the template adds before a text, and those after it."""
        mark = -1
        ids = self.post_process([mark])
        if ids.count(mark) != 1:
            raise VocabError(f"the template of {self.name!r} does not have a text exactly once")
        return ids[: ids.index(mark)], ids[ids.index(mark) + 1 :]

    @property
    def prefix_ids(self) -> list[int]:
        """The ids that `post_process` puts before a text, such as that of BOS; none for most."""
        return list(self._around[0])

    @property
    def _padding_side(self) -> str:
        settings = self._definition.settings
        padding = (settings.padding or {}).get("direction", "right")
        return str(settings.config.get("padding_side", padding)).lower()

    @property
    def bos_token(self) -> str | None:
        """The text of the token at the beginning, if the tokenizer's files name one."""
        return self._named("bos_token")

    @property
    def eos_token(self) -> str | None:
        """The text of the token at the end, if the tokenizer's files name one."""
        return self._named("eos_token")

    @property
    def pad_token(self) -> str | None:
        """The text of the token that fills rows, if the tokenizer's files name one."""
        return self._named("pad_token") or (self._definition.settings.padding or {}).get(
            "pad_token"
        )

    @property
    def bos_token_id(self) -> int | None:
        """The id of `bos_token`; ``None`` without one, or if it is no token."""
        return self._id(self.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        """The id of `eos_token`; ``None`` without one, or if it is no token."""
        return self._id(self.eos_token)

    @property
    def pad_token_id(self) -> int | None:
        """The id of `pad_token`; ``None`` without one, or if it is no token."""
        return self._id(self.pad_token)

    def _named(self, role: str) -> str | None:
        """Return the text of a token of tokenizer_config.json, which is a text or an object."""
        token = self._definition.settings.config.get(role)
        text = token.get("content") if isinstance(token, dict) else token
        return text if isinstance(text, str) else None

    def _id(self, token: str | None) -> int | None:
        if token is None:
            return None
        for added in self._definition.added_tokens:
            if added.text == token:
                return added.id
        return self._core.id(token.encode())


def _width(longest: int, length: int | None, multiple_of: int) -> int:
    if length is not None and longest > length:
        raise ValueError(
            f"a text has {longest} ids, more than length, {length}: pass max_length={length} to "
            "drop the last ones"
        )
    if multiple_of < 1:
        raise ValueError(f"multiple_of is {multiple_of}: pass 1 or more")
    return -(-(longest if length is None else length) // multiple_of) * multiple_of
