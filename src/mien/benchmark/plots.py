"""Plots as SVG text: dots with intervals, curves, points, matrices. Nothing but the standard library draws."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PALETTE = ("#2a6fdb", "#d1495b", "#2e8b57", "#b8860b", "#7b4fa6", "#3a9ca8", "#8a8f98", "#c05c1e")
INK, SOFT, RULE = "#1c2430", "#5b6675", "#d9dee5"
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


@dataclass(frozen=True)
class Frame:
    """A rectangle of the drawing with linear axes."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Place of a value along the axis to the right."""
        return self.left + self.width * (value - self.x_range[0]) / (self.x_range[1] - self.x_range[0])

    def y(self, value: float) -> float:
        """Place of a value along the axis upwards."""
        return self.top + self.height * (1 - (value - self.y_range[0]) / (self.y_range[1] - self.y_range[0]))


def text(x: float, y: float, words: str, anchor: str = "start", extra: str = "") -> str:
    """Words at a place; `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}" {extra}>{html.escape(words)}</text>'


def drawing(width: float, height: float, parts: Sequence[str]) -> str:
    """A whole SVG element."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {FONT}>{"".join(parts)}</svg>'


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values, about `count` of them, that lie in [low, high]."""
    rough = (high - low) / max(count, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(s * magnitude for s in (1, 2, 2.5, 5, 10) if s * magnitude >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def x_axis(frame: Frame, label: str = "") -> list[str]:
    """Rules, tick labels and the name of the axis to the right."""
    bottom, parts = frame.top + frame.height, []
    for value in nice_ticks(*frame.x_range):
        x = frame.x(value)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom}" stroke="{RULE}"/>')
        parts.append(text(x, bottom + 16, f"{value:g}", "middle", f'style="fill:{SOFT}"'))
    return [*parts, text(frame.left + frame.width / 2, bottom + 34, label, "middle")]


def y_axis(frame: Frame, label: str = "") -> list[str]:
    """Rules, tick labels and the name of the axis upwards."""
    right, parts = frame.left + frame.width, []
    for value in nice_ticks(*frame.y_range):
        y = frame.y(value)
        parts.append(f'<line x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULE}"/>')
        parts.append(text(frame.left - 6, y + 4, f"{value:g}", "end", f'style="fill:{SOFT}"'))
    x, y = frame.left - 44, frame.top + frame.height / 2
    return [*parts, text(x, y, label, "middle", f'transform="rotate(-90 {x:.1f} {y:.1f})"')]


def legend(names: Sequence[str], x: float, y: float) -> list[str]:
    """Names below each other, each with its colour of `PALETTE`."""
    parts = []
    for i, name in enumerate(names):
        colour, at = PALETTE[i % len(PALETTE)], y + 18 * i
        parts.append(f'<rect x="{x}" y="{at - 9:.1f}" width="11" height="11" rx="2" fill="{colour}"/>')
        parts.append(text(x + 17, at + 1, name))
    return parts


def dots(values: Mapping[str, Mapping[str, tuple[float, float]]], x_label: str) -> str:
    """Means with 95 % intervals: one line per row, one colour per series.

    Args:
        values: row → series → (mean, half width of the interval; infinite draws none).
        x_label: name of the axis with its unit; it starts at zero.
    """
    series = list(dict.fromkeys(name for row in values.values() for name in row))
    tops = [mean + (half if math.isfinite(half) else 0) for row in values.values() for mean, half in row.values()]
    low = min(0.0, *(mean for row in values.values() for mean, _ in row.values()), 0.0)
    line = 16 * len(series) + 10
    frame = Frame(190, 8, 560, line * len(values), (low, max([*tops, 1e-6]) * 1.05), (0, 1))
    parts = x_axis(frame, x_label)
    for i, (row, numbers) in enumerate(values.items()):
        middle = frame.top + line * (i + 0.5)
        parts.append(text(frame.left - 12, middle + 4, row, "end"))
        for name, (mean, half) in numbers.items():
            k = series.index(name)
            y, colour = middle + 16 * (k - (len(series) - 1) / 2), PALETTE[k % len(PALETTE)]
            if math.isfinite(half) and half > 0:
                ends = f'x1="{frame.x(max(mean - half, low)):.1f}" x2="{frame.x(mean + half):.1f}"'
                parts.append(f'<line {ends} y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<circle cx="{frame.x(mean):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    return drawing(900, frame.height + 56, parts + legend(series, 775, 24))


def points(
    series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str, joined: bool = False
) -> str:
    """Points, or curves where `joined`, of several series in one frame.

    Args:
        series: name → (x, y), in order.
    """
    xs = [x for values in series.values() for x, _ in values] or [0.0, 1.0]
    ys = [y for values in series.values() for _, y in values] or [0.0, 1.0]
    frame = Frame(70, 12, 560, 300, _widened(xs), _widened(ys))
    parts = x_axis(frame, x_label) + y_axis(frame, y_label)
    for k, values in enumerate(series.values()):
        colour = PALETTE[k % len(PALETTE)]
        places = [(frame.x(x), frame.y(y)) for x, y in values]
        if joined:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        radius, opacity = (2.5, 1) if joined else (3.2, 0.6)
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" opacity="{opacity}"/>' for x, y in places
        ]
    return drawing(860, 368, parts + legend(list(series), 650, 26))


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    spare = (high - low) * 0.05 or 0.5
    return low - spare, high + spare


def matrix(values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], most: float = 1.0) -> str:
    """Numbers as coloured squares: blue where negative, red where positive, white at zero.

    Args:
        values: one list for each row; NaN is drawn grey.
        most: the absolute value that has the full colour.
    """
    cell, left, top = 26, 130, 110
    parts = []
    for j, name in enumerate(columns):
        x, y = left + cell * (j + 0.6), top - 6
        parts.append(text(x, y, name, "start", f'transform="rotate(-55 {x:.1f} {y:.1f})"'))
    for i, (name, line) in enumerate(zip(rows, values, strict=True)):
        parts.append(text(left - 8, top + cell * (i + 0.65), name, "end"))
        for j, value in enumerate(line):
            x, y = left + cell * j, top + cell * i
            label = f"{name} → {columns[j]}: {value:.2f}"
            square = f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{_colour(value / most)}">'
            parts.append(f"{square}<title>{html.escape(label)}</title></rect>")
            if math.isfinite(value) and abs(value) >= 0.1:
                words = f"{value:.1f}".replace("0.", ".")
                ink = "#fff" if abs(value) > 0.6 * most else INK
                parts.append(text(x + cell / 2, y + 17, words, "middle", f'style="fill:{ink}" font-size="10"'))
    return drawing(left + cell * len(columns) + 60, top + cell * len(rows) + 8, parts)


def _colour(share: float) -> str:
    """White at 0, full red at 1, full blue at −1."""
    if not math.isfinite(share):
        return "#b9bec6"
    full = (178, 34, 52) if share > 0 else (33, 80, 168)
    weight = min(abs(share), 1.0)
    return "#" + "".join(f"{round(255 + (c - 255) * weight):02x}" for c in full)
