"""What a model is: `GPTConfig`, and the spec of every mechanism it can be built from.

A spec is frozen, holds only its own mechanism's fields, and is checked when it is made, so a model
that cannot be built cannot be written down. `gpt.zoo` maps each spec's type to its module.
Nothing here imports torch. Notation: *width* is the size of the residual stream, *head_width* that
of one attention head, *context* the number of tokens a prediction may look back on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpt.errors import ConfigError
from gpt.plain import from_plain, to_plain


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{name} must be above 0; got {value}")


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Subtract the mean, divide by the standard deviation, scale (Ba 2016, arXiv:1607.06450)."""

    eps: float = 1e-5
    """Added to the variance."""
    bias: bool = True
    """Learn a shift beside the scale."""

    def __post_init__(self) -> None:
        _positive(eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """Divide by the root mean square (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    eps: float = 1e-6
    """Added to the mean square."""
    weight: bool = True
    """Learn a scale."""

    def __post_init__(self) -> None:
        _positive(eps=self.eps)


@dataclass(frozen=True, kw_only=True)
class Gelu:
    """Two linears with GELU between them (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""

    hidden: int | None = None
    """Size between the linears; None: 4 x width."""
    tanh: bool = False
    """The tanh approximation, as GPT-2 has it, instead of the exact function."""

    def __post_init__(self) -> None:
        _positive(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class Relu2:
    """Two linears with the square of ReLU between them (So 2021, Primer, arXiv:2109.08668)."""

    hidden: int | None = None
    """Size between the linears; None: 4 x width."""

    def __post_init__(self) -> None:
        _positive(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class SwiGLU:
    """A linear gated by the SiLU of another (Shazeer 2020, arXiv:2002.05202)."""

    hidden: int | None = None
    """Size between the linears; None: 8/3 x width, rounded up to a multiple of 64, which has
    about the parameters of a plain MLP of 4 x width."""

    def __post_init__(self) -> None:
        _positive(hidden=self.hidden)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One learned vector a place, added to the token's (Radford 2018, GPT)."""


@dataclass(frozen=True, kw_only=True)
class Rope:
    """Rotate queries and keys by their place (Su 2021, RoFormer, arXiv:2104.09864)."""

    theta: float = 10_000.0
    """Base of the wavelengths: they run from 2 pi to about 2 pi theta tokens."""
    fraction: float = 1.0
    """Share of each head that is rotated; the rest carries no position."""

    def __post_init__(self) -> None:
        _positive(theta=self.theta)
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1; got {self.fraction}")


@dataclass(frozen=True, kw_only=True)
class NoPosition:
    """None: the causal mask alone tells order (Kazemnejad 2023, arXiv:2305.19466)."""


@dataclass(frozen=True, kw_only=True)
class GroupedQuery:
    """Softmax attention whose query heads share key and value heads (arXiv:2305.13245).

    With ``kv_heads == heads`` it is multi-head attention, with 1 multi-query attention.
    """

    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads; divides heads."""
    head_width: int | None = None
    """Size of one head; None: width / heads."""
    window: int | None = None
    """Tokens a query sees, itself included; None: all before it."""
    long_every: int | None = None
    """Every such layer, and the last, sees all before it all the same; None: none does.
    Long and short windows in turns are Gemma 2's (arXiv:2408.00118)."""
    qk_norm: bool = False
    """RMS-normalize queries and keys, each with its own scale, before positions are applied
    (Dehghani 2023, arXiv:2302.05442; in the order and form of Qwen3)."""

    def __post_init__(self) -> None:
        _positive(
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_width=self.head_width,
            window=self.window,
            long_every=self.long_every,
        )
        if self.long_every is not None and self.window is None:
            raise ConfigError("long_every is for layers between windows; set window, too")
        if self.heads % self.kv_heads:
            divisors = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
            raise ConfigError(
                f"{self.heads} heads cannot share {self.kv_heads} kv_heads; "
                f"set kv_heads to one of {divisors}"
            )


@dataclass(frozen=True, kw_only=True)
class NoShift:
    """A token enters the model alone."""


@dataclass(frozen=True, kw_only=True)
class TokenShift:
    """Each token is embedded with a share of the one before it (Peng 2023, RWKV).

    arXiv:2305.13048. Which two tokens stand side by side need not be learnt by attention first:
    what counts where there are few steps.
    """

    share: float = 0.4
    """Of the vector of the token before, in a new model; each feature then learns its own."""


@dataclass(frozen=True, kw_only=True)
class PlainResidual:
    """The stream goes on as it is (He 2015, arXiv:1512.03385)."""


@dataclass(frozen=True, kw_only=True)
class Lambdas:
    """Each block begins from a learned mix of the stream and the embedded tokens.

    Jordan 2024, modded-nanogpt.
    """

    embedded: float = 0.0
    """Weight of the embedded tokens in a new model; the stream's is 1."""


@dataclass(frozen=True, kw_only=True)
class NoValueEmbedding:
    """Values are a function of the stream alone."""


@dataclass(frozen=True, kw_only=True)
class ValueEmbedding:
    """Some layers add a vector of the token's own to its value (Jordan 2024, modded-nanogpt).

    A simpler heir of value residuals (Zhou 2024, arXiv:2410.17897). It costs parameters, and next
    to no time.
    """

    ends: int = 1
    """How many of the first layers have it, and how many of the last."""

    def __post_init__(self) -> None:
        _positive(ends=self.ends)


@dataclass(frozen=True, kw_only=True)
class NoCap:
    """Logits are what the head makes of the stream."""


@dataclass(frozen=True, kw_only=True)
class SoftCap:
    """Logits stay within a limit, by a tanh (Gemma Team 2024, Gemma 2, arXiv:2408.00118)."""

    limit: float = 15.0
    """What no logit reaches."""

    def __post_init__(self) -> None:
        _positive(limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model but for its vocabulary, which the data decides."""

    context: int = 128
    """Tokens a prediction may look back on."""
    layers: int = 4
    """Blocks of attention and MLP."""
    width: int = 256
    """Size of the residual stream."""
    attention: GroupedQuery = GroupedQuery(heads=4, kv_heads=4, qk_norm=True)
    """How tokens look at each other."""
    position: Learned | Rope | NoPosition = Rope()
    """How a token knows its place."""
    shift: NoShift | TokenShift = NoShift()
    """What of the token before is embedded with each token."""
    mlp: Gelu | Relu2 | SwiGLU = Relu2()
    """What happens to each token by itself."""
    norm: LayerNorm | RMSNorm = RMSNorm()
    """What keeps each branch's input in scale."""
    residual: PlainResidual | Lambdas = PlainResidual()
    """What each block begins from."""
    value_embedding: NoValueEmbedding | ValueEmbedding = NoValueEmbedding()
    """What tokens add to their values beside what the stream says."""
    cap: NoCap | SoftCap = NoCap()
    """What keeps logits within bounds."""
    tie: bool = True
    """Use the token embedding as the head, too (Press and Wolf 2017, arXiv:1608.05859)."""
    bias: bool = False
    """Give the linears of attention and MLP a bias."""
    dropout: float = 0.0
    """Share of each branch's output set to zero while training."""

    def __post_init__(self) -> None:
        _positive(context=self.context, layers=self.layers, width=self.width)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1; got {self.dropout}")
        if self.attention.head_width is None and self.width % self.attention.heads:
            raise ConfigError(
                f"width {self.width} does not divide into {self.attention.heads} heads; "
                f"set attention.head_width, or width to a multiple of {self.attention.heads}"
            )
        if isinstance(self.position, Rope) and (self.rotated < 2 or self.rotated % 2):
            raise ConfigError(
                f"position.fraction {self.position.fraction} of heads of {self.head_width} is "
                f"{self.rotated}, and rotation needs pairs; choose another fraction or head width"
            )

    @property
    def head_width(self) -> int:
        """Size of one attention head."""
        return self.attention.head_width or self.width // self.attention.heads

    def window(self, layer: int) -> int | None:
        """Tokens that a query of *layer* (from 0) sees, itself included; None: all before it."""
        every = self.attention.long_every
        if every is not None and ((layer + 1) % every == 0 or layer + 1 == self.layers):
            return None
        return self.attention.window

    @property
    def hidden(self) -> int:
        """Size between the linears of the MLP."""
        if self.mlp.hidden is not None:
            return self.mlp.hidden
        if isinstance(self.mlp, SwiGLU):
            return 64 * math.ceil(self.width * 8 / 3 / 64)
        return 4 * self.width

    @property
    def rotated(self) -> int:
        """Leading features of a head that rotate; 0 unless positions are `Rope`."""
        if not isinstance(self.position, Rope):
            return 0
        return round(self.head_width * self.position.fraction)


@dataclass(frozen=True, kw_only=True)
class GPTConfig(Architecture):
    """A whole model: an architecture over a vocabulary."""

    vocab_size: int
    """Ids the model reads and predicts: 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(vocab_size=self.vocab_size)

    @classmethod
    def over(cls, architecture: Architecture, vocab_size: int) -> GPTConfig:
        """*architecture* with a vocabulary of *vocab_size* ids."""
        chosen = {field.name: getattr(architecture, field.name) for field in fields(Architecture)}
        return cls(vocab_size=vocab_size, **chosen)

    def to_dict(self) -> dict[str, Any]:
        """All fields as what JSON can hold; the axes are tagged by ``kind``.

        >>> GPTConfig(vocab_size=512).to_dict()["norm"]
        {'kind': 'RMSNorm', 'eps': 1e-06, 'weight': True}
        """
        return to_plain(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> GPTConfig:
        """Invert `to_dict`; raises ConfigError naming the field, after *where*."""
        return from_plain(cls, plain, where)
