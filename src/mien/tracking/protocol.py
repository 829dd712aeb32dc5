"""What a face tracker is: it finds faces as boxes and measures the face in a given box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mien.errors import ImageError
from mien.face3d.params import FaceParams

MOST_NESTING = 0.65


@dataclass(frozen=True)
class Box:
    """An axis-parallel square around a face, in pixels of the full picture; it may reach over the picture's edge.

    Attributes:
        x0, y0, x1, y1: edges.
        score: confidence 0 to 1.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float = 1.0

    @property
    def centre(self) -> np.ndarray:
        """(2,) middle (x, y)."""
        return np.array([(self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2])

    @property
    def side(self) -> float:
        """Longer edge in pixels."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def area(self) -> float:
        """Square pixels."""
        return max(self.x1 - self.x0, 0.0) * max(self.y1 - self.y0, 0.0)

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        shared = self._shared(other)
        return shared / max(self.area + other.area - shared, 1e-9)

    def nesting(self, other: Box) -> float:
        """Share of the smaller box that lies inside the larger one, 0 to 1."""
        return self._shared(other) / max(min(self.area, other.area), 1e-9)

    def _shared(self, other: Box) -> float:
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    @staticmethod
    def square(centre: np.ndarray, side: float, score: float = 1.0) -> Box:
        """The square of this centre (x, y) and side in pixels."""
        x, y, half = float(centre[0]), float(centre[1]), side / 2
        return Box(x - half, y - half, x + half, y + half, score)


class Tracker(Protocol):
    """Finds faces and measures them. Implementations hold no state from one call to the next."""

    def find(self, image: np.ndarray) -> list[Box]:
        """Faces of a uint8 (H, W, 3) RGB picture, largest first; an empty list when there is none."""
        ...

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The face in boxes[i] of images[i], as one batch; `valid` is False where no face is there."""
        ...


def merge_boxes(boxes: Sequence[Box], overlap: float = 0.4) -> list[Box]:
    """Drop boxes that overlap or lie inside a more confident one (non-maximum suppression); the rest, largest first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: -b.score):
        if all(box.overlap(other) < overlap and box.nesting(other) < MOST_NESTING for other in kept):
            kept.append(box)
    return sorted(kept, key=lambda b: -b.area)


def checked_picture(image: np.ndarray) -> np.ndarray:
    """The picture itself, contiguous.

    Raises:
        ImageError: not uint8 (H, W, 3), or empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(f"a tracker needs uint8 (H, W, 3) RGB pictures, got {image.dtype} {tuple(image.shape)}")
    return np.ascontiguousarray(image)
