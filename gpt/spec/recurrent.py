"""Specs of recurrent encoder-decoders, and the same with the size of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gpt.errors import ConfigError
from gpt.spec.checks import above_zero
from gpt.spec.dropout import Dropout
from gpt.spec.part import Part
from gpt.spec.scoring import Additive, Dot, General, LocalP, Location, Softmax
from gpt.spec.serialize import from_dict, to_dict, values_of


@dataclass(frozen=True, kw_only=True)
class Alignment(Part):
    """Attention of a decoder's state to those of the encoder (Luong 2015, arXiv:1508.04025)."""

    score: Dot | General | Additive | Location = field(default_factory=General)
    """Score of a state of the decoder and one of the encoder."""
    normalizer: Softmax | LocalP = field(default_factory=Softmax)
    """From scores to weights; LocalP is the paper's local-p."""
    monotonic: int | None = None
    """Attend to so many states on either side of the target's own position: the paper's local-m,
    which has 10. [default: to all]"""

    def __post_init__(self) -> None:
        above_zero(monotonic=self.monotonic)


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """LSTMs that read a source and write a target (Sutskever 2014, arXiv:1409.3215; Luong 2015)."""

    reads_pairs: ClassVar[bool] = True
    classifies: ClassVar[bool] = False
    causal: ClassVar[bool] = True
    heads: ClassVar[int] = 1
    """Heads of its attention."""

    context: int = 128
    """Most tokens of a source, and of a target."""
    layers: int = 2
    """Number of LSTM layers of the encoder, and of the decoder."""
    width: int = 256
    """Width of embeddings and states."""
    alignment: Alignment | None = field(default_factory=Alignment)
    """Attention to the source. With none, the last states of the encoder are all that the decoder
    knows of it."""
    input_feeding: bool = True
    """Whether the decoder also reads the state that its last token was predicted from."""
    reverse: bool = False
    """Read the source from its end, so that first words are near to each other (Sutskever 2014)."""
    share_embedding: bool = False
    """Share the token embedding of encoder and decoder."""
    tie: bool = False
    """Share the weights of the decoder's token embedding and the head."""
    dropout: Dropout = field(default_factory=lambda: Dropout(rate=0.2))
    """Dropout of the inputs of each LSTM layer and of the head (Zaremba 2014, arXiv:1409.2329); it
    has a rate only."""

    def __post_init__(self) -> None:
        above_zero(context=self.context, layers=self.layers, width=self.width)
        if self.dropout != Dropout(rate=self.dropout.rate):
            raise ConfigError("dropout of an LSTM has a rate only; remove its other fields")

    def attention_in(self, layer: int) -> Recurrent:
        """Return what says how many heads attention has."""
        return self

    def sizes(self) -> dict[str, int]:
        """Return the main sizes by name."""
        return {"layers": self.layers, "width": self.width, "context": self.context}

    def with_vocabulary(self, vocab_size: int) -> RecurrentConfig:
        """Return the config of this model with *vocab_size* token ids."""
        return RecurrentConfig(vocab_size=vocab_size, **values_of(self, Recurrent))


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(Recurrent):
    """A complete recurrent encoder-decoder; sources and targets have one vocabulary."""

    vocab_size: int
    """Vocabulary size: token ids are from 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(vocab_size=self.vocab_size)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> RecurrentConfig:
        """Invert `to_dict`; raises ConfigError naming the field, prefixed with *where*."""
        return from_dict(cls, plain, where)
