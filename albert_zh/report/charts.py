"""Line charts as SVG text: curves over steps or rates, straight into a page, without a drawing library."""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: Points a drawn curve has at most; a longer one is averaged in equal pieces, its first and last points kept.
MAX_POINTS = 400
#: Up to this many points, each is marked: a curve of three measurements should not look like a continuous one.
MARKED_POINTS = 20
#: The least that a vertical axis of percent spans, so that one row more or less does not look like a cliff.
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: what the legend calls it.
        steps: where the values were measured, rising.
        values: the values; those that are not finite are left out of the drawing.
        dev: measured on dev rows: drawn in the colour all dev curves have.
        joined: the points are joined by a line.
    """

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    dev: bool = False
    joined: bool = True

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values):
            raise ValueError(f"curve {self.name!r} has {len(self.steps)} steps and {len(self.values)} values.")


@dataclass(frozen=True)
class ReferenceLine:
    """A horizontal line to hold a curve against, such as a baseline."""

    name: str
    value: float


@dataclass(frozen=True)
class Chart:
    """Curves over steps.

    Attributes:
        title: what the vertical axis shows.
        curves: the lines, in the order of the legend.
        references: horizontal lines.
        percent: the values are shares and are shown as percent.
        kept: (step, value) of the point that was kept, which is ringed; None: none of them.
        across: what the steps are.
        logarithmic: the steps are more than 0 and drawn by their logarithm, each with its own mark on the axis.
    """

    title: str
    curves: tuple[Curve, ...]
    references: tuple[ReferenceLine, ...] = ()
    percent: bool = False
    kept: tuple[float, float] | None = None
    across: str = "步 step"
    logarithmic: bool = False


#: Numbers of the colours of curves that are not of dev, in turn; past the last the lines are broken.
_COLOURS = (0, 2, 3, 4, 5)
_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 26


def figures(charts: Sequence[Chart], ids: Iterator[int]) -> str:
    """HTML of the charts side by side; ``ids`` numbers them within the page. Empty when none has a value to draw."""
    drawn = "".join(_figure(chart, next(ids)) for chart in charts)
    return f'<div class="charts">{drawn}</div>' if drawn else ""


def _figure(chart: Chart, number: int) -> str:
    """One chart with its legend, which holds the last value of every curve and the value of every line."""
    curves = _drawn(chart)
    if not curves:
        return ""
    legend, description = "", []
    for curve in curves:
        first, last = (_value(curve.values[place], chart.percent) for place in (0, -1))
        said = last
        if curve.best is not None:
            best = f"最佳 best {_value(curve.values[curve.best], chart.percent)} @ {_step(curve.steps[curve.best])}"
            said = best if chart.logarithmic else f"{last}，{best}"
        legend += f'<span class="key {curve.style}">{escaped(curve.name)} <b>{said}</b></span>'
        ends = [_step(curve.steps[place]) for place in (0, -1)]
        what = chart.across.split()[-1]
        description.append(f"{curve.name}: {first} at {what} {ends[0]}, {said} at {what} {ends[1]}")
    for place, line in enumerate(chart.references):
        said = _value(line.value, chart.percent)
        legend += f'<span class="key line{place % 2}">{escaped(line.name)} <b>{said}</b></span>'
        description.append(f"{line.name}: {said}")
    return (
        f'<figure><figcaption><span class="title">{escaped(chart.title)}</span>{legend}</figcaption>'
        f"{_svg(chart, curves, number, '; '.join(description))}</figure>"
    )


@dataclass(frozen=True)
class _Drawn:
    """A curve with values to draw, its style classes, and the place of the point that is ringed."""

    name: str
    style: str
    joined: bool
    steps: np.ndarray
    values: np.ndarray
    best: int | None


def _drawn(chart: Chart) -> list[_Drawn]:
    drawn, number = [], 0
    for curve in chart.curves:
        steps, values = _finite(curve)
        style = "c1" if curve.dev else f"c{_COLOURS[number % len(_COLOURS)]}"
        if not curve.dev:
            style += " again" if number // len(_COLOURS) % 2 else ""
            number += 1
        if len(steps):
            kept = np.flatnonzero((steps == chart.kept[0]) & (values == chart.kept[1])) if chart.kept else ()
            best = int(kept[0]) if len(kept) and not any(other.best is not None for other in drawn) else None
            drawn.append(_Drawn(curve.name, style, curve.joined, steps, values, best))
    return drawn


def _svg(chart: Chart, curves: list[_Drawn], number: int, description: str) -> str:
    every = np.concatenate([curve.values for curve in curves] + [[line.value] for line in chart.references])
    least, most = float(every.min()), float(every.max())
    if chart.percent and most - least < LEAST_SHARE:
        least = min(max((least + most - LEAST_SHARE) / 2, 0.0), 1.0 - LEAST_SHARE)
        most = least + LEAST_SHARE
    y_ticks = _ticks(least, most, 5)
    low, high = y_ticks[0], y_ticks[-1]
    if chart.percent:
        low, high = max(low, 0.0), min(high, 1.0)
    x_end, y_end = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    share, x_ticks = _across(chart, np.concatenate([curve.steps for curve in curves]))

    def x(step: float) -> float:
        return _LEFT + (x_end - _LEFT) * share(step)

    def y(value: float) -> float:
        return y_end - (y_end - _TOP) * (value - low) / (high - low)

    marks = []
    for tick in y_ticks:
        if low - 1e-9 <= tick <= high + 1e-9:
            marks.append(f'<line class="grid" x1="{_LEFT}" x2="{x_end}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
            label = _tick(tick, y_ticks[1] - y_ticks[0], chart.percent)
            marks.append(f'<text class="tick" x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    for tick, label in x_ticks:
        anchor = "end" if x(tick) > x_end - 16 else "middle"
        marks.append(f'<text class="tick" x="{x(tick):.1f}" y="{y_end + 18}" text-anchor="{anchor}">{label}</text>')
    marks.append(f'<text class="tick axis" x="2" y="{y_end + 18}">{escaped(chart.across)}</text>')
    for place, line in enumerate(chart.references):
        at = f"{y(line.value):.1f}"
        marks.append(f'<line class="reference line{place % 2}" x1="{_LEFT}" x2="{x_end}" y1="{at}" y2="{at}"/>')
    for curve in curves:
        steps, values, style = curve.steps, curve.values, curve.style
        if curve.joined:
            pairs = zip(*_downsampled(steps, values), strict=True)
            points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)
            marks.append(f'<polyline class="line {style}" points="{points}"/>')
        marked = range(len(steps)) if len(steps) <= MARKED_POINTS or not curve.joined else (-1,)
        marks += [f'<circle class="dot {style}" cx="{x(steps[n]):.1f}" cy="{y(values[n]):.1f}" r="3"/>' for n in marked]
        if (best := curve.best) is not None:
            marks.append(f'<circle class="ring {style}" cx="{x(steps[best]):.1f}" cy="{y(values[best]):.1f}" r="6"/>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="t{number} d{number}">'
        f'<title id="t{number}">{escaped(chart.title)}</title><desc id="d{number}">{escaped(description)}</desc>'
        f"{''.join(marks)}</svg>"
    )


def _across(chart: Chart, steps: np.ndarray) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """Where a step is drawn, as a share of the axis, and the marks of the axis: steps with what is written there."""
    if not chart.logarithmic:
        last = float(steps.max())
        ticks = [tick for tick in _ticks(0.0, last or 1.0, 5) if tick <= last * 1.001] or [0.0]
        return lambda step: step / (last or 1.0), [(tick, _steps(tick, last)) for tick in ticks]
    first, last = math.log10(steps.min()), math.log10(steps.max())
    edge = 0.08  # of the axis, on both sides
    span = (last - first) or 1.0
    middle = 0.5 - edge if last == first else 0.0
    ticks = [(step, _step(step)) for step in sorted(set(steps.tolist()))]
    return lambda step: edge + middle + (1 - 2 * edge) * (math.log10(step) - first) / span, ticks


def _finite(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    steps, values = np.asarray(curve.steps, np.float64), np.asarray(curve.values, np.float64)
    kept = np.isfinite(steps) & np.isfinite(values)
    return steps[kept], values[kept]


def _downsampled(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most ``MAX_POINTS`` points: means of equal pieces, between the first and the last point as they are."""
    if len(steps) <= MAX_POINTS:
        return steps, values
    edges = np.linspace(1, len(steps) - 1, MAX_POINTS - 1).astype(int)
    pieces = list(itertools.pairwise(edges))

    def thinned(array: np.ndarray) -> np.ndarray:
        return np.array([array[0], *(array[start:end].mean() for start, end in pieces), array[-1]])

    return thinned(steps), thinned(values)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers in equal distances, the first at most ``low`` and the last at least ``high``."""
    span = max(high - low, abs(high) * 1e-3, 1e-9)
    power = 10 ** math.floor(math.log10(span / count))
    distance = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * count >= span * 0.999)
    first, last = math.floor(low / distance + 1e-9), math.ceil(high / distance - 1e-9)
    return [place * distance for place in range(first, max(last, first + 1) + 1)]


def _tick(value: float, distance: float, percent: bool) -> str:
    scale = 100 if percent else 1
    step = f"{distance * scale:.10f}".rstrip("0")
    decimals = len(step.partition(".")[2])
    return f"{value * scale:.{decimals}f}{'%' if percent else ''}"


def _steps(value: float, last: float) -> str:
    return f"{value / 1000:g}k" if value and last >= 10_000 else f"{value:,g}"


def _step(step: float) -> str:
    """A step or a rate in words: 1,200 or 2e-05."""
    return f"{step:,.0f}" if step == int(step) else f"{step:g}"


def _value(value: float, percent: bool) -> str:
    return f"{100 * value:.1f}%" if percent else f"{value:.3f}"


def escaped(value: object) -> str:
    """Text made safe for HTML and SVG: markup escaped, control characters shown as �."""
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "�", str(value)))
