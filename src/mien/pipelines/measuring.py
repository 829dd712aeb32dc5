"""Tracking as a product of its own: the parameters of a face in every frame of a video, as one .npz file."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.errors import NoFaceError, OutputError
from mien.face3d.params import EXPRESSION_NAMES, FaceParams
from mien.media import check_output, open_driver
from mien.media.writer import partial_path
from mien.pipelines.faces import Face
from mien.tracking.follow import follow
from mien.tracking.protocol import Tracker


def track_video(
    tracker: Tracker,
    driver: str | os.PathLike[str],
    output: str | os.PathLike[str],
    face: Face = "largest",
    batch: int = 8,
    progress: Callable[[int, int | None], None] | None = None,
) -> FaceParams:
    """Measure one face in every frame of a video, folder or photo and write it as .npz; returns the same numbers.

    Arrays: angles_rad (T, 3) yaw, pitch, roll; expression (T, 51) in the order of expression_names; landmarks_px
    (T, 68, 2) of the full frame; valid (T,); score (T,); pts (T,) in units of time_base_s (numerator, denominator).
    Memory: about 0.8 kB per frame.

    Args:
        face: which face to follow: "largest", "left", "right" or its number from the left.
        progress: called after each frame with the frames done and the frames announced (None: unknown).

    Raises:
        OutputError: cannot be written there; found out before the work starts.
        MediaError, ImageError: the driver cannot be read.
        NoFaceError: no face in any frame.
    """
    output = check_output(output, (".npz",), [Path(driver)])
    frames = open_driver(driver)
    stamps: list[int] = []

    def pictures():
        for frame in frames:
            stamps.append(frame.pts)
            yield frame.image

    found: list[FaceParams] = []
    for params in follow(tracker, pictures(), face, batch):
        found.append(params.to("cpu"))
        if progress is not None:
            progress(len(found), frames.info.num_frames)
    measured = FaceParams.cat(found) if found else FaceParams.invalid(0)
    if not bool(measured.valid.any()):
        raise NoFaceError(f"{driver}: no face was found in any of the {len(found)} frames")
    _write(output, measured, stamps, frames.info.time_base)
    return measured


def _write(output: Path, params: FaceParams, stamps: list[int], time_base: Fraction) -> None:
    partial = partial_path(output)
    arrays: dict[str, Any] = {
        "expression_names": np.array(EXPRESSION_NAMES[params.model]),
        "angles_rad": params.angles,
        "expression": params.expression,
        "landmarks_px": params.landmarks,
        "valid": params.valid,
        "score": params.score,
        "pts": torch.tensor(stamps),
        "time_base_s": torch.tensor([time_base.numerator, time_base.denominator]),
    }
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **{name: np.asarray(array) for name, array in arrays.items()})  # pyright: ignore[reportArgumentType]
        partial.replace(output)
    except OSError as error:
        raise OutputError(f"{output}: cannot write there ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
