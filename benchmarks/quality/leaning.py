"""How far should directions lean a head before the picture is turned instead?

Held-out photographs are moved to heads that turn, nod and then lean to both sides. For several limits of what is left
to directions (`MotionSpace.lean_deg`; none: all of it) MediaPipe says how far the head in the result is from the one
that was asked for, as the angle of the rotation between them, and the independent network of the data pack whether it
is still the same person.

Then sources lean: the photographs are turned in their plane, and moved upright, upright and sideways, not at all, to a
smile, and sideways as they lean (`NAME_sources`).

    python benchmarks/quality/leaning.py --bundle avatar
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    TrackerName,
    data_folder,
    enlarged,
    likeness,
    measure,
    own_tracker,
    plain,
    report,
    shown,
)
from rich.progress import track
from rich.table import Table

from mien.face3d.params import FaceParams
from mien.geometry import rotation_from_angles, turned_angles
from mien.pipelines import Identity
from mien.pipelines.moving import require_coordinates
from mien.pipelines.reenactor import Reenactor, load
from mien.tracking.material import load_photographs
from mien.tracking.mediapipe import MediaPipeTracker

LEANS_DEG = (0.0, 15.0, 30.0, 45.0)
POSES_DEG = ((0.0, 0.0), (20.0, -8.0), (-25.0, 8.0))
"""Yaw and pitch before the head leans."""
SOURCE_LEANS_DEG = (0.0, 20.0, 35.0, 45.0)
MOVES = ("upright", "upright, yaw + 15", "as it leans", "as it leans, smile + .4", "as it leans, yaw + 15")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: held-out portraits.
        tracker: what the bundle measures faces with.
        limits: degrees of lean that are left to directions; the bundle as it is and without a limit come first.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    count: int = 12
    tracker: TrackerName = "embedded"
    limits: tuple[float, ...] = (0.0, 6.0, 20.0)
    name: str = "leaning"


def targets(lean_deg: float) -> torch.Tensor:
    """(N, 3) angles of the heads that lean by so much, to both sides."""
    upright = torch.deg2rad(torch.tensor([(yaw, pitch, 0.0) for yaw, pitch in POSES_DEG for _ in range(2)]))
    turn = torch.deg2rad(torch.tensor([lean_deg, -lean_deg] * len(POSES_DEG)))
    return turned_angles(upright, turn)


def rotation_errors_deg(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Angle (N,) of the rotation between heads at angles (N, 3)."""
    between = rotation_from_angles(first).mT @ rotation_from_angles(second)
    trace = between.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos())


def with_limit(model: Reenactor, limit: float | None) -> Reenactor:
    """The same model that leaves so many degrees of a lean to directions."""
    bundle = replace(model.bundle, motion=replace(model.bundle.motion, lean_deg=limit))
    return Reenactor(bundle, model.device, model.tracker)


def main(settings: Settings) -> None:
    """Moves every portrait with every limit."""
    data = data_folder(settings.data)
    model = load(settings.bundle, tracker=own_tracker(settings.tracker, data))
    judge, net = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)
    faces = load_photographs("held_out", data)
    limits = dict.fromkeys((model.bundle.motion.lean_deg, None, *settings.limits))
    models = {limit: with_limit(model, limit) for limit in limits}
    rows: dict[tuple[float | None, float], list[torch.Tensor]] = {}
    for owner in track(faces.owner[: settings.count], "leaning", console=CONSOLE):
        identities = {limit: drawer.identify(faces.pictures[owner]) for limit, drawer in models.items()}
        identity = identities[model.bundle.motion.lean_deg]
        own = enlarged([identity.image])
        person = measure(judge, own)
        for lean in LEANS_DEG:
            angles = targets(lean)
            asked = FaceParams.cat([replace(identity.params, angles=one[None]) for one in angles])
            for limit, drawer in models.items():
                source = identities[limit]
                drawn = enlarged(list(drawer.render(source, drawer.change(source, asked))))
                seen = measure(judge, drawn)
                error = rotation_errors_deg(seen.angles, angles)
                like = likeness(net, [*own, *drawn], FaceParams.cat([person, seen]))[1:]
                judged = torch.stack([seen.valid.float(), error, like], 1)
                rows.setdefault((limit, lean), []).append(judged)
    results = {"rows": [row_of(limit, lean, torch.cat(parts)) for (limit, lean), parts in rows.items()]}
    report(settings.name, settings, results, table_of(results["rows"], model.bundle.motion.lean_deg))
    pictures = [faces.pictures[owner] for owner in faces.owner[: settings.count]]
    moved = leaning_sources({limit: models[limit] for limit in list(limits)[:2]}, pictures, judge, net)
    report(f"{settings.name}_sources", settings, {"rows": moved}, sources_table(moved))


def turned_photograph(picture: np.ndarray, degrees: float) -> np.ndarray:
    """The picture turned clockwise about its middle; what comes in at the corners mirrors the rest."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def moves_of(model: Reenactor, upright: Identity, leaning: Identity) -> torch.Tensor:
    """Δq (5, k) of the leaning source for each of MOVES."""
    motion = model.bundle.motion
    level, own = (require_coordinates(model.bundle, one.coordinates) for one in (upright, leaning))
    values = motion.denormalise(torch.cat([level, level, own, own, own]))
    values[[1, 4], motion.index("yaw")] += 15.0
    values[3, motion.index("mouth_smile")] += 0.4
    return motion.normalise(values) - own


def leaning_sources(
    models: Mapping[float | None, Reenactor],
    pictures: Sequence[np.ndarray],
    judge: MediaPipeTracker,
    net: ReidentificationNet,
) -> list[dict[str, float | str | None]]:
    """Identity cosine with the upright photograph of every move of every photograph, which lean to either side."""
    found: dict[tuple[float | None, float], list[torch.Tensor]] = {}
    for i, picture in enumerate(track(pictures, "leaning sources", console=CONSOLE)):
        for limit, model in models.items():
            upright = model.identify(picture)
            own = enlarged([upright.image])
            person = measure(judge, own)
            for lean in SOURCE_LEANS_DEG:
                leaning = model.identify(turned_photograph(picture, lean if i % 2 else -lean))
                drawn = enlarged(list(model.render(leaning, moves_of(model, upright, leaning))))
                like = likeness(net, [*own, *drawn], FaceParams.cat([person, measure(judge, drawn)]))[1:]
                found.setdefault((limit, lean), []).append(like)
    return [
        {"limit": limit, "lean": lean, "move": move, "cosine": plain(cosine)}
        for (limit, lean), parts in found.items()
        for move, cosine in zip(MOVES, torch.stack(parts).mean(0), strict=True)
    ]


def sources_table(rows: Sequence[Mapping[str, float | str | None]]) -> Table:
    """One row per limit and lean of the source, a column per move."""
    caption = "Identity cosine with the photograph before it was turned; 0 where no face is found."
    table = Table(title="Leaning sources", caption=caption)
    for column in ("left to directions", "source leans", *MOVES):
        table.add_column(column)
    for limit, lean in dict.fromkeys((row["limit"], row["lean"]) for row in rows):
        cells = [shown(row["cosine"]) for row in rows if (row["limit"], row["lean"]) == (limit, lean)]  # pyright: ignore[reportArgumentType]
        table.add_row("all" if limit is None else f"{limit:g}", f"{lean:g}", *cells)
    return table


def row_of(limit: float | None, lean: float, judged: torch.Tensor) -> dict[str, float | None]:
    """Means of found, error and likeness (N, 3); the last two over pictures with a face."""
    seen = judged[judged[:, 0] > 0]
    found, error, like = judged[:, 0].mean(), seen[:, 1].mean(), seen[:, 2].mean()
    return {"limit": limit, "lean": lean, "found": plain(found), "error": plain(error), "cosine": plain(like)}


def table_of(rows: list[dict[str, float | None]], own: float | None) -> Table:
    """One row per limit, a column per lean."""
    table = Table(
        title="Leaning heads",
        caption="Angle between the head asked for and the one that MediaPipe sees, in degrees / identity cosine with "
        "the photograph. The first row is the bundle as it is.",
    )
    for column in ("left to directions", *(f"lean {lean:.0f}" for lean in LEANS_DEG)):
        table.add_column(column)
    for limit in dict.fromkeys((own, *(row["limit"] for row in rows))):
        cells = [f"{shown(row['error'], 1)} / {shown(row['cosine'])}" for row in rows if row["limit"] == limit]
        table.add_row("all" if limit is None else f"{limit:g}", *cells)
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
