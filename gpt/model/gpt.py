"""`GPT`: a model, assembled from the mechanisms that its config names, and `Stack`, its blocks.

The mechanisms are in `gpt.nn`, training is in `gpt.training`. Tensors of ids are int64.
B: batch size, T: tokens, V: vocabulary size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gpt.data.batch import Batch
from gpt.errors import ConfigError
from gpt.model.model import Model, Prediction
from gpt.nn.build import site_of
from gpt.nn.context import Context, Memory
from gpt.nn.dropout import Dropout
from gpt.nn.head import Head
from gpt.nn.mechanism import Mixed, TokenEmbedding, initialize
from gpt.nn.positions.encoding import PositionEncoding, Positions
from gpt.nn.state import Cache, State
from gpt.nn.wiring import Block, total
from gpt.spec.architecture import GPTConfig


class Stack(Model):
    """Token embeddings and blocks, up to the residual stream that a head or a decoder reads.

    With *cross*, its blocks also attend to a memory. Tables of tokens have the rows of
    `gpt.nn.site.Site.vocab_rows`. The weights are not drawn yet.
    """

    config: GPTConfig

    def __init__(self, config: GPTConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.config = config
        self.site = site_of(config, config.vocab_size, cross=cross)
        site = self.site
        self.embedding = TokenEmbedding(site.vocab_rows, config.width)
        self.embedding_scale = site.build(config.embedding_scale)
        self.embedding_norm = site.build(config.embedding_norm)
        self.shift = site.build(config.shift)
        self.position: PositionEncoding = site.build(config.position) or PositionEncoding()
        self.dropout = Dropout(config.dropout.of_embedding)
        self.residual = site.build(config.residual)
        self.values = site.build(config.value_embedding)
        self.value_residual = site.build(config.value_residual)
        self.blocks = nn.ModuleList(
            site.at(layer).build(config.wiring) for layer in range(config.layers)
        )
        last_norm = site.build(config.norm) if self._blocks[0].last_norm else None
        self.norm = last_norm or nn.Identity()

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Mixed:
        """Return the residual stream after the blocks, (B, T, width), and auxiliary losses.

        Arguments and errors are those of `GPT.forward`.
        """
        if cache is not None and document_ids is not None:
            raise ValueError("document_ids cannot be used with a cache; pass complete rows")
        starts = (0,) if cache is None else tuple(dict.fromkeys(cache.lengths))
        longest = max(starts) + ids.shape[1]
        if longest > self.config.context:
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.context}")
        self.position.reserve(longest)
        # Rows of one length need no tensor of positions: a slice of each table serves them all.
        positions: Positions = starts[0]
        if len(starts) > 1 and cache is not None:
            starts = tuple(cache.lengths)
            first = torch.tensor(starts, device=ids.device)[:, None]
            positions = first + torch.arange(ids.shape[1], device=ids.device)
        states: Sequence[State | None] = [None] * (len(self.blocks) + 1)
        if cache is not None:
            states = [*cache.states, None][: len(self.blocks) + 1]
        document_positions = None if document_ids is None else positions_within(document_ids)
        x = self.embedding(ids)
        if self.embedding_scale is not None:
            x = self.embedding_scale(x)
        if self.shift is not None:
            x = self.shift(x, states[-1], document_ids)
        embedded = positions if document_positions is None else document_positions
        x = self.position.embed(x, embedded)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        x = self.dropout(x)
        if torch.is_autocast_enabled(x.device.type):
            # PERF: in the dtype of the products, the residual stream is never copied to another.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        context = Context(
            ids=ids,
            starts=starts,
            positions=positions,
            position=self.position,
            document_ids=document_ids,
            document_positions=document_positions,
            memory=memory,
        )
        losses, streams = [], [x]
        first_values: list[Tensor] = []
        for layer, (block, state) in enumerate(zip(self._blocks, states, strict=False)):
            if self.residual is not None:
                x = self.residual(streams)
            context = dataclasses.replace(
                context,
                position=self.position.in_layer(layer),
                value_embedding=None if self.values is None else self.values(ids, layer),
                value_residual=self.value_residual
                and partial(self.value_residual, layer=layer, kept=first_values),
            )
            if self.recompute and torch.is_grad_enabled():
                x, loss = checkpoint(block, x, context, state, use_reentrant=False)
            else:
                x, loss = block(x, context, state)
            losses.append(loss)
            if self.residual is not None:
                streams.append(x)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.norm(x), total(*losses)

    def new_cache(
        self, batch: int, dtype: torch.dtype = torch.float32, memory: Memory | None = None
    ) -> Cache:
        """Create an empty cache for *batch* rows of up to a full context of tokens each.

        The CPU's kernels are the fastest in float32. The rows of a decoder attend to *memory*,
        which is projected here, once. Raises ConfigError if tokens attend to later ones, or if
        their keys change as the text grows.
        """
        if not self.config.attention.causal:
            raise ConfigError(
                "this model attends to later tokens, so it cannot generate text token by token; "
                "train one whose attention is causal"
            )
        self.position.check_decoding()
        states: list[State] = [block.new_state(batch, dtype, memory) for block in self._blocks]
        if self.shift is not None:
            states.append(self.shift.new_state(batch, dtype))
        return Cache(states, batch)

    @property
    def units(self) -> Sequence[nn.Module]:
        """The blocks."""
        return self._blocks

    @property
    def _blocks(self) -> list[Block]:
        # The elements of a ModuleList are typed as Module.
        return [cast(Block, block) for block in self.blocks]


class GPT(Stack):
    """A decoder-only transformer (Radford 2018, GPT) with the mechanisms of *config*.

    The weights are a function of *config* and *seed*; without a seed, they are not drawn yet. With
    *cross*, it is the decoder of an encoder-decoder.
    """

    def __init__(self, config: GPTConfig, seed: int | None = 0, *, cross: bool = False) -> None:
        super().__init__(config, cross=cross)
        self.head_transform = self.site.build(config.head_transform)
        self.logit_scale = self.site.build(config.logit_scale)
        self.head = Head(self.site, bias=config.head_bias)
        if config.tie:
            self.head.weight = self.embedding.weight
        self.cap = self.site.build(config.cap)
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            for child in self.children():
                initialize(child, generator)

    @staticmethod
    def layers_of(config: GPTConfig) -> Mapping[str, int]:
        """Return the beginning of the names of tensors of a block, and the number of blocks."""
        return {"blocks.{layer}.": config.layers}

    def forward(
        self,
        inputs: Tensor | Batch,
        objective: Callable[[GPT, Batch], Any] | None = None,
        *,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Any:
        """Return the logits (B, T, V) of the token after each of the ids *inputs* (B, T).

        With *cache*, *inputs* continue the tokens that it holds, and are added to it. With
        *document_ids* (`Batch.document_ids`), tokens attend only to their own document, whose
        positions start from 0. Raises ValueError if *inputs* do not fit the context, or if both
        *cache* and *document_ids* are given. *memory* is what the decoder of an encoder-decoder
        attends to; a cache has its own.

        With *objective*, *inputs* are a batch, and the result is ``objective(self, batch)``: a loss
        is computed within the forward pass, where the weights of a sharded model are complete.
        """
        if objective is not None:
            return objective(self, cast(Batch, inputs))
        hidden, _ = self.hidden(
            cast(Tensor, inputs), cache=cache, document_ids=document_ids, memory=memory
        )
        logits = self.head(hidden)[..., : self.vocab_size]
        return logits if self.cap is None else self.cap(logits)

    def hidden(
        self,
        ids: Tensor,
        *,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Mixed:
        """Return what the head reads, (B, T, width), and auxiliary losses."""
        x, loss = super().hidden(ids, cache=cache, document_ids=document_ids, memory=memory)
        if self.head_transform is not None:
            x = self.head_transform(x)
        # The head is linear, so its input can be scaled.
        return x if self.logit_scale is None else self.logit_scale(x), loss

    def predicted_from(self, batch: Batch) -> Prediction:
        """Return what the targets of *batch* are predicted from."""
        hidden, auxiliary = self.hidden(batch.inputs, document_ids=batch.document_ids)
        return Prediction(hidden, self.head, self.cap, auxiliary)


def positions_within(document_ids: Tensor) -> Tensor:
    """Return the position of each token within its document in the row: (B, T), int64."""
    positions = torch.arange(document_ids.shape[1], device=document_ids.device)
    starts = document_ids.diff(dim=1, prepend=document_ids[:, :1] - 1) != 0
    return positions - torch.where(starts, positions, 0).cummax(1).values
