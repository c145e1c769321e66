"""Hugging Face folders: config.json, model.safetensors, and a tokenizer that transformers loads.

Weights are float32 and load without any code of ours. What a config.json says beyond what a family
has here is refused when it is read, as is what a config of ours says beyond the family's when it is
written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

import pytok
from gpt.errors import ConfigError, FormatError
from gpt.interop.families import FAMILIES, Family, family_of
from gpt.interop.tensor_names import (
    HUGGING_FACE_GPT2,
    HUGGING_FACE_LLAMA,
    export_weights,
    import_weights,
)
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import Gelu, SwiGLU
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.atomic import replace_files
from pytok.chat.template import END_OF_TURN, TEMPLATE_FILE, Template
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

_GELUS = {"gelu_new": True, "gelu_pytorch_tanh": True, "gelu": False}
"""Whether each is the tanh approximation; the first is GPT-2's own name for it."""
_TRANSPOSED = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
"""GPT-2's linears are (inputs, outputs), as its TensorFlow code had them."""
_CLASSES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def export_folder(checkpoint: Checkpoint, folder: Path) -> Family:
    """Write *folder*, which must not hold anything yet; return the family of the model.

    Raises FormatError, naming the fields, for a model that no family holds.
    """
    config = checkpoint.state.config
    family = family_of(config)
    if folder.exists() and any(folder.iterdir()):
        raise FormatError(f"{folder}: holds files already; choose another folder")
    gpt2 = family.name == "gpt2"
    table = HUGGING_FACE_GPT2 if gpt2 else HUGGING_FACE_LLAMA
    weights = export_weights(checkpoint.weights, config, table, biases=gpt2)
    tokenizer = checkpoint.tokenizer()
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    ends = {"bos_token_id": end, "eos_token_id": end}
    chat = _chat_template(checkpoint)
    documents: dict[str, dict[str, Any]] = {
        "config.json": {
            "architectures": [_CLASSES[family.name]],
            "model_type": family.name,
            **(_gpt2_fields(config) if gpt2 else _llama_fields(config, family)),
            "vocab_size": config.vocab_size,
            "tie_word_embeddings": config.tie,
            "dtype": "float32",
            **ends,
        },
        # A model of a chat has also done when its turn ends.
        "generation_config.json": {
            **ends,
            **({"eos_token_id": [end, tokenizer.special_tokens[END_OF_TURN]]} if chat else {}),
        },
        "tokenizer_config.json": {
            # Not the family's own class, which would put its own pattern in the place of ours.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.context,
            "clean_up_tokenization_spaces": False,
            **({"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} if end is not None else {}),
            **({"chat_template": chat.jinja()} if chat else {}),
        },
    }
    transposed = {name: _transpose(name, tensor) for name, tensor in weights.items()}
    contents = {name: json.dumps(fields, indent=2).encode() for name, fields in documents.items()}
    contents["tokenizer.json"] = (checkpoint.folder / "tokenizer.json").read_bytes()
    contents["model.safetensors"] = save(transposed, metadata={"format": "pt"})
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, since a rename must not cross file systems.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as aside:
        whole = Path(aside) / folder.name
        whole.mkdir()
        replace_files({whole / name: data for name, data in contents.items()})
        if folder.exists():
            folder.rmdir()
        whole.rename(folder)
    return family


def _chat_template(checkpoint: Checkpoint) -> Template | None:
    """How the run's conversations are spelled, if it has learnt from some."""
    document = checkpoint.data_files.get(TEMPLATE_FILE)
    if document is None:
        return None
    try:
        return Template.from_json(document)
    except ChatError as error:
        raise FormatError(f"{checkpoint.folder / TEMPLATE_FILE}: {error}") from error


def import_folder(folder: Path) -> tuple[GPT, Tokenizer]:
    """Read the model and the tokenizer of *folder*, whose rows past the vocabulary are dropped.

    Raises FormatError for what is missing, damaged, or says something that gpt would not compute.
    """
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        family = FAMILIES[fields["model_type"]]
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}; a model's folder has one") from error
    except (ValueError, TypeError, KeyError):
        raise FormatError(f"{path}: model_type is none of {', '.join(FAMILIES)}") from None
    tokenizer = pytok.load(folder)
    if fields.get("vocab_size", 0) < tokenizer.n_vocab:
        raise FormatError(
            f"{path}: vocab_size is {fields.get('vocab_size')}, and the tokenizer beside it has "
            f"{tokenizer.n_vocab} ids"
        )
    gpt2 = family.name == "gpt2"
    try:
        config = (_read_gpt2 if gpt2 else _read_llama)(fields, tokenizer.n_vocab, family.name)
        config = GPTConfig.from_dict(config.to_dict())  # which checks the types of all fields
        obstacles = family.obstacles(config)
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path}: a field is missing or malformed: {error}") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    if obstacles:
        raise FormatError(f"{path}: {'; '.join(obstacles)}")
    tensors = _read_tensors(folder)
    if gpt2:  # the first ones were saved without the head's prefix
        body = "" if any(name.startswith("transformer.") for name in tensors) else "transformer."
        tensors = {
            name if name.startswith("lm_head.") else body + name: _transpose(name, tensor)
            for name, tensor in tensors.items()
            if not name.endswith((".attn.bias", ".attn.masked_bias"))  # the causal mask
        }
    model = GPT(config)
    table = HUGGING_FACE_GPT2 if gpt2 else HUGGING_FACE_LLAMA
    try:
        import_weights(tensors, model, table, unused=["lm_head.weight"] if config.tie else [])
    except FormatError as error:
        raise FormatError(f"{folder}: {error}") from error
    return model.eval(), tokenizer


def _gpt2_fields(config: GPTConfig) -> dict[str, Any]:
    assert isinstance(config.mlp, Gelu)
    return {
        "n_positions": config.context,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.attention.heads,
        "n_inner": config.hidden,
        "activation_function": "gelu_new" if config.mlp.tanh else "gelu",
        "layer_norm_epsilon": config.norm.eps,
    }


def _llama_fields(config: GPTConfig, family: Family) -> dict[str, Any]:
    assert isinstance(config.position, Rope)
    # Newer transformers read the first; older ones, and other software, the second.
    theta = config.position.theta
    return {
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "rope_theta": theta,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.attention.heads,
        "num_key_value_heads": config.attention.kv_heads,
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm.eps,
        "attention_bias": config.bias,
        **({"mlp_bias": config.bias} if family.name == "llama" else {"use_sliding_window": False}),
    }


def _read_gpt2(fields: Mapping[str, Any], vocab_size: int, family: str) -> GPTConfig:
    _only(fields, "activation_function", _GELUS, "gelu_new")
    _only(fields, "scale_attn_weights", [True], True)
    _only(fields, "scale_attn_by_inverse_layer_idx", [False], False)
    return GPTConfig(
        vocab_size=vocab_size,
        context=fields["n_positions"],
        layers=fields["n_layer"],
        width=fields["n_embd"],
        attention=GroupedQuery(heads=fields["n_head"], kv_heads=fields["n_head"]),
        position=Learned(),
        mlp=Gelu(
            hidden=fields.get("n_inner"), tanh=_GELUS[fields.get("activation_function", "gelu_new")]
        ),
        norm=LayerNorm(eps=fields.get("layer_norm_epsilon", 1e-5)),
        tie=fields.get("tie_word_embeddings", True),
        bias=True,
    )


def _read_llama(fields: Mapping[str, Any], vocab_size: int, family: str) -> GPTConfig:
    _only(fields, "hidden_act", ["silu"], "silu")
    _only(fields, "use_sliding_window", [False], False)
    bias = fields.get("attention_bias", False)
    if family == "llama":
        _only(fields, "mlp_bias", [bias], False)
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    _only(rope, "rope_type", ["default"], rope.get("type", "default"))
    heads = fields["num_attention_heads"]
    return GPTConfig(
        vocab_size=vocab_size,
        context=fields["max_position_embeddings"],
        layers=fields["num_hidden_layers"],
        width=fields["hidden_size"],
        attention=GroupedQuery(
            heads=heads,
            kv_heads=fields.get("num_key_value_heads") or heads,
            head_width=fields.get("head_dim"),
            qk_norm=family == "qwen3",
        ),
        position=Rope(theta=float(rope.get("rope_theta", fields.get("rope_theta", 10_000.0)))),
        mlp=SwiGLU(hidden=fields["intermediate_size"]),
        norm=RMSNorm(eps=fields.get("rms_norm_eps", 1e-6)),
        tie=fields.get("tie_word_embeddings", False),
        bias=bias,
    )


def _only(fields: Mapping[str, Any], name: str, known: Any, default: Any) -> None:
    value = fields.get(name, default)
    if value not in known:
        raise FormatError(f"{name} is {value!r}; gpt computes {', '.join(map(repr, known))}")


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder's safetensors, in one file or several, as float32."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise FormatError(f"{folder}: has no model.safetensors; gpt reads no pickled weights")
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise FormatError(f"{file}: not safetensors: {error}") from error
    return {name: tensor.to(torch.float32) for name, tensor in tensors.items()}


def _transpose(name: str, tensor: Tensor) -> Tensor:
    return tensor.T.contiguous() if name.endswith(_TRANSPOSED) else tensor
