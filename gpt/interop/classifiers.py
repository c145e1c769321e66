"""Classifiers in Hugging Face folders: the body of a family, with a head called ``score``.

transformers has a class of such a model for most families, such as GPT2ForSequenceClassification.
All of them are the same model: the logits of the last token that is not padding.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from gpt.errors import FormatError
from gpt.interop.families.table import family_of
from gpt.interop.family import Family
from gpt.interop.tensor_names import Tensors
from gpt.spec.architecture import GPTConfig
from gpt.spec.classifier import Classifier, ClassifierConfig
from pytok.text import quoted

HEAD = "score"
"""Name of the head."""
SUFFIX = "ForSequenceClassification"
"""End of the names of these classes."""
NAMED_OTHERWISE = {"gemma3_text": "Gemma3TextForSequenceClassification"}
"""Classes by family, where the name is not that of the language model's."""
WITHOUT = frozenset({"bert", "codegen", "cohere", "cohere2", "ernie4_5", "granite", "roberta"})
"""Families of which transformers has no such class, or one with more layers (BERT's pooler)."""
_OTHERS = {
    "token": ("last", "the last token"),
    "pad_to": (None, "texts that are not filled to one length"),
    "head_bias": (False, "a head without a bias"),
    "causal": (True, "causal attention"),
}
"""What all these classes have in common, by our field."""


def classifier_family(family: Family) -> Family:
    """Return the family of the classifiers whose body is of *family*; raises FormatError."""
    if family.name in WITHOUT:
        raise FormatError(
            f"a classifier of the family {family.name} has no class in transformers that computes "
            "the same"
        )
    names = {name: entry for name, entry in family.names.items() if entry != "head"}
    own = re.sub("(LMHeadModel|ForCausalLM)$", SUFFIX, family.model)
    model = NAMED_OTHERWISE.get(family.name, own)
    return dataclasses.replace(family, model=model, names={**names, HEAD: "head"})


def body_and_family(config: ClassifierConfig) -> tuple[GPTConfig, Family]:
    """Return the body of a classifier of *config* and the family that it is written in.

    Raises FormatError, naming what transformers' classifiers do otherwise.
    """
    other = [
        f"{name} is {getattr(config, name)}" for name, (one, _) in _OTHERS.items()
        if getattr(config, name) != one
    ]  # fmt: skip
    if other:
        common = ", ".join(words for _, words in _OTHERS.values())
        raise FormatError(
            f"transformers' classifiers have {common}, but here {' and '.join(other)}"
        )
    # A tied head is none of its own: most families can have either.
    body = dataclasses.replace(config.body(), tie=True)
    return body, classifier_family(family_of(body))


def label_fields(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a config.json that name the *classes*."""
    return {
        "id2label": {str(index): label for index, label in enumerate(classes)},
        "label2id": {label: index for index, label in enumerate(classes)},
        "problem_type": "single_label_classification",
    }


def is_classifier(fields: Mapping[str, Any]) -> bool:
    """Return whether the config.json *fields* is that of a classifier."""
    named = fields.get("architectures")
    return isinstance(named, list) and any(str(each).endswith(SUFFIX) for each in named)


def classifier_config(
    body: GPTConfig, fields: Mapping[str, Any], tensors: Tensors
) -> ClassifierConfig:
    """Return the config of a classifier with *body*, of a config.json with *fields*.

    It has as many classes as the head has rows; those without a label are called as transformers
    calls them. Raises FormatError for labels that are no texts, or of other classes.
    """
    name = f"{HEAD}.weight"
    if not tensors.shapes.get(name):
        raise FormatError(f"missing tensor {name}")
    count = tensors.shapes[name][0]
    labels = fields.get("id2label") or {}
    if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
        raise FormatError(f"id2label is {quoted(labels)}, not an object of labels")
    known = {str(index) for index in range(count)}
    if unknown := set(map(str, labels)) - known:
        raise FormatError(
            f"id2label has {quoted(min(unknown))}, but {name} has rows for {count} classes"
        )
    classes = tuple(labels.get(str(index), f"LABEL_{index}") for index in range(count))
    model = Classifier.over(body, classes=classes)
    return model.with_vocabulary(body.vocab_size)
