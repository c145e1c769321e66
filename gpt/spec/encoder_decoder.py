"""Specs of encoder-decoders: `EncoderDecoder`, and the same with the size of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.checks import above_zero
from gpt.spec.serialize import from_dict, to_dict, values_of


@dataclass(frozen=True, kw_only=True)
class EncoderDecoder(Architecture):
    """A transformer that reads a source and writes a target (Vaswani 2017, arXiv:1706.03762).

    Encoder and decoder have the same mechanisms. The encoder's attention is bidirectional, and
    each block of the decoder also attends to the encoder's outputs. `context` holds for either.
    """

    reads_pairs: ClassVar[bool] = True

    encoder_layers: int | None = None
    """Number of blocks of the encoder. [default: layers, which are the decoder's]"""
    share_embedding: bool = True
    """Share the token embedding of encoder and decoder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(encoder_layers=self.encoder_layers)
        if not self.attention.causal:
            raise ConfigError(
                "attention is the decoder's, which writes from left to right; choose a causal "
                "pattern: the encoder's is always Full"
            )
        if not getattr(self.wiring, "sequential", True):
            raise ConfigError(
                f"wiring {type(self.wiring).__name__} has no branch for cross attention; choose "
                "another, such as PostNorm"
            )
        self.encoder()  # fits as well

    def encoder(self) -> Architecture:
        """Return the architecture of the encoder."""
        values = values_of(self, Architecture)
        values["layers"] = self.encoder_layers or self.layers
        values["attention"] = self.attention.bidirectional()
        return Architecture(**values)

    def with_vocabulary(self, vocab_size: int) -> EncoderDecoderConfig:  # type: ignore[override]
        """Return the config of this model with *vocab_size* token ids."""
        return EncoderDecoderConfig(vocab_size=vocab_size, **values_of(self, EncoderDecoder))


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderConfig(EncoderDecoder):
    """A complete encoder-decoder; sources and targets have one vocabulary."""

    vocab_size: int
    """Vocabulary size: token ids are from 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(vocab_size=self.vocab_size)

    def encoder_config(self) -> GPTConfig:
        """Return the config of the encoder."""
        return self.encoder().with_vocabulary(self.vocab_size)

    def decoder_config(self) -> GPTConfig:
        """Return the config of the decoder."""
        return GPTConfig.over(self, self.vocab_size)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> EncoderDecoderConfig:
        """Invert `to_dict`; raises ConfigError naming the field, prefixed with *where*."""
        return from_dict(cls, plain, where)
