"""Reenactment of rendered heads, where the true pose, expression and picture are known.

Draws pairs (source picture, target frame) from a folder of renders that no network was trained on: half show the same
person in the same scene, half two people. The result of the public API is measured by the embedded tracker and by
MediaPipe against the *true* parameters of the target. Beside it stand the same measurements of the source picture
("copy": what doing nothing scores) and of the true target frame ("truth": the instrument's own error).

    python benchmarks/quality/pairs.py --renders renders/held_out --bundle avatar
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from instruments import CONSOLE, ReidentificationNet, data_folder, enlarged, measure, plain, report, shown
from rich.progress import track
from rich.table import Table

import mien
from mien.checkpoints.bundle import load_bundle
from mien.errors import InputError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import FaceParams
from mien.images import resize, to_tensor
from mien.metrics import AngleError, ExpressionError, IdentityCosine, ImageQuality
from mien.synth.dataset import RenderedHeads
from mien.tracking import load_tracker
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker

KINDS = ("result", "copy", "truth")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        renders: folder of rendered heads (`mien.synth.dataset`) that no network was trained on.
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        pairs: number of pairs, half of them of one person.
        seed: of the draw of pairs.
        device: where the bundle runs; default the best there is.
        name: name of the result files.
    """

    renders: Path
    bundle: str = "avatar"
    data: Path | None = None
    pairs: int = 500
    seed: int = 0
    device: str | None = None
    name: str = "pairs"


@dataclass(frozen=True, kw_only=True)
class Reenacted:
    """Pictures (uint8 HWC) and truth of the pairs of one group that the model could reenact."""

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]
    results: Sequence[np.ndarray]
    truth: FaceParams
    drawn: int

    def pictures(self, kind: str) -> Sequence[np.ndarray]:
        """The pictures that stand for the result in one column of the table."""
        return {"result": self.results, "copy": self.sources, "truth": self.targets}[kind]


def main(settings: Settings) -> None:
    """Measures both groups of pairs."""
    data = data_folder(settings.data)
    heads = RenderedHeads(settings.renders)
    model = mien.load(settings.bundle, device=settings.device)
    space = load_bundle(settings.bundle, "cpu").motion
    judges: dict[str, Tracker] = {
        "embedded": load_tracker("embedded", settings.bundle),
        "mediapipe": MediaPipeTracker(data / "models" / "face_landmarker.task"),
    }
    reid = ReidentificationNet(data)
    groups = {}
    for group, pairs in draw_pairs(heads, settings.pairs, np.random.default_rng(settings.seed)).items():
        done = reenact(model, heads, pairs, group)
        measured = {j: {k: measure(judge, enlarged(done.pictures(k))) for k in KINDS} for j, judge in judges.items()}
        groups[group] = {
            "pairs": done.drawn,
            "reenacted": len(done.results),
            "motion": {
                judge: {k: motion_errors(p, done.truth, space) for k, p in m.items()} for judge, m in measured.items()
            },
            "identity": identity_cosines(reid, done, measured["mediapipe"]),
        }
        if group == "same":
            groups[group]["picture"] = {kind: picture_quality(done, kind) for kind in ("result", "copy")}
        CONSOLE.log(f"{group} person: {len(done.results)} of {done.drawn} pairs measured")
    about = {"expression_coordinates": space.names[3:], "identity_net": ReidentificationNet.NAME}
    report(settings.name, settings, about | {"groups": groups}, table_of(groups))


def draw_pairs(heads: RenderedHeads, count: int, rng: np.random.Generator) -> dict[str, list[tuple[int, int]]]:
    """(source, target) indices: `same` = two frames of one scene, `other` = frames of two people; count / 2 of each.

    Raises:
        InputError: the folder holds one person or one frame per scene only.
    """
    person, scene = np.asarray(heads.person), np.asarray(heads.scene)
    same, other = [], []
    for target in rng.permutation(len(heads)).tolist() * 2:
        candidates = np.flatnonzero((scene == scene[target]) & (np.arange(len(scene)) != target))
        if len(candidates) and len(same) < count // 2:
            same.append((int(rng.choice(candidates)), target))
        elif len(strangers := np.flatnonzero(person != person[target])) and len(other) < count - count // 2:
            other.append((int(rng.choice(strangers)), target))
    if len(same) + len(other) < count:
        raise InputError(f"The renders yield only {len(same)} same-person and {len(other)} other-person pairs.")
    return {"same": same, "other": other}


def reenact(model: Any, heads: RenderedHeads, pairs: Sequence[tuple[int, int]], group: str) -> Reenacted:
    """Runs the public API on each pair; pairs whose source or target shows no face to the model are counted out."""
    kept, results = [], []
    for source, target in track(pairs, description=f"{group} person", console=CONSOLE):
        pictures = heads.images(np.array([source, target]))
        try:
            results.append(np.asarray(model.drive(model.identify(pictures[0]), pictures[1])))
        except NoFaceError:
            continue
        kept.append((source, target))
    sources, targets = (np.array([pair[side] for pair in kept], int) for side in (0, 1))
    return Reenacted(
        sources=list(heads.images(sources)),
        targets=list(heads.images(targets)),
        results=results,
        truth=heads.params(targets),
        drawn=len(pairs),
    )


def motion_errors(measured: FaceParams, truth: FaceParams, space: MotionSpace) -> dict[str, Any]:
    """Mean absolute errors in degrees and in shares of the working ranges of the bundle's motion space."""
    angles, expression = AngleError(), ExpressionError(space.ranges[3:])
    angles.update(measured.angles, truth.angles, measured.valid)
    expression.update(space.read(measured)[:, 3:], space.read(truth)[:, 3:], measured.valid)
    degrees, shares = angles.result().mean, expression.result().mean
    by_name = {name: plain(share) for name, share in zip(space.names[3:], shares, strict=True)}
    return {
        "found": plain(measured.valid.double().mean()),
        "angles_deg": dict(zip(("yaw", "pitch", "roll"), map(plain, degrees), strict=True)),
        "angles_mean_deg": plain(degrees.mean()),
        "expression": plain(shares.mean()),
        "expression_by_coordinate": by_name,
    }


def identity_cosines(reid: ReidentificationNet, done: Reenacted, faces: Mapping[str, FaceParams]) -> dict[str, Any]:
    """Cosine to the source of the result and of the true target (another frame of the person, or a stranger)."""
    own = reid.embed(enlarged(done.sources), faces["copy"])
    scores = {}
    for kind in ("result", "truth"):
        metric = IdentityCosine()
        metric.update(
            reid.embed(enlarged(done.pictures(kind)), faces[kind]), own, faces[kind].valid & faces["copy"].valid
        )
        summary = metric.result()
        scores[kind] = {"mean": plain(summary.mean), "std": plain(summary.std), "count": summary.count}
    return scores


def picture_quality(done: Reenacted, kind: str) -> dict[str, float]:
    """L1, PSNR, SSIM against the true picture of the same person, scene and pose, at the size of the renders."""
    metric = ImageQuality()
    for picture, target in zip(done.pictures(kind), done.targets, strict=True):
        metric.update(resize(to_tensor(picture[None]), target.shape[0]), to_tensor(target[None]))
    return {key: float(f"{value:.6g}") for key, value in metric.result().items()}


def table_of(groups: Mapping[str, Any]) -> Table:
    """One row per group and measure; columns: result, copy of the source, the instrument on the true target."""
    table = Table(
        title="Pairs with known truth",
        caption="copy: the source itself; truth: the true target frame, so the instrument's own error.",
    )
    for column in ("pairs", "measure", *KINDS):
        table.add_column(column)
    for group, values in groups.items():
        label = f"{group} person ({values['reenacted']}/{values['pairs']})"
        for judge, by_kind in values["motion"].items():
            rows = {f"{a} (degrees)": [by_kind[k]["angles_deg"][a] for k in KINDS] for a in ("yaw", "pitch", "roll")}
            rows["expression (share of range)"] = [by_kind[k]["expression"] for k in KINDS]
            rows["faces found"] = [by_kind[k]["found"] for k in KINDS]
            for measure_name, numbers in rows.items():
                table.add_row(label, f"{measure_name}, {judge}", *(shown(n, 3 if n and n < 1 else 2) for n in numbers))
        identity = values["identity"]
        table.add_row(
            label,
            "identity cosine to the source",
            shown(identity["result"]["mean"]),
            "1",
            shown(identity["truth"]["mean"]),
        )
        for key in ("l1", "psnr", "ssim") if "picture" in values else ():
            table.add_row(label, key, *(shown(values["picture"][k][key], 3) for k in ("result", "copy")), "–")
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
