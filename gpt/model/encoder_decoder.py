"""`EncoderDecoder`: a transformer that reads a source and writes a target.

Vaswani 2017, arXiv:1706.03762. It is assembled of the blocks of `gpt.model.gpt`: a bidirectional
`Stack` reads the source, and the blocks of a `GPT` also attend to what it returns. B: batch size,
S: tokens of the longest source, T: tokens of targets, V: vocabulary size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gpt.data.batch import PADDING, Batch
from gpt.model.gpt import GPT, Stack
from gpt.model.model import Model, Prediction
from gpt.model.seq2seq import sources_of
from gpt.nn.context import Memory
from gpt.nn.mechanism import BranchOutput, TokenEmbedding, initialize
from gpt.nn.state import Cache
from gpt.nn.wiring import total
from gpt.spec.encoder_decoder import EncoderDecoderConfig


class EncoderDecoder(Model):
    """p(target | source) = Π p(y_t | y_<t, encoder(source)). See `gpt.model.seq2seq`."""

    config: EncoderDecoderConfig

    def __init__(self, config: EncoderDecoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.encoder = Stack(config.encoder_config())
        self.decoder = GPT(config.decoder_config(), seed=None, cross=True)
        if config.share_embedding:
            self.encoder.embedding = self.decoder.embedding
        generator = torch.Generator().manual_seed(seed)
        initialize(self, generator)

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize embeddings with 1/√width, and branches like other layers (Glorot 2010).

        As the authors' code does. With branches of zero and embeddings of 0.02, whose sum with the
        sinusoids is mostly position, 2 + 2 layers of 128 had a loss of 2.9 nats after 120 steps on
        reversed digits; so they have 1.8.
        """
        for module in self.modules():
            if isinstance(module, TokenEmbedding):
                nn.init.normal_(module.weight, std=self.config.width**-0.5, generator=generator)
            elif isinstance(module, BranchOutput):
                nn.init.xavier_uniform_(module.weight, generator=generator)

    @staticmethod
    def layers_of(config: EncoderDecoderConfig) -> Mapping[str, int]:
        """Return the beginnings of the names of tensors of blocks, and the numbers of blocks."""
        return {
            "encoder.blocks.{layer}.": config.encoder_layers or config.layers,
            "decoder.blocks.{layer}.": config.layers,
        }

    def forward(
        self, inputs: Batch, objective: Callable[[EncoderDecoder, Batch], Any] | None = None
    ) -> Any:
        """Return the logits (B, T, V) of the targets of *inputs*, or *objective* of them."""
        if objective is not None:
            return objective(self, inputs)
        memory, _ = self._encode(sources_of(inputs))
        return self.decoder(inputs.inputs, memory=memory)

    def start(self, sources: Tensor) -> Cache:
        """Read *sources*, ids (B, S) padded with `NO_TOKEN`; return rows without a token.

        The keys and values of the encoder's outputs are computed here, once.
        """
        memory, _ = self._encode(sources)
        return self.decoder.new_cache(len(sources), torch.float32, memory)

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Add *ids* (B, T) to the targets of *cache*; return the logits (B, V) after them."""
        logits: Tensor = self.decoder(ids, cache=cache)
        return logits[:, -1]

    def predicted_from(self, batch: Batch) -> Prediction:
        """Return what the targets of *batch* are predicted from, with losses of both sides."""
        memory, first = self._encode(sources_of(batch))
        hidden, second = self.decoder.hidden(batch.inputs, memory=memory)
        return Prediction(hidden, self.decoder.head, self.decoder.cap, total(first, second))

    @property
    def recompute(self) -> bool:
        """Activation checkpointing, of both sides."""
        return self.decoder.recompute

    @recompute.setter
    def recompute(self, value: bool) -> None:
        self.encoder.recompute = self.decoder.recompute = value

    @property
    def units(self) -> Sequence[nn.Module]:
        """The blocks of both sides."""
        return [*self.encoder.units, *self.decoder.units]

    def _encode(self, sources: Tensor) -> tuple[Memory, Tensor | None]:
        mask = sources >= 0
        # Padding is a document of its own: no token of the source attends to it.
        documents = torch.where(mask, 0, PADDING)
        hidden, auxiliary = self.encoder.hidden(sources.clamp_min(0), document_ids=documents)
        return Memory(hidden, mask), auxiliary
