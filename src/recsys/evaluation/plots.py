"""Small plots: dots and lines as inline SVG, bars as HTML. No library, no script, nothing loaded.

Colours come from CSS classes, so a page decides on light, dark and print. Every text is escaped.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH = 560
SERIES = 6  # colour classes s0 ... s5


class Interval(NamedTuple):
    """One row of a dot plot."""

    label: str
    value: float
    low: float
    high: float
    tone: str = ""  # CSS class: good, bad, or none


class Line(NamedTuple):
    """One line of a chart; NaN leaves a gap."""

    label: str
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that span a range."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def label(value: float) -> str:
    """A tick's text: as few digits as it needs."""
    return f"{value:.4g}"


def _svg(height: float, body: str, title: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", cls: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{cls}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, cls: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def dots(rows: Sequence[Interval], title: str, *, zero: bool = True) -> str:
    """One row each: a dot with its interval; with ``zero``, a line at 0 that an interval may clear."""
    known = [v for row in rows for v in (row.value, row.low, row.high) if math.isfinite(v)]
    if not known:
        return ""
    low, high = min(known + [0.0] * zero), max(known + [0.0] * zero)
    marks = ticks(low, high if high > low else low + 1.0)
    low, high = min(marks[0], low), max(marks[-1], high)
    left, right, step, top = 150.0, WIDTH - 20.0, 26.0, 6.0
    bottom = top + step * len(rows)

    def x(value: float) -> float:
        return left + (value - low) / (high - low or 1.0) * (right - left)

    body = "".join(_rule(x(m), top, x(m), bottom, "grid") for m in marks)
    if zero:
        body += _rule(x(0), top, x(0), bottom, "zero")
    for i, row in enumerate(rows):
        y = top + step * (i + 0.5)
        body += _text(left - 10, y + 4, row.label, "end")
        if math.isfinite(row.low) and math.isfinite(row.high):
            body += _rule(x(row.low), y, x(row.high), y, f"bar {row.tone}")
        if math.isfinite(row.value):
            body += f'<circle cx="{x(row.value):.1f}" cy="{y:.1f}" r="5" class="dot {row.tone}"/>'
    body += "".join(_text(x(m), bottom + 16, label(m), "middle", "tick") for m in marks)
    return _svg(bottom + 22, body, title)


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> str:
    """Horizontal bars of (label, value at least 0, text beside the bar), as HTML: long labels wrap."""
    if not rows:
        return ""
    largest = max(value for _, value, _ in rows) or 1.0
    body = "".join(
        f'<div>{escape(name)}<span><i style="width:{80 * value / largest:.1f}%"></i>'
        f"<small>{escape(beside)}</small></span></div>"
        for name, value, beside in rows
    )
    return f'<div class="bars" role="img" aria-label="{escape(title)}">{body}</div>'


def lines(x_labels: Sequence[str], series: Sequence[Line], title: str, *, x_title: str = "") -> str:
    """Lines over evenly spaced, named places on the x axis, with interval whiskers where given."""
    known = [v for s in series for v in (*s.y, *s.low, *s.high) if math.isfinite(v)]
    if not known or not x_labels:
        return ""
    marks = ticks(min(0.0, *known), max(known) or 1.0)
    low, high = marks[0], marks[-1]
    left, right, top, bottom = 52.0, WIDTH - 16.0, 12.0, 232.0

    def x(i: int, shift: float = 0.0) -> float:
        n = len(x_labels)
        return (left + right) / 2 if n == 1 else left + 14 + i * (right - left - 28) / (n - 1) + shift

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low or 1.0) * (bottom - top)

    body = "".join(
        _rule(left, y(m), right, y(m), "grid") + _text(left - 8, y(m) + 4, label(m), "end", "tick")
        for m in marks
    )
    every = math.ceil(len(x_labels) / 10)
    for i, name in enumerate(x_labels):
        if i % every == 0:
            body += _text(x(i), bottom + 17, name, "middle", "tick")
    for s, line in enumerate(series):
        shift = (s - (len(series) - 1) / 2) * 5 if line.low else 0.0  # whiskers side by side
        colour = f"s{s % SERIES}"
        for i in range(len(line.low)):
            if math.isfinite(line.low[i]) and math.isfinite(line.high[i]):
                body += _rule(x(i, shift), y(line.low[i]), x(i, shift), y(line.high[i]), f"whisker {colour}")
        points = [f"{x(i, shift):.1f},{y(v):.1f}" if math.isfinite(v) else "" for i, v in enumerate(line.y)]
        for run in " ".join(p or "|" for p in points).split("|"):
            if len(run.split()) > 1:
                body += f'<polyline points="{run.strip()}" class="curve {colour}"/>'
        if len(points) <= 60:
            for point in filter(None, points):
                cx, cy = point.split(",")
                body += f'<circle cx="{cx}" cy="{cy}" r="3.5" class="dot {colour}"/>'
    height = bottom + 24
    if x_title:
        body += _text((left + right) / 2, height + 12, x_title, "middle", "tick")
        height += 18
    return _svg(height, body, title) + legend([line.label for line in series])


def legend(names: Sequence[str]) -> str:
    """Names beside their colours, as HTML."""
    keys = "".join(
        f'<span><i class="key k{i % SERIES}"></i>{escape(name)}</span>' for i, name in enumerate(names)
    )
    return f'<p class="legend">{keys}</p>'
