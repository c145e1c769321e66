"""Classifiers in Hugging Face folders: written, read by transformers, and imported again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as CLASSES_OF_TRANSFORMERS,
)

import pytok
from gpt.data.example_messages import example_messages
from gpt.data.labeled_rows import EncodedTexts
from gpt.errors import FormatError
from gpt.evaluation.classes import class_probabilities
from gpt.interop.classifiers import WITHOUT, classifier_family
from gpt.interop.families.table import FAMILIES
from gpt.interop.huggingface import export_folder, import_folder
from gpt.interop.imported import write_imported
from gpt.model.classifier import Classifier
from gpt.parallel.runtime import Runtime
from gpt.runs.reading import Checkpoint, read_checkpoint
from gpt.spec import classifier as spec
from gpt.spec.presets import PRESETS
from pytok.tokenizer import Tokenizer

MESSAGES = list(example_messages(40, spam=0.5))
CLASSES = ("ham", "spam", "other")


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    """A tokenizer of the messages."""
    texts = [each.text for each in MESSAGES]
    return pytok.train(texts, 300, special_tokens=["<|endoftext|>"], pattern="gpt2")


def written(folder: Path, preset: str, tokenizer: Tokenizer, **fields: Any) -> Checkpoint:
    """A run of a classifier with random weights."""
    body = PRESETS[preset](2, 48)
    attention = dataclasses.replace(cast(Any, body.attention), heads=2, kv_heads=2)
    if fields.pop("bidirectional", False):
        attention = attention.bidirectional()
    body = dataclasses.replace(body, width=16, attention=attention)
    own = {"classes": CLASSES} | fields
    config = spec.Classifier.over(body, **own).with_vocabulary(tokenizer.n_vocab)
    model = Classifier(config)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    write_imported(folder, model, tokenizer)
    return read_checkpoint(folder)


def our_probabilities(checkpoint: Checkpoint) -> np.ndarray[Any, Any]:
    config = checkpoint.classifier_config
    tokenizer = checkpoint.tokenizer()
    texts = EncodedTexts.of(MESSAGES, config.classes, tokenizer, context=config.context)
    return np.exp(
        class_probabilities(
            checkpoint.classifier(), texts, runtime=Runtime.choose("cpu", "float32"), rows=7
        )
    )


@pytest.mark.parametrize("preset", ["gpt2", "llama"])
def test_transformers_predicts_the_same(preset: str, small: Tokenizer, tmp_path: Path) -> None:
    """With its own tokenizer, padding and labels; and so does the imported folder."""
    checkpoint = written(tmp_path / "run", preset, small)
    expected = our_probabilities(checkpoint)

    export_folder(checkpoint, tmp_path / "hf")

    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert model.config.id2label == dict(enumerate(CLASSES))
    inputs = tokenizer(
        [each.text for each in MESSAGES],
        padding=True,
        truncation=True,
        max_length=48,
        return_tensors="pt",
    )
    with torch.inference_mode():
        theirs = model(**inputs).logits.softmax(-1)
    np.testing.assert_allclose(theirs.numpy(), expected, atol=1e-5)
    imported = import_folder(tmp_path / "hf")
    write_imported(
        tmp_path / "again", imported.model, imported.tokenizer, generation=imported.generation
    )
    again = read_checkpoint(tmp_path / "again")
    assert again.classifier_config.classes == CLASSES
    np.testing.assert_array_equal(our_probabilities(again), expected)


def test_families_have_the_classes_of_transformers() -> None:
    """Where it has one that is the same model."""
    found = {
        name: classifier_family(family).model
        for name, family in FAMILIES.items()
        if name not in WITHOUT
    }

    assert found == {name: CLASSES_OF_TRANSFORMERS[name] for name in found}
    others = {name for name in WITHOUT if CLASSES_OF_TRANSFORMERS.get(name)}
    assert others == {"bert", "roberta"}  # with a pooler between the body and the head


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"token": "mean"}, "token is mean"),
        ({"pad_to": 20}, "pad_to is 20"),
        ({"bidirectional": True}, "causal is False"),
        ({"head_bias": True}, "head_bias is True"),
    ],
)
def test_what_transformers_computes_otherwise_is_not_written(
    fields: dict[str, Any], words: str, small: Tokenizer, tmp_path: Path
) -> None:
    """By the name of the field."""
    checkpoint = written(tmp_path / "run", "llama", small, **fields)

    with pytest.raises(FormatError, match=words):
        export_folder(checkpoint, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id2label": {"0": "a", "5": "b"}}, "id2label has '5', but .* rows for 3 classes"),
        ({"id2label": [1]}, r"id2label is \[1\], not an object"),
        ({"model_type": "cohere"}, "cohere has no class in transformers"),
    ],
)
def test_a_wrong_config_is_not_imported(
    change: dict[str, Any], words: str, small: Tokenizer, tmp_path: Path
) -> None:
    """In one line, with the file."""
    export_folder(written(tmp_path / "run", "llama", small), tmp_path / "hf")
    path = tmp_path / "hf/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(FormatError, match=words):
        import_folder(tmp_path / "hf")


def test_classes_without_labels_are_named_as_transformers_names_them(
    small: Tokenizer, tmp_path: Path
) -> None:
    """LABEL_0, LABEL_1 ..."""
    export_folder(written(tmp_path / "run", "gpt2", small), tmp_path / "hf")
    path = tmp_path / "hf/config.json"
    fields = json.loads(path.read_text())
    del fields["id2label"]
    path.write_text(json.dumps(fields))

    imported = import_folder(tmp_path / "hf")

    assert imported.model.config.classes == ("LABEL_0", "LABEL_1", "LABEL_2")  # type: ignore[attr-defined]
