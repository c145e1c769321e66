"""Streaming text from a model: one text, or several in a batch.

Here prompts become ids and ids become text, which ends at the end of a document, after a number of
tokens, or before a stop string. `gpt.generation.decoder` computes the logits,
`gpt.generation.sampling` samples from them, and `gpt.generation.healing` continues a prompt that
ends inside a token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gpt.data.boundaries import Boundaries
from gpt.errors import ConfigError
from gpt.generation.decoder import Decoder
from gpt.generation.healing import Healing, PastPrompt
from gpt.generation.sampling import (
    Sampling,
    exclude,
    mask_of,
    penalize_repetition,
    read_ids,
    sample_tokens,
)
from gpt.model.language_model import LanguageModel
from gpt.parallel.memory import fitting_in_memory
from pytok.counted import counted
from pytok.decoding import StreamDecoder
from pytok.definition import END_OF_TEXT
from pytok.healing import Healed, heal

if TYPE_CHECKING:
    from pytok.tokenizer import Tokenizer


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    max_tokens: int = 256,
    sampling: Sampling | None = None,
    stop: Collection[str] = (),
    stop_ids: Collection[int] = (),
    healing: bool = False,
) -> Iterator[str]:
    """Stream the text that *model* generates after *prompt*, without *prompt* itself.

    The arguments are those of `generate_batch`.
    """
    deltas = generate_batch(
        model,
        tokenizer,
        [prompt],
        max_tokens=max_tokens,
        sampling=sampling,
        stop=stop,
        stop_ids=stop_ids,
        healing=healing,
    )
    return (delta for _, delta in deltas)


def generate_batch(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    *,
    max_tokens: int = 256,
    sampling: Sampling | None = None,
    stop: Collection[str] = (),
    stop_ids: Collection[int] = (),
    excluded_ids: Collection[int] = (),
    healing: bool = False,
) -> Iterator[tuple[int, str]]:
    """Stream the texts that *model* generates after *prompts*, as (index of the prompt, new text).

    A text ends after *max_tokens*, at the tokenizer's token for that (`gpt.data.boundaries`) or one
    of *stop_ids*, or before the first of the *stop* strings. The ids *excluded_ids* are never
    sampled. A prompt is either ids or text, in which special tokens are ordinary text, and which
    follows the ids that the tokenizer puts before a text, such as BOS. An empty prompt starts a
    document, which will not be empty; for that the tokenizer needs a token that starts one, else
    ConfigError is raised, as for an empty stop string.

    With *healing* a text prompt can end inside a token (`pytok.healing`): its last tokens are
    sampled again, among those that repeat the text of the prompt; these do not count as tokens. It
    is for prompts that a person types; other prompts end where their tokens end.

    Each text is the one that its prompt would get alone with its own seed, up to rounding. Raises
    TrainingError if the texts do not fit in the memory of the device.
    """
    if max_tokens < 1:
        raise ConfigError(f"tokens must be at least 1; got {max_tokens}")
    if "" in stop:
        raise ConfigError("a stop string is empty, so every text would end before it; remove it")
    boundaries = Boundaries.of(tokenizer)
    healed = [_begin(tokenizer, prompt, healing, boundaries) for prompt in prompts]
    ids = [begun.ids for begun in healed]
    if not all(ids):
        raise ConfigError(
            f"the vocabulary has no {END_OF_TEXT} to start a text with; give a prompt"
        )
    ends = {id for id in (*boundaries.ends, *stop_ids) if 0 <= id < model.vocab_size}
    is_empty = [row == boundaries.start for row in ids]
    sampler = _Sampler(sampling or Sampling(), ids, model, ends, is_empty, excluded_ids)
    repeated = Healing(tokenizer, [begun.rest for begun in healed], model)
    streams = [
        _TextStream(
            StreamDecoder(PastPrompt(tokenizer, begun.rest)) if begun.rest else tokenizer.decoder(),
            stop,
        )
        for begun in healed
    ]
    left = [max_tokens] * len(prompts)
    """The number of tokens that each text can still have."""

    # A generator of its own, so that the checks above run when this function is called.
    def deltas() -> Iterator[tuple[int, str]]:
        with _fitting(len(prompts), model):
            decoder = Decoder(model, ids)
        prompt_of = list(range(len(prompts)))
        """The prompt of each row of the decoder."""
        while True:
            sampled = sampler.sample(decoder.logits, repeated.excluded())
            continues = repeated.advance(sampled)
            active = []
            for row, (prompt, id) in enumerate(zip(prompt_of, sampled, strict=True)):
                stream = streams[prompt]
                left[prompt] -= continues[row]
                delta = "" if id in ends else stream.feed(id)
                if id in ends or not left[prompt]:
                    delta += stream.finish()
                elif not stream.stopped:
                    active.append(row)
                if delta:
                    yield prompt, delta
            if not active:
                return
            # Texts that have ended are removed from the batch, so the rest costs less.
            if len(active) < len(prompt_of):
                decoder.keep(active)
                sampler.keep(active)
                repeated.keep(active)
                prompt_of = [prompt_of[row] for row in active]
                sampled = [sampled[row] for row in active]
            with _fitting(len(prompts), model):
                decoder.append(sampled)

    return deltas() if prompts else iter(())


def _begin(
    tokenizer: Tokenizer, prompt: str | Sequence[int], healing: bool, boundaries: Boundaries
) -> Healed:
    """Return the ids with which a text begins, and the bytes at their end that are sampled again.

    None if *prompt* is empty and no token starts a text.
    """
    if not isinstance(prompt, str):
        return Healed([*prompt] or boundaries.start, b"")
    begun = Healed(tokenizer.encode_ordinary(prompt), b"")
    if healing and ((healed := heal(tokenizer, prompt)).ids or boundaries.start):
        begun = healed  # all of the prompt can be sampled again, after the token that starts a text
    if not begun.ids:
        return begun._replace(ids=boundaries.start)
    return begun._replace(ids=[*boundaries.prefix, *begun.ids])


def _fitting(texts: int, model: LanguageModel) -> AbstractContextManager[None]:
    """Return a context for work on *texts* texts, which may not fit in memory."""
    return fitting_in_memory(
        f"{counted(texts, 'text')} of up to {model.context} tokens",
        "generate fewer at once, or use --device cpu",
    )


class _Sampler:
    """Samples for the rows of a decoder, each with its own random state and set of tokens."""

    def __init__(
        self,
        sampling: Sampling,
        prompts: Sequence[Sequence[int]],
        model: LanguageModel,
        ends: Collection[int],
        is_empty: Sequence[bool],
        excluded_ids: Collection[int],
    ) -> None:
        device, vocab = model.device, model.vocab_size
        self._sampling = sampling
        self._generators = [
            torch.Generator(device).manual_seed((sampling.seed + index) % 2**63)
            for index in range(len(prompts))
        ]
        self._excluded = mask_of(excluded_ids, vocab, device) if excluded_ids else None
        # A document has at least one token.
        self._excluded_at_first: Tensor | None = None
        if any(is_empty):
            self._excluded_at_first = torch.tensor(is_empty)[:, None].to(device) & mask_of(
                ends, vocab, device
            )
        self._present: Tensor | None = None
        """Which tokens each text has, bool (B, V); None if it makes no difference."""
        if sampling.repetition_penalty != 1:
            self._present = torch.stack([mask_of(ids, vocab, device) for ids in prompts])

    @torch.inference_mode()
    def sample(self, logits: Tensor, excluded: Tensor | None) -> list[int]:
        """Sample a token for each row of *logits* (B, V); the device is waited for once.

        Those *excluded*, bool (B, V), are not sampled, nor those that never are.
        """
        if excluded is not None:
            logits = exclude(logits, excluded)
        if self._excluded_at_first is not None:
            logits = exclude(logits, self._excluded_at_first)
            self._excluded_at_first = None
        if self._excluded is not None:
            logits = exclude(logits, self._excluded)
        if self._present is None:
            return read_ids(sample_tokens(logits, self._sampling, self._generators))
        penalty = self._sampling.repetition_penalty
        logits = penalize_repetition(logits, self._present, penalty)
        ids = sample_tokens(logits, self._sampling, self._generators)
        read = read_ids(ids)
        self._present.scatter_(1, ids[:, None], True)
        return read

    def keep(self, rows: Sequence[int]) -> None:
        """Remove all rows except *rows*, which are renumbered in the given order."""
        self._generators = [self._generators[row] for row in rows]
        if self._present is not None:
            self._present = self._present[list(rows)]


class _TextStream:
    """The text of a stream of ids: complete characters, up to a stop string."""

    def __init__(self, decoder: StreamDecoder, stop: Collection[str]) -> None:
        self._decoder = decoder
        self._stop = stop
        self._pending = ""
        self.stopped = False
        """Whether a stop string was found."""

    def feed(self, id: int) -> str:
        """Return the text that *id* adds, without an end that can become a stop string."""
        self._pending += self._decoder.feed(id)
        found = [self._pending.index(text) for text in self._stop if text in self._pending]
        if found:
            self.stopped = True
            return self._pending[: min(found)]
        overlap = max((_overlap(self._pending, text) for text in self._stop), default=0)
        ready = len(self._pending) - overlap
        delta, self._pending = self._pending[:ready], self._pending[ready:]
        return delta

    def finish(self) -> str:
        """Return the remaining text after the last id."""
        return "" if self.stopped else self._pending + self._decoder.finish()


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of *text* that is a proper prefix of *stop*."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
