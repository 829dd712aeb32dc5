"""The report of `linearity`: lines, cross-talk as a picture, identity along the sweeps, and the sweeps themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mien.benchmark.instruments import Instruments
from mien.benchmark.linearity import Line, Sweep, cross_talk, fit_lines, identity_decay
from mien.benchmark.plots import matrix, points
from mien.benchmark.report import Figure, Gallery, Report, Table
from mien.face3d.motion import ANGLE_NAMES

HEADLINE = (*ANGLE_NAMES, "jaw_open")
"""Coordinates whose r the project has promised to keep above .95."""


def linearity_report(
    sweeps: Sequence[Sweep],
    shown: dict[str, list[np.ndarray]],
    instruments: Instruments,
    ranges: Mapping[str, tuple[float, float]],
    about: dict[str, str],
) -> Report:
    """Everything that the sweeps of one editor have to say.

    Args:
        shown: pictures of one source's sweeps by coordinate.
        ranges: working ranges of the editor; coordinates that it lacks keep those of the default motion space.
    """
    space = instruments.space
    coordinates = list(dict.fromkeys(sweep.coordinate for sweep in sweeps))
    known = dict(zip(space.names, space.ranges.tolist(), strict=True)) | dict(ranges)
    spans = [known[name][1] - known[name][0] for name in space.names]
    lines = {judge.name: fit_lines(sweeps, judge.name, space.names) for judge in instruments.judges}
    talk = {judge.name: cross_talk(sweeps, judge.name, space.names, spans) for judge in instruments.judges}
    parts: list[Table | Figure | Gallery] = [
        _table(lines, coordinates, talk, instruments),
        _gallery(shown, coordinates),
    ]
    for judge in instruments.judges:
        kept = [i for i, name in enumerate(space.names) if name in (*ANGLE_NAMES, *judge.coordinates)]
        parts.append(_matrix(talk[judge.name][:, kept], coordinates, [space.names[i] for i in kept], judge.name))
    parts += [_curves(sweeps, coordinate, instruments) for coordinate in HEADLINE if coordinate in coordinates]
    parts += [_decay(sweeps, network, coordinates) for network in instruments.identities]
    data = {
        "lines": {judge: {name: _plain(line) for name, line in found.items()} for judge, found in lines.items()},
        "cross_talk": {
            judge: {"swept": coordinates, "read": list(space.names), "share_of_range": _rows(values)}
            for judge, values in talk.items()
        },
        "identity": {
            network: {name: identity_decay(sweeps, network, name) for name in coordinates}
            for network in instruments.identities
        },
    }
    return Report(title="Linearity of single coordinates", about=about, parts=parts, data=data)


def _table(
    lines: dict[str, dict[str, Line]], coordinates: Sequence[str], talk: dict[str, np.ndarray], instruments: Instruments
) -> Table:
    rows = []
    for i, coordinate in enumerate(coordinates):
        cells = [coordinate]
        for judge in instruments.judges:
            line = lines[judge.name].get(coordinate)
            can_read = coordinate in (*ANGLE_NAMES, *judge.coordinates)
            if line is None or not can_read:
                cells += ["–"] * 4
                continue
            readable = [k for k, n in enumerate(instruments.space.names) if n in (*ANGLE_NAMES, *judge.coordinates)]
            others = [abs(talk[judge.name][i, k]) for k in readable if instruments.space.names[k] != coordinate]
            cells += [f"{line.slope:.2f}", f"{line.r:.3f}", f"{line.r2:.3f}", f"{max(others):.2f}"]
        rows.append(cells)
    heads = [
        f"{name}, {judge.name}" for judge in instruments.judges for name in ("slope", "r", "R²", "most cross-talk")
    ]
    return Table(
        title="Read against asked",
        columns=("coordinate", *heads),
        rows=rows,
        note="Slope 1 is the whole way. Most cross-talk: largest change of any other coordinate, as a share of its "
        "range, while this one is swept over its own. The judge's own errors are in these numbers.",
    )


def _gallery(shown: dict[str, list[np.ndarray]], coordinates: Sequence[str]) -> Gallery:
    rows = [(name, shown[name][:: max(len(shown[name]) // 8, 1)]) for name in coordinates if name in shown]
    columns = ("low", *[""] * (max(len(pictures) for _, pictures in rows) - 2), "high")
    return Gallery(title="Sweeps of one source", columns=columns, rows=rows, side_px=112)


def _matrix(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], judge: str) -> Figure:
    note = "Swept from top to bottom, read from left to right: change as a share of the range of what is read. White "
    note += "off the diagonal and full red on it would be perfect."
    return Figure(title=f"Cross-talk, {judge}", svg=matrix(values.tolist(), rows, columns), note=note)


def _curves(sweeps: Sequence[Sweep], coordinate: str, instruments: Instruments) -> Figure:
    """Mean read value at each asked value, and the ideal line."""
    column = instruments.space.names.index(coordinate)
    series: dict[str, list[tuple[float, float]]] = {}
    for judge in instruments.judges:
        if coordinate not in (*ANGLE_NAMES, *judge.coordinates):
            continue
        own = [sweep for sweep in sweeps if sweep.coordinate == coordinate and sweep.judge == judge.name]
        means = [[s.read[t, column] for s in own if math.isfinite(s.read[t, column])] for t in range(len(own[0].asked))]
        series[judge.name] = [(float(x), float(np.mean(y))) for x, y in zip(own[0].asked, means, strict=True) if y]
    first = sweeps[[sweep.coordinate for sweep in sweeps].index(coordinate)]
    series["asked"] = [(float(x), float(x)) for x in (first.asked[0], first.asked[-1])]
    unit = "degrees" if coordinate in ANGLE_NAMES else "weight"
    svg = points(series, f"{coordinate} asked, {unit}", f"read, {unit}", joined=True)
    return Figure(title=f"{coordinate}: read against asked", svg=svg, note="Means over the sources.")


def _decay(sweeps: Sequence[Sweep], network: str, coordinates: Sequence[str]) -> Figure:
    """Identity along the sweeps of the head angles and the coordinates that change it most."""
    curves = {name: identity_decay(sweeps, network, name) for name in coordinates}
    curves = {name: curve for name, curve in curves.items() if curve}
    drop = {name: max(y for _, y in curve) - min(y for _, y in curve) for name, curve in curves.items()}
    chosen = sorted(curves, key=lambda name: -drop[name])[:8]
    series = {}
    for name in chosen:
        xs = [x for x, _ in curves[name]]
        width = max(xs) - min(xs)
        series[name] = [((x - min(xs)) / width, y) for x, y in curves[name]]
    svg = points(series, "place in the working range, 0 low to 1 high", "identity cosine to the source", joined=True)
    return Figure(
        title=f"Identity along the sweeps, {network}", svg=svg, note="The eight coordinates that change it most."
    )


def _plain(line: Line) -> dict[str, float | int | None]:
    values = {"slope": line.slope, "r": line.r, "r2": line.r2, "steps": line.steps}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _rows(values: np.ndarray) -> list[list[float | None]]:
    return [[round(v, 5) if math.isfinite(v) else None for v in row] for row in values.tolist()]
