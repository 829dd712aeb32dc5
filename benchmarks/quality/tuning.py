"""What does tuning the generator to one photograph bring, what does it cost, and does it leave the shared one alone?

Held-out photographs are inverted, then the generator is tuned to each for 200 steps (METHODS section 2). Compared are
the redrawn photograph before and after, and the same person turned and smiling, where tuning must not have forgotten
how to move: identity by the independent network of the data pack, the angles that arrive by MediaPipe. Beside them
stand feature refinement, where the bundle has it, and other bundles: what they bring without any tuning, and what a
person and a frame cost.

    python benchmarks/quality/tuning.py --bundle avatar --others runs/joint-bundle
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
from mien.pipelines.identity import Identity
from mien.pipelines.moving import Method
from mien.pipelines.reenactor import Reenactor, load
from mien.stylegan2 import Generator
from mien.tracking.material import load_photographs
from mien.tracking.mediapipe import MediaPipeTracker

MOVED = {"yaw": 15.0, "mouth_smile": 0.8}
"""Degrees and weight: what the second picture of every person shows."""
TUNED, TIMED_FRAMES = "tuned", 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle whose generator is tuned.
        others: bundles that are measured beside it, untuned.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: held-out portraits that the generator is tuned to.
        steps: of tuning.
        name: name of the result files.
    """

    bundle: str = "avatar"
    others: tuple[str, ...] = ()
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


@dataclass(frozen=True)
class Way:
    """One way to draw a person: with a bundle, by a method, tuned or not."""

    model: Reenactor
    method: Method
    tuning: TuningConfig | None = None

    def prepare(self, photograph: np.ndarray) -> tuple[Reenactor, Identity]:
        """What a new person costs."""
        identity = self.model.identify(photograph)
        return self.model if self.tuning is None else self.model.tune(identity, self.tuning), identity


def ways_of(settings: Settings) -> dict[str, Way]:
    """All ways by name; the bundle's own come first and carry no bundle's name."""
    ways: dict[str, Way] = {}
    for folder in (settings.bundle, *settings.others):
        model, prefix = load(folder), "" if folder == settings.bundle else f"{Path(folder).name}, "
        plain_model = Reenactor(replace(model.bundle, feature=None), model.device, model.tracker)
        ways[f"{prefix}directions"] = Way(plain_model, "directions")
        if folder == settings.bundle:
            ways[f"directions, {TUNED}"] = Way(plain_model, "directions", TuningConfig(steps=settings.steps))
        if model.bundle.feature is not None:
            ways[f"{prefix}one-shot"] = Way(model, "one-shot")
    return ways


def frame_milliseconds(drawer: Reenactor, identity: Identity, method: Method) -> float:
    """Of drawing one frame, in batches of eight, after one batch that does not count."""
    changes = torch.cat([drawer.edit_change(identity, MOVED)] * TIMED_FRAMES)
    drawer.render(identity, changes[:8], method)
    started = time.perf_counter()
    for part in changes.split(8):
        drawer.render(identity, part, method)
    return (time.perf_counter() - started) / TIMED_FRAMES * 1e3


def main(settings: Settings) -> None:
    """Tunes to each portrait and compares."""
    data, ways = data_folder(settings.data), ways_of(settings)
    faces = load_photographs("held_out", data)
    photographs = [faces.pictures[owner] for owner in faces.owner[: settings.count]]
    shared = ways["directions"].model.bundle.generator
    before = digest(shared)
    crops: list[np.ndarray] = []
    drawn: dict[str, list[np.ndarray]] = {f"{what} {name}": [] for what in ("still", "moved") for name in ways}
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for photograph in track(photographs, "tuning", console=CONSOLE):
        for name, way in ways.items():
            started = time.perf_counter()
            drawer, identity = way.prepare(photograph)
            seconds = time.perf_counter() - started
            costs[name].append((seconds, frame_milliseconds(drawer, identity, way.method)))
            drawn[f"still {name}"].append(drawer.edit(identity, way.method))
            drawn[f"moved {name}"].append(drawer.edit(identity, way.method, **MOVED))
        crops.append(ways["directions"].model.identify(photograph).image)
    results = {name: compared(data, crops, drawn, name) for name in ways}
    for name in ways:
        for key, cost in zip(("seconds", "ms per frame"), torch.tensor(costs[name]).median(0).values, strict=True):
            results[name][key] = plain(cost)
    results["shared"] = {"generator unchanged": float(digest(shared) == before)}
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
        caption="Absolute error in levels of 255; cosine of the independent network with the photograph. "
        "Seconds for a new person: finding, framing and inverting included; medians. "
        f"The shared generator is {kept} (SHA-256 of its weights).",
    )
    columns = (
        "found",
        "absolute error",
        "cosine",
        "cosine moved",
        "yaw error",
        "smile error",
        "seconds",
        "ms per frame",
    )
    for column in ("way", *columns):
        table.add_column(column)
    for state in [name for name in results if name != "shared"]:
        table.add_row(state, *(shown(results[state][c], 1 if c == "ms per frame" else 2) for c in columns))
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
