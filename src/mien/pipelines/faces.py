"""Which of the faces in a picture is meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.errors import ImageError, NoFaceError, SeveralFacesError
from mien.face3d.params import FaceParams
from mien.tracking.follow import choose_box
from mien.tracking.protocol import Box, Tracker

RIVAL_AREA = 0.5
"""A second face of more than this share of the largest one's area makes the choice ambiguous."""

Face = str | int


def check_picture(image: np.ndarray) -> np.ndarray:
    """The picture itself.

    Raises:
        ImageError: it is not uint8 (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(f"a picture must be uint8 (H, W, 3) RGB, not {image.dtype} {tuple(image.shape)}")
    return image


def measure_face(tracker: Tracker, image: np.ndarray, face: Face | None) -> FaceParams:
    """Find the meant face of a picture and measure it; FaceParams of length 1, valid.

    Args:
        face: "largest", "left", "right" or the number counted from the left, starting at 0; None: the only
            prominent one.

    Raises:
        NoFaceError: no face, or none with that number.
        SeveralFacesError: `face` is None and a second face is more than half as large as the largest.
    """
    boxes = tracker.find(image)
    if not boxes:
        raise NoFaceError("no face was found in the picture")
    box = choose_box(boxes, "largest" if face is None else face)
    if box is None:
        raise NoFaceError(f"there is no face number {face}; {describe_faces(boxes)}")
    areas = sorted((other.area for other in boxes), reverse=True)
    if face is None and len(areas) > 1 and areas[1] > RIVAL_AREA * areas[0]:
        raise SeveralFacesError(f"{describe_faces(boxes)}; choose one: left, right, its number, or all (--source-face)")
    params = tracker.estimate([image], [box])
    if not bool(params.valid[0]):
        raise NoFaceError("a face was found in the picture but could not be measured")
    return params


def describe_faces(boxes: Sequence[Box]) -> str:
    """A phrase that lists the faces from left to right with their places."""
    ordered = sorted(boxes, key=lambda box: float(box.centre[0]))
    places = [
        f"{number} at ({box.centre[0]:.0f}, {box.centre[1]:.0f}) {box.side:.0f} px"
        for number, box in enumerate(ordered)
    ]
    return f"{len(places)} face{'s' * (len(places) > 1)}, from the left: {', '.join(places)}"


class FaceCounter:
    """A tracker that passes everything on and remembers the most faces it ever found in one picture."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.boxes: list[Box] = []

    def find(self, image: np.ndarray) -> list[Box]:
        """See `Tracker.find`."""
        boxes = self._tracker.find(image)
        self.boxes = max(self.boxes, boxes, key=len)
        return boxes

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """See `Tracker.estimate`."""
        return self._tracker.estimate(images, boxes)
