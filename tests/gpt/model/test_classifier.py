"""Classifiers: equal to transformers' on the same weights, and blind to padding."""

import dataclasses
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from gpt.data.batch import IGNORED, Batch
from gpt.data.labeled_rows import LABELS, LENGTHS
from gpt.errors import ConfigError
from gpt.interop.classifiers import body_and_family, label_fields
from gpt.interop.tensor_names import export_weights
from gpt.model.build import build_model
from gpt.model.classifier import Classifier
from gpt.model.shapes import without_memory
from gpt.spec import classifier as spec
from gpt.spec.classifier import Pooling
from gpt.spec.presets import PRESETS

VOCABULARY, CONTEXT = 60, 12
CLASSES = ("eggs", "ham", "spam")
LENGTHS_OF_ROWS = (5, 1, 12, 8)
PADDING = VOCABULARY - 1


def config_of(preset: str, **fields: Any) -> spec.ClassifierConfig:
    body = PRESETS[preset](2, CONTEXT)
    attention = dataclasses.replace(cast(Any, body.attention), heads=4, kv_heads=4)
    body = dataclasses.replace(body, width=32, attention=attention)
    if fields.pop("bidirectional", False):
        body = dataclasses.replace(body, attention=body.attention.bidirectional())
    fields = {"classes": CLASSES} | fields
    return spec.Classifier.over(body, **fields).with_vocabulary(VOCABULARY)


def randomized(config: spec.ClassifierConfig, seed: int = 0) -> Classifier:
    """The model of *config*, in float64, with no weight that is zero or one."""
    model = cast(Classifier, build_model(config)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def batch_of(rows: list[Tensor], padding: int = PADDING, width: int | None = None) -> Batch:
    """*rows* of ids, padded to *width*, by default the longest, with labels 0, 1, 2, 0 ..."""
    ids = torch.full((len(rows), width or max(map(len, rows))), padding)
    for row, each in zip(ids, rows, strict=True):
        row[: len(each)] = each
    lengths = torch.tensor([len(each) for each in rows])
    labels = torch.arange(len(rows)) % len(CLASSES)
    given = {LENGTHS: lengths, LABELS: labels}
    return Batch(ids, torch.full_like(ids, IGNORED), given=given)


def ragged_rows(seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(PADDING, (n,), generator=generator) for n in LENGTHS_OF_ROWS]


@pytest.mark.parametrize("preset", ["gpt2", "llama"])
def test_logits_and_gradients_are_those_of_transformers(preset: str) -> None:
    """The last token that is not padding, in rows of different lengths; all parameters."""
    model, batch = randomized(config_of(preset)), batch_of(ragged_rows())
    body, family = body_and_family(model.config)
    weights = export_weights(model, family.names, adds_biases=family.adds_biases)
    fields = {**family.write(body), **label_fields(CLASSES), "pad_token_id": PADDING}
    ids = {"bos_token_id": PADDING, "eos_token_id": PADDING}
    config = transformers.AutoConfig.for_model(family.name, **fields, **ids)
    other = getattr(transformers, family.model)(config).double().eval()
    other.load_state_dict(weights)

    theirs = other(batch.inputs, labels=batch.given[LABELS])
    ours = model(batch)
    F.cross_entropy(ours, batch.given[LABELS]).backward()
    theirs.loss.backward()

    torch.testing.assert_close(ours, theirs.logits)
    torch.testing.assert_close(model.head.weight.grad, other.score.weight.grad)
    table = other.get_input_embeddings().weight.grad
    assert model.embedding.weight.grad is not None
    torch.testing.assert_close(model.embedding.weight.grad[:VOCABULARY], table)


@pytest.mark.parametrize("token", ["last", "first", "mean"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(token: Pooling, bidirectional: bool) -> None:
    """Neither its number nor its ids: a text in a batch has the logits that it has alone."""
    model = randomized(config_of("llama", token=token, bidirectional=bidirectional))
    rows = ragged_rows()

    together = model(batch_of(rows, padding=7))

    alone = torch.cat([model(batch_of([row])) for row in rows])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(("token", "reads"), [("first", 0), ("last", -1)])
def test_a_causal_model_reads_one_token(token: Pooling, reads: int) -> None:
    """The first one has seen nothing else, the last one all."""
    model, row = randomized(config_of("llama", token=token)), ragged_rows()[0]
    changed = row.clone()
    changed[1:-1] = (changed[1:-1] + 1) % PADDING

    before, after = (model(batch_of([each])) for each in (row, changed))

    assert torch.equal(before, after) == (reads == 0)


def test_the_mean_is_that_of_the_vectors_of_the_text() -> None:
    """Without those of padding."""
    model, rows = randomized(config_of("gpt2", token="mean")), ragged_rows()
    batch = batch_of(rows)
    hidden, _ = model.hidden(batch.inputs)

    expected = torch.stack([h[: len(row)].mean(0) for h, row in zip(hidden, rows, strict=True)])

    torch.testing.assert_close(model(batch), expected @ model.head.weight.T)


def test_the_weights_follow_from_the_seed() -> None:
    """And the body has the names of a GPT's, so that a base's weights fit."""
    config = config_of("gpt2")
    one, same, other = (build_model(config, seed) for seed in (0, 0, 1))

    assert torch.equal(one.head.weight, same.head.weight)  # type: ignore[union-attr,arg-type]
    assert not torch.equal(one.head.weight, other.head.weight)  # type: ignore[union-attr,arg-type]
    names = {name for name, _ in one.named_parameters()}
    base = {name for name, _ in without_memory(config.body()).named_parameters()}
    assert names - {"head.weight"} == base - {"head.weight"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ("a",)}, "two or more"),
        ({"classes": ("a", "a")}, "occurs twice"),
        ({"pad_to": CONTEXT + 1}, "pad_to must be at most the context"),
        ({"tie": True}, "tie must be false"),
        ({"vocab_size": 0}, "vocab_size"),
    ],
)
def test_a_wrong_config_is_an_error(fields: dict[str, Any], message: str) -> None:
    """By the name of the field."""
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(config_of("gpt2"), **fields)


def test_a_config_is_saved_with_its_labels() -> None:
    """So a run is complete."""
    config = config_of("gpt2", classes=("größer", "kleiner"))

    assert spec.ClassifierConfig.from_dict(config.to_dict()) == config
