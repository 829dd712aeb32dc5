"""The report of `heads`: tables by group, intervals, error against turn, and pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.benchmark.heads import HeadPair, HeadPairs
from mien.benchmark.heads_scoring import TRUTH, Measured
from mien.benchmark.instruments import Instruments
from mien.benchmark.plots import dots, points
from mien.benchmark.records import Mean, Means, as_json, means_of
from mien.benchmark.report import Figure, Gallery, Report, Table

GROUPS = ("all", "self", "cross", "large pose")
REFERENCES = (TRUTH, "copy source", "copy driver")
_MOTION = (
    ("yaw", "yaw °", 1.0, 2),
    ("pitch", "pitch °", 1.0, 2),
    ("roll", "roll °", 1.0, 2),
    ("angle", "angles °", 1.0, 2),
    ("expression", "expression %", 100.0, 1),
    ("gaze", "gaze %", 100.0, 1),
    ("au_h", "AU-H %", 100.0, 1),
    ("nme", "NME %", 100.0, 1),
)
"""Score, heading, factor, digits: errors, so low wins."""


def heads_report(
    measured: Measured,
    pairs: HeadPairs | Sequence[HeadPair],
    instruments: Instruments,
    about: dict[str, str],
    num_pictures: int = 8,
) -> Report:
    """Everything that a run of `heads` has to say.

    Args:
        about: what was measured and with what.
        num_pictures: pairs that are shown, besides the best and the worst.
    """
    means = means_of(measured.records)
    groups = [group for group in GROUPS if any(group in rows for rows in means.values())]
    tables = [summary_table(means, groups, instruments)]
    tables += [table for group in groups for table in group_tables(means, group, instruments)]
    figures = [*_intervals(means, groups, instruments), *_turns(measured, pairs, instruments)]
    coordinates = [coordinate_table(means, judge.name) for judge in instruments.judges]
    galleries = _galleries(measured, pairs, instruments, num_pictures)
    return Report(
        title="Rendered heads: results against the true picture",
        about=about,
        parts=[tables[0], *galleries, *figures, *tables[1:], *coordinates],
        data={"means": as_json(means), "pairs": [_pair_data(measured, pair) for pair in pairs]},
    )


def summary_table(means: Means, groups: Sequence[str], instruments: Instruments) -> Table:
    """The few numbers to look at first: one row for each set and driver."""
    columns = [(f"angle/{judge.name}", f"angles °, {judge.name}", 1.0, 2) for judge in instruments.judges]
    columns += [(f"expression/{judge.name}", f"expression %, {judge.name}", 100.0, 1) for judge in instruments.judges]
    first = instruments.judges[0].name
    columns += [(f"gaze/{first}", "gaze %", 100.0, 1), (f"nme/{first}", "NME %", 100.0, 1)]
    columns += [(f"identity_truth/{name}", f"cos truth, {name}", 1.0, 3) for name in instruments.identities]
    columns += [("l1", "L1", 1.0, 4), ("ssim", "SSIM", 1.0, 3)]
    columns += [(f"distance/{name}", name, 1.0, 3) for name in instruments.distances]
    columns = [c for c in columns if any(c[0] in scores for rows in means.values() for scores in rows.values())]
    rows = []
    for group in groups:
        for driver, found in means.items():
            scores = found.get(group, {})
            values = [(scores.get(score), factor, digits) for score, _, factor, digits in columns]
            cells = ["–" if mean is None else f"{mean.mean * f:.{d}f}" for mean, f, d in values]
            rows.append([f"{group}: {driver}", *cells])
    return Table(
        title="Summary",
        columns=("set: driver", *(heading for _, heading, _, _ in columns)),
        rows=rows,
        note="Mean absolute errors against the true parameters and differences from the true picture; “truth” is the "
        "true picture itself, measured by the same instruments. Intervals and the meaning of columns: tables below.",
        reference=tuple(f"{group}: {driver}" for group in groups for driver in REFERENCES),
    )


def group_tables(means: Means, group: str, instruments: Instruments) -> list[Table]:
    """Motion as each judge sees it, and likeness; one row for each driver."""
    rows = {driver: groups[group] for driver, groups in means.items() if group in groups}
    tables = [_motion_table(rows, group, judge.name) for judge in instruments.judges]
    return [*tables, _likeness_table(rows, group, instruments)]


def _motion_table(rows: dict[str, dict[str, Mean]], group: str, judge: str) -> Table:
    shown = [column for column in _MOTION if any(f"{column[0]}/{judge}" in scores for scores in rows.values())]
    lines = []
    for driver, scores in rows.items():
        cells = [cell(scores.get(f"{name}/{judge}"), factor, digits) for name, _, factor, digits in shown]
        lines.append([driver, *cells, cell(scores.get(f"found/{judge}"), 100, 0)])
    return Table(
        title=f"{group}: motion, measured by {judge}",
        columns=("driver", *(heading for _, heading, _, _ in shown), "faces found %"),
        rows=lines,
        note="Mean absolute error against the true parameters, ± half the 95 % interval; expression and gaze in % of a "
        "coordinate's working range, action units in % that differ, NME in % of the distance of the outer eye "
        "corners. “truth” is the true picture: the instrument's own error, below which nothing can be told.",
        best=("", *("low" for _ in shown), "high"),
        reference=REFERENCES,
    )


def _likeness_table(rows: dict[str, dict[str, Mean]], group: str, instruments: Instruments) -> Table:
    columns = [(f"identity_truth/{name}", f"cos truth, {name}", "high", 3) for name in instruments.identities]
    columns += [(f"identity_source/{name}", f"cos source, {name}", "high", 3) for name in instruments.identities]
    columns += [("l1", "L1", "low", 4), ("ssim", "SSIM", "high", 3), ("psnr", "PSNR dB", "high", 2)]
    columns += [(f"distance/{name}", name, "low", 3) for name in instruments.distances]
    columns = [column for column in columns if any(column[0] in scores for scores in rows.values())]
    lines = []
    for driver, scores in rows.items():
        cells = [cell(scores.get(score), 1, digits) for score, _, _, digits in columns]
        lines.append([driver, *cells, _answered(driver, scores)])
    return Table(
        title=f"{group}: likeness to the true picture",
        columns=("driver", *(heading for _, heading, _, _ in columns), "answered"),
        rows=lines,
        note="Identity cosines to the true picture and to the source; differences from the true picture on the scale "
        "0 to 1. The row “truth” shows how alike two true pictures of one person are to the identity network.",
        best=("", *(direction for _, _, direction, _ in columns), ""),
        reference=REFERENCES,
    )


def _answered(driver: str, scores: dict[str, Mean]) -> str:
    if driver == TRUTH:
        return str(scores["l1"].count)
    answered = scores["answered"]
    return f"{round(answered.mean * answered.count)}/{answered.count}"


def cell(mean: Mean | None, factor: float, digits: int) -> str:
    """A mean with half its 95 % interval; a dash where nothing was measured."""
    if mean is None:
        return "–"
    value = f"{mean.mean * factor:.{digits}f}"
    return value if mean.count < 2 or mean.spread == 0 else f"{value} ±{mean.half_width * factor:.{digits}f}"


def coordinate_table(means: Means, judge: str) -> Table:
    """Error of each expression coordinate in % of its range, one column for each driver."""
    drivers = [driver for driver, groups in means.items() if "all" in groups]
    ending = f"/{judge}"
    names = dict.fromkeys(
        score.removeprefix("coordinate ").removesuffix(ending)
        for driver in drivers
        for score in means[driver]["all"]
        if score.startswith("coordinate ") and score.endswith(ending)
    )
    rows = [
        [name, *(cell(means[driver]["all"].get(f"coordinate {name}{ending}"), 100, 1) for driver in drivers)]
        for name in names
    ]
    return Table(
        title=f"Expression by coordinate, measured by {judge}",
        columns=("coordinate", *drivers),
        rows=rows,
        note="Mean absolute error in % of the working range, over all pairs.",
    )


def _intervals(means: Means, groups: Sequence[str], instruments: Instruments) -> list[Figure]:
    wanted = [(f"angle/{j.name}", f"mean angle error in degrees, {j.name}", 1.0) for j in instruments.judges]
    wanted += [(f"expression/{j.name}", f"expression error in % of range, {j.name}", 100.0) for j in instruments.judges]
    wanted += [
        (f"identity_truth/{name}", f"identity cosine to the truth, {name}", 1.0) for name in instruments.identities
    ]
    figures = []
    for score, label, factor in wanted:
        values = {
            driver: {
                group: (found.mean * factor, found.half_width * factor)
                for group in groups
                if (found := means[driver].get(group, {}).get(score)) is not None
            }
            for driver in means
        }
        values = {driver: numbers for driver, numbers in values.items() if numbers}
        if values:
            title = f"{label[0].upper()}{label[1:]}"
            figures.append(Figure(title=title, svg=dots(values, label), note="Means with 95 % intervals."))
    return figures


def _turns(measured: Measured, pairs: HeadPairs | Sequence[HeadPair], instruments: Instruments) -> list[Figure]:
    """Angle error against the turn between source and driver."""
    turns = {str(pair.index): pair.turn_deg for pair in pairs}
    score = f"angle/{instruments.judges[0].name}"
    series: dict[str, list[tuple[float, float]]] = {}
    for record in measured.records:
        if score in record.scores and record.driver not in ("copy source",):
            series.setdefault(record.driver, []).append((turns[record.label], record.scores[score]))
    axes = "mean |Δ angle| between source and driver, degrees", "mean angle error, degrees"
    note = "One point per pair; the source itself, which does not move, is left out."
    title = f"Angle error against the turn, {instruments.judges[0].name}"
    return [Figure(title=title, svg=points(series, *axes), note=note)]


def _galleries(
    measured: Measured, pairs: HeadPairs | Sequence[HeadPair], instruments: Instruments, count: int
) -> list[Gallery]:
    drivers = [name for name in dict.fromkeys(record.driver for record in measured.records) if name not in REFERENCES]
    columns = ("source", "driver", "true picture", *drivers)
    galleries = [
        Gallery(
            title="Side by side",
            columns=columns,
            rows=[_gallery_row(measured, pairs[i], drivers) for i in range(min(count, len(pairs)))],
            note="The first pairs, not chosen. In self pairs the driver is the true picture.",
        )
    ]
    score = f"angle/{instruments.judges[0].name}"
    for driver in drivers:
        ranked = _ranked(measured, driver, score)
        if len(ranked) > count:
            chosen = ranked[:2] + ranked[-4:]
            rows = [_gallery_row(measured, pairs[i], drivers, f"{error:.1f}°") for i, error in chosen]
            title = f"Least and largest angle errors of {driver}"
            galleries.append(
                Gallery(title=title, columns=columns, rows=rows, note=f"As {score.partition('/')[2]} sees them.")
            )
    return galleries


def _ranked(measured: Measured, driver: str, score: str) -> list[tuple[int, float]]:
    """(pair, error) of a driver, least error first."""
    own = [record for record in measured.records if record.driver == driver and score in record.scores]
    return sorted(((int(record.label), record.scores[score]) for record in own), key=lambda item: item[1])


def _gallery_row(
    measured: Measured, pair: HeadPair, drivers: Sequence[str], remark: str = ""
) -> tuple[str, list[np.ndarray | None]]:
    results = [measured.results.get((driver, pair.index)) for driver in drivers]
    caption = ", ".join(filter(None, (f"pair {pair.index}", pair.kind, f"turn {pair.turn_deg:.0f}°", remark)))
    return caption, [pair.source, pair.driver, pair.truth, *results]


def _pair_data(measured: Measured, pair: HeadPair) -> dict[str, object]:
    own = [record for record in measured.records if record.label == str(pair.index)]
    scores = {record.driver: {key: float(f"{v:.6g}") for key, v in record.scores.items()} for record in own}
    return {"pair": pair.index, "groups": list(pair.groups), "turn_deg": round(pair.turn_deg, 3), "scores": scores}
