"""What does tuning the generator to one photograph bring, what does it cost, and does it leave the shared one alone?

Held-out photographs are inverted, then the generator is tuned to each for 200 steps (METHODS section 2). Compared are
the redrawn photograph before and after, and the same person turned and smiling, where tuning must not have forgotten
how to move: identity by the independent network of the data pack, the angles that arrive by MediaPipe. Beside them
stands feature refinement, where the bundle has it: what it brings without any tuning.

    python benchmarks/quality/tuning.py --bundle avatar
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    data_folder,
    enlarged,
    measure,
    named_coordinates,
    plain,
    report,
    shown,
)
from rich.progress import track
from rich.table import Table

from mien.inversion import TuningConfig
from mien.metrics.identity import cosine
from mien.pipelines.moving import Method
from mien.pipelines.reenactor import Reenactor, load
from mien.stylegan2 import Generator
from mien.tracking.material import load_photographs
from mien.tracking.mediapipe import MediaPipeTracker

MOVED = {"yaw": 15.0, "mouth_smile": 0.8}
"""Degrees and weight: what the second picture of every person shows."""
PLAIN, TUNED, REFINED = "directions", "directions, tuned", "one-shot"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: held-out portraits that the generator is tuned to.
        steps: of tuning.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    count: int = 12
    steps: int = 200
    name: str = "tuning"


def digest(generator: Generator) -> str:
    """SHA-256 of all weights."""
    total = hashlib.sha256()
    for name, value in sorted(generator.state_dict().items()):
        total.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
    return total.hexdigest()


def main(settings: Settings) -> None:
    """Tunes to each portrait and compares."""
    data, model = data_folder(settings.data), load(settings.bundle)
    faces = load_photographs("held_out", data)
    photographs = [faces.pictures[owner] for owner in faces.owner[: settings.count]]
    shared = digest(model.bundle.generator)
    unrefined = Reenactor(replace(model.bundle, feature=None), model.device, model.tracker)
    crops: list[np.ndarray] = []
    states = (PLAIN, TUNED) if model.bundle.feature is None else (PLAIN, TUNED, REFINED)
    drawn: dict[str, list[np.ndarray]] = {f"{what} {state}": [] for what in ("still", "moved") for state in states}
    seconds: dict[str, list[float]] = {state: [] for state in states}
    for photograph in track(photographs, "tuning", console=CONSOLE):
        for state in states:
            drawer, started = unrefined if state == PLAIN else model, time.perf_counter()
            identity = drawer.identify(photograph)
            if state == TUNED:
                drawer = drawer.tune(identity, TuningConfig(steps=settings.steps))
            seconds[state].append(time.perf_counter() - started)
            method: Method = "one-shot" if state == REFINED else "directions"
            drawn[f"still {state}"].append(drawer.edit(identity, method))
            drawn[f"moved {state}"].append(drawer.edit(identity, method, **MOVED))
        crops.append(identity.image)
    results = {state: compared(data, crops, drawn, state) for state in states}
    for state in states:
        results[state]["seconds"] = plain(torch.tensor(seconds[state]).mean())
    results["shared"] = {"generator unchanged": float(digest(model.bundle.generator) == shared)}
    report(settings.name, settings, results, table_of(results))


def compared(
    data: Path, crops: list[np.ndarray], drawn: dict[str, list[np.ndarray]], state: str
) -> dict[str, float | None]:
    """Means over the portraits in which a face is found in every picture."""
    judge, net = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)
    pictures = {"true": crops, "still": drawn[f"still {state}"], "moved": drawn[f"moved {state}"]}
    large = {name: enlarged(images) for name, images in pictures.items()}
    seen = {name: measure(judge, images) for name, images in large.items()}
    usable = seen["true"].valid & seen["still"].valid & seen["moved"].valid
    codes = {name: net.embed(large[name], seen[name])[usable] for name in pictures}
    reached = {name: {k: v[usable] for k, v in named_coordinates(seen[name]).items()} for name in pictures}
    error = np.abs(np.stack(crops).astype(float) - np.stack(pictures["still"])).mean()
    return {
        "found": plain(usable.float().mean()),
        "absolute error": plain(torch.tensor(error)),
        "cosine": plain(cosine(codes["true"], codes["still"]).mean()),
        "cosine moved": plain(cosine(codes["true"], codes["moved"]).mean()),
        "yaw error": plain((reached["moved"]["yaw"] - MOVED["yaw"]).abs().mean()),
        "smile error": plain((reached["moved"]["mouth_smile"] - MOVED["mouth_smile"]).abs().mean()),
    }


def table_of(results: dict[str, dict[str, float | None]]) -> Table:
    """One row before and one after."""
    kept = "unchanged" if results["shared"]["generator unchanged"] else "CHANGED"
    table = Table(
        title="Tuning the generator to held-out portraits",
        caption=f"Absolute error in levels of 255; cosine of the independent network with the photograph. "
        f"Seconds: finding, framing and inverting included. The shared generator is {kept} (SHA-256 of its weights).",
    )
    columns = ("found", "absolute error", "cosine", "cosine moved", "yaw error", "smile error", "seconds")
    for column in ("way", *columns):
        table.add_column(column)
    for state in [name for name in results if name != "shared"]:
        table.add_row(state, *(shown(results[state][c], 2) for c in columns))
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
