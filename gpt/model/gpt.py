"""`GPT`: a model, assembled from the mechanisms that its config names.

The mechanisms are in `gpt.nn`, training is in `gpt.training`. Tensors of ids are int64.
B: batch size, T: tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gpt.model.block import Block
from gpt.nn.build import CAPS, NORMS, POSITIONS, RESIDUALS, SHIFTS, VALUE_EMBEDDINGS
from gpt.nn.cache import KeyValueCache
from gpt.nn.dropout import Dropout
from gpt.nn.loss import linear_cross_entropy
from gpt.nn.position import Positions
from gpt.spec.architecture import GPTConfig

Cache: TypeAlias = list[KeyValueCache]
"""A cache for each layer, and one for token shift if there is one; see `GPT.new_cache`."""


class Output(NamedTuple):
    """Result of a forward pass."""

    logits: Tensor | None
    """(B, T, vocab_size); None if targets were given."""
    loss: Tensor | None
    """Mean over the targets in nats per token, float32; None without targets."""


class GPT(nn.Module):
    """A decoder-only transformer (Radford 2018, GPT) with the mechanisms of *config*.

    The weights are a function of *config* and *seed*. The embedding and the head have
    `padded_vocab` rows; the rows past the vocabulary are never read, sampled or trained.
    """

    def __init__(self, config: GPTConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        rows = padded_vocab(config.vocab_size)
        self.embedding = nn.Embedding(rows, config.width)
        self.shift = SHIFTS[type(config.shift)](config.shift, config.width)
        self.position = POSITIONS[type(config.position)](config.position, config)
        self.dropout = Dropout(config.dropout)
        self.residual = RESIDUALS[type(config.residual)](config.residual, config.layers)
        self.values = VALUE_EMBEDDINGS[type(config.value_embedding)](
            config.value_embedding, config, rows
        )
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = NORMS[type(config.norm)](config.norm, config.width)
        self.head = nn.Linear(config.width, rows, bias=False)
        if config.tie:
            self.head.weight = self.embedding.weight
        self.cap = CAPS[type(config.cap)](config.cap)
        self.recompute = False
        """Activation checkpointing: recompute the activations of blocks in the backward pass."""
        self._initialize(torch.Generator().manual_seed(seed))

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Output:
        """Predict the token after each of *ids* (B, T).

        With *targets* (B, T), the next tokens, compute the loss; otherwise the logits. With
        *cache*, *ids* continue the tokens that it holds, and are added to it. With *document_ids*
        (`Batch.document_ids`), tokens attend only to their own document, whose positions start
        from 0. Raises ValueError if *ids* do not fit the context, or if both *cache* and
        *document_ids* are given.
        """
        if cache and document_ids is not None:
            raise ValueError("document_ids cannot be used with a cache; pass complete rows")
        lengths = cache[0].lengths if cache else [0]
        longest = max(lengths) + ids.shape[1]
        if longest > self.config.context:
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.context}")
        # Rows of one length need no tensor of positions: a slice of each table serves them all.
        positions: Positions = lengths[0]
        if min(lengths) != max(lengths):
            start = torch.tensor(lengths, device=ids.device)[:, None]
            positions = start + torch.arange(ids.shape[1], device=ids.device)
        # Blocks use the positions in the row: only distances matter there.
        document_positions, same_document = positions, None
        if document_ids is not None:
            document_positions = positions_within(document_ids)
            same_document = document_ids[:, :, None] == document_ids[:, None, :]
        # The cache of token shift, if any, comes after those of the layers.
        shifted = self.shift(self.embedding(ids), cache[-1] if cache else None, document_ids)
        x = self.dropout(self.position.add(shifted, document_positions))  # (B, T, width)
        if torch.is_autocast_enabled(x.device.type):
            # PERF: in the dtype of the products, the residual stream is never copied to another.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x0 = x
        for layer, block in enumerate(self._layers()):
            x = self.residual(x, x0, layer)
            value_embedding = self.values(ids, layer)
            past = cache[layer] if cache else None
            inputs = (x, self.position, positions, past, value_embedding, same_document)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, *inputs, use_reentrant=False)
            else:
                x = block(*inputs)
        x = self.norm(x)
        vocab = self.config.vocab_size
        if targets is not None:
            # In chunks: the logits of all tokens would be the largest tensor of a step.
            hidden = x.flatten(0, 1)  # (B * T, width)
            head = self.head.weight[:vocab]
            loss = linear_cross_entropy(hidden, head, targets.flatten(), self.cap)
            return Output(logits=None, loss=loss)
        logits = self.cap(self.head(x))
        return Output(logits=logits[..., :vocab], loss=None)

    def new_cache(self, batch: int, dtype: torch.dtype = torch.float32) -> Cache:
        """Create an empty cache for *batch* rows of up to a full context of tokens each."""
        context = self.config.context
        layers = [block.attention.new_cache(batch, context, dtype) for block in self._layers()]
        return [*layers, *self.shift.new_cache(batch, context, dtype)]

    def _layers(self) -> Iterator[Block]:
        # The elements of a ModuleList are typed as Module.
        return (cast(Block, block) for block in self.blocks)

    def _initialize(self, generator: torch.Generator) -> None:
        """Initialize the weights so that activations keep their scale and every block is identity.

        Embeddings and the head are normal with standard deviation 0.02 (Radford 2019, GPT-2), the
        linear layers of blocks with 1/√inputs (LeCun 1998, Efficient BackProp; on 1 MB of text
        0.05 bits per byte better after a hundred steps than 0.02), biases zero and scales one.
        The last linear layer of each branch is zero (Zhang 2019, Fixup, arXiv:1901.09321).
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding) or module is self.head:
                nn.init.normal_(module.weight, std=0.02, generator=generator)
            elif isinstance(module, nn.Linear):
                deviation = module.in_features**-0.5
                nn.init.normal_(module.weight, std=deviation, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self._layers():
            nn.init.zeros_(block.attention.output.weight)
            nn.init.zeros_(block.mlp.output.weight)


def positions_within(document_ids: Tensor) -> Tensor:
    """Return the position of each token within its document in the row: (B, T), int64."""
    positions = torch.arange(document_ids.shape[1], device=document_ids.device)
    starts = document_ids.diff(dim=1, prepend=document_ids[:, :1] - 1) != 0
    return positions - torch.where(starts, positions, 0).cummax(1).values


def padded_vocab(vocab_size: int) -> int:
    """Round *vocab_size* up to a multiple of 64, for which matrix kernels are faster (nanoGPT)."""
    return -(-vocab_size // 64) * 64
