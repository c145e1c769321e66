"""The table of models: from the type of a config in `gpt.spec.models` to the class of the model."""

from __future__ import annotations

from collections.abc import Mapping

from gpt.model.classifier import Classifier
from gpt.model.encoder_decoder import EncoderDecoder
from gpt.model.gpt import GPT
from gpt.model.model import Model
from gpt.model.recurrent import Recurrent
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import ClassifierConfig
from gpt.spec.encoder_decoder import EncoderDecoderConfig
from gpt.spec.models import AnyConfig
from gpt.spec.recurrent import RecurrentConfig

MODELS: Mapping[type, type[Model]] = {
    GPTConfig: GPT,
    ClassifierConfig: Classifier,
    EncoderDecoderConfig: EncoderDecoder,
    RecurrentConfig: Recurrent,
}
"""The class of the model for each type of a config."""


def build_model(config: AnyConfig, seed: int = 0) -> Model:
    """Return a new model of *config*, with the weights of *seed*."""
    return MODELS[type(config)](config, seed)
