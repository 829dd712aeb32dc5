"""A folder of portraits becomes a pack of people who can be rendered."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.alignment.crop import square_crop
from mien.errors import ImageError, InputError, NoFaceError, SeveralFacesError
from mien.images import PICTURE_SUFFIXES, read_image
from mien.media import check_output
from mien.synth.people_pack import write_people
from mien.synth.photograph import PHOTO_PX, PhotoHead, PhotoTaker
from mien.tracking.mediapipe import FacePoints, MediaPipeTracker

HELD_OUT_EVERY = 5
SQUARE_HEADS = 1.82
"""Side of the square that a portrait is cut to, in heights of the head."""
HEAD_FACES = 1.30
"""Height of a head in heights of its face, forehead to chin."""


@dataclass(frozen=True)
class FitReport:
    """What became of a folder of portraits.

    Attributes:
        taken, held_out: number of people in the pack, and of those for held-out renders.
        refused: why each of the others is not in it, in words.
    """

    taken: int
    held_out: int
    refused: tuple[str, ...]


def portrait_square(image: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square around a head at the working size, and the points in it.

    Args:
        image: (H, W, 3) uint8.
        points: (478, 2) MediaPipe's points in pixels.

    Returns:
        (512, 512, 3) uint8 and (478, 2).
    """
    if image.shape[:2] == (PHOTO_PX, PHOTO_PX):
        return image, points
    height, width = image.shape[:2]
    face = float(np.linalg.norm(points[10] - points[152]))
    half = min(SQUARE_HEADS * HEAD_FACES * face, height, width) / 2
    middle = 0.5 * (points[10] + points[152])
    centre = np.clip(middle, half - 0.5, np.array([width, height]) - half - 0.5)
    crop = square_crop(centre, half, PHOTO_PX)
    return np.ascontiguousarray(crop.apply(image)), crop.points(points)


def _one_face(name: str, faces: Sequence[FacePoints]) -> FacePoints:
    if not faces:
        raise NoFaceError(f"{name}: no face")
    if len(faces) > 1:
        raise SeveralFacesError(f"{name}: {len(faces)} faces")
    return faces[0]


def fit_people(
    tracker: MediaPipeTracker,
    portraits: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    skip: Sequence[str] = (),
    progress: Callable[[int, int | None], None] | None = None,
) -> FitReport:
    """Take every portrait of a folder apart and write the people to one file, which appears when it is whole.

    Args:
        tracker: finds the face points.
        portraits: folder of pictures, one whole head each.
        output: file to write, `.npz`.
        skip: names without suffix of portraits to leave out.
        progress: called after each portrait with those done and those announced.

    Raises:
        InputError: no folder, no pictures, or none of them will do.
        OutputError: cannot be written there; found out before the work starts.
        MissingDataError, MissingExtraError, RenderError: the head or the renderer is not there.
    """
    folder = Path(portraits)
    target = check_output(output, (".npz",))
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise InputError(f"{folder} holds no pictures.")
    heads: list[PhotoHead] = []
    held_out: list[bool] = []
    refused: list[str] = []
    cv2.setNumThreads(1)
    with PhotoTaker() as taker:
        for number, path in enumerate(paths):
            try:
                if path.stem in skip:
                    raise InputError(f"{path.stem}: left out on request")
                image = read_image(path)
                face = _one_face(path.stem, tracker.points(image))
                photo, points = portrait_square(image, face.points)
                heads.append(taker.take(path.stem, photo, points, face.scores[1:]))
                held_out.append(number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1)
            except (InputError, ImageError) as error:
                refused.append(str(error))
            if progress is not None:
                progress(number + 1, len(paths))
    if not heads:
        raise InputError(f"{folder}: none of {len(paths)} portraits will do; the first: {refused[0]}")
    write_people(heads, held_out, target)
    return FitReport(len(heads), sum(held_out), tuple(refused))
