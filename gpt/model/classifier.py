"""`Classifier`: the body of a GPT, and a linear head over classes.

B: batch size, T: tokens, C: classes, W: width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from gpt.data.batch import PADDING, Batch
from gpt.data.labeled_rows import LENGTHS
from gpt.model.gpt import Stack
from gpt.model.model import Prediction
from gpt.nn.mechanism import Kind, Mechanism, initialize
from gpt.spec.classifier import ClassifierConfig, Pooling


class ClassHead(Mechanism, nn.Linear):
    """x → W x, or W x + b: a logit for each class."""

    KINDS: ClassVar[Mapping[str, Kind]] = {"weight": "head"}

    def __init__(self, width: int, classes: int, *, bias: bool = False) -> None:
        super().__init__(width, classes, bias=bias)

    def initialize(self, generator: torch.Generator) -> None:
        """Initialize as GPT-2 and transformers do: normal with standard deviation 0.02."""
        nn.init.normal_(self.weight, std=0.02, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def weight_flops(self) -> int:
        """Return two operations per weight, although only one vector of a text is multiplied."""
        return 2 * self.weight.numel()


class Classifier(Stack):
    """p(class | text) = softmax(W h), h being a vector of the text. Radford 2018 (GPT).

    Rows are texts, padded at their ends; what a row holds after its length changes nothing. The
    last token of a causal model has seen the whole text (GPT2ForSequenceClassification reads the
    same), the first one only itself.
    """

    config: ClassifierConfig  # type: ignore[assignment]

    def __init__(self, config: ClassifierConfig, seed: int | None = 0) -> None:
        super().__init__(config.body())
        self.config = config
        self.head = ClassHead(config.width, len(config.classes), bias=config.head_bias)
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            for child in self.children():
                initialize(child, generator)

    @staticmethod
    def layers_of(config: ClassifierConfig) -> Mapping[str, int]:
        """Return the beginning of the names of tensors of a block, and the number of blocks."""
        return {"blocks.{layer}.": config.layers}

    def forward(
        self, inputs: Batch, objective: Callable[[Classifier, Batch], Any] | None = None
    ) -> Any:
        """Return the logits (B, C) of the texts *inputs*, or *objective* of them."""
        if objective is not None:
            return objective(self, inputs)
        return self.class_logits(inputs)[0]

    def class_logits(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits (B, C) of the rows of *batch*, float32 at least, and auxiliary losses.

        ``batch.given[LENGTHS]`` are the numbers of their tokens, at least one each.
        """
        ids, lengths = batch.inputs, batch.given[LENGTHS]
        documents = None
        if not self.config.causal:
            # Padding is a document of its own: no token of the text attends to it.
            positions = torch.arange(ids.shape[1], device=ids.device)
            documents = torch.where(positions < lengths[:, None], 0, PADDING)
        hidden, auxiliary = self.hidden(ids, document_ids=documents)
        logits: Tensor = self.head(POOLINGS[self.config.token](hidden, lengths))
        return logits.to(torch.promote_types(logits.dtype, torch.float32)), auxiliary

    def predicted_from(self, batch: Batch) -> Prediction:
        """Raise: a classifier predicts classes, no tokens."""
        raise NotImplementedError("a classifier predicts no tokens: use class_logits")


Pool: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def last(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors (B, W) of the last tokens of *hidden* (B, T, W)."""
    return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]


def first(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the vectors (B, W) of the first tokens of *hidden* (B, T, W)."""
    return hidden[:, 0]


def mean(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the means (B, W) of the vectors of *hidden* (B, T, W), without those of padding."""
    is_text = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    total = torch.where(is_text[..., None], hidden, 0).sum(1, dtype=torch.float32)
    return (total / lengths[:, None]).to(hidden.dtype)


POOLINGS: Mapping[Pooling, Pool] = {"last": last, "first": first, "mean": mean}
"""For each choice of the spec, the function of the vectors of tokens that the head reads."""
