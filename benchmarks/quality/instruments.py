"""Measuring instruments shared by the quality benchmarks: reference networks outside the bundle, and reports.

MediaPipe and the re-identification network are no part of a bundle, and its generator, encoder and directions are not
trained against them, so they may judge it. The embedded tracker is: it learns from MediaPipe's labels of photographs.
Both networks come from the data pack (docs/conventions.md).
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mien.benchmark.recognition import ReidentificationNet as ReidentificationNet
from mien.errors import BundleError, MissingDataError
from mien.face3d.motion import arkit_motion_space
from mien.face3d.params import FaceParams
from mien.geometry import lean_of, turned_angles
from mien.images import resize, to_tensor, to_uint8
from mien.metrics.identity import cosine
from mien.pipelines.moving import METHODS, MIXING, Method, choose_method
from mien.pipelines.reenactor import Reenactor
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker

TrackerName = Literal["embedded", "mediapipe"]
RESULTS = Path(__file__).parents[1] / "results"
CONSOLE = Console(width=140)
FACE_SIZE_PX = 256  # results are enlarged to this before a reference network sees them


def data_folder(given: Path | None) -> Path:
    """The data pack: as given, else MIEN_DATA, else ../shared/data.

    Raises:
        MissingDataError: it is not there.
    """
    folder = given or Path(os.environ.get("MIEN_DATA", "../shared/data"))
    if not (folder / "models").is_dir():
        raise MissingDataError(f"No data pack at {folder}; say where it is with --data or MIEN_DATA.")
    return folder


def own_tracker(name: TrackerName, data: Path) -> Tracker | None:
    """What a bundle is to measure faces with: None for its own networks, else MediaPipe from the data pack."""
    return None if name == "embedded" else MediaPipeTracker(data / "models" / "face_landmarker.task")


def enlarged(images: Sequence[np.ndarray], size: int = FACE_SIZE_PX) -> list[np.ndarray]:
    """uint8 HWC pictures brought to `size` pixels on the shorter side if they are smaller, else unchanged."""
    return [_enlarged(image, size) for image in images]


def _enlarged(image: np.ndarray, size: int) -> np.ndarray:
    scale = size / min(image.shape[:2])
    if scale <= 1:
        return image
    target = (round(image.shape[0] * scale), round(image.shape[1] * scale))
    return to_uint8(resize(to_tensor(image[None]), target))[0]


def methods_of(model: Reenactor) -> tuple[Method, ...]:
    """What the bundle can do."""
    found = []
    for method in METHODS:
        with suppress(BundleError):
            found.append(choose_method(model.bundle, method))
    return tuple(found)


def inversions_of(model: Reenactor) -> tuple[Method, ...]:
    """Those among them that draw a source at rest differently: mixing changes nothing there."""
    return tuple(method for method in methods_of(model) if method not in MIXING)


def measure(tracker: Tracker, images: Sequence[np.ndarray]) -> FaceParams:
    """The largest face of each picture, found anew in each; `valid` is False where there is none."""
    measured = []
    for image in images:
        boxes = tracker.find(image)
        measured.append(tracker.estimate([image], boxes[:1]) if boxes else FaceParams.invalid(1))
    return FaceParams.cat(measured)


def likeness(net: ReidentificationNet, images: Sequence[np.ndarray], seen: FaceParams) -> torch.Tensor:
    """Cosine (N,) of each picture with the first; 0 where either shows no face."""
    valid = seen.valid & seen.valid[0]
    codes, cosines = net.embed(images, seen), torch.zeros(len(images))
    cosines[valid] = cosine(codes[:1].expand(int(valid.sum()), -1), codes[valid]).float() if valid.any() else 0.0
    return cosines


def named_coordinates(params: FaceParams) -> dict[str, torch.Tensor]:
    """Coordinates by name, each (B,), in natural units (degrees, coefficients).

    `blink` is the mean of both eyes; `turn` and `nod` are yaw and pitch of the same head turned upright in the picture
    plane: where heads lean, yaw and pitch are mixtures of them.
    """
    space = arkit_motion_space()
    values = dict(zip(space.names, space.read(params).unbind(1), strict=True))
    upright = torch.rad2deg(turned_angles(params.angles, -lean_of(params.angles)))
    mean = (values["blink_left"] + values["blink_right"]) / 2
    return values | {"blink": mean, "turn": upright[:, 0], "nod": upright[:, 1]}


def report(name: str, settings: Any, results: Mapping[str, Any], table: Table) -> Path:
    """Shows the table and writes results/NAME.json and results/NAME.md; returns the JSON file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "date": datetime.date.today().isoformat(),
        "settings": vars(settings) | {"bundle": Path(settings.bundle).name},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    file = RESULTS / f"{name}.json"
    file.write_text(
        json.dumps(about | dict(results), indent=1, allow_nan=False, default=_named) + "\n", encoding="utf-8"
    )
    file.with_suffix(".md").write_text(_markdown(table), encoding="utf-8")
    CONSOLE.print(table)
    CONSOLE.print(f"written: {file}")
    return file


def shown(value: float | None, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def plain(value: float | torch.Tensor) -> float | None:
    """A number for JSON, rounded to six digits; None instead of not-a-number."""
    number = float(value)
    return None if number != number else float(f"{number:.6g}")


def _named(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)  # names travel, folders of one machine do not


def _markdown(table: Table) -> str:
    columns = [[str(column.header), *(str(cell) for cell in column.cells)] for column in table.columns]
    rows = [f"| {' | '.join(row)} |" for row in zip(*columns, strict=True)]
    rule = "|" + "---|" * len(columns)
    return "\n".join([f"### {table.title}", "", rows[0], rule, *rows[1:], "", str(table.caption or ""), ""])
