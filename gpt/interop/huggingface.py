"""Hugging Face folders: config.json, model.safetensors, and a tokenizer that transformers loads.

Weights are float32, and load in transformers without custom code. A model that its family does not
support is rejected by the name of the field, both when it is written and when it is read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

import pytok
from gpt.errors import ConfigError, FormatError
from gpt.interop.families import FAMILIES, Family, family_of
from gpt.interop.tensor_names import HUGGING_FACE, export_weights, import_weights
from gpt.model.gpt import GPT
from gpt.runs.reading import Checkpoint
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.atomic import replace_files
from pytok.chat.template import END_OF_TURN, TEMPLATE_FILE, Template
from pytok.definition import END_OF_TEXT
from pytok.errors import ChatError
from pytok.tokenizer import Tokenizer

_GELUS: dict[str, Literal["gelu", "gelu_tanh"]] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
}
"""Our names of activations; the first is GPT-2's own."""
_TRANSPOSED = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
"""Weights of GPT-2 that are stored as (inputs, outputs), as in its TensorFlow code."""
_CLASSES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
"""The class of transformers for each family."""


def export_folder(checkpoint: Checkpoint, folder: Path) -> Family:
    """Write *folder*, complete or not at all; return the family of the model.

    Raises FormatError if no family supports the model, naming the fields, and if *folder* exists
    and is not empty.
    """
    config = checkpoint.state.config
    family = family_of(config)
    if folder.exists() and any(folder.iterdir()):
        raise FormatError(f"{folder}: not empty; choose another folder")
    gpt2 = family.name == "gpt2"
    weights = export_weights(checkpoint.model(), HUGGING_FACE[family.name])
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
        # A chat model also stops at the end of its turn.
        "generation_config.json": {
            **ends,
            **({"eos_token_id": [end, tokenizer.special_tokens[END_OF_TURN]]} if chat else {}),
        },
        "tokenizer_config.json": {
            # The family's own class would split text by its own pattern instead of ours.
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
    # In the same directory, since a rename must not cross file systems.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        complete = Path(temporary) / folder.name
        complete.mkdir()
        replace_files({complete / name: data for name, data in contents.items()})
        if folder.exists():
            folder.rmdir()
        complete.rename(folder)
    return family


def _chat_template(checkpoint: Checkpoint) -> Template | None:
    """Return the chat template of a run that was trained on conversations, else None."""
    document = checkpoint.data_files.get(TEMPLATE_FILE)
    if document is None:
        return None
    try:
        return Template.from_json(document)
    except ChatError as error:
        raise FormatError(f"{checkpoint.folder / TEMPLATE_FILE}: {error}") from error


def import_folder(folder: Path) -> tuple[GPT, Tokenizer]:
    """Read the model and the tokenizer of *folder*, without rows past the vocabulary.

    Raises FormatError for missing and damaged files, and for a model that would compute something
    else here.
    """
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        family = FAMILIES[fields["model_type"]]
    except OSError as error:
        raise FormatError(
            f"{path}: {error.strerror}; pass a folder with config.json, or a GGUF file"
        ) from error
    except (ValueError, TypeError, KeyError):
        raise FormatError(f"{path}: model_type must be one of {', '.join(FAMILIES)}") from None
    tokenizer = pytok.load(folder)
    if fields.get("vocab_size", 0) < tokenizer.n_vocab:
        raise FormatError(
            f"{path}: vocab_size is {fields.get('vocab_size')}, but the tokenizer in the same "
            f"folder has {tokenizer.n_vocab} ids"
        )
    gpt2 = family.name == "gpt2"
    try:
        config = (_read_gpt2 if gpt2 else _read_llama)(fields, tokenizer.n_vocab, family.name)
        config = GPTConfig.from_dict(config.to_dict())  # checks the types of all fields
        mismatches = family.mismatches(config)
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path}: a field is missing or malformed: {error}") from error
    except (ConfigError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from error
    if mismatches:
        raise FormatError(f"{path}: {', '.join(mismatches)}")
    tensors = _read_tensors(folder)
    if gpt2:  # the first files have no prefix "transformer.", and contain the causal mask
        prefix = "" if any(name.startswith("transformer.") for name in tensors) else "transformer."
        tensors = {
            name if name.startswith("lm_head.") else prefix + name: _transpose(name, tensor)
            for name, tensor in tensors.items()
            if not name.endswith((".attn.bias", ".attn.masked_bias"))
        }
    model = GPT(config)
    unused = ["lm_head.weight"] if config.tie else []
    try:
        import_weights(tensors, model, HUGGING_FACE[family.name], unused=unused)
    except FormatError as error:
        raise FormatError(f"{folder}: {error}") from error
    return model.eval(), tokenizer


def _gpt2_fields(config: GPTConfig) -> dict[str, Any]:
    return {
        "n_positions": config.context,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.attention.heads,
        "n_inner": config.mlp.hidden_width(config.width),
        "activation_function": "gelu_new" if config.mlp.activation == "gelu_tanh" else "gelu",
        "layer_norm_epsilon": config.norm.eps,
    }


def _llama_fields(config: GPTConfig, family: Family) -> dict[str, Any]:
    assert isinstance(config.position, Rope)
    # Newer versions of transformers read rope_parameters; older ones and others, rope_theta.
    theta = config.position.theta
    return {
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "rope_theta": theta,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "intermediate_size": config.mlp.hidden_width(config.width),
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
    _check(fields, "activation_function", _GELUS, "gelu_new")
    _check(fields, "scale_attn_weights", [True], True)
    _check(fields, "scale_attn_by_inverse_layer_idx", [False], False)
    return GPTConfig(
        vocab_size=vocab_size,
        context=fields["n_positions"],
        layers=fields["n_layer"],
        width=fields["n_embd"],
        attention=GroupedQuery(heads=fields["n_head"], kv_heads=fields["n_head"]),
        position=Learned(),
        mlp=MLP(
            activation=_GELUS[fields.get("activation_function", "gelu_new")],
            hidden=fields.get("n_inner"),
        ),
        norm=LayerNorm(eps=fields.get("layer_norm_epsilon", 1e-5)),
        tie=fields.get("tie_word_embeddings", True),
        bias=True,
    )


def _read_llama(fields: Mapping[str, Any], vocab_size: int, family: str) -> GPTConfig:
    _check(fields, "hidden_act", ["silu"], "silu")
    _check(fields, "use_sliding_window", [False], False)
    bias = fields.get("attention_bias", False)
    if family == "llama":
        _check(fields, "mlp_bias", [bias], False)
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    _check(rope, "rope_type", ["default"], rope.get("type", "default"))
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
        mlp=MLP(activation="silu", gated=True, hidden=fields["intermediate_size"]),
        norm=RMSNorm(eps=fields.get("rms_norm_eps", 1e-6)),
        tie=fields.get("tie_word_embeddings", False),
        bias=bias,
    )


def _check(fields: Mapping[str, Any], name: str, supported: Any, default: Any) -> None:
    """Raise FormatError if the field *name*, which is *default* if missing, is not *supported*."""
    value = fields.get(name, default)
    if value not in supported:
        raise FormatError(f"{name} is {value!r}; supported: {', '.join(map(repr, supported))}")


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of *folder*, from one safetensors file or several, as float32."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise FormatError(f"{folder}: no model.safetensors; pickled weights are not supported")
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise FormatError(f"{file}: not a safetensors file: {error}") from error
    return {name: tensor.to(torch.float32) for name, tensor in tensors.items()}


def _transpose(name: str, tensor: Tensor) -> Tensor:
    """Transpose *tensor* if it is one of GPT-2's linears; its own inverse."""
    return tensor.T.contiguous() if name.endswith(_TRANSPOSED) else tensor
