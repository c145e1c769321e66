"""The kinds of models: each has a spec without and one with the size of its vocabulary.

`gpt.model.build` has the class of each.
"""

from __future__ import annotations

from typing import TypeAlias

from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.classifier import Classifier, ClassifierConfig
from gpt.spec.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from gpt.spec.recurrent import Recurrent, RecurrentConfig

AnyArchitecture: TypeAlias = Architecture | Classifier | EncoderDecoder | Recurrent
"""Everything of a model but its vocabulary size."""
AnyConfig: TypeAlias = GPTConfig | ClassifierConfig | EncoderDecoderConfig | RecurrentConfig
"""A complete model."""
