"""Chapter 11: the parts of the FLOPs of a token, by context and by depth."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from style import BLUE, GREEN, ORANGE, PURPLE, save

from gpt.model.flops import parts_of
from gpt.model.shapes import without_memory
from gpt.spec.architecture import GPTConfig
from gpt.spec.presets import PRESETS

PARTS = {"mlp": BLUE, "attention": GREEN, "attention matmuls": ORANGE, "head": PURPLE}
CONTEXTS = (256, 1024, 4096, 16384, 65536)
DEPTHS = (4, 8, 12, 24, 48)


def fractions(depth: int, context: int) -> dict[str, float]:
    """The fraction of the FLOPs of each part of GPT-2's shape with *depth* layers."""
    config = GPTConfig.over(PRESETS["gpt2"](depth, context), 50_257)
    flops = {name: part.flops for name, part in parts_of(without_memory(config)).items()}
    return {name: flops[name] / sum(flops.values()) for name in PARTS}


def stack(axes: Axes, labels: list[str], columns: list[dict[str, float]], title: str) -> None:
    """Draw a column for each label, of one piece for each part."""
    below = [0.0] * len(columns)
    for name, color in PARTS.items():
        heights = [100 * column[name] for column in columns]
        axes.bar(labels, heights, bottom=below, color=color, label=name, width=0.7)
        below = [bottom + height for bottom, height in zip(below, heights, strict=True)]
    axes.set_title(title)
    axes.set_ylim(0, 100)


def draw() -> Figure:
    """The 12 layers of GPT-2 by context on the left, by depth at its context on the right."""
    figure = Figure(figsize=(10.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    contexts = [fractions(12, context) for context in CONTEXTS]
    stack(left, [f"{context:,}" for context in CONTEXTS], contexts, "12 layers, by context")
    depths = [fractions(depth, 1024) for depth in DEPTHS]
    stack(right, list(map(str, DEPTHS)), depths, "context 1,024, by layers (64 wide each)")
    left.set_ylabel("% of the FLOPs of a token")
    handles, labels = right.get_legend_handles_labels()
    right.legend(
        handles[::-1], labels[::-1], frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
