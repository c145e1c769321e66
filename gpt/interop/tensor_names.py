"""What weights are called elsewhere, and how they lie there.

A table has a row a module: its name there, and the names of ours that it holds, one under the
other. ``{layer}`` stands for the number of a block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from gpt.errors import FormatError
from gpt.model.gpt import GPT
from gpt.spec.architecture import GPTConfig

Table = Mapping[str, tuple[str, ...]]

_QKV = tuple(f"blocks.{{layer}}.attention.{name}" for name in ("query", "key", "value"))

HUGGING_FACE_GPT2: Table = {
    "transformer.wte": ("embedding",),
    "transformer.wpe": ("position.embedding",),
    "transformer.h.{layer}.ln_1": ("blocks.{layer}.attention_norm",),
    "transformer.h.{layer}.attn.c_attn": _QKV,
    "transformer.h.{layer}.attn.c_proj": ("blocks.{layer}.attention.output",),
    "transformer.h.{layer}.ln_2": ("blocks.{layer}.mlp_norm",),
    "transformer.h.{layer}.mlp.c_fc": ("blocks.{layer}.mlp.input",),
    "transformer.h.{layer}.mlp.c_proj": ("blocks.{layer}.mlp.output",),
    "transformer.ln_f": ("norm",),
    "lm_head": ("head",),
}
HUGGING_FACE_LLAMA: Table = {
    "model.embed_tokens": ("embedding",),
    "model.layers.{layer}.input_layernorm": ("blocks.{layer}.attention_norm",),
    "model.layers.{layer}.self_attn.q_proj": ("blocks.{layer}.attention.query",),
    "model.layers.{layer}.self_attn.k_proj": ("blocks.{layer}.attention.key",),
    "model.layers.{layer}.self_attn.v_proj": ("blocks.{layer}.attention.value",),
    "model.layers.{layer}.self_attn.o_proj": ("blocks.{layer}.attention.output",),
    "model.layers.{layer}.self_attn.q_norm": ("blocks.{layer}.attention.query_norm",),
    "model.layers.{layer}.self_attn.k_norm": ("blocks.{layer}.attention.key_norm",),
    "model.layers.{layer}.post_attention_layernorm": ("blocks.{layer}.mlp_norm",),
    "model.layers.{layer}.mlp.gate_proj": ("blocks.{layer}.mlp.gate",),
    "model.layers.{layer}.mlp.up_proj": ("blocks.{layer}.mlp.input",),
    "model.layers.{layer}.mlp.down_proj": ("blocks.{layer}.mlp.output",),
    "model.norm": ("norm",),
    "lm_head": ("head",),
}
GGUF: Table = {
    "token_embd": ("embedding",),
    "position_embd": ("position.embedding",),
    "blk.{layer}.attn_norm": ("blocks.{layer}.attention_norm",),
    "blk.{layer}.attn_q": _QKV[:1],
    "blk.{layer}.attn_k": _QKV[1:2],
    "blk.{layer}.attn_v": _QKV[2:],
    "blk.{layer}.attn_output": ("blocks.{layer}.attention.output",),
    "blk.{layer}.attn_q_norm": ("blocks.{layer}.attention.query_norm",),
    "blk.{layer}.attn_k_norm": ("blocks.{layer}.attention.key_norm",),
    "blk.{layer}.ffn_norm": ("blocks.{layer}.mlp_norm",),
    "blk.{layer}.ffn_gate": ("blocks.{layer}.mlp.gate",),
    "blk.{layer}.ffn_up": ("blocks.{layer}.mlp.input",),
    "blk.{layer}.ffn_down": ("blocks.{layer}.mlp.output",),
    "output_norm": ("norm",),
    "output": ("head",),
}
GGUF_GPT2: Table = {
    "blk.{layer}.attn_qkv": _QKV,
    **{name: ours for name, ours in GGUF.items() if ours[0] not in _QKV},
}

_WITHOUT_BIAS = {"embedding", "position.embedding", "head"}


def export_weights(
    weights: Mapping[str, Tensor], config: GPTConfig, table: Table, *, biases: bool
) -> dict[str, Tensor]:
    """Name *weights* as *table* does, without the rows past the vocabulary.

    With *biases*, linears and norms that have none get zeros.
    """
    exported = {}
    for name, ours in _rows(table, config.layers):
        parts = [weights[f"{part}.weight"] for part in ours if f"{part}.weight" in weights]
        if not parts:
            continue
        joined = torch.cat(parts)
        if ours[0] in ("embedding", "head"):
            joined = joined[: config.vocab_size].clone()
        exported[f"{name}.weight"] = joined
        found = [weights[f"{part}.bias"] for part in ours if f"{part}.bias" in weights]
        if found:
            exported[f"{name}.bias"] = torch.cat(found)
        elif biases and ours[0] not in _WITHOUT_BIAS:
            exported[f"{name}.bias"] = joined.new_zeros(len(joined))
    return exported


def import_weights(
    tensors: Mapping[str, Tensor], model: GPT, table: Table, *, unused: Collection[str] = ()
) -> None:
    """Fill *model* with *tensors*, named as in *table*; rows past the vocabulary are zero.

    Tensors that are neither in the model nor *unused*, and those that are missing or have another
    shape, are a FormatError.
    """
    parameters = dict(model.named_parameters())
    left = set(tensors) - set(unused)
    for name, ours in _rows(table, model.config.layers):
        for kind in ("weight", "bias"):
            theirs = f"{name}.{kind}"
            wanted = [
                parameters[f"{part}.{kind}"].detach()
                for part in ours
                if f"{part}.{kind}" in parameters
            ]
            if not wanted:
                continue
            if theirs not in tensors:
                raise FormatError(f"the tensor {theirs} is missing")
            left.discard(theirs)
            tensor = tensors[theirs]
            if ours[0] in ("embedding", "head"):
                tensor = tensor[: model.config.vocab_size]
                wanted = [wanted[0].zero_()[: model.config.vocab_size]]
            sizes = [len(parameter) for parameter in wanted]
            shape = (sum(sizes), *wanted[0].shape[1:])
            if tensor.shape != shape:
                raise FormatError(
                    f"the tensor {theirs} has shape {tuple(tensor.shape)}, and the config says "
                    f"{shape}"
                )
            for parameter, part in zip(wanted, torch.split(tensor, sizes), strict=True):
                parameter.copy_(part)
    if left:
        raise FormatError(f"the tensor {min(left)} is nothing that gpt knows in such a model")


def _rows(table: Table, layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, ours in table.items():
        for layer in range(layers) if "{layer}" in name else (0,):
            yield name.format(layer=layer), tuple(part.format(layer=layer) for part in ours)
