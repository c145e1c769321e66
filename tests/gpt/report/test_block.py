"""Drawings of a block: as text, and as an SVG image."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import pytest

from gpt.model.anatomy import Anatomy, Node, anatomy_of
from gpt.report.block import Lane, boxes_of, lanes_of
from gpt.report.block_svg import WIDTH as SVG_WIDTH
from gpt.report.block_svg import block_svg
from gpt.report.block_text import WIDTH, block_text
from gpt.report.parts import layers_like, parts_table
from gpt.spec.architecture import GPTConfig
from gpt.spec.experts import Experts
from gpt.spec.mlp import MLP
from gpt.spec.presets import PRESETS
from gpt.spec.wiring import PostNorm
from tests.gpt.nn.test_mechanisms import MODELS, SMALL

EXPERTS = dataclasses.replace(
    GPTConfig.over(PRESETS["qwen3"](4, 1024), 50_000),
    mlp=Experts(shared=1, first_dense=1),
    bias=True,
)
PARALLEL = [
    Node("input", ()),
    Node("norm", (0,)),
    Node("attention", (1,)),
    Node("mlp", (1,)),
    Node("+", (2, 3)),
    Node("+", (0, 4)),
]


def test_a_pre_norm_block_as_text() -> None:
    """The stream passes each branch, and the branch is added to it."""
    config = dataclasses.replace(SMALL, mlp=MLP(hidden=64))
    lines = block_text(anatomy_of(config), 0).splitlines()
    sums = [number for number, line in enumerate(lines) if line.endswith("▶+")]

    assert lines[0].strip() == "x: B × T × width 32"
    assert lines[1].startswith("╭───")
    assert lines[1].endswith("┤")
    assert [lines[number][0] for number in sums] == ["╰", "╰"]
    assert all(line[0] == "│" for line in lines[2 : sums[0]])
    assert any("queries, keys, values: B × heads 4 × T × head width 8" in line for line in lines)
    assert any("hidden: B × T × 64" in line for line in lines)
    assert lines[-1].strip() == "B × T × width 32"


@pytest.mark.parametrize("config", [*MODELS, pytest.param(EXPERTS, id="experts")])
def test_a_block_fits_a_narrow_terminal(config: GPTConfig) -> None:
    """Of 80 columns; whatever its mechanisms, each module is in a box."""
    anatomy = anatomy_of(config)
    text = block_text(anatomy, 0)

    assert max(map(len, text.splitlines())) <= WIDTH == 80
    for box in boxes_of(anatomy, 0):
        assert not box.kind or f"{box.title}: {box.kind}" in text


def test_lines_of_parallel_branches_have_lanes_of_their_own() -> None:
    """The short ones are nearest to the boxes."""
    assert lanes_of(PARALLEL) == [Lane(1, 3, 0), Lane(2, 4, 1), Lane(0, 5, 2)]


def test_the_image_is_svg_with_the_same_content() -> None:
    """With markup in texts escaped, and nothing outside its width."""
    anatomy = anatomy_of(dataclasses.replace(EXPERTS, wiring=PostNorm()), 1)
    root = ElementTree.fromstring(block_svg(anatomy, 1))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    boxes = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("x")]

    assert "x: B × T × width 256" in texts
    assert sum("Experts" in text for text in texts) == 1
    assert all(float(each.get("x", 0)) + float(each.get("width", 0)) < SVG_WIDTH for each in boxes)


def test_the_table_has_totals() -> None:
    """In 80 columns; active parameters are fewer than all."""
    anatomy = anatomy_of(EXPERTS)
    table = parts_table(anatomy, "float32")
    (total,) = (line for line in table.splitlines() if line.startswith("total"))
    _, parameters, active, _, state = total.split()

    assert max(map(len, table.splitlines())) <= 80
    assert int(parameters.replace(",", "")) == sum(p.numel() for p in anatomy.model.parameters())
    assert int(active.replace(",", "")) < int(parameters.replace(",", ""))
    assert int(state.replace(",", "")) == 4 * 4 * 2 * 2 * 64


def test_layers_that_are_alike_are_named() -> None:
    """The first one has an MLP instead of experts."""
    model = anatomy_of(EXPERTS).model

    assert layers_like(model, 0) == " of 4, unlike all others"
    assert layers_like(model, 1) == " of 4, like 2, 3"


def test_an_observed_module_is_not_changed() -> None:
    """Its hooks are removed."""
    anatomy: Anatomy = anatomy_of(SMALL)

    assert not any(module._forward_hooks for module in anatomy.model.modules())
