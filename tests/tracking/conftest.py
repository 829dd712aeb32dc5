"""A schematic face, and a tracker that needs no network."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from mien.alignment.crop import RIGID_LANDMARKS, RIGID_POINTS_CM
from mien.face3d.params import FaceParams
from mien.tracking import Box, box_from_landmarks


def schematic_points() -> np.ndarray:
    """(68, 2) a plausible frontal face about 14 units high around (0, 0), y down."""
    points = np.zeros((68, 2))
    sweep = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([7 * np.cos(sweep), -1 + 8 * np.sin(sweep)], 1)
    points[17:22] = np.stack([np.linspace(-6, -1.5, 5), [-4.6, -5.2, -5.4, -5.2, -4.8]], 1)
    points[22:27] = points[17:22][::-1] * (-1, 1)
    points[list(RIGID_LANDMARKS)] = RIGID_POINTS_CM[:, :2] * (1, -1)
    for first, x in ((36, -3.1), (42, 3.1)):
        inner = [(-1.3, -3.4), (-0.6, -3.8), (0.6, -3.8), (1.3, -3.4), (0.6, -3.0), (-0.6, -3.0)]
        points[first : first + 6] = np.array(inner) + (x, 0)
    angle = np.linspace(np.pi, -np.pi, 13)[:-1]
    points[48:60] = np.stack([2.6 * np.cos(angle), 4 - 1.0 * np.sin(angle)], 1)
    angle = np.linspace(np.pi, -np.pi, 9)[:-1]
    points[60:68] = np.stack([1.8 * np.cos(angle), 4 - 0.3 * np.sin(angle)], 1)
    return points


class ScriptedTracker:
    """Knows where every face of a frame is; the frame's number is written in its first pixel.

    Args:
        paths: (faces, frames, 2) centres in pixels; NaN where a face is absent.
        size: pixels per unit of the schematic face.
    """

    def __init__(self, paths: np.ndarray, size: float = 4.0) -> None:
        self.paths, self.size = paths, size
        self.finds = 0
        self.estimates: list[int] = []

    def frames(self) -> list[np.ndarray]:
        """One small picture per frame."""
        return [np.full((4, 4, 3), i, np.uint8) for i in range(self.paths.shape[1])]

    def _points(self, image: np.ndarray) -> list[np.ndarray]:
        centres = self.paths[:, int(image[0, 0, 0])]
        return [schematic_points() * self.size + c for c in centres if not np.isnan(c).any()]

    def find(self, image: np.ndarray) -> list[Box]:
        """Boxes of the faces in the script."""
        self.finds += 1
        return sorted((box_from_landmarks(p) for p in self._points(image)), key=lambda b: -b.area)

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The scripted face nearest to the box, if it is within half a side."""
        self.estimates.append(len(images))
        parts = []
        for image, box in zip(images, boxes, strict=True):
            near = [
                p for p in self._points(image) if np.abs(box_from_landmarks(p).centre - box.centre).max() < box.side / 2
            ]
            if not near:
                parts.append(FaceParams.invalid(1))
                continue
            points = min(near, key=lambda p: np.linalg.norm(box_from_landmarks(p).centre - box.centre))
            blank = FaceParams.invalid(1)
            known = FaceParams(
                angles=blank.angles,
                expression=blank.expression,
                landmarks=torch.from_numpy(points)[None].float(),
                valid=torch.ones(1, dtype=torch.bool),
                score=torch.ones(1),
            )
            parts.append(known)
        return FaceParams.cat(parts)


@pytest.fixture
def face_points() -> np.ndarray:
    """(68, 2) schematic frontal face around (0, 0)."""
    return schematic_points()


@pytest.fixture
def scripted() -> type[ScriptedTracker]:
    """The class itself: scripted(paths)."""
    return ScriptedTracker
