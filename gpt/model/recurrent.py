"""`Recurrent`: LSTMs that read a source and write a target, with the attention of Luong 2015.

Sutskever 2014, arXiv:1409.3215; Luong 2015, arXiv:1508.04025. B: batch size, S: tokens of the
longest source, T: tokens of targets, W: width, V: vocabulary size, L: layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gpt.data.batch import Batch
from gpt.errors import ConfigError
from gpt.model.model import Model, Prediction
from gpt.model.seq2seq import check_sources, sources_of
from gpt.nn.attention.alignment import LuongAttention
from gpt.nn.build import site_of
from gpt.nn.context import Memory
from gpt.nn.dropout import Dropout
from gpt.nn.head import Head
from gpt.nn.mechanism import Mechanism, TokenEmbedding, initialize
from gpt.nn.state import Cache, State
from gpt.spec.recurrent import RecurrentConfig


class LSTM(Mechanism, nn.LSTM):
    """Hochreiter 1997, with dropout between layers (Zaremba 2014, arXiv:1409.2329)."""

    def __init__(self, inputs: int, width: int, layers: int, dropout: float) -> None:
        super().__init__(
            inputs, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize weights as linear layers; forget gates are open (Jozefowicz 2015).

        Luong's uniform ±0.1 suits a width of 1,000: for narrow ones states would be tiny.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5, generator=generator)
            else:
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih"):
                    nn.init.ones_(parameter[self.hidden_size : 2 * self.hidden_size])

    def weight_flops(self) -> int:
        """Return two operations per weight."""
        return 2 * sum(each.numel() for each in self.parameters() if each.ndim == 2)


class RecurrentState:
    """What decoding keeps of each row: its source, the LSTM's states, and its last vector."""

    def __init__(self, memory: Memory, hidden: Tensor, cell: Tensor) -> None:
        """Start from *hidden* and *cell*, (L, B, W), without a token."""
        self.memory, self.hidden, self.cell = memory, hidden, cell
        self.fed = torch.zeros_like(hidden[0])[:, None]
        """The vector (B, 1, W) from which the last token was predicted."""

    def empty(self, rows: int) -> RecurrentState:
        """Raise: what rows have read is a part of them."""
        raise NotImplementedError("rows start with a source: use Recurrent.start")

    def restart(self, row: int, other: State, length: int) -> None:
        """Raise, as `empty` does."""
        raise NotImplementedError("rows start with a source: use Recurrent.start")

    def select(self, rows: Sequence[int]) -> None:
        """Keep *rows*, in this order; a row can be repeated."""
        index = list(rows)
        self.memory = Memory(*(each[index] for each in self.memory))
        self.hidden, self.cell = self.hidden[:, index], self.cell[:, index]
        self.fed = self.fed[index]

    def truncate(self, removed: int) -> bool:
        """Return whether nothing is to be removed: earlier states are not kept."""
        return not removed

    def bytes_at(self, tokens: int) -> int:
        """Return the bytes of rows of *tokens* tokens, however many."""
        return self.nbytes

    @property
    def nbytes(self) -> int:
        """Size of its tensors in bytes."""
        return sum(each.nbytes for each in (self.hidden, self.cell, self.fed, *self.memory))


class Recurrent(Model):
    """p(target | source) by two LSTMs. See `gpt.model.seq2seq`.

    The encoder's last states are the decoder's first. The vector h̃_t from which token t + 1 is
    predicted is the decoder's state, or with attention tanh(W_c [c_t; h_t]); with input feeding it
    is read, beside token t + 1, by the next step.
    """

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width, layers = config.width, config.layers
        site = site_of(cast(Any, config), config.vocab_size)
        self.source_embedding = TokenEmbedding(site.vocab_rows, width)
        self.embedding = TokenEmbedding(site.vocab_rows, width)
        if config.share_embedding:
            self.source_embedding = self.embedding
        rate = config.dropout.rate
        self.encoder = LSTM(width, width, layers, rate)
        self.decoder = LSTM((1 + config.input_feeding) * width, width, layers, rate)
        self.attention: LuongAttention | None = None
        if config.alignment is not None:
            self.attention = LuongAttention(config.alignment, site)
        self.dropout = Dropout(rate)
        self.head = Head(site)
        if config.tie:
            self.head.weight = self.embedding.weight
        initialize(self, torch.Generator().manual_seed(seed))

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize embeddings with variance 1, and the head as a linear layer.

        With a head of 0.02 the first steps, in which a large vocabulary is learned to be rare,
        saturate the tanh of the vectors, and nothing of the source was learned at any rate.
        """
        for table in (self.source_embedding, self.embedding):
            nn.init.normal_(table.weight, generator=generator)
        nn.init.normal_(self.head.weight, std=self.config.width**-0.5, generator=generator)

    @staticmethod
    def layers_of(config: RecurrentConfig) -> Mapping[str, int]:
        """Return the beginnings of the names of tensors of LSTM layers, and their number."""
        return {f"{side}.weight_hh_l{{layer}}": config.layers for side in ("encoder", "decoder")}

    def forward(
        self, inputs: Batch, objective: Callable[[Recurrent, Batch], Any] | None = None
    ) -> Any:
        """Return the logits (B, T, V) of the targets of *inputs*, or *objective* of them."""
        if objective is not None:
            return objective(self, inputs)
        return self._logits(self._hidden(inputs))

    def start(self, sources: Tensor) -> Cache:
        """Read *sources*, ids (B, S) padded with `NO_TOKEN`; return rows without a token."""
        return Cache([self._encode(sources)], len(sources))

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Add *ids* (B, T) to the targets of *cache*; return the logits (B, V) after them."""
        (state,) = cache.states
        hidden = self._decode(ids, cast(RecurrentState, state), cache.lengths[0])
        cache.advance(ids.shape[1])
        return self._logits(hidden[:, -1])

    def predicted_from(self, batch: Batch) -> Prediction:
        """Return what the targets of *batch* are predicted from."""
        return Prediction(self._hidden(batch), self.head)

    @property
    def recompute(self) -> bool:
        """Always false: there are no blocks."""
        return False

    @recompute.setter
    def recompute(self, value: bool) -> None:
        if value:
            raise ConfigError("recompute: an LSTM has no blocks to recompute; remove it")

    @property
    def units(self) -> Sequence[nn.Module]:
        """Raise: weights of torch's LSTM cannot be sharded."""
        raise ConfigError("parallel = fsdp: the weights of an LSTM cannot be sharded; use ddp")

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(hidden)
        return logits[..., : self.vocab_size]

    def _hidden(self, batch: Batch) -> Tensor:
        """Return the vectors (B, T, W) from which the targets of *batch* are predicted."""
        return self._decode(batch.inputs, self._encode(sources_of(batch)), 0)

    def _encode(self, sources: Tensor) -> RecurrentState:
        mask = check_sources(sources, self.context) >= 0
        lengths = mask.sum(1)
        ids = sources.clamp_min(0)
        # Its own inverse: the states get back the positions of their tokens.
        positions = torch.arange(ids.shape[1], device=ids.device)
        reversed_positions = (lengths[:, None] - 1 - positions).clamp_min(0)
        if self.config.reverse:
            ids = ids.gather(1, reversed_positions)
        packed = pack_padded_sequence(
            self.dropout(self.source_embedding(ids)),
            lengths.cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        states, (hidden, cell) = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=ids.shape[1])
        if self.config.reverse:
            states = states.gather(1, reversed_positions[..., None].expand_as(states))
        return RecurrentState(Memory(states, mask), hidden, cell)

    def _decode(self, ids: Tensor, state: RecurrentState, first: int) -> Tensor:
        """Return the vectors (B, T, W) after *ids* (B, T), from position *first* on."""
        x = self.dropout(self.embedding(ids))
        if not self.config.input_feeding:
            return self._advance(x, state, first)
        # Token by token: each step reads the vector of the one before.
        vectors = []
        for index in range(ids.shape[1]):
            fed = torch.cat((x[:, index : index + 1], state.fed.to(x.dtype)), dim=-1)
            vectors.append(self._advance(fed, state, first + index))
        return torch.cat(vectors, dim=1)

    def _advance(self, x: Tensor, state: RecurrentState, first: int) -> Tensor:
        """Run the decoder over x (B, T, inputs) from *state*, which it changes."""
        hidden, (state.hidden, state.cell) = self.decoder(x, (state.hidden, state.cell))
        vectors: Tensor = self.dropout(hidden)
        if self.attention is not None:
            vectors = self.attention(vectors, state.memory, first)
        state.fed = vectors[:, -1:]
        return vectors
