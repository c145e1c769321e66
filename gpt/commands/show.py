"""`gpt show`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import click

from gpt.commands.options import OUTPUT
from gpt.commands.settings import OptionsError, Settings, SettingsCommand, given_overrides
from gpt.runs.retention import find_checkpoint
from gpt.spec.architecture import Architecture, GPTConfig
from gpt.spec.classifier import ClassifierConfig
from gpt.spec.overrides import Overrides
from gpt.spec.presets import PRESETS
from gpt.spec.recipe import Recipe
from gpt.spec.serialize import values_of
from pytok.commands.help import option
from pytok.text import cut

if TYPE_CHECKING:
    from gpt.model.anatomy import Anatomy

AnyStack: TypeAlias = GPTConfig | ClassifierConfig
"""Models of one stack of blocks."""
MOST_LABELS = 20
"""Labels of a classifier that are shown."""
SETTINGS = Settings(
    Recipe,
    planned=(),
    hide=lambda name: not name.startswith("model."),
    example="model.attention.kv_heads=1 or model.mlp=Experts",
)


@click.command(
    cls=SettingsCommand,
    settings=SETTINGS,
    examples="""
    gpt show runs/first
    gpt show llama --depth 12 --svg block.svg
    gpt show fast --set model.mlp=Experts
    gpt show Qwen3-0.6B/config.json
    """,
)
@click.argument("spec")
@option(
    "--depth", metavar="N", type=click.IntRange(1), default=4, help="Number of layers of a preset."
)
@SETTINGS.option("--context", "model.context")
@option(
    "--vocab-size",
    metavar="N",
    type=click.IntRange(1),
    default=32768,
    help="Vocabulary size of a preset or a TOML file.",
)
@option("--layer", metavar="N", type=click.IntRange(0), default=0, help="Block to draw, from 0.")
@option(
    "--dtype",
    metavar="TYPE",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    help="Type of the state: float32 or bfloat16.",
)
@option("--svg", metavar="FILE", type=OUTPUT, help="Also draw the block to an SVG image.")
@option("--json", "as_json", is_flag=True, help="Print the figures of the table as JSON.")
@click.pass_context
def show(
    ctx: click.Context,
    /,
    spec: str,
    depth: int,
    vocab_size: int,
    layer: int,
    dtype: str,
    svg: Path | None,
    as_json: bool,
) -> int:
    """Show the parts of a model and draw one of its blocks.

    SPEC is a preset, a TOML file as for `gpt train --config`, a run, or a config.json of Hugging
    Face or its folder, in which no weights are needed. Each part has its parameters, those that a
    token uses, and per token the FLOPs to predict it and the bytes that are kept of it while
    decoding. No memory is used for the model, so it can have any size.
    """
    import torch

    from gpt.model.anatomy import anatomy_of
    from gpt.report.block_svg import block_svg
    from pytok.atomic import replace_file

    config = _config(ctx, spec, depth, vocab_size)
    if layer >= config.layers:
        raise OptionsError(f"--layer {layer}: the model has layers 0 to {config.layers - 1}")
    anatomy = anatomy_of(config, layer, getattr(torch, dtype))
    if svg is not None:
        replace_file(svg, block_svg(anatomy, layer).encode())
    click.echo(json.dumps(_figures(anatomy)) if as_json else _page(anatomy, layer, dtype))
    return 0


def _config(ctx: click.Context, spec: str, depth: int, vocab_size: int) -> AnyStack:
    """Return the model of *spec* with the fields that the options set."""
    path = Path(spec)
    toml = path if path.suffix == ".toml" and path.is_file() else None
    overrides = given_overrides(ctx, toml)
    if spec in PRESETS or toml:
        context = overrides.values.get("model.context", 1024)
        model = PRESETS["fast" if toml else spec](depth, max(1, context))
        return GPTConfig.over(_changed(model, overrides), vocab_size)
    config = _config_of_run(path) if find_checkpoint(path) else _config_of_others(path)
    if isinstance(config, ClassifierConfig):
        if overrides.values:
            source = next(iter(overrides.sources.values()))
            raise OptionsError(f"{source}: a classifier is shown as it is; remove it")
        return config
    architecture = Architecture(**values_of(config, Architecture))
    return GPTConfig.over(_changed(architecture, overrides), config.vocab_size)


def _config_of_run(run: Path) -> AnyStack:
    """Return that of the model of *run*; raises OptionsError for a model of pairs."""
    from gpt.runs.reading import read_checkpoint

    config = read_checkpoint(run).state.config
    if config.reads_pairs:
        raise OptionsError(
            f"{run}: a model of pairs has blocks of two kinds, and `gpt show` draws those of one "
            "stack; report.md in the run has its figures"
        )
    return cast(AnyStack, config)


def _config_of_others(path: Path) -> GPTConfig:
    """Return that of a config.json of Hugging Face, *path* or in the folder; no weights are read.

    Raises OptionsError if there is none.
    """
    file = path / "config.json" if path.is_dir() else path
    if file.suffix != ".json" or not file.is_file():
        raise OptionsError(
            f"{path}: neither a preset ({', '.join(PRESETS)}), nor a TOML file, nor a run, nor a "
            "config.json or its folder"
        )
    from gpt.interop.huggingface import read_config

    return read_config(file)


def _changed(model: Any, overrides: Overrides) -> Any:
    """Return *model* with the fields of *overrides* that concern it."""
    recipe = Recipe(data=Path(), out=Path(), model=model)
    names = [name for name in overrides.values if not name.startswith("model.")]
    return overrides.without(*names).over(recipe).model


def _figures(anatomy: Anatomy) -> Mapping[str, Any]:
    from gpt.model.flops import parts_of

    parts = {name: dataclasses.asdict(part) for name, part in parts_of(anatomy.model).items()}
    return {"parts": parts, "state": anatomy.state, "context": anatomy.model.context}


def _classes(anatomy: Anatomy) -> list[str]:
    """Return the lines about the classes of a classifier."""
    config: Any = anatomy.model.config
    if not isinstance(config, ClassifierConfig):
        return []
    read = "the mean of all tokens" if config.token == "mean" else f"the {config.token} token"
    filled = "" if config.pad_to is None else f" of texts filled to {config.pad_to} tokens"
    labels = ", ".join(map(cut, config.classes[:MOST_LABELS]))
    more = f" and {len(config.classes) - MOST_LABELS:,} more" * (len(config.classes) > MOST_LABELS)
    return [f"classes, read at {read}{filled}: {labels}{more}", ""]


def _page(anatomy: Anatomy, layer: int, dtype: str) -> str:
    """Return the table of parts, and the drawing of block *layer*."""
    from gpt.report.block_text import block_text
    from gpt.report.parts import layers_like, parts_table

    return "\n".join(
        [
            *_classes(anatomy),
            parts_table(anatomy, dtype),
            "",
            f"block {layer}{layers_like(anatomy.model, layer)} "
            f"(B: rows, T: tokens, at most {anatomy.model.context:,})",
            "",
            block_text(anatomy, layer),
        ]
    )
