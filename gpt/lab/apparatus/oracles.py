"""Other models with the weights of a model: torch's own layers, and the GPT on one page."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt.model import reference
from gpt.model.gpt import GPT

OF_TORCH = {
    "out_proj": "attention.output",
    "linear1": "mlp.input",
    "linear2": "mlp.output",
    "norm1": "attention_norm",
    "norm2": "mlp_norm",
}
"""Modules of `torch.nn.TransformerEncoderLayer`, and those with the same weights here."""


@torch.no_grad()
def torch_hidden(gpt: GPT, ids: Tensor, *, norm_first: bool) -> Tensor:
    """Return the residual stream (B, T, width) of *gpt* after its blocks, computed by torch.nn.

    Its blocks have LayerNorm, an MLP with ReLU, biases, and no positions.
    """
    config = gpt.config
    x = gpt.embedding(ids)
    mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], dtype=x.dtype)
    for block in gpt.blocks:
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.attention_in(0).heads,
            block.get_parameter("mlp.input.weight").shape[0],
            dropout=0.0,
            batch_first=True,
            norm_first=norm_first,
            dtype=x.dtype,
        )
        ours = block.state_dict()
        for kind in ("weight", "bias"):
            parts = [ours[f"attention.{name}.{kind}"] for name in ("query", "key", "value")]
            layer.get_parameter(f"self_attn.in_proj_{kind}").copy_(torch.cat(parts))
        for name, parameter in layer.named_parameters():
            module, _, kind = name.removeprefix("self_attn.").rpartition(".")
            if module:
                parameter.copy_(ours[f"{OF_TORCH[module]}.{kind}"])
        x = layer(x, src_mask=mask)
    return nn.functional.layer_norm(x, x.shape[-1:], *gpt.norm.parameters()) if norm_first else x


def on_one_page(gpt: GPT) -> reference.GPT:
    """Return GPT-2 as `gpt.model.reference` has it on one page, with the weights of *gpt*."""
    config, heads = gpt.config, gpt.config.attention_in(0).heads
    page = reference.GPT(
        reference.Config(
            vocab_size=config.vocab_size,
            context=config.context,
            layers=config.layers,
            heads=heads,
            kv_heads=heads,
            width=config.width,
            hidden=4 * config.width,
        )
    ).to(gpt.embedding.weight.dtype)
    page.load_state_dict(gpt.state_dict())
    return page
