"""How well does the embedded tracker measure? Against MediaPipe on real material, against the truth on renders.

Real material is the fifth that training never sees (`mien.tracking.material`): every fifth portrait, every fifth person
of the London set, the last fifth of every clip; the clips are also given whole, followed from their first frame.
Labels are measured anew, each the mean of sixteen looks (`mien.tracking.steady`), because single looks differ by more
than heads move in the clips. MediaPipe's labels are no truth but what can be had, on the scale of the ICT head
(`mien.tracking.calibration`). On renders of held-out people both trackers meet the truth. Times are of one run, one
after the other.

Correlations say whether the tracker moves as the labels do, slopes how far it moves where they move by one.

    python benchmarks/quality/tracker.py --bundle runs/tracker --renders runs/data/heads128
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from instruments import CONSOLE, data_folder, named_coordinates, plain, report, shown
from rich.table import Table

from mien.checkpoints import TrackerNetworks, load_bundle
from mien.errors import MienError
from mien.face3d.params import FaceParams
from mien.synth.dataset import RenderedHeads
from mien.tracking import EmbeddedTracker, Tracker, box_from_landmarks, follow
from mien.tracking.embedded import read_tracker
from mien.tracking.material import CLIPS, HELD_OUT_EVERY, load_clip, load_photographs
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.relabelling import measured_anew
from mien.tracking.steady import SteadyTracker
from mien.training.recipes.tracker import held_out_people

ANGLES = ("yaw", "pitch", "roll")
EXPRESSIONS = ("jaw_open", "mouth_smile", "blink", "gaze_x", "gaze_y", "brow_inner_up", "mouth_pucker")
FOUND_OVERLAP = 0.4
TIMED_CALLS = 30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: folder of a trained tracker, or name or folder of a bundle.
        renders: rendered heads; those of held-out people are used. None leaves them out.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: at most this many renders.
        closeups: look at mouth and eyes once more where the tracker can.
        name: name of the result files.
    """

    bundle: str = "avatar"
    renders: Path | None = None
    data: Path | None = None
    count: int = 500
    closeups: bool = True
    name: str = "tracker"


def main(settings: Settings) -> None:
    """Measures the tracker on photographs, clips and renders, and times it beside MediaPipe."""
    data = data_folder(settings.data)
    networks = open_networks(settings.bundle)
    plain_tracker = EmbeddedTracker(networks.detector, networks.regressor)
    ours = EmbeddedTracker(*networks) if settings.closeups else plain_tracker
    judge = MediaPipeTracker(data / "models" / "face_landmarker.task")
    label = SteadyTracker(MediaPipeTracker(data / "models" / "face_landmarker.task", scale="raw"))
    results: dict[str, Any] = {"photographs": photographs(ours, label, data)}
    for name in CLIPS:
        results |= clip(ours, label, name, data)
    if settings.renders is not None:
        heads = RenderedHeads(settings.renders)
        rows = np.flatnonzero(held_out_people(heads))
        rows = rows[np.linspace(0, len(rows) - 1, min(settings.count, len(rows))).astype(int)]
        for name, tracker in (("ours", ours), ("MediaPipe", judge)):
            results[f"renders: {name}"] = renders(tracker, heads, rows)
    timed = {"ours": ours, "mediapipe": judge}
    if settings.closeups and networks.closeup is not None:
        timed["ours without close-ups"] = plain_tracker
    results["milliseconds"] = milliseconds(timed, data)
    judge.close()
    report(settings.name, settings, {"results": results}, table_of(results))


def open_networks(place: str) -> TrackerNetworks:
    """The networks of a tracker's training run, or a bundle's own."""
    if (Path(place) / "tracker.json").is_file():
        return TrackerNetworks(*read_tracker(place))
    bundle = load_bundle(place, torch.device("cpu"))
    if bundle.tracker is None:
        raise MienError(f"{place}: this bundle brings no tracker")
    return bundle.tracker


def compare(found: FaceParams, expected: FaceParams) -> dict[str, Any]:
    """Angle errors in degrees, landmark error in percent of the box, correlations and slopes; of faces found."""
    valid = found.valid
    row: dict[str, Any] = {"faces": len(found), "found": int(valid.sum())}
    ours, theirs = named_coordinates(found[valid]), named_coordinates(expected[valid])
    row["angle_error_deg"] = {name: plain((ours[name] - theirs[name]).abs().mean()) for name in ANGLES}
    row["angle_bias_deg"] = {name: plain((ours[name] - theirs[name]).mean()) for name in ANGLES}
    sides = torch.tensor([box_from_landmarks(p.numpy()).side for p in expected[valid].landmarks])
    distance = (found[valid].landmarks - expected[valid].landmarks).norm(dim=-1).mean(1)
    row["landmark_error_percent"] = plain((distance / sides).mean() * 100)
    row["correlation"] = {name: correlation(ours[name], theirs[name]) for name in (*ANGLES, *EXPRESSIONS)}
    row["slope"] = {name: slope(ours[name], theirs[name]) for name in (*ANGLES, *EXPRESSIONS)}
    return row


def correlation(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Pearson's r, or None where one of them does not move."""
    if min(one.std(), other.std()) < 1e-4:
        return None
    return plain(torch.corrcoef(torch.stack([one, other]))[0, 1])


def slope(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """How far one moves where the other moves by one (least squares), or None where the other does not move."""
    moved = other.double() - other.double().mean()
    return plain((moved * one.double()).sum() / moved.square().sum()) if other.std() >= 1e-4 else None


def photographs(tracker: Tracker, judge: Tracker, data: Path) -> dict[str, Any]:
    """Held-out photographs: find, take the box that fits the labelled face best, measure."""
    material = load_photographs("held_out", data)
    found, missed, surplus = [], 0, 0
    for i, picture in enumerate(material.pictures):
        wanted = box_from_landmarks(material.params.landmarks[i].numpy())
        boxes = tracker.find(picture)
        best = max(boxes, key=wanted.overlap, default=None)
        is_found = best is not None and best.overlap(wanted) > FOUND_OVERLAP
        found.append(tracker.estimate([picture], [best]) if best is not None and is_found else FaceParams.invalid(1))
        missed, surplus = missed + (not is_found), surplus + len(boxes) - is_found
    expected = measured_anew(material, judge, "labels: photographs")
    return compare(FaceParams.cat(found), expected) | {"missed": missed, "surplus_boxes": surplus}


def clip(tracker: Tracker, judge: Tracker, name: str, data: Path) -> dict[str, Any]:
    """Every face of a clip followed from its first frame: all frames, and the held-out last fifth of them."""
    material = load_clip(name, "all", data)
    labels = measured_anew(material, judge, f"labels: {name}")
    num_faces = len(material) // len(material.pictures)
    results = {}
    for face in range(num_faces):
        label = name if num_faces == 1 else f"{name}, {('left', 'right')[face]}"
        found = FaceParams.cat(list(follow(tracker, material.pictures, face)))
        expected = labels[torch.arange(face, len(material), num_faces)]
        start = len(found) - len(found) // HELD_OUT_EVERY
        results[label] = compare(found, expected) | {"held_out": compare(found[start:], expected[start:])}
    return results


def renders(tracker: Tracker, heads: RenderedHeads, rows: np.ndarray) -> dict[str, Any]:
    """Renders of held-out people, measured in the box of their true landmarks."""
    expected = heads.params(rows)
    boxes = [box_from_landmarks(points.numpy()) for points in expected.landmarks]
    pictures = [np.ascontiguousarray(picture) for picture in heads.images(rows)]
    parts = [tracker.estimate(pictures[i : i + 16], boxes[i : i + 16]) for i in range(0, len(boxes), 16)]
    return compare(FaceParams.cat(parts), expected)


def milliseconds(trackers: Mapping[str, Tracker], data: Path) -> dict[str, Any]:
    """Time of one call on a 480x270 frame with two faces: median of interleaved calls, one thread."""
    torch.set_num_threads(1)
    frame = load_clip(CLIPS[1], "all", data).pictures[0]
    calls: dict[str, Callable[[], Any]] = {}
    for name, tracker in trackers.items():
        box = tracker.find(frame)[0]
        calls[f"{name}, find"] = lambda t=tracker: t.find(frame)
        calls[f"{name}, measure one face"] = lambda t=tracker, b=box: t.estimate([frame], [b])
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TIMED_CALLS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: plain(float(np.median(values))) for name, values in times.items()}


def table_of(results: Mapping[str, Any]) -> Table:
    """The main numbers, one row per set."""
    table = Table(
        title="Tracking", caption="Angle errors in degrees, landmark error in % of the box, then correlations."
    )
    for column in ("set", "found", *ANGLES, "points", *(f"r {n}" for n in (*ANGLES, *EXPRESSIONS[:3]))):
        table.add_column(column)
    for name, row in results.items():
        if name == "milliseconds":
            continue
        numbers = [shown(row["angle_error_deg"][a]) for a in ANGLES] + [shown(row["landmark_error_percent"])]
        numbers += [shown(row["correlation"][c]) for c in (*ANGLES, *EXPRESSIONS[:3])]
        table.add_row(name, f"{row['found']}/{row['faces']}", *numbers)
    return table


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except MienError as error:
        CONSOLE.print(f"[red]{error}[/red]")
        raise SystemExit(1) from error
