"""The square around a face: defined once, by its landmarks, for detection, following and measuring."""

from __future__ import annotations

import numpy as np

from mien.tracking.protocol import Box

BOX_MARGIN = 1.30
"""Side of a box over the longer extent of the 68 points, measured upright."""
_EYES = (slice(36, 42), slice(42, 48))
_MOUTH = slice(48, 60)


def upright_frame(landmarks: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre (x, y), side in pixels and in-plane tilt in radians (clockwise > 0) of the square around a face.

    The tilt follows the line between the eyes and the line from the eyes to the mouth; centre and side belong to the
    bounding rectangle of the points after that tilt is undone, so that the side does not change when the head rolls.

    Args:
        landmarks: (68, 2) Multi-PIE points in pixels.
    """
    points = np.asarray(landmarks, np.float64)
    right, left = (points[eye].mean(0) for eye in _EYES)
    across, down = left - right, points[_MOUTH].mean(0) - (left + right) / 2
    direction = across + np.array([down[1], -down[0]])
    tilt = float(np.arctan2(direction[1], direction[0]))
    cosine, sine = np.cos(tilt), np.sin(tilt)
    to_picture = np.array([[cosine, -sine], [sine, cosine]])
    upright = points @ to_picture
    low, high = upright.min(0), upright.max(0)
    return to_picture @ ((low + high) / 2), float(max(high - low)) * BOX_MARGIN, tilt


def box_from_landmarks(landmarks: np.ndarray, score: float = 1.0) -> Box:
    """The box that belongs to (68, 2) points: what detectors are trained for and what following uses."""
    centre, side, _ = upright_frame(landmarks)
    return Box.square(centre, side, score)


def crop_matrix(centre: np.ndarray, side: float, tilt: float, size: int) -> np.ndarray:
    """(2, 3) map from picture pixels to a crop of `size` pixels around a square tilted clockwise by `tilt` radians."""
    cosine, sine = np.cos(tilt) * size / side, np.sin(tilt) * size / side
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.hstack([linear, ((size - 1) / 2 - linear @ centre)[:, None]])
