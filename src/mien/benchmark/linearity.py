"""`linearity`: does a coordinate do what it says, in proportion, and nothing else?

Each coordinate of a source is swept over its working range while the others stay; a tracker reads all coordinates off
the results. Per coordinate: slope and R² of the regression of read on asked values, Pearson r, and what happens to the
others (cross-talk) and to the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mien.benchmark.instruments import Instruments
from mien.benchmark.protocol import Editor
from mien.errors import InputError
from mien.metrics.identity import cosine


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One coordinate of one source over its range, as one judge reads it.

    Attributes:
        coordinate: what was swept.
        judge: who read it.
        source: number of the source.
        asked: (T,) values, in degrees or unit weights.
        read: (T, k) all coordinates of the results, NaN in rows where no face was found.
        identity: network → (T,) cosine to the source, NaN where it saw none.
    """

    coordinate: str
    judge: str
    source: int
    asked: np.ndarray
    read: np.ndarray
    identity: dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Read against asked values of one coordinate, over all sources.

    The values of each source are taken from their own mean first, so that a source that starts elsewhere does not
    count as scatter; slope 1 is the whole way.

    Attributes:
        slope: of read on asked, least squares.
        r: Pearson correlation.
        r2: share of the variance of the read values that the line explains; r² for this fit.
        steps: results that were read.
    """

    slope: float
    r: float
    r2: float
    steps: int


def sweep_sources(
    editor: Editor,
    sources: Sequence[np.ndarray],
    instruments: Instruments,
    steps: int = 9,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[list[Sweep], dict[str, list[np.ndarray]]]:
    """Sweeps every coordinate of every source.

    Args:
        sources: uint8 (S, S, 3); those without a face for the editor are left out.
        steps: values over the working range, both ends included.
        progress: called with the sweeps done and their number.

    Returns:
        One sweep per coordinate, source and judge; and the pictures of the first usable source by coordinate.

    Raises:
        InputError: no source can be edited, or fewer than three steps.
    """
    if steps < 3:
        raise InputError(f"a sweep needs at least 3 steps, not {steps}")
    sweeps: list[Sweep] = []
    shown: dict[str, list[np.ndarray]] = {}
    ranges = editor.ranges()
    total, done = len(sources) * len(ranges), 0
    for number, source in enumerate(sources):
        base = instruments.look(source).embeddings
        for coordinate, (low, high) in ranges.items():
            asked = np.linspace(low, high, steps)
            pictures = editor.edit(source, coordinate, asked.tolist())
            done += 1
            if pictures is not None:
                shown.setdefault(coordinate, list(pictures))
                sweeps += _read(coordinate, number, asked, pictures, base, instruments)
            if progress is not None:
                progress(done, total)
    if not sweeps:
        raise InputError(f"{editor.name} found no face in any of the {len(sources)} sources")
    return sweeps, shown


def _read(
    coordinate: str,
    number: int,
    asked: np.ndarray,
    pictures: Sequence[np.ndarray],
    base: Mapping[str, torch.Tensor],
    instruments: Instruments,
) -> list[Sweep]:
    looks = [instruments.look(picture) for picture in pictures]
    identity = {
        name: np.array(
            [
                float(cosine(look.embeddings[name][None], own[None])) if name in look.embeddings else np.nan
                for look in looks
            ]
        )
        for name, own in base.items()
    }
    found = []
    for judge in instruments.judges:
        faces = [look.faces[judge.name] for look in looks]
        rows = [
            instruments.space.read(face)[0].double().numpy()
            if bool(face.valid[0])
            else np.full(len(instruments.space), np.nan)
            for face in faces
        ]
        found.append(
            Sweep(
                coordinate=coordinate,
                judge=judge.name,
                source=number,
                asked=asked,
                read=np.stack(rows),
                identity=identity,
            )
        )
    return found


def fit_lines(sweeps: Sequence[Sweep], judge: str, names: Sequence[str]) -> dict[str, Line]:
    """The line of each swept coordinate as a judge reads it.

    Args:
        names: of the columns of `Sweep.read`.
    """
    lines = {}
    for coordinate, own in _by_coordinate(sweeps, judge).items():
        x, y = _centred(own, names.index(coordinate) if coordinate in names else None)
        if len(x) > 1:
            lines[coordinate] = _line(x, y)
    return lines


def _line(x: np.ndarray, y: np.ndarray) -> Line:
    slope = float(x @ y / (x @ x))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    r = float(x @ y / spread) if spread > 0 else float("nan")
    return Line(slope=slope, r=r, r2=r * r, steps=len(x))


def _centred(sweeps: Sequence[Sweep], column: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Asked and read values of several sources, each from its own mean; steps without a face are left out."""
    xs, ys = [np.zeros(0)], [np.zeros(0)]
    for sweep in sweeps if column is not None else ():
        seen = np.isfinite(sweep.read[:, column])
        if seen.sum() > 1:
            x, y = sweep.asked[seen], sweep.read[seen, column]
            xs.append(x - x.mean())
            ys.append(y - y.mean())
    return np.concatenate(xs), np.concatenate(ys)


def cross_talk(sweeps: Sequence[Sweep], judge: str, names: Sequence[str], spans: Sequence[float]) -> np.ndarray:
    """(swept, read) matrix: change of each read coordinate, as a share of its range, when one is swept over its whole.

    The diagonal is the slope. Rows are in the order of the sweeps' coordinates.

    Args:
        names: of the columns of `Sweep.read`.
        spans: working range of each of them.
    """
    rows = []
    for own in _by_coordinate(sweeps, judge).values():
        width = float(own[0].asked.max() - own[0].asked.min())
        row = []
        for column in range(len(names)):
            x, y = _centred(own, column)
            slope = float(x @ y / (x @ x)) if len(x) > 1 else float("nan")
            row.append(slope * width / spans[column])
        rows.append(row)
    return np.array(rows)


def identity_decay(sweeps: Sequence[Sweep], network: str, coordinate: str) -> list[tuple[float, float]]:
    """(asked value, mean identity cosine to the source) of a coordinate over all sources; steps nobody saw are left
    out."""
    judge = sweeps[0].judge
    own = [s for s in sweeps if s.coordinate == coordinate and s.judge == judge and network in s.identity]
    curve = []
    for step in range(len(own[0].asked) if own else 0):
        values = [s.identity[network][step] for s in own if np.isfinite(s.identity[network][step])]
        if values:
            curve.append((float(own[0].asked[step]), float(np.mean(values))))
    return curve


def _by_coordinate(sweeps: Sequence[Sweep], judge: str) -> dict[str, list[Sweep]]:
    found: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        if sweep.judge == judge:
            found.setdefault(sweep.coordinate, []).append(sweep)
    return found
