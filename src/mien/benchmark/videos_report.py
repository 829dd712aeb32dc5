"""The report of the protocols on real videos: one row for each driver, Fréchet distances, and pictures."""

from __future__ import annotations

from collections.abc import Sequence

from mien.benchmark.heads_report import REFERENCES, cell
from mien.benchmark.instruments import Instruments
from mien.benchmark.records import Mean, as_json, means_of
from mien.benchmark.report import Gallery, Report, Table
from mien.benchmark.videos import MeasuredVideos, VideoProtocol

_MOTION = (
    ("angle", "pose ° (ARD)", 1.0, 2),
    ("expression", "expression % (AED)", 100.0, 1),
    ("au_h", "AU-H %", 100.0, 1),
)
_REFERENCES = (*REFERENCES, "target")


def videos_report(
    measured: MeasuredVideos,
    protocol: VideoProtocol,
    instruments: Instruments,
    about: dict[str, str],
    num_pictures: int = 12,
) -> Report:
    """Everything that a run on videos has to say.

    Args:
        about: what was measured and with what.
        num_pictures: questions that are shown.
    """
    means = {driver: groups["all"] for driver, groups in means_of(measured.records).items()}
    parts = [_table(means, protocol, instruments), _distances(measured, instruments), _gallery(measured, num_pictures)]
    distances = {
        driver: {name: {"value": value, "samples": count} for name, (value, count) in found.items()}
        for driver, found in measured.distances.items()
    }
    data = {"means": as_json(means_of(measured.records)), "frechet": distances, "left_out": measured.left_out}
    left = {"left out": "; ".join(measured.left_out)} if measured.left_out else {}
    return Report(title=f"Real videos: {protocol}", about=about | left, parts=parts, data=data)


def _table(means: dict[str, dict[str, Mean]], protocol: VideoProtocol, instruments: Instruments) -> Table:
    judges, networks = [judge.name for judge in instruments.judges], list(instruments.identities)
    columns = [(f"{score}/{j}", f"{head}, {j}", f, d, "low") for j in judges for score, head, f, d in _MOTION]
    if protocol != "cross":
        columns += [(f"nme/{j}", f"NME %, {j}", 100.0, 1, "low") for j in judges]
        columns += [(f"identity_truth/{net}", f"CSIM to the truth, {net}", 1.0, 3, "high") for net in networks]
    columns += [(f"identity_source/{net}", f"CSIM to the source, {net}", 1.0, 3, "high") for net in networks]
    if protocol != "cross":
        columns += [("l1", "L1", 1.0, 4, "low"), ("ssim", "SSIM", 1.0, 3, "high")]
        columns += [(f"distance/{name}", name, 1.0, 3, "low") for name in instruments.distances]
    columns = [c for c in columns if any(c[0] in scores for scores in means.values())]
    rows = []
    for driver, scores in means.items():
        answered = scores["answered"]
        cells = [cell(scores.get(score), factor, digits) for score, _, factor, digits, _ in columns]
        rows.append([driver, *cells, f"{round(answered.mean * answered.count)}/{answered.count}"])
    return Table(
        title=f"{protocol}: all frames",
        columns=("driver", *(heading for _, heading, *_ in columns), "answered"),
        rows=rows,
        note="Means over frames, ± half the 95 % interval as if frames were independent, which frames of one video are "
        "not. Pose and expression of the result against those of the driver, both read by the named tracker.",
        best=("", *(direction for *_, direction in columns), ""),
        reference=_REFERENCES,
    )


def _distances(measured: MeasuredVideos, instruments: Instruments) -> Table:
    names = list(dict.fromkeys(name for found in measured.distances.values() for name in found))
    rows = []
    for driver, found in measured.distances.items():
        cells = [f"{found[name][0]:.3g} (n {found[name][1]})" if name in found else "–" for name in names]
        rows.append([driver, *cells])
    absent = "; ".join(instruments.absent) or "nothing"
    return Table(
        title="Fréchet distances",
        columns=("driver", *names),
        rows=rows,
        note=f"n frames or clips on each side; compare only equal n, and none that is not far above the width of the "
        f"features. Absent: {absent}.",
        best=("", *["low"] * len(names)),
        reference=_REFERENCES,
    )


def _gallery(measured: MeasuredVideos, count: int) -> Gallery:
    labels = list(dict.fromkeys(label for label, _ in measured.examples))[:count]
    names = [n for n in dict.fromkeys(name for _, name in measured.examples) if n not in _REFERENCES and n != "source"]
    columns: Sequence[str] = ("source", "target", *names)
    rows = [(label, [measured.examples.get((label, name)) for name in columns]) for label in labels]
    return Gallery(title="Side by side", columns=tuple(columns), rows=rows, note="The middle frame of each question.")
