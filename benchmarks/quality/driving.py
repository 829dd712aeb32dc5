"""Do the driver's movements arrive in the result? Clips drive sources through the public API; MediaPipe judges.

For every face of every clip, every source, absolute and relative driving, with and without smoothing: the share of
result frames in which a face is found; for each coordinate the Pearson correlation between driver and result, where
only coordinates that the driver moves (MOVED) count; and the jitter of the angles, mean |second difference|, of the
result over that of the driver. The reference of relative driving is the driver's most neutral frame.
The embedded tracker was trained on four fifths of the frames of these clips (`mien.tracking.material`); generator,
encoder and directions have not seen them. Their heads move by a degree or two, as little as two looks of MediaPipe at
the same frame differ; `--steady` takes that noise out of the judge. What is left of it shows where the driver drives
itself: its own frames, in the crop and size of the results, judged like a result; a copy of the driver gets as far.
Two of the three heads lean by 40 degrees and more, where yaw and pitch are mixtures of what people call turning and
nodding; `turn` and `nod` are these, yaw and pitch of the head turned upright.
Heads that move as people do who talk and look around are rendered (`--people`): held-out photographed people in random
motion, whose true parameters take the place of the driver's track.

    python benchmarks/quality/driving.py --bundle avatar
    python benchmarks/quality/driving.py --driving absolute --people people.npz --name driving_rendered
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, Literal

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
from mien.benchmark.people import PhotographedPeople
from mien.errors import InputError, MienError
from mien.face3d.params import FaceParams
from mien.images import read_image
from mien.media import read_video
from mien.media.reader import Frame
from mien.metrics import Correlation, Jitter
from mien.pipelines import Identity, Reenactor, load, neutral_face
from mien.pipelines.moving import Method
from mien.pipelines.streaming import StreamOptions
from mien.synth.sequence import random_motion
from mien.tracking.follow import follow
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker
from mien.tracking.smoothing import Smoothing
from mien.tracking.steady import LOOKS, SteadyTracker

ANGLES = ("yaw", "pitch", "roll")
UPRIGHT = ("turn", "nod")
COORDINATES = (*ANGLES, *UPRIGHT, "jaw_open", "mouth_smile", "blink")
MOVED = {name: 0.5 if name in ANGLES + UPRIGHT else 0.03 for name in COORDINATES}  # degrees; coefficients
CLIPS = {"head_pose_male.mp4": ("largest",), "head_pose_female_and_male.mp4": ("left", "right")}
SAMPLES = Path(mien.__file__).parent / "assets" / "samples"
LEAST_FRAMES = 8
FACTS = ("angles", "expression", "landmarks")
RENDERED_CLIPS, RENDERED_FRAMES, RENDERED_RATE, RENDERED_PX = 4, 100, 25, 256
ITSELF = "the driver itself"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        sources: pictures to reenact; default the embedded samples and two generated portraits of the data pack.
        people: pack of photographed people (`mien fit`): the held-out ones drive, rendered, instead of the clips.
        frames: at most this many frames of each clip; 0 for all.
        device: where the bundle runs; default the best there is.
        tracker: what the bundle measures faces with.
        method: how motion becomes a picture; default what the bundle has.
        driving: absolute: the driver's pose itself; relative: its change since the reference.
        smoothing: whether the driver's track is smoothed.
        steady: judge every frame by the mean of sixteen looks of MediaPipe instead of one, in driver and result alike.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    sources: tuple[Path, ...] = ()
    people: Path | None = None
    frames: int = 0
    device: str | None = None
    tracker: TrackerName = "embedded"
    method: Method | None = None
    driving: tuple[Literal["absolute", "relative"], ...] = ("absolute", "relative")
    smoothing: tuple[Literal["on", "off"], ...] = ("on", "off")
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
    for clip, face, frames, truth in drivers(settings, data):
        judged = FaceParams.cat(list(follow(judge, [frame.image for frame in frames], choose=face)))
        driver = judged if truth is None else truth
        run: dict[str, Any] = {"clip": clip, "face": face, "source": ITSELF, "driving": ITSELF, "smoothing": "off"}
        runs.append(run | compare(driver, measure(judge, enlarged(own_crops(model, frames, face))), judged))
        for (source, identity), kind, smoothing in product(identities.items(), settings.driving, settings.smoothing):
            run = {"clip": clip, "face": face, "source": source, "driving": kind, "smoothing": smoothing}
            try:
                options = stream_options(model, frames, face, kind, smoothing)
                options["method"] = settings.method
                driven = list(model.stream(identity, frames, **options).results())
            except MienError as error:
                CONSOLE.log(f"{clip} {face} → {source}: {error}")
                runs.append(run | {"error": str(error)})
                continue
            run |= compare(driver, measure(judge, enlarged([one.image for one in driven])), judged)
            run["tracked"] = sum(one.found for one in driven) / len(driven)
            runs.append(run)
            where = f"{clip} {face} → {source}, {kind}, smoothing {smoothing}"
            CONSOLE.log(f"{where}: faces in {run['found']:.0%} of {run['frames']} frames")
    name = "MediaPipe Face Landmarker" + (f", mean of {2 * len(LOOKS)} looks" if settings.steady else "")
    report(settings.name, settings, {"judge": name, "runs": runs}, table_of(runs))


def drivers(settings: Settings, data: Path) -> Iterator[tuple[str, str, list[Frame], FaceParams | None]]:
    """Clip, face, its frames and, where it is known, the truth about them."""
    if settings.people is None:
        for clip, faces in CLIPS.items():
            frames = list(read_video(data / "clips" / clip))[: settings.frames or None]
            yield from ((clip, face, frames, None) for face in faces)
        return
    with closing(PhotographedPeople(settings.people, RENDERED_PX)) as studio:
        for number in range(RENDERED_CLIPS):
            motion = random_motion(settings.frames or RENDERED_FRAMES, RENDERED_RATE, number)
            rendered = studio.render(number, motion.angles * studio.reach, motion.expression)
            frames = [Frame(one.image, i, Fraction(1, RENDERED_RATE)) for i, one in enumerate(rendered)]
            columns = (np.stack([getattr(one, name) for one in rendered]) for name in FACTS)
            angles, expression, landmarks = (torch.from_numpy(column).float() for column in columns)
            always = torch.ones(len(frames))
            truth = FaceParams(angles, expression, landmarks, always > 0, always)
            yield f"rendered {number + 1}", "largest", frames, truth


def own_crops(model: Reenactor, frames: Sequence[Frame], face: str) -> list[np.ndarray]:
    """A driver's own frames, cut out as the bundle frames its results; grey where the face is lost."""
    images = [frame.image for frame in frames]
    seen = FaceParams.cat(list(follow(model.tracker, images, choose=face)))
    blank = np.full((RENDERED_PX, RENDERED_PX, 3), 127, np.uint8)
    cuts = zip(model.frame(seen), images, seen.valid.tolist(), strict=True)
    return [crop.apply(image) if is_found else blank for crop, image, is_found in cuts]


def stream_options(model: Reenactor, frames: Sequence[Frame], face: str, driving: str, smoothing: str) -> StreamOptions:
    """How one variant is driven."""
    options: StreamOptions = {"face": face, "smoothing": Smoothing() if smoothing == "on" else None}
    if driving == "relative":
        watch = model.watch(frames, model.settings(**options))
        options |= {"relative": True, "reference": neutral_face(watch, model.bundle.motion)}
    return options


def identified(model: Reenactor, files: Sequence[Path]) -> dict[str, Identity]:
    """Identities by file name; a source in which the bundle finds no face is logged and left out."""
    identities = {}
    for file in files:
        try:
            identities[file.stem] = model.identify(read_image(file), face="largest")
        except MienError as error:
            CONSOLE.log(f"{file.name} is left out: {error}")
    return identities


def compare(driver: FaceParams, result: FaceParams, judged: FaceParams | None = None) -> dict[str, Any]:
    """Correlations and jitter of a driver (T) and its result (T); jitter against `judged`, if `driver` is the truth.

    A correlation is null where fewer than LEAST_FRAMES frames show both faces. Whether the driver moves a coordinate is
    read from the driver alone.
    """
    looked = driver if judged is None else judged
    first, seen, second = (
        torch.stack([named_coordinates(faces)[name] for name in COORDINATES], 1) for faces in (driver, looked, result)
    )
    correlation = Correlation()
    correlation.update(first, second, valid=driver.valid & result.valid)
    is_measurable = int((driver.valid & result.valid).sum()) >= LEAST_FRAMES
    r = correlation.result() if is_measurable else torch.full((len(COORDINATES),), math.nan)
    trembles = [_jitter(values[:, :3], faces.valid) for values, faces in ((seen, looked), (second, result))]
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
        "jitter_deg": {
            name: {"driver": plain(trembles[0][i]), "result": plain(trembles[1][i])} for i, name in enumerate(ANGLES)
        },
    }


def _jitter(angles_deg: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    jitter = Jitter()
    jitter.update(angles_deg, valid)
    try:
        return jitter.result().mean
    except InputError:
        return torch.full((len(ANGLES),), math.nan)


def _spread(values: torch.Tensor) -> torch.Tensor:
    return values.double().std(0, correction=0) if len(values) else torch.full((values.shape[1],), math.nan)


def table_of(runs: Sequence[dict[str, Any]]) -> Table:
    """One row per variant, clip and face, the mean over its sources; below, the means of each variant."""
    caption = "Correlation driver–result; in parentheses: the driver hardly moves it. Jitter: result over driver."
    table = Table(title="Driving by video", caption=caption)
    jitters = [f"jitter {name}" for name in ANGLES]
    for column in ("driving", "smoothing", "clip", "face", "found", *COORDINATES, *jitters):
        table.add_column(column)
    runs = [run for run in runs if "error" not in run]
    for keys in (("driving", "smoothing", "clip", "face"), ("driving", "smoothing")):
        for group in dict.fromkeys(tuple(run[key] for key in keys) for run in runs):
            members = [run for run in runs if tuple(run[key] for key in keys) == group]
            labels = list(map(str, group)) if len(group) == 4 else [*map(str, group), "mean of driven", ""]
            found = float(np.mean([run["found"] for run in members]))
            cells = [_cell(members, name, is_mean=len(group) == 2) for name in COORDINATES]
            table.add_row(*labels, f"{found:.0%}", *cells, *(shown(jitter_ratio(members, name)) for name in ANGLES))
    return table


def jitter_ratio(runs: Sequence[dict[str, Any]], name: str) -> float:
    """Jitter of results over that of their drivers: the mean over runs; NaN where there is none."""
    pairs = [run["jitter_deg"][name] for run in runs]
    ratios = [pair["result"] / pair["driver"] for pair in pairs if pair["driver"] and pair["result"] is not None]
    return float(np.mean(ratios)) if ratios else math.nan


def _cell(runs: Sequence[dict[str, Any]], name: str, *, is_mean: bool) -> str:
    """The mean over runs that say something: those whose driver moves the coordinate, or all of one still driver."""
    values = [run["coordinates"][name] for run in runs]
    driven = [value for value in values if value["is_driven"]]
    if is_mean and not driven:
        return shown(None)
    known = [value["correlation"] for value in driven or values if value["correlation"] is not None]
    text = shown(float(np.mean(known)) if known else None)
    return text if driven else f"({text})"


def _default_sources(data: Path) -> tuple[Path, ...]:
    portraits = data / "faces" / "portraits_cc0"
    return (*sorted(SAMPLES.glob("source_*.jpg")), portraits / "female_001.jpg", portraits / "male_001.jpg")


if __name__ == "__main__":
    main(tyro.cli(Settings))
