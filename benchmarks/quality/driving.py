"""Do the driver's movements arrive in the result? Real clips drive sources through the public API; MediaPipe judges.

For every face of every clip and every source: the share of result frames in which a face is found, and for each
coordinate the Pearson correlation between driver and result. Only coordinates that the driver moves (MOVED) count.
The embedded tracker was trained on four fifths of the frames of these clips (`mien.tracking.material`); generator,
encoder and directions have not seen them. Their heads move by a degree or two, as little as two looks of MediaPipe at
the same frame differ; `--steady` takes that noise out of the judge.

    python benchmarks/quality/driving.py --bundle avatar
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    TrackerName,
    data_folder,
    enlarged,
    measure,
    named_coordinates,
    own_tracker,
    plain,
    report,
    shown,
)
from rich.table import Table

import mien
from mien.errors import MienError
from mien.face3d.params import FaceParams
from mien.images import read_image
from mien.media import read_video
from mien.metrics import Correlation
from mien.pipelines import Identity, Reenactor, load
from mien.tracking.follow import follow
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker
from mien.tracking.steady import LOOKS, SteadyTracker

COORDINATES = ("yaw", "pitch", "roll", "jaw_open", "mouth_smile", "blink")
MOVED = {name: 0.5 if name in ("yaw", "pitch", "roll") else 0.03 for name in COORDINATES}  # degrees; coefficients
CLIPS = {"head_pose_male.mp4": ("largest",), "head_pose_female_and_male.mp4": ("left", "right")}
SAMPLES = Path(mien.__file__).parent / "assets" / "samples"
LEAST_FRAMES = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        sources: pictures to reenact; default the embedded samples and two generated portraits of the data pack.
        frames: at most this many frames of each clip; 0 for all.
        device: where the bundle runs; default the best there is.
        tracker: what the bundle measures faces with.
        steady: judge every frame by the mean of sixteen looks of MediaPipe instead of one, in driver and result alike.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    sources: tuple[Path, ...] = ()
    frames: int = 0
    device: str | None = None
    tracker: TrackerName = "embedded"
    steady: bool = False
    name: str = "driving"


def main(settings: Settings) -> None:
    """Measures every clip, face and source."""
    data = data_folder(settings.data)
    judge: Tracker = MediaPipeTracker(data / "models" / "face_landmarker.task", scale="raw")
    judge = SteadyTracker(judge) if settings.steady else judge
    model = load(settings.bundle, settings.device, own_tracker(settings.tracker, data))
    identities = identified(model, settings.sources or _default_sources(data))
    runs = []
    for clip, faces in CLIPS.items():
        frames = [frame.image for frame in read_video(data / "clips" / clip)][: settings.frames or None]
        for face in faces:
            driver = FaceParams.cat(list(follow(judge, frames, choose=face)))
            for source, identity in identities.items():
                try:
                    driven = list(model.stream(identity, frames, face=face).results())
                except MienError as error:
                    CONSOLE.log(f"{clip} {face} → {source}: {error}")
                    runs.append({"clip": clip, "face": face, "source": source, "error": str(error)})
                    continue
                run = compare(driver, measure(judge, enlarged([one.image for one in driven])))
                run["tracked"] = sum(one.found for one in driven) / len(driven)
                runs.append({"clip": clip, "face": face, "source": source} | run)
                CONSOLE.log(f"{clip} {face} → {source}: faces in {run['found']:.0%} of {run['frames']} frames")
    name = "MediaPipe Face Landmarker" + (f", mean of {2 * len(LOOKS)} looks" if settings.steady else "")
    report(settings.name, settings, {"judge": name, "runs": runs}, table_of(runs))


def identified(model: Reenactor, files: Sequence[Path]) -> dict[str, Identity]:
    """Identities by file name; a source in which the bundle finds no face is logged and left out."""
    identities = {}
    for file in files:
        try:
            identities[file.stem] = model.identify(read_image(file), face="largest")
        except MienError as error:
            CONSOLE.log(f"{file.name} is left out: {error}")
    return identities


def compare(driver: FaceParams, result: FaceParams) -> dict[str, Any]:
    """Correlations of a driver (T) and its result (T); null where fewer than LEAST_FRAMES frames show both faces.

    Whether the driver moves a coordinate is read from the driver alone.
    """
    first, second = (
        torch.stack([named_coordinates(faces)[name] for name in COORDINATES], 1) for faces in (driver, result)
    )
    correlation = Correlation()
    correlation.update(first, second, valid=driver.valid & result.valid)
    is_measurable = int((driver.valid & result.valid).sum()) >= LEAST_FRAMES
    r = correlation.result() if is_measurable else torch.full((len(COORDINATES),), math.nan)
    driver_std, result_std = _spread(first[driver.valid]), _spread(second[result.valid])
    return {
        "frames": len(driver),
        "driver_found": plain(driver.valid.double().mean()),
        "found": float(result.valid.double().mean()),
        "coordinates": {
            name: {
                "correlation": plain(r[i]),
                "driver_std": plain(driver_std[i]),
                "result_std": plain(result_std[i]),
                "is_driven": bool(driver_std[i] > MOVED[name]),
            }
            for i, name in enumerate(COORDINATES)
        },
    }


def _spread(values: torch.Tensor) -> torch.Tensor:
    return values.double().std(0, correction=0) if len(values) else torch.full((values.shape[1],), math.nan)


def table_of(runs: Sequence[dict[str, Any]]) -> Table:
    """One row per run and a last row of means over the runs whose driver moves the coordinate."""
    table = Table(
        title="Driving by real video", caption="Correlation driver–result; in parentheses: the driver hardly moves it."
    )
    for column in ("clip", "face", "source", "found", *COORDINATES):
        table.add_column(column)
    runs = [run for run in runs if "error" not in run]
    for run in runs:
        cells = [_cell(run["coordinates"][name]) for name in COORDINATES]
        table.add_row(run["clip"], str(run["face"]), run["source"], f"{run['found']:.0%}", *cells)
    means = [shown(_mean_driven(runs, name)) for name in COORDINATES]
    found = float(np.mean([run["found"] for run in runs] or [0.0]))
    table.add_row("mean of driven", "", "", f"{found:.0%}", *means)
    return table


def _cell(value: dict[str, Any]) -> str:
    text = shown(value["correlation"])
    return text if value["is_driven"] else f"({text})"


def _mean_driven(runs: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [run["coordinates"][name] for run in runs]
    driven = [v["correlation"] for v in values if v["is_driven"] and v["correlation"] is not None]
    return float(np.mean(driven)) if driven else None


def _default_sources(data: Path) -> tuple[Path, ...]:
    portraits = data / "faces" / "portraits_cc0"
    return (*sorted(SAMPLES.glob("source_*.jpg")), portraits / "female_001.jpg", portraits / "male_001.jpg")


if __name__ == "__main__":
    main(tyro.cli(Settings))
