"""Somebody's neutral photograph driven by a photograph of the same person smiling: is it still them, and do they smile?

The London set of the data pack has both of everybody, so the true answer is known although the people are real. By
default only those people are asked whom no network was trained on. MediaPipe reads smile and gaze, the independent
network of the data pack says who it is.

    python benchmarks/quality/smiles.py --bundle avatar
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    data_folder,
    enlarged,
    inversions_of,
    measure,
    methods_of,
    named_coordinates,
    plain,
    report,
    shown,
)
from rich.progress import track
from rich.table import Table

from mien.face3d.params import FaceParams
from mien.images import grid, read_image, resize, to_tensor, to_uint8, write_image
from mien.metrics.identity import cosine
from mien.pipelines.reenactor import load
from mien.tracking.material import held_out
from mien.tracking.mediapipe import MediaPipeTracker

REFERENCES = ("neutral", "smiling")
READ = ("mouth_smile", "gaze_x", "gaze_y")
COLUMNS = ("pairs", "found", "cosine, neutral", "cosine, smiling", "smile", "smile error", "smile r", "gaze error")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        part: "held_out", people whom no network was trained on, or "all".
        picture: where to draw the pairs above the results; None draws nothing. Not to be published: it shows real
            people.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    part: Literal["held_out", "all"] = "held_out"
    picture: Path | None = None
    name: str = "smiles"


def load_couples(data: Path, part: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Neutral and smiling photograph of every person."""
    root = data / "faces" / "london_ccby"
    labels = np.load(root / "labels.npz")
    people = np.unique(labels["identity"].astype(str))
    chosen = people if part == "all" else people[held_out(len(people))]
    return [(read_image(root / f"{p}_neutral.jpg"), read_image(root / f"{p}_smiling.jpg")) for p in chosen]


def main(settings: Settings) -> None:
    """Drives everybody by their own smile."""
    data, model = data_folder(settings.data), load(settings.bundle)
    methods, inversions = methods_of(model), inversions_of(model)
    rows = [*REFERENCES, *(f"inversion, {m}" for m in inversions), *(f"result, {m}" for m in methods)]
    pictures: dict[str, list[np.ndarray]] = {row: [] for row in rows}
    for neutral, smiling in track(load_couples(data, settings.part), "driving", console=CONSOLE):
        identity = model.identify(neutral)
        pictures["neutral"].append(identity.image)
        pictures["smiling"].append(model.identify(smiling).image)
        for method in inversions:
            pictures[f"inversion, {method}"].append(model.edit(identity, method))
        for method in methods:
            pictures[f"result, {method}"].append(model.drive(identity, smiling, method=method))
    results = compared(data, pictures)
    if settings.picture is not None:
        side = pictures["neutral"][0].shape[0]
        images = [to_uint8(resize(to_tensor(np.stack(pictures[row])), side)) for row in rows]
        write_image(settings.picture, grid(np.concatenate(images), len(pictures["neutral"])))
    report(settings.name, settings, results, table_of(results))


def compared(data: Path, pictures: dict[str, list[np.ndarray]]) -> dict[str, dict[str, float | None]]:
    """Means over the people whose face is found in all pictures."""
    judge, net = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)
    large = {name: enlarged(images) for name, images in pictures.items()}
    seen = {name: measure(judge, images) for name, images in large.items()}
    usable = torch.stack([face.valid for face in seen.values()]).all(0)
    codes = {name: net.embed(large[name], seen[name])[usable] for name in pictures}
    reached = {name: readings(face, usable) for name, face in seen.items()}
    truth = reached["smiling"]
    return {
        name: {
            "pairs": float(usable.sum()),
            "found": plain(seen[name].valid.float().mean()),
            "cosine, neutral": plain(cosine(codes[name], codes["neutral"]).mean()),
            "cosine, smiling": plain(cosine(codes[name], codes["smiling"]).mean()),
            "smile": plain(values["mouth_smile"].mean()),
            "smile error": plain((values["mouth_smile"] - truth["mouth_smile"]).abs().mean()),
            "smile r": plain(torch.corrcoef(torch.stack([values["mouth_smile"], truth["mouth_smile"]]))[0, 1]),
            "gaze error": plain(torch.stack([(values[k] - truth[k]).abs() for k in READ[1:]]).mean()),
        }
        for name, values in reached.items()
    }


def readings(face: FaceParams, usable: torch.Tensor) -> dict[str, torch.Tensor]:
    """Smile and gaze of the usable pictures."""
    values = named_coordinates(face)
    return {name: values[name][usable] for name in READ}


def table_of(results: dict[str, dict[str, float | None]]) -> Table:
    """One row for each kind of picture."""
    table = Table(
        title="Neutral photographs driven by the same person's smile",
        caption="Cosine of the independent network with both photographs; smile and gaze by MediaPipe, errors against "
        "the smiling photograph.",
    )
    for column in ("picture", *COLUMNS):
        table.add_column(column)
    for name, values in results.items():
        table.add_row(name, *(shown(values[c], 0 if c == "pairs" else 2) for c in COLUMNS))
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
