"""Fits the morphable head to one photograph: pose, identity and expression from MediaPipe's face points.

Perspective is taken into account: a point X (camera axes, depth Z = −z) is seen at u = x / Z, v = y / Z, so
x − uZ = 0 and y − vZ = 0 are linear in everything that moves X linearly. Pose is found by Levenberg–Marquardt, identity
and expression by bounded linear least squares, in turns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares, lsq_linear

from mien.errors import InputError, MissingDataError
from mien.face3d.morphable import data_folder
from mien.synth.assets import HeadMesh, load_head
from mien.synth.deformation import rotation_matrix

FOCAL = 2.9
"""Focal length in half sides of the face's square: a lens of 38 degrees, as in most portraits."""
NUM_IDENTITY = 50
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_CONTOURS = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398,
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
_SIGMA = 0.0075
_IDENTITY_RIDGE, _EXPRESSION_RIDGE = 2.0, 12.0
_ROUNDS, _BOUNDED_ROUNDS = 6, 2


@dataclass(frozen=True)
class Correspondence:
    """Which vertex each face point marks.

    Attributes:
        vertices: (468,) rows of `HeadMesh`.
        weights: (468,) how far each point is to be believed.
    """

    vertices: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Lens:
    """A pinhole camera.

    Attributes:
        focal: focal length in pixels.
        centre: (2,) principal point (x, y) in pixels.
    """

    focal: float
    centre: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) pixels of (N, 3) points in camera axes (x right, y up, z towards the camera, camera at 0)."""
        return self.centre + self.focal * points[:, :2] * (1, -1) / -points[:, 2:]

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(N, 3) points at depth one under pixels (N, 2), in camera axes."""
        slopes = (pixels - self.centre) / self.focal * (1, -1)
        return np.column_stack([slopes, -np.ones(len(pixels))])


@dataclass(frozen=True)
class HeadFit:
    """A head before the camera of a photograph.

    Attributes:
        lens: the camera.
        angles: (3,) yaw, pitch, roll in radians.
        translation: (3,) cm: X = R p + translation for a point p in head axes.
        identity: (100,) weights of the shape modes.
        expression: (57,) weights of the model's expressions, 0..1.
        error: mean distance of the believed points, as a share of the side of the face's square.
        side: that side in pixels.
    """

    lens: Lens
    angles: np.ndarray
    translation: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    error: float
    side: float

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) points in head axes -> camera axes, cm."""
        return points @ rotation_matrix(self.angles).T + self.translation

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) points in camera axes -> head axes, cm."""
        return (points - self.translation) @ rotation_matrix(self.angles)


@lru_cache(maxsize=1)
def load_correspondence() -> Correspondence:
    """Which vertex of the head each of MediaPipe's points marks.

    Raises:
        MissingDataError: the data pack is not there.
    """
    path = data_folder() / "head" / "mediapipe_to_ict.json"
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; it is part of the data pack.")
    table = json.loads(path.read_text())
    row = {int(v): i for i, v in reversed(list(enumerate(load_head().welded)))}
    numbers = [str(i) for i in range(468)]
    spread = np.array([table["spread_cm"][n] for n in numbers])
    weights = 1 / (1 + (spread / 0.25) ** 2)
    weights[list(FACE_OVAL)] *= 0.35
    weights[list(_CONTOURS)] *= 2.0
    return Correspondence(np.array([row[int(table["vertex"][n])] for n in numbers]), weights)


def face_square(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and side in pixels of the square that a photograph is fitted in.

    Args:
        points: (468 or more, 2) MediaPipe's points in pixels.
    """
    height = float(np.linalg.norm(points[10] - points[152]))
    width = float(np.linalg.norm(points[234] - points[454]))
    return (points[10] + points[152]) / 2, 2.05 * max(height, 1.15 * width)


class _Basis:
    """Positions of the believed vertices as a linear function of identity and expression."""

    def __init__(self, head: HeadMesh, rows: np.ndarray) -> None:
        self.rest = head.rest[rows].astype(np.float64)
        modes = np.concatenate([head.identity[:NUM_IDENTITY], head.expression])
        self.modes = modes.reshape(len(modes), -1, 3)[:, rows].astype(np.float64)

    def at(self, weights: np.ndarray) -> np.ndarray:
        return self.rest + np.tensordot(weights, self.modes, 1)


def _fit_pose(lens: Lens, shape: np.ndarray, seen: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    root = np.sqrt(weights)[:, None] / lens.focal

    def residual(pose: np.ndarray) -> np.ndarray:
        points = shape @ rotation_matrix(pose[:3]).T + pose[3:]
        return ((lens.project(points) - seen) * root).ravel()

    return least_squares(residual, start, method="lm", x_scale=np.array([0.1, 0.1, 0.1, 1.0, 1.0, 3.0])).x


def _fit_shape(
    lens: Lens,
    basis: _Basis,
    seen: np.ndarray,
    weights: np.ndarray,
    pose: np.ndarray,
    prior: np.ndarray,
    *,
    bounded: bool,
) -> np.ndarray:
    """Identity and expression at a pose; `prior` (57,) is what the expression is pulled to."""
    rotation = rotation_matrix(pose[:3])
    shape = basis.at(np.concatenate([np.zeros(NUM_IDENTITY), prior])) @ rotation.T + pose[3:]
    slopes = lens.rays(seen)[:, :2]
    # Divided by the depth: residuals as seen in the picture, in half sides of the face's square.
    scale = (np.sqrt(weights) * FOCAL / _SIGMA / -shape[:, 2])[:, None]
    system, target = [], []
    for axis in range(2):
        along = rotation[axis] + slopes[:, axis : axis + 1] * rotation[2]
        system.append((np.einsum("kvc,vc->vk", basis.modes, along) * scale).reshape(len(seen), -1))
        offset = pose[3 + axis] + slopes[:, axis] * pose[5]
        target.append(-(np.einsum("vc,vc->v", basis.rest, along) + offset) * scale[:, 0])
    ridge = np.sqrt(np.repeat([_IDENTITY_RIDGE, _EXPRESSION_RIDGE], [NUM_IDENTITY, len(prior)]))
    matrix = np.concatenate([*system, np.diag(ridge)])
    wanted = np.concatenate([*target, ridge * np.concatenate([np.zeros(NUM_IDENTITY), prior])])
    if not bounded:
        return np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    low = np.repeat([-3.0, 0.0], [NUM_IDENTITY, len(prior)])
    high = np.repeat([3.0, 1.0], [NUM_IDENTITY, len(prior)])
    gram, right = matrix.T @ matrix, matrix.T @ wanted
    root = np.linalg.cholesky(gram)
    return lsq_linear(root.T, np.linalg.solve(root, right), (low, high)).x


def fit_head(points: np.ndarray, scores: np.ndarray) -> HeadFit:
    """Fit the head to one face.

    Args:
        points: (468 or more, 2) MediaPipe's points in pixels.
        scores: (51,) its blendshape scores, `_neutral` left out.

    Raises:
        InputError: no head explains the points.
        MissingDataError: the data pack is not there.
    """
    head, marks = load_head(), load_correspondence()
    seen, weights = np.asarray(points, np.float64)[:468, :2], marks.weights / marks.weights.mean()
    centre, side = face_square(seen)
    lens = Lens(FOCAL * side / 2, centre)
    basis = _Basis(head, marks.vertices)
    prior = np.clip(scores @ head.arkit_to_expression, 0, 1).astype(np.float64)
    height = np.linalg.norm(basis.rest[10] - basis.rest[152])
    away = lens.focal * height / np.linalg.norm(seen[10] - seen[152])
    pose = np.array([0.0, 0.0, 0.0, 0.0, -basis.rest[:, 1].mean(), -away - basis.rest[:, 2].mean()])
    shape = np.concatenate([np.zeros(NUM_IDENTITY), prior])
    for number in range(_ROUNDS):
        pose = _fit_pose(lens, basis.at(shape), seen, weights, pose)
        bounded = number >= _ROUNDS - _BOUNDED_ROUNDS
        shape = _fit_shape(lens, basis, seen, weights, pose, prior, bounded=bounded)
    pose = _fit_pose(lens, basis.at(shape), seen, weights, pose)
    placed = basis.at(shape) @ rotation_matrix(pose[:3]).T + pose[3:]
    distance = np.linalg.norm(lens.project(placed) - seen, axis=1)
    error = float((distance * weights).sum() / weights.sum() / side)
    if not np.isfinite(error) or error > 0.03 or np.abs(pose[:2]).max() > np.radians(60):
        raise InputError(f"the head does not fit this face (mean error {100 * error:.1f} % of the face's square)")
    identity = np.zeros(len(head.identity))
    identity[:NUM_IDENTITY] = shape[:NUM_IDENTITY]
    return HeadFit(lens, pose[:3], pose[3:], identity, shape[NUM_IDENTITY:], error, side)
