"""The model: `Block` and `GPT`, assembled from the zoo by a config.

Assembly only. What a mechanism computes is in `gpt.zoo`; how a model learns is in `gpt.training`.
Tensors of ids are int64. B: batch, T: tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gpt.config import Architecture, GPTConfig
from gpt.zoo import ATTENTIONS, CAPS, MLPS, NORMS, POSITIONS, RESIDUALS, VALUE_EMBEDDINGS
from gpt.zoo.cache import KeyValueCache
from gpt.zoo.loss import linear_cross_entropy
from gpt.zoo.positions import Position, Start

Cache: TypeAlias = list[KeyValueCache]
"""One cache a layer; `GPT.new_cache` makes it."""


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
        self.dropout = nn.Dropout(spec.dropout)

    def forward(
        self,
        x: Tensor,
        position: Position,
        start: Start,
        cache: KeyValueCache | None,
        embedded: Tensor | None = None,
    ) -> Tensor:
        """One layer over the residual stream x (B, T, width); *embedded* is for its values."""
        attended = self.attention(self.attention_norm(x), position, start, cache, embedded)
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
        self.position = POSITIONS[type(config.position)](config.position, config)
        self.dropout = nn.Dropout(config.dropout)
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
        self, ids: Tensor, targets: Tensor | None = None, cache: Cache | None = None
    ) -> Output:
        """Predict the token after each of *ids* (B, T).

        With *targets* (B, T), the tokens that did come, the loss; without, the logits. With
        *cache*, *ids* go on from the tokens that it holds, and are added to it. Raises ValueError
        where they do not fit the context.
        """
        lengths = cache[0].lengths if cache else [0]
        longest = max(lengths) + ids.shape[1]
        if longest > self.config.context:
            raise ValueError(f"{longest} tokens do not fit the context of {self.config.context}")
        alike = min(lengths) == max(lengths)
        start = lengths[0] if alike else torch.tensor(lengths, device=ids.device)
        x = self.dropout(self.position.add(self.embedding(ids), start))  # (B, T, width)
        if torch.is_autocast_enabled(x.device.type):
            # PERF: a stream in the type of the products needs no copies to it and back.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        embedded = x
        for layer, block in enumerate(self._layers()):
            x = self.residual(x, embedded, layer)
            values = self.values(ids, layer)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, self.position, start, None, values, use_reentrant=False)
            else:
                x = block(x, self.position, start, cache[layer] if cache else None, values)
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
        return [block.attention.new_cache(batch, context, dtype) for block in self._layers()]

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


def padded_vocab(vocab_size: int) -> int:
    """Round *vocab_size* up to a multiple of 64, the width matrix kernels like (nanoGPT)."""
    return -(-vocab_size // 64) * 64
