"""The model: `Block` and `GPT`, assembled from the zoo by a config.

Assembly only. What a mechanism computes is in `gpt.nn`; how a model is trained, in `gpt.training`.
Tensors of ids are int64. B: batch, T: tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gpt.nn.build import (
    ATTENTIONS,
    CAPS,
    MLPS,
    NORMS,
    POSITIONS,
    RESIDUALS,
    SHIFTS,
    VALUE_EMBEDDINGS,
)
from gpt.nn.cache import KeyValueCache
from gpt.nn.dropout import Dropout
from gpt.nn.loss import linear_cross_entropy
from gpt.nn.position import Position, Positions
from gpt.spec.architecture import Architecture, GPTConfig

Cache: TypeAlias = list[KeyValueCache]
"""One cache a layer, and one more where tokens are shifted; `GPT.new_cache` makes it."""


class Output(NamedTuple):
    """What a forward pass gives."""

    logits: Tensor | None
    """(B, T, vocab_size); None where targets were given."""
    loss: Tensor | None
    """Nats per token, the mean over the targets, float32; None without targets."""


class Block(nn.Module):
    """x → x + attention(norm(x)) → x + mlp(norm(x)): pre-norm, as in GPT-2."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        spec, width = architecture, architecture.width
        self.attention_norm = NORMS[type(spec.norm)](spec.norm, width)
        self.attention = ATTENTIONS[type(spec.attention)](spec.attention, architecture, layer)
        self.mlp_norm = NORMS[type(spec.norm)](spec.norm, width)
        self.mlp = MLPS[type(spec.mlp)](spec.mlp, width, spec.hidden, spec.bias)
        self.dropout = Dropout(spec.dropout)

    def forward(
        self,
        x: Tensor,
        position: Position,
        positions: Positions,
        cache: KeyValueCache | None,
        embedded: Tensor | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """One layer over the residual stream x (B, T, width); the rest is for its attention."""
        attended = self.attention(
            self.attention_norm(x), position, positions, cache, embedded, same_document
        )
        x = x + self.dropout(attended)
        mapped: Tensor = self.mlp(self.mlp_norm(x))
        return x + cast(Tensor, self.dropout(mapped))


class GPT(nn.Module):
    """A decoder-only transformer (Radford 2018, GPT), its mechanisms chosen by *config*.

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
        """Keep no activations inside blocks for the backward pass; compute them again in it."""
        self._initialize(torch.Generator().manual_seed(seed))

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Output:
        """Predict the token after each of *ids* (B, T).

        With *targets* (B, T), the tokens that did come, the loss; without, the logits. With
        *cache*, *ids* go on from the tokens that it holds, and are added to it. With *document_ids*
        (`Batch.document_ids`), each is read as if it were alone. Raises ValueError where *ids* do not
        fit the context, and for *cache* and *document_ids* at once.
        """
        if cache and document_ids is not None:
            raise ValueError("document_ids are kept apart in whole rows only, not with a cache")
        lengths = cache[0].lengths if cache else [0]
        longest = max(lengths) + ids.shape[1]
        if longest > self.config.context:
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.context}")
        alike = min(lengths) == max(lengths)
        positions: Positions = lengths[0]
        if not alike:
            first = torch.tensor(lengths, device=ids.device)[:, None]
            positions = first + torch.arange(ids.shape[1], device=ids.device)
        document_positions, same_document = positions, None
        if document_ids is not None:
            document_positions = positions_within(document_ids)
            same_document = document_ids[:, :, None] == document_ids[:, None, :]
        shifted = self.shift(self.embedding(ids), cache[-1] if cache else None, document_ids)
        x = self.dropout(self.position.add(shifted, document_positions))  # (B, T, width)
        if torch.is_autocast_enabled(x.device.type):
            # PERF: a stream in the type of the products needs no copies to it and back.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        embedded = x
        for layer, block in enumerate(self._layers()):
            x = self.residual(x, embedded, layer)
            values = self.values(ids, layer)
            past = cache[layer] if cache else None
            read = (x, self.position, positions, past, values, same_document)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, *read, use_reentrant=False)
            else:
                x = block(*read)
        x = self.norm(x)
        vocab = self.config.vocab_size
        if targets is not None:
            hidden = x.flatten(0, 1)  # (B * T, width)
            head = self.head.weight[:vocab]
            loss = linear_cross_entropy(hidden, head, targets.flatten(), self.cap)
            return Output(logits=None, loss=loss)
        logits = self.cap(self.head(x))
        return Output(logits=logits[..., :vocab], loss=None)

    def new_cache(self, batch: int, dtype: torch.dtype = torch.float32) -> Cache:
        """Make an empty cache for *batch* rows of at most a context of tokens each."""
        context = self.config.context
        layers = [block.attention.new_cache(batch, context, dtype) for block in self._layers()]
        return [*layers, *self.shift.new_cache(batch, context, dtype)]

    def _layers(self) -> Iterator[Block]:
        # A ModuleList forgets the type of what it holds.
        return (cast(Block, block) for block in self.blocks)

    def _initialize(self, generator: torch.Generator) -> None:
        """Keep the scale of what passes through, and begin every branch at zero.

        Embeddings and the head are normal with deviation 0.02 (Radford 2019, GPT-2), the linears of
        the blocks with 1/√inputs (LeCun 1998, Efficient BackProp; on 1 MB of text 0.05 bits per
        byte better after a hundred steps than 0.02), biases are zero and scales one. The last
        linear of a branch is zero, so a block begins as the identity (Zhang 2019, Fixup,
        arXiv:1901.09321).
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
    """Return how far each token is from where its document begins in its row: (B, T), int64."""
    positions = torch.arange(document_ids.shape[1], device=document_ids.device)
    begins = document_ids.diff(dim=1, prepend=document_ids[:, :1] - 1) != 0
    return positions - torch.where(begins, positions, 0).cummax(1).values


def padded_vocab(vocab_size: int) -> int:
    """Round *vocab_size* up to a multiple of 64, the width matrix kernels like (nanoGPT)."""
    return -(-vocab_size // 64) * 64
