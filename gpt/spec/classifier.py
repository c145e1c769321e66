"""Specs of classifiers: `Classifier`, and the same with the size of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from gpt.errors import ConfigError
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.checks import above_zero
from gpt.spec.serialize import from_dict, to_dict, values_of

Pooling: TypeAlias = Literal["last", "first", "mean"]
"""What of a text the head reads."""
OF_LANGUAGE_MODELS = ("head_transform", "logit_scale", "cap")
"""Axes of the head of a language model, which a classifier has not."""


@dataclass(frozen=True, kw_only=True)
class Classifier(Architecture):
    """The body of a GPT, and a linear head over classes (Radford 2018, GPT, section 3.2)."""

    classifies: ClassVar[bool] = True

    classes: tuple[str, ...] = ()
    """Labels of the classes, in the order of the logits."""
    token: Pooling = "last"
    """Token that the head reads: the last one of a text, the first, or the mean of all. In a causal
    model only the last one has seen the whole text."""
    pad_to: int | None = None
    """Fill shorter texts with the end-of-text token to so many tokens, which are read as text: the
    last token is then one of these (Raschka 2024, chapter 6). [default: no; a batch is padded to
    its longest text, and padding is never read]"""
    tie: bool = False
    """Always false: the head has a row for each class."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(pad_to=self.pad_to)
        if self.pad_to is not None and self.pad_to > self.context:
            raise ConfigError(
                f"pad_to must be at most the context, {self.context}; got {self.pad_to}"
            )
        if self.tie:
            raise ConfigError("tie must be false: the head has a row for each class, not token")
        for name in OF_LANGUAGE_MODELS:
            if getattr(self, name) is not None:
                raise ConfigError(f"{name} is of the head of a language model; set it to none")
        if len(set(self.classes)) != len(self.classes):
            raise ConfigError("classes must differ from each other; remove what occurs twice")

    @classmethod
    def over(cls, body: Architecture, **fields: Any) -> Classifier:
        """Return the classifier with the *body* of another model, and these *fields* of its own."""
        own = dict.fromkeys(OF_LANGUAGE_MODELS) | {"tie": False, "head_bias": False}
        return cls(**(values_of(body, Architecture) | own | fields))

    def with_vocabulary(self, vocab_size: int) -> ClassifierConfig:  # type: ignore[override]
        """Return the config of this model with *vocab_size* token ids."""
        return ClassifierConfig(vocab_size=vocab_size, **values_of(self, Classifier))


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Classifier):
    """A complete classifier."""

    vocab_size: int
    """Vocabulary size: token ids are from 0 to vocab_size - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(vocab_size=self.vocab_size)
        if len(self.classes) < 2:
            raise ConfigError(f"classes must be two or more; got {len(self.classes)}")

    def body(self) -> GPTConfig:
        """Return the config of its blocks and embeddings, without a head."""
        return GPTConfig.over(self, self.vocab_size)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "") -> ClassifierConfig:
        """Invert `to_dict`; raises ConfigError naming the field, prefixed with *where*."""
        return from_dict(cls, plain, where)
