"""The two charts of a report, as SVG that is part of the page.

They hold no colours and no fonts: the page's style gives them by class, so that they follow the
reader's light or dark. That, and a fiftieth of the size, is why no plotting library draws them.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 36, 64
"""Around the plot, wide enough for the larger letters that narrow screens get."""

_X_LABELS = 6
_Y_STEPS = 5


class Series(NamedTuple):
    """Bars of one kind; the page tells their names and colours beside the chart."""

    name: str
    shares: Sequence[float]
    """One a category, 1 for all."""


def curve(points: Sequence[tuple[int, float]], marked: Sequence[int]) -> str:
    """Bytes per token by vocabulary size, on a logarithmic scale; the *marked* sizes have dots.

    *points* are sizes, ascending, with what they reach; the marked ones are among them.
    """
    sizes, rates = zip(*points, strict=True)
    reached = f"{rates[-1]:.2f} at {sizes[-1]:,}"
    title = f"Bytes per token by vocabulary size, up to {reached}"
    chart = _Chart(title, "bytes per token", "vocabulary size")
    low, high = math.log2(sizes[0]), max(math.log2(sizes[-1]), math.log2(sizes[0]) + 1)
    top = chart.draw_scale(1.0, max(rates))

    def place(size: int, rate: float) -> tuple[float, float]:
        share = (math.log2(size) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT), top(rate)

    powers = [1 << bits for bits in range(math.ceil(low), math.floor(high) + 1)]
    for power in powers[:: math.ceil(len(powers) / _X_LABELS)]:
        chart.draw_label(place(power, 1.0)[0], f"{power:,}")
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    chart.draw("polyline", "curve", points=line)
    for size, rate in points:
        if size in marked:
            x, y = place(size, rate)
            dot = chart.draw("circle", "dot", cx=x, cy=y, r=4)
            _entitle(dot, f"{size:,} tokens: {rate:.3f} bytes per token")
    x, y = place(*points[-1])
    chart.write(reached, "value", "end", x, y - 12)
    return chart.svg()


def bars(categories: Sequence[str], series: Sequence[Series], *, below: str) -> str:
    """For each category a bar of each series, in percent; *below* says what the categories are."""
    chart = _Chart(f"Percent by {below}", "percent", below)
    top = chart.draw_scale(0.0, 100 * max(max(shares) for _, shares in series))
    step = (WIDTH - LEFT - RIGHT) / len(categories)
    width = step * 0.8 / len(series)
    for place, category in enumerate(categories):
        left = LEFT + step * place
        chart.draw_label(left + step / 2, category)
        for number, (name, shares) in enumerate(series):
            x, y = left + step * 0.1 + width * number, top(100 * shares[place])
            height = HEIGHT - BOTTOM - y
            bar = chart.draw("rect", f"series{number}", x=x, y=y, width=width, height=height)
            _entitle(bar, f"{name}, {category} {below}: {shares[place]:.1%}")
    return chart.svg()


class _Chart:
    """An SVG with a title for those who do not see it, and a title for each axis."""

    def __init__(self, title: str, beside: str, below: str) -> None:
        self._root = ElementTree.Element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
        self._root.set("class", "chart")
        self._root.set("aria-label", title)
        self.write(beside, "axis", "start", 0, 17)
        self.write(below, "axis", "middle", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8)

    def draw(self, shape: str, style: str, **attributes: str | float) -> ElementTree.Element:
        """Add a *shape* of the class *style*; a tenth of a pixel is seen, a hundredth is not."""
        texts = {
            name: value if isinstance(value, str) else f"{value:.2f}"
            for name, value in attributes.items()
        }
        return ElementTree.SubElement(self._root, shape, {"class": style, **texts})

    def write(self, text: str, style: str, anchor: str, x: float, y: float) -> None:
        """Add *text* that starts, ends, or has its middle at *x*."""
        element = self.draw("text", style, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = text

    def draw_label(self, x: float, text: str) -> None:
        """Label the place *x* of the horizontal axis."""
        self.write(text, "label", "middle", x, HEIGHT - BOTTOM + 24)

    def draw_scale(self, low: float, high: float) -> Callable[[float], float]:
        """Draw the vertical axis from *low* to *high* or more; give the place of each value."""
        ticks = ticks_between(low, high)
        low, high = ticks[0], ticks[-1]
        digits = max(0, -math.floor(math.log10(ticks[1] - low) + 1e-9))

        def top(value: float) -> float:
            return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

        for tick in ticks:
            y = top(tick)
            self.draw("line", "grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
            self.write(f"{tick:.{digits}f}", "label", "end", LEFT - 8, y + 5)
        return top

    def svg(self) -> str:
        """All of it."""
        return ElementTree.tostring(self._root, encoding="unicode")


def _entitle(element: ElementTree.Element, title: str) -> None:
    """Add what a pointer that rests on *element* is told."""
    ElementTree.SubElement(element, "title").text = title


def ticks_between(low: float, high: float) -> list[float]:
    """Some `_Y_STEPS` round steps from *low* to *high* or a little more, and one at least.

    >>> ticks_between(0, 23.4), ticks_between(1, 3.89), ticks_between(1, 1)
    ([0.0, 5.0, 10.0, 15.0, 20.0, 25.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0])
    """
    least = (high - low) / _Y_STEPS or 1.0
    magnitude = 10.0 ** math.floor(math.log10(least))
    step = next(digit * magnitude for digit in (1, 2, 5, 10) if digit * magnitude >= least)
    steps = max(1, math.ceil((high - low) / step))
    return [low + step * number for number in range(steps + 1)]
