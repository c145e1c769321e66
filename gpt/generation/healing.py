"""Token healing: the next tokens repeat the end of a prompt, which ended inside a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gpt.generation.sampling import mask_of
from gpt.model.language_model import LanguageModel
from pytok.healing import TokenIndex

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


class Healing:
    """The bytes that the next tokens of each row must repeat: *rests*, empty for most rows.

    B: number of rows, V: vocabulary size of *model*.
    """

    def __init__(self, tokenizer: Tokenizer, rests: Sequence[bytes], model: LanguageModel) -> None:
        self._rests = list(rests)
        self._vocab_size, self._device = model.vocab_size, model.device
        self._tokenizer = tokenizer
        self._index = TokenIndex(tokenizer) if any(rests) else None

    def excluded(self) -> Tensor | None:
        """Return the tokens that do not fit each row, bool (B, V); None if all fit."""
        if self._index is None or not any(self._rests):
            return None
        nothing = torch.zeros(self._vocab_size, dtype=torch.bool, device=self._device)
        masks = {b"": nothing}
        for rest in {*self._rests} - {b""}:
            allowed = self._index.allowed(rest).tolist()
            masks[rest] = ~mask_of(allowed, self._vocab_size, self._device)
        return torch.stack([masks[rest] for rest in self._rests])

    def advance(self, ids: Sequence[int]) -> list[bool]:
        """Append one token to each row; return whether it goes past the end of the prompt."""
        continues = []
        for row, id in enumerate(ids):
            rest = self._rests[row]
            size = len(self._tokenizer.decode_bytes([id])) if rest else 0
            continues.append(not rest or size > len(rest))
            self._rests[row] = rest[size:]
        return continues

    def keep(self, rows: Sequence[int]) -> None:
        """Remove all rows except *rows*, which are renumbered in the given order."""
        self._rests = [self._rests[row] for row in rows]


class PastPrompt:
    """Decodes ids to bytes, without the end of a prompt, *rest*, that the first of them repeat."""

    def __init__(self, tokenizer: Tokenizer, rest: bytes) -> None:
        self._decode = tokenizer.decode_bytes
        self._left = len(rest)

    def __call__(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of *ids*, which follow those of the last call."""
        data = self._decode(ids)
        dropped = min(self._left, len(data))
        self._left -= dropped
        return data[dropped:]
