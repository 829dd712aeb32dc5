"""Reenactment of rendered heads, where the true pose, expression and picture are known.

Draws pairs (source picture, target frame) from a folder of renders that no network was trained on: half show the same
person in the same scene, half two people. The result of the public API is measured by the bundle's tracker and by
MediaPipe against the *true* parameters of the target. Beside it stand the same measurements of the source picture
("copy": what doing nothing scores) and of the true target frame ("truth": the instrument's own error).

    python benchmarks/quality/pairs.py --renders renders/held_out --bundle avatar
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    TrackerName,
    data_folder,
    enlarged,
    measure,
    own_tracker,
    plain,
    report,
    shown,
)
from rich.progress import track
from rich.table import Table

from mien.benchmark import readable_coordinates as mediapipe_coordinates
from mien.errors import InputError, MienError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import FaceParams
from mien.images import resize, to_tensor
from mien.metrics import AngleError, ExpressionError, IdentityCosine, ImageQuality
from mien.pipelines.moving import Method
from mien.pipelines.reenactor import Reenactor, load
from mien.synth.dataset import RenderedHeads
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker
from mien.training.parts import load_identity

COLUMNS = ("result", "copy", "truth")
Recogniser = Callable[[Sequence[np.ndarray], FaceParams], torch.Tensor]
ANGLES = ("yaw", "pitch", "roll")


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
        tracker: what the bundle measures faces with.
        method: how motion becomes a picture; default what the bundle has.
        identity: folder of an `identity` run to measure identity with, beside the network of the data pack.
        name: name of the result files.
    """

    renders: Path
    bundle: str = "avatar"
    data: Path | None = None
    pairs: int = 500
    seed: int = 0
    device: str | None = None
    tracker: TrackerName = "embedded"
    method: Method | None = None
    identity: Path | None = None
    name: str = "pairs"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The pairs of one group that the bundle could reenact: pictures uint8 HWC, and the target's true parameters.

    `pictures` holds "copy" (the sources), "truth" (the targets), "result" and "inversion" (the source drawn unmoved).
    """

    pictures: Mapping[str, Sequence[np.ndarray]]
    truth: FaceParams
    drawn: int


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A tracker that measures, and the coordinates of the motion space that it can read on the true scale."""

    tracker: Tracker
    coordinates: tuple[str, ...]


def main(settings: Settings) -> None:
    """Measures both groups of pairs."""
    data = data_folder(settings.data)
    heads = RenderedHeads(settings.renders)
    model = load(settings.bundle, settings.device, own_tracker(settings.tracker, data))
    space = model.bundle.motion
    judges = {
        "own": Judge(tracker=model.tracker, coordinates=space.names[3:]),
        "mediapipe": Judge(
            tracker=MediaPipeTracker(data / "models" / "face_landmarker.task"), coordinates=mediapipe_coordinates(space)
        ),
    }
    recognisers = recognisers_of(settings, data)
    groups = {}
    for name, pairs in draw_pairs(heads, settings.pairs, np.random.default_rng(settings.seed)).items():
        group = reenact(model, heads, pairs, name, settings.method)
        groups[name] = {"pairs": group.drawn, "reenacted": len(group.truth)}
        if len(group.truth):
            groups[name] |= scores(group, judges, space, recognisers)
        CONSOLE.log(f"{name} person: {len(group.truth)} of {group.drawn} pairs measured")
    about = {"coordinates": {k: j.coordinates for k, j in judges.items()}}
    report(settings.name, settings, about | {"groups": groups}, table_of(groups))


def draw_pairs(heads: RenderedHeads, count: int, rng: np.random.Generator) -> dict[str, list[tuple[int, int]]]:
    """(source, target) indices: `same` = two frames of one scene, `other` = frames of two people; count / 2 of each.

    Raises:
        InputError: the renders hold too few people or frames for that.
    """
    person, scene = np.asarray(heads.person), np.asarray(heads.scene)
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    for target in np.concatenate([rng.permutation(len(person)) for _ in range(4)]).tolist():
        siblings = np.flatnonzero((scene == scene[target]) & (np.arange(len(scene)) != target))
        strangers = np.flatnonzero(person != person[target])
        if len(siblings) and len(same) < count // 2:
            same.append((int(rng.choice(siblings)), target))
        elif len(strangers) and len(other) < count - count // 2:
            other.append((int(rng.choice(strangers)), target))
    if len(same) + len(other) < count:
        raise InputError(f"The renders yield only {len(same)} same-person and {len(other)} other-person pairs.")
    return {"same": same, "other": other}


def reenact(
    model: Reenactor,
    heads: RenderedHeads,
    pairs: Sequence[tuple[int, int]],
    name: str,
    method: Method | None = None,
) -> Group:
    """Runs the public API on each pair; pairs whose source or target shows the bundle no face are counted out."""
    kept: list[tuple[int, int]] = []
    results, inversions = [], []
    for pair in track(pairs, description=f"{name} person", console=CONSOLE):
        source, target = heads.images(np.array(pair))
        try:
            identity = model.identify(source, face="largest")
            results.append(model.drive(identity, target, method=method))
        except NoFaceError:
            continue
        inversions.append(model.edit(identity, method))
        kept.append(pair)
    sources, targets = np.array(kept, int).reshape(-1, 2).T
    pictures = {
        "copy": heads.images(sources),
        "truth": heads.images(targets),
        "result": results,
        "inversion": inversions,
    }
    return Group(pictures={k: list(v) for k, v in pictures.items()}, truth=heads.params(targets), drawn=len(pairs))


def scores(
    group: Group, judges: Mapping[str, Judge], space: MotionSpace, recognisers: Mapping[str, Recogniser]
) -> dict[str, Any]:
    """Everything that is measured on one group."""
    seen = {kind: enlarged(pictures) for kind, pictures in group.pictures.items()}
    faces = {judge: {k: measure(j.tracker, seen[k]) for k in seen} for judge, j in judges.items()}
    motion = {
        judge: {kind: motion_errors(faces[judge][kind], group.truth, space, j.coordinates) for kind in COLUMNS}
        for judge, j in judges.items()
    }
    found = {kind: faces["mediapipe"][kind].valid for kind in seen}
    identity = {
        name: identity_cosines({k: embed(seen[k], faces["mediapipe"][k]) for k in seen}, found)
        for name, embed in recognisers.items()
    }
    pictures = {"result against truth": ("result", "truth"), "copy against truth": ("copy", "truth")}
    pictures["inversion against source"] = ("inversion", "copy")
    quality = {name: picture_quality(group, *kinds) for name, kinds in pictures.items()}
    return {"motion": motion, "identity": identity, "picture": quality}


def recognisers_of(settings: Settings, data: Path) -> dict[str, Recogniser]:
    """Embeddings by name: the re-identification network, and the project's own if a run of it is given."""
    found: dict[str, Recogniser] = {ReidentificationNet.NAME: ReidentificationNet(data).embed}
    if settings.identity is not None:
        net = load_identity(settings.identity)

        @torch.no_grad()
        def embed(pictures: Sequence[np.ndarray], faces: FaceParams) -> torch.Tensor:
            return torch.cat([net(to_tensor(picture)) for picture in pictures])

        found["own identity net"] = embed
    return found


def motion_errors(
    measured: FaceParams, truth: FaceParams, space: MotionSpace, coordinates: Sequence[str]
) -> dict[str, Any]:
    """Mean absolute errors: angles in degrees, expression in shares of the working ranges of the motion space."""
    found = plain(measured.valid.double().mean())
    if not measured.valid.any():
        return {"found": found, "angles_deg": dict.fromkeys(ANGLES), "expression": None, "by_coordinate": {}}
    columns = [space.names.index(name) for name in coordinates]
    angles, expression = AngleError(), ExpressionError(space.ranges[columns])
    angles.update(measured.angles, truth.angles, measured.valid)
    expression.update(space.read(measured)[:, columns], space.read(truth)[:, columns], measured.valid)
    degrees, shares = angles.result().mean, expression.result().mean
    return {
        "found": found,
        "angles_deg": {name: plain(value) for name, value in zip(ANGLES, degrees, strict=True)},
        "expression": plain(shares.mean()),
        "by_coordinate": {name: plain(share) for name, share in zip(coordinates, shares, strict=True)},
    }


def identity_cosines(embeddings: Mapping[str, torch.Tensor], valid: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Cosine to the source of the result, of the inversion, and of the true target (same person or a stranger)."""
    cosines = {}
    for kind in ("result", "inversion", "truth"):
        metric = IdentityCosine()
        metric.update(embeddings[kind], embeddings["copy"], valid[kind] & valid["copy"])
        try:
            summary = metric.result()
        except MienError:
            cosines[kind] = {"mean": None, "std": None, "count": 0}
            continue
        cosines[kind] = {"mean": plain(summary.mean), "std": plain(summary.std), "count": summary.count}
    return cosines


def picture_quality(group: Group, kind: str, reference: str) -> dict[str, float | None]:
    """L1, PSNR, SSIM of one kind of picture against another, at the size of the renders."""
    metric = ImageQuality()
    for picture, other in zip(group.pictures[kind], group.pictures[reference], strict=True):
        metric.update(resize(to_tensor(picture[None]), other.shape[0]), to_tensor(other[None]))
    return {key: plain(value) for key, value in metric.result().items()}


def table_of(groups: Mapping[str, Any]) -> Table:
    """One row per group and measure; columns: result, copy of the source, the instrument on the true target."""
    table = Table(
        title="Pairs with known truth",
        caption="copy: the source itself; truth: the true target frame, so the instrument's own error. "
        "Each mean is over the pictures in which a face is found.",
    )
    for column in ("pairs", "measure", *COLUMNS):
        table.add_column(column)
    for name, group in groups.items():
        label = f"{name} person ({group['reenacted']}/{group['pairs']})"
        for measure_name, numbers in _rows(name, group) if "motion" in group else ():
            table.add_row(label, measure_name, *(shown(number, 3) for number in numbers))
    return table


def _rows(name: str, group: Mapping[str, Any]) -> list[tuple[str, list[float | None]]]:
    rows = []
    for judge, kinds in group["motion"].items():
        rows += [(f"{a} (degrees), {judge}", [kinds[k]["angles_deg"][a] for k in COLUMNS]) for a in ANGLES]
        rows.append((f"expression (share of range), {judge}", [kinds[k]["expression"] for k in COLUMNS]))
        rows.append((f"faces found, {judge}", [kinds[k]["found"] for k in COLUMNS]))
    pictures = group["picture"]
    for net, cosines in group["identity"].items():
        rows.append(
            (f"identity cosine to the source, {net}", [cosines["result"]["mean"], 1.0, cosines["truth"]["mean"]])
        )
        rows.append((f"identity cosine of the inversion, {net}", [cosines["inversion"]["mean"], None, None]))
    if name == "same":
        for key in ("l1", "psnr", "ssim"):
            values = [pictures[f"{kind} against truth"][key] for kind in ("result", "copy")]
            rows.append((f"{key} against the true picture", [*values, None]))
    rows += [(f"{k} of the inversion", [pictures["inversion against source"][k], None, None]) for k in ("psnr", "ssim")]
    return rows


if __name__ == "__main__":
    main(tyro.cli(Settings))
