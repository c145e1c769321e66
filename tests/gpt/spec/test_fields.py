"""Fields of a recipe by dotted name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpt.errors import ConfigError
from gpt.spec.fields import fields_of
from gpt.spec.machine import Machine
from gpt.spec.planning import plan
from gpt.spec.presets import PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import flatten, nest

FIELDS = fields_of(Recipe)


def test_every_field_is_documented() -> None:
    """In its source, in a sentence; help shows it."""
    for name, entries in FIELDS.by_name.items():
        for field in entries:
            assert field.summary.endswith(".") or field.default, name
            assert field.doc[0] != " ", name


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_value_of_a_plan_can_be_written_as_text(preset: str) -> None:
    """And is read back equal, and passes the check of a TOML file."""
    recipe = plan(
        data=Path("d"),
        out=Path("o"),
        tokens=10**6,
        machine=Machine.cpu(2),
        vocab_size=4096,
        preset=preset,
        depth=3,
    )
    fields = flatten(recipe.to_dict())

    assert nest(fields) == recipe.to_dict()
    FIELDS.check(recipe.to_dict())
    for name, value in fields.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        assert FIELDS.parse(name, text) == (name, value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("model.norm", "layernorm", ("model.norm.kind", "LayerNorm")),
        ("model.norm.kind", "RMSNorm", ("model.norm.kind", "RMSNorm")),
        ("model.mlp.kind", "MLP", ("model.mlp.kind", "MLP")),
        ("schedule.warmup", "100", ("schedule.warmup", 100)),
        ("schedule.warmup", "0.1", ("schedule.warmup", 0.1)),
        ("optimizer.betas", "[0.9, 0.95]", ("optimizer.betas", [0.9, 0.95])),
        ("model.tie", "True", ("model.tie", True)),
        ("clip", "none", ("clip", None)),
        ("model.mlp.hidden", "None", ("model.mlp.hidden", None)),
        ("model.position", "none", ("model.position", None)),
    ],
)
def test_text_is_read_by_the_type_of_the_field(
    name: str, text: str, expected: tuple[str, Any]
) -> None:
    """A field with one type for each kind of its axis takes all of them."""
    assert FIELDS.parse(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("model.layers", "2.5", "model.layers: '2.5' is not an integer"),
        ("optimizer.lr", "fast", "optimizer.lr: 'fast' is not a number"),
        ("model.tie", "yes", "'yes' is not one of true, false"),
        ("dtype", "fp16", "'fp16' is not one of auto, float32, bfloat16"),
        ("optimizer.betas", "0.9", "'0.9' is not 2 values separated by commas"),
        ("optimizer", "sgd", "'sgd' is not one of AdamW, Muon"),
        ("model.layer", "2", r"model.layer: no such field; did you mean model.layers\?"),
        ("modle.width", "2", r"did you mean model.width\?"),
        ("width", "2", r"did you mean model.width\?"),
        ("model.depth", "2", "no such field; there are context, layers, width"),
        ("model", "2", "'2' is not one of Architecture, EncoderDecoder, Recurrent, Classifier"),
    ],
)
def test_wrong_text_is_refused(name: str, text: str, words: str) -> None:
    """The error says what is expected, and which field may have been meant."""
    with pytest.raises(ConfigError, match=words):
        FIELDS.parse(name, text)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"stepps": 3}, r"stepps: no such field; did you mean steps\?"),
        ({"steps": "3"}, "steps: expected int; got '3'"),
        ({"model": {"depth": 4}}, "model.depth: no such field; there are context"),
        ({"model": 3}, "model: needs a table"),
        ({"model": {"norm": {"kind": "GLU"}}}, "model.norm.kind: expected one of LayerNorm"),
        ({"model": {"norm": "RMSNorm"}}, "model.norm: needs a table with the field kind"),
        ({"modle": {}}, "modle: no such field"),
    ],
)
def test_wrong_table_is_refused(plain: dict[str, Any], words: str) -> None:
    """By name and by type, before anything else is known."""
    with pytest.raises(ConfigError, match=words):
        FIELDS.check(plain)
