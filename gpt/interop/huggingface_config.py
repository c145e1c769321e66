"""config.json of Hugging Face: its fields as a config of ours, and a config of ours as its fields.

A field that is missing or null has the default of transformers. One that asks for something that
gpt would not compute is rejected by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gpt.errors import FormatError
from gpt.interop.families import GPT2, LLAMA, QWEN3, Family
from gpt.spec.architecture import GPTConfig
from gpt.spec.attention import GroupedQuery
from gpt.spec.mlp import MLP
from gpt.spec.norm import LayerNorm, RMSNorm
from gpt.spec.position import Learned, Rope
from pytok.text import quoted

_GELUS: dict[str, Literal["gelu", "gelu_tanh"]] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
}
"""Our names of activations; the first is GPT-2's own."""
_KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
_REQUIRED: Any = object()
_FULL = "full_attention"


def _no_tensor(name: str) -> bool:
    return False


class Described(NamedTuple):
    """A model as config.json describes it."""

    config: GPTConfig
    family: Family
    zero: Callable[[str], bool] = _no_tensor
    """Returns whether the tensor of a name is all zeros, and in no file: a bias that the model has
    not, where it has others."""


def describe(fields: Mapping[str, Any]) -> Described:
    """Return the model that *fields*, the content of a config.json, describe.

    Raises FormatError, or ConfigError for sizes that do not fit together.
    """
    read = _Fields(fields)
    kind = read.get("model_type", str)
    if kind not in MODEL_TYPES:
        raise FormatError(f"model_type is {quoted(kind)}; supported: {', '.join(MODEL_TYPES)}")
    return MODEL_TYPES[kind](read)


@dataclass(frozen=True)
class _Fields:
    """Reads fields by name and type."""

    fields: Mapping[str, Any]

    def get(self, name: str, kind: type, default: Any = _REQUIRED) -> Any:
        """Return the field *name*, which is of *kind*, or *default* if it is missing or null."""
        value = self.fields.get(name)
        if value is None:
            if default is _REQUIRED:
                raise FormatError(f"{name} is missing")
            return default
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            expected = _KINDS.get(kind, "an object" if kind is dict else "a list")
            raise FormatError(f"{name} is {quoted(value)}, not {expected}")
        return value

    def require(self, name: str, supported: Any, default: Any) -> Any:
        """Return the field *name*; raises FormatError if it is not one of *supported*."""
        value = self.fields.get(name)
        value = default if value is None else value
        if value not in list(supported):
            choices = ", ".join(map(repr, supported))
            raise FormatError(f"{name} is {quoted(value)}; supported: {choices}")
        return value


def _gpt2(read: _Fields) -> Described:
    activation = read.require("activation_function", _GELUS, "gelu_new")
    read.require("scale_attn_weights", [True], True)
    read.require("scale_attn_by_inverse_layer_idx", [False], False)
    heads = read.get("n_head", int)
    config = GPTConfig(
        vocab_size=read.get("vocab_size", int),
        context=read.get("n_positions", int),
        layers=read.get("n_layer", int),
        width=read.get("n_embd", int),
        attention=GroupedQuery(heads=heads, kv_heads=heads),
        position=Learned(),
        mlp=MLP(activation=_GELUS[activation], hidden=read.get("n_inner", int, None)),
        norm=LayerNorm(eps=read.get("layer_norm_epsilon", float, 1e-5)),
        tie=read.get("tie_word_embeddings", bool, True),
        bias=True,
    )
    return Described(config, GPT2)


def _llama(read: _Fields) -> Described:
    attention = read.get("attention_bias", bool, False)
    mlp = read.get("mlp_bias", bool, False)
    config = _config(read, bias=attention or mlp)
    return Described(config, LLAMA, _zero_biases("self_attn." * attention, "mlp." * mlp))


def _qwen2(read: _Fields) -> Described:
    """Describe Llama's shape, with biases of queries, keys and values."""
    _check_full_attention(read)
    zero = _zero_biases("self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj.")
    return Described(_config(read, bias=True), LLAMA, zero)


def _mistral(read: _Fields) -> Described:
    """Describe Llama's shape; a window is supported if it is as long as the context."""
    context = read.get("max_position_embeddings", int)
    if "sliding_window" not in read.fields or (read.get("sliding_window", int, context) < context):
        raise FormatError(
            f"sliding_window is {read.fields.get('sliding_window', 4096)}, and gpt computes full "
            f"attention over the {context} positions"
        )
    _check_full_attention(read)
    return Described(_config(read), LLAMA)


def _qwen3(read: _Fields) -> Described:
    _check_full_attention(read)
    bias = read.get("attention_bias", bool, False)
    return Described(_config(read, bias=bias, qk_norm=True), QWEN3)


MODEL_TYPES: dict[str, Callable[[_Fields], Described]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "qwen2": _qwen2,
    "mistral": _mistral,
    "qwen3": _qwen3,
}
"""For each model_type, a function that reads the other fields."""


def _config(read: _Fields, *, bias: bool = False, qk_norm: bool = False) -> GPTConfig:
    """Return the config of a model of Llama's shape."""
    read.require("hidden_act", ["silu"], "silu")
    rope = _Fields(read.get("rope_parameters", dict, None) or read.get("rope_scaling", dict, {}))
    rope.require("rope_type", ["default"], rope.get("type", str, "default"))
    for fields in (read, rope):
        fields.require("partial_rotary_factor", [1.0], 1.0)
    theta = rope.get("rope_theta", float, read.get("rope_theta", float, 10_000.0))
    heads = read.get("num_attention_heads", int)
    return GPTConfig(
        vocab_size=read.get("vocab_size", int),
        context=read.get("max_position_embeddings", int),
        layers=read.get("num_hidden_layers", int),
        width=read.get("hidden_size", int),
        attention=GroupedQuery(
            heads=heads,
            kv_heads=read.get("num_key_value_heads", int, heads),
            head_width=read.get("head_dim", int, None),
            qk_norm=qk_norm,
        ),
        position=Rope(theta=float(theta)),
        mlp=MLP(activation="silu", gated=True, hidden=read.get("intermediate_size", int)),
        norm=RMSNorm(eps=float(read.get("rms_norm_eps", float, 1e-6))),
        tie=read.get("tie_word_embeddings", bool, False),
        bias=bias,
    )


def _check_full_attention(read: _Fields) -> None:
    """Raise FormatError for layers that attend to a window."""
    read.require("use_sliding_window", [False], False)
    windowed = [kind for kind in read.get("layer_types", list, []) if kind != _FULL]
    if windowed:
        raise FormatError(f"layer_types has {quoted(windowed[0])}; supported: '{_FULL}'")


def _zero_biases(*having: str) -> Callable[[str], bool]:
    """Return a function from the name of a tensor to whether it is a bias of other modules.

    *having* are parts of the names of modules that have biases; empty ones are ignored.
    """
    parts = tuple(filter(None, having))
    return lambda name: name.endswith("proj.bias") and not any(part in name for part in parts)


def fields_of(config: GPTConfig, family: Family) -> dict[str, Any]:
    """Return the fields of a config.json for *config*, of *family*."""
    if family is GPT2:
        return {
            "n_positions": config.context,
            "n_embd": config.width,
            "n_layer": config.layers,
            "n_head": config.attention.heads,
            "n_inner": config.mlp.hidden_width(config.width),
            "activation_function": "gelu_new" if config.mlp.activation == "gelu_tanh" else "gelu",
            "layer_norm_epsilon": config.norm.eps,
        }
    assert isinstance(config.position, Rope)
    assert isinstance(config.attention, GroupedQuery)
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
        **({"mlp_bias": config.bias} if family is LLAMA else {"use_sliding_window": False}),
    }
