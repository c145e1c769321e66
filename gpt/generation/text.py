"""Text from a model, as a stream: one text, or several at once.

`gpt.generation.decoder` predicts, `gpt.generation.sampling` draws; here prompts become ids and ids
become text, which
ends at the end of a document, at a length, or before a stop string.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from gpt.errors import ConfigError
from gpt.generation.decoder import Decoder
from gpt.generation.sampling import Sampling, choose, penalize, without
from gpt.model.gpt import GPT
from pytok.definition import END_OF_TEXT

if TYPE_CHECKING:
    from pytok.decoding import StreamDecoder
    from pytok.tokenizer import Tokenizer


def generate(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    max_tokens: int = 256,
    sampling: Sampling | None = None,
    stop: Collection[str] = (),
    stop_ids: Collection[int] = (),
) -> Iterator[str]:
    """Stream the text that *model* writes after *prompt*, in pieces, without *prompt*.

    All else is as in `generate_batch`.
    """
    pieces = generate_batch(
        model,
        tokenizer,
        [prompt],
        max_tokens=max_tokens,
        sampling=sampling,
        stop=stop,
        stop_ids=stop_ids,
    )
    return (piece for _, piece in pieces)


def generate_batch(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    *,
    max_tokens: int = 256,
    sampling: Sampling | None = None,
    stop: Collection[str] = (),
    stop_ids: Collection[int] = (),
    excluded_ids: Collection[int] = (),
) -> Iterator[tuple[int, str]]:
    """Stream the texts that *model* writes after *prompts*: (number of the prompt, next piece).

    A text ends after *max_tokens*, at the end-of-text token or one of *stop_ids*, or before the
    first of the *stop* strings; none of the ids *excluded_ids* is ever drawn. A prompt is text, in which
    special tokens are text like any other, or its ids. An empty one begins a document, which is not
    empty; for that the tokenizer needs an end-of-text token (ConfigError without). Each text is the
    one that its prompt gets alone, with its own seed, but for the rounding of sums.
    """
    if max_tokens < 1:
        raise ConfigError(f"tokens must be at least 1; got {max_tokens}")
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    ids = [
        tokenizer.encode_ordinary(prompt) if isinstance(prompt, str) else list(prompt)
        for prompt in prompts
    ]
    for row in ids:
        if row:
            continue
        if end is None:
            raise ConfigError(f"the vocabulary has no {END_OF_TEXT} to begin with; give a prompt")
        row.append(end)
    ends = {end, *stop_ids}
    chooser = _Chooser(sampling or Sampling(), ids, model, end, excluded_ids)
    texts = [_Text(tokenizer.decoder(), stop) for _ in prompts]

    def pieces() -> Iterator[tuple[int, str]]:
        decoder = Decoder(model, chooser.prompts)
        rows = list(range(len(prompts)))
        """The text that each row of the decoder writes."""
        for left in range(max_tokens - 1, -1, -1):
            chosen = chooser.next(decoder, rows)
            going = []
            for place, (row, id) in enumerate(zip(rows, chosen, strict=True)):
                text = texts[row]
                piece = "" if id in ends else text.feed(id)
                if id in ends or not left:
                    piece += text.finish()
                elif not text.ended:
                    going.append(place)
                if piece:
                    yield row, piece
            if not going:
                return
            if len(going) < len(rows):
                decoder.keep(going)
                rows, chosen = ([values[place] for place in going] for values in (rows, chosen))
            decoder.append(chosen)

    return pieces() if prompts else iter(())


class _Chooser:
    """The draws of several texts: a random stream each, and the tokens that each has already."""

    def __init__(
        self,
        sampling: Sampling,
        prompts: Sequence[Sequence[int]],
        model: GPT,
        end: int | None,
        excluded_ids: Collection[int],
    ) -> None:
        device, vocab = model.embedding.weight.device, model.config.vocab_size
        self.prompts = prompts
        self._sampling = sampling
        self._draws = [
            torch.Generator(device).manual_seed((sampling.seed + row) % 2**63)
            for row in range(len(prompts))
        ]
        self._end = end
        self._excluded_ids = excluded_ids
        self._empty = [ids == [end] for ids in prompts]
        self._present = torch.zeros(len(prompts), vocab, dtype=torch.bool, device=device)
        for row, ids in enumerate(prompts):
            self._present[row, list(ids)] = True

    @torch.inference_mode()
    def next(self, decoder: Decoder, rows: Sequence[int]) -> list[int]:
        """Draw a token for each of *rows*, which the decoder's rows write."""
        chosen = []
        for row, logits in zip(rows, decoder.logits, strict=True):
            if self._empty[row]:  # a document does not end where it begins
                logits[self._end] = -math.inf
                self._empty[row] = False
            if self._excluded_ids:
                logits = without(logits, self._excluded_ids)
            if self._sampling.repetition_penalty != 1:
                logits = penalize(logits, self._present[row], self._sampling.repetition_penalty)
            id = choose(logits, self._sampling, self._draws[row])
            self._present[row, id] = True
            chosen.append(id)
        return chosen


class _Text:
    """One text as it is written: whole characters, up to a stop string."""

    def __init__(self, decoder: StreamDecoder, stop: Collection[str]) -> None:
        self._decoder = decoder
        self._stop = stop
        self._held = ""
        self.ended = False
        """A stop string has come."""

    def feed(self, id: int) -> str:
        """Return what *id* adds; what may begin a stop string is held back."""
        self._held += self._decoder.feed(id)
        found = [self._held.index(text) for text in self._stop if text in self._held]
        if found:
            self.ended = True
            return self._held[: min(found)]
        kept = max((_overlap(self._held, text) for text in self._stop), default=0)
        ready = len(self._held) - kept
        piece, self._held = self._held[:ready], self._held[ready:]
        return piece

    def finish(self) -> str:
        """Return what is left when no more tokens come."""
        return "" if self.ended else self._held + self._decoder.finish()


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of *text* may be the first of *stop*."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
