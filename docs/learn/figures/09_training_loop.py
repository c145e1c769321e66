"""Chapter 9: schedules of the learning rate, as `gpt.optim.schedules` computes them."""

from matplotlib.figure import Figure
from style import BLUE, GREEN, ORANGE, PURPLE, save

from gpt.optim.schedules import cosine, linear, noam, warmup_stable_decay
from gpt.spec.schedule import Cosine, Linear, Noam, WarmupStableDecay

STEPS = 200


def draw() -> Figure:
    """Each schedule from the first step to the last."""
    curves = {
        "Linear(warmup=0.1)": (linear, Linear(warmup=0.1), BLUE),
        "Cosine()": (cosine, Cosine(), ORANGE),
        "WarmupStableDecay()": (warmup_stable_decay, WarmupStableDecay(), GREEN),
        "Noam(warmup=20)": (noam, Noam(warmup=20), PURPLE),
    }
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = range(STEPS)
    for name, (schedule, spec, color) in curves.items():
        rates = [schedule(spec, step, (step + 1) / STEPS) for step in steps]
        axes.plot([(step + 1) / STEPS for step in steps], rates, color=color, label=name, lw=2)
    axes.set_xlabel("fraction of the run")
    axes.set_ylabel("fraction of the peak")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


if __name__ == "__main__":
    save(draw(), __file__)
