"""Names of weights in other formats, and their conversion to and from ours.

A table has an entry for each module of the other format: its name, and the names of our modules
whose tensors it has, concatenated along the first dimension. ``{layer}`` is the number of a block.
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
    **{name: modules for name, modules in GGUF.items() if modules[0] not in _QKV},
}

_WITHOUT_BIAS = {"embedding", "position.embedding", "head"}


def export_weights(
    weights: Mapping[str, Tensor], config: GPTConfig, table: Table, *, biases: bool
) -> dict[str, Tensor]:
    """Return *weights* under the names of *table*, without the rows past the vocabulary.

    With *biases*, linears and norms that have no bias get one of zeros.
    """
    exported = {}
    for name, modules in _entries(table, config.layers):
        parts = [weights[f"{part}.weight"] for part in modules if f"{part}.weight" in weights]
        if not parts:
            continue
        weight = torch.cat(parts)
        if modules[0] in ("embedding", "head"):
            weight = weight[: config.vocab_size].clone()
        exported[f"{name}.weight"] = weight
        found = [weights[f"{part}.bias"] for part in modules if f"{part}.bias" in weights]
        if found:
            exported[f"{name}.bias"] = torch.cat(found)
        elif biases and modules[0] not in _WITHOUT_BIAS:
            exported[f"{name}.bias"] = weight.new_zeros(len(weight))
    return exported


def import_weights(
    tensors: Mapping[str, Tensor], model: GPT, table: Table, *, unused: Collection[str] = ()
) -> None:
    """Copy *tensors*, named as in *table*, into *model*; rows past the vocabulary become zero.

    Raises FormatError for a tensor that is missing or has another shape, and for one that is
    neither in the model nor in *unused*.
    """
    parameters = dict(model.named_parameters())
    unexpected = set(tensors) - set(unused)
    for name, modules in _entries(table, model.config.layers):
        for kind in ("weight", "bias"):
            source = f"{name}.{kind}"
            targets = [
                parameters[f"{part}.{kind}"].detach()
                for part in modules
                if f"{part}.{kind}" in parameters
            ]
            if not targets:
                continue
            if source not in tensors:
                raise FormatError(f"missing tensor {source}")
            unexpected.discard(source)
            tensor = tensors[source]
            # The vocabulary is padded here, and can be padded there to another size.
            if modules[0] in ("embedding", "head"):
                tensor = tensor[: model.config.vocab_size]
                targets = [targets[0].zero_()[: model.config.vocab_size]]
            sizes = [len(target) for target in targets]
            shape = (sum(sizes), *targets[0].shape[1:])
            if tensor.shape != shape:
                raise FormatError(
                    f"tensor {source} has shape {tuple(tensor.shape)}, but the config requires "
                    f"{shape}"
                )
            for target, part in zip(targets, torch.split(tensor, sizes), strict=True):
                target.copy_(part)
    if unexpected:
        raise FormatError(f"unexpected tensor {min(unexpected)}")


def _entries(table: Table, layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the entries of *table*, those with ``{layer}`` once for each of *layers* blocks."""
    for name, modules in table.items():
        for layer in range(layers) if "{layer}" in name else (0,):
            yield name.format(layer=layer), tuple(part.format(layer=layer) for part in modules)
