"""The charts of a report, as inline SVG.

Colors and fonts come from the page's stylesheet, by class, so the charts follow the reader's light
or dark mode. This, and 2% of the size, is the reason to use no plotting library.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 36, 64
"""Margins of the plot, wide enough for the larger letters on narrow screens."""

_MAX_X_LABELS = 6
_Y_STEPS = 5


class Series(NamedTuple):
    """Bars of one kind; the legend of the page shows their names and colors."""

    name: str
    fractions: Sequence[float]
    """One per category, between 0 and 1."""


def curve(points: Sequence[tuple[int, float]], marked: Sequence[int]) -> str:
    """Draw bytes per token by vocabulary size, on a logarithmic scale, with dots at *marked* sizes.

    *points* are pairs of a size and its bytes per token, ascending; they include the marked sizes.
    """
    sizes, rates = zip(*points, strict=True)
    reached = f"{rates[-1]:.2f} at {sizes[-1]:,}"
    title = f"Bytes per token by vocabulary size, up to {reached}"
    chart = _Chart(title, "bytes per token", "vocabulary size")
    low, high = math.log2(sizes[0]), max(math.log2(sizes[-1]), math.log2(sizes[0]) + 1)
    top = chart.draw_scale(1.0, max(rates))

    def position(size: int, rate: float) -> tuple[float, float]:
        fraction = (math.log2(size) - low) / (high - low)
        return LEFT + fraction * (WIDTH - LEFT - RIGHT), top(rate)

    powers = [1 << bits for bits in range(math.ceil(low), math.floor(high) + 1)]
    for power in powers[:: math.ceil(len(powers) / _MAX_X_LABELS)]:
        chart.draw_label(position(power, 1.0)[0], f"{power:,}")
    chart.draw("polyline", "curve", points=_line([position(*point) for point in points]))
    for size, rate in points:
        if size in marked:
            x, y = position(size, rate)
            dot = chart.draw("circle", "dot", cx=x, cy=y, r=4)
            _add_tooltip(dot, f"{size:,} tokens: {rate:.3f} bytes per token")
    x, y = position(*points[-1])
    chart.write(reached, "value", "end", x, y - 12)
    return chart.svg()


def frequencies(points: Sequence[tuple[int, int]], tokens: int) -> str:
    """Draw uses by the position of a token in the order of uses, both on logarithmic scales.

    *points* are pairs of a position, ascending from 1, and the uses of that token, all at least 1.
    A dashed line is Zipf's law: uses in inverse proportion to the position, for *tokens* uses in
    total.
    """
    last, most = points[-1][0], points[0][1]
    title = f"Uses by position of a token, from {most:,} to {points[-1][1]:,} at {last:,}"
    chart = _Chart(title, "uses", "position of a token in the order of uses")
    law = tokens / sum(1 / position for position in range(1, last + 1))
    high = max(1, math.log10(last))
    top = chart.draw_log_scale(max(most, law))

    def point_at(position: float, uses: float) -> tuple[float, float]:
        return LEFT + math.log10(position) / high * (WIDTH - LEFT - RIGHT), top(uses)

    powers = [10**exponent for exponent in range(math.floor(high) + 1)]
    for power in powers:
        chart.draw_label(point_at(power, 1)[0], _short(power))
    end = min(last, law)  # where the law reaches a single use
    chart.draw("polyline", "law", points=_line([point_at(1, law), point_at(end, law / end)]))
    chart.draw("polyline", "curve", points=_line([point_at(*point) for point in points]))
    for position, uses in points:
        if position in powers:
            x, y = point_at(position, uses)
            dot = chart.draw("circle", "dot", cx=x, cy=y, r=4)
            _add_tooltip(dot, f"the token at position {position:,}: {uses:,} uses")
    return chart.svg()


def bars(categories: Sequence[str], series: Sequence[Series], *, x_title: str) -> str:
    """Draw bars of each series by category, in percent; *x_title* describes the categories."""
    chart = _Chart(f"Percent by {x_title}", "percent", x_title)
    top = chart.draw_scale(0.0, 100 * max(max(fractions) for _, fractions in series))
    step = (WIDTH - LEFT - RIGHT) / len(categories)
    width = step * 0.8 / len(series)
    for index, category in enumerate(categories):
        left = LEFT + step * index
        chart.draw_label(left + step / 2, category)
        for number, (name, fractions) in enumerate(series):
            x, y = left + step * 0.1 + width * number, top(100 * fractions[index])
            height = HEIGHT - BOTTOM - y
            bar = chart.draw("rect", f"series{number}", x=x, y=y, width=width, height=height)
            _add_tooltip(bar, f"{name}, {category} {x_title}: {fractions[index]:.1%}")
    return chart.svg()


class _Chart:
    """An SVG with a title for screen readers, and a title for each axis."""

    def __init__(self, title: str, y_title: str, x_title: str) -> None:
        self._root = ElementTree.Element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")
        self._root.set("class", "chart")
        self._root.set("aria-label", title)
        self.write(y_title, "axis", "start", 0, 17)
        self.write(x_title, "axis", "middle", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8)

    def draw(self, shape: str, style: str, **attributes: str | float) -> ElementTree.Element:
        """Add a *shape* of the class *style*; numbers are rounded to 0.01 pixels."""
        texts = {
            name: value if isinstance(value, str) else f"{value:.2f}"
            for name, value in attributes.items()
        }
        return ElementTree.SubElement(self._root, shape, {"class": style, **texts})

    def write(self, text: str, style: str, anchor: str, x: float, y: float) -> None:
        """Add *text* at *x*; *anchor* is "start", "middle" or "end"."""
        element = self.draw("text", style, x=x, y=y)
        element.set("text-anchor", anchor)
        element.text = text

    def draw_label(self, x: float, text: str) -> None:
        """Label the horizontal axis at *x*."""
        self.write(text, "label", "middle", x, HEIGHT - BOTTOM + 24)

    def draw_scale(self, low: float, high: float) -> Callable[[float], float]:
        """Draw the vertical axis from *low* to at least *high*; return the function value to y."""
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

    def draw_log_scale(self, high: float) -> Callable[[float], float]:
        """Draw the vertical axis from 1 to at least *high*; return the function value to y."""
        exponents = range(max(1, math.ceil(math.log10(high))) + 1)

        def top(value: float) -> float:
            fraction = math.log10(value) / exponents[-1]
            return HEIGHT - BOTTOM - fraction * (HEIGHT - TOP - BOTTOM)

        step = math.ceil(len(exponents) / (_Y_STEPS + 1))
        for exponent in exponents[::step]:
            y = top(10**exponent)
            self.draw("line", "grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
            self.write(_short(10**exponent), "label", "end", LEFT - 8, y + 5)
        return top

    def svg(self) -> str:
        """Return the chart as SVG."""
        return ElementTree.tostring(self._root, encoding="unicode")


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Return the attribute ``points`` of a polyline."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _short(power: int) -> str:
    """Return a *power* of ten in at most four characters, up to 10^14.

    >>> [_short(10**exponent) for exponent in (0, 2, 4, 8, 9)]
    ['1', '100', '10k', '100M', '1G']
    """
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if power >= unit:
            return f"{power // unit}{name}"
    return str(power)


def _add_tooltip(element: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(element, "title").text = text


def ticks_between(low: float, high: float) -> list[float]:
    """Return ticks with a round step from *low* to at least *high*: up to `_Y_STEPS` steps.

    >>> ticks_between(0, 23.4), ticks_between(1, 3.89), ticks_between(1, 1)
    ([0.0, 5.0, 10.0, 15.0, 20.0, 25.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0])
    """
    smallest = (high - low) / _Y_STEPS or 1.0
    magnitude = 10.0 ** math.floor(math.log10(smallest))
    step = next(digit * magnitude for digit in (1, 2, 5, 10) if digit * magnitude >= smallest)
    steps = max(1, math.ceil((high - low) / step))
    return [low + step * number for number in range(steps + 1)]
