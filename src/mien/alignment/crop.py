"""Square crops around a face.

`head` (default bundle) is framed by the skull: it depends on rigid points and the head angles only, so it does not pump
when the mouth opens. `voxceleb` and `ffhq` are the crops of the published weights, `deca` that of DECA (METHODS
section 5). Where a crop lies is decided here, how its pixels are made in `mien.alignment.resampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from mien.alignment.resampling import RESAMPLING
from mien.geometry import apply_affine, compose_affine, invert_affine, rotation_from_angles

RIGID_LANDMARKS = (*range(27, 36), 36, 39, 42, 45)
RIGID_POINTS_CM = np.array(
    [
        [0.0, 3.74, 10.73],
        [0.0, 2.63, 11.52],
        [0.0, 1.61, 12.31],
        [0.0, 0.41, 13.07],
        [-1.25, -1.14, 10.87],
        [-0.60, -1.14, 11.42],
        [0.0, -1.20, 11.57],
        [0.60, -1.14, 11.42],
        [1.25, -1.14, 10.87],
        [-4.46, 3.43, 8.60],
        [-1.84, 3.25, 9.20],
        [1.84, 3.25, 9.20],
        [4.46, 3.43, 8.60],
    ]
)
"""Nose and eye corners of the mean ICT-FaceKit head (MIT), rounded to 0.1 mm; head axes, centimetres."""

HEAD_CENTRE_CM = np.array([0.0, 2.0, 4.0])
HEAD_HALF_SIZE_CM = 14.5

DECA_SIDE = 1.25 * 1.1
DECA_SIZE_PX = 224


@dataclass(frozen=True)
class Crop:
    """A square region of a picture, resampled to `size` pixels.

    Attributes:
        matrix: (2, 3) affine map from pixels of the full picture to pixels of the crop.
        size: side of the crop in pixels.
        resampling: how its pixels are made, a key of `mien.alignment.resampling.RESAMPLING`.
    """

    matrix: np.ndarray
    size: int
    resampling: str = "area"

    @property
    def inverse(self) -> np.ndarray:
        """(2, 3) affine map from pixels of the crop to pixels of the full picture."""
        return invert_affine(self.matrix)

    def turned(self, angle: float) -> Crop:
        """The crop in which the same region stands turned about its centre, clockwise by `angle` radians."""
        if angle == 0:
            return self  # to the last bit: some crops are integer boxes
        cosine, sine, middle = np.cos(angle), np.sin(angle), (self.size - 1) / 2
        linear = np.array([[cosine, -sine], [sine, cosine]])
        offset = middle - linear @ np.full(2, middle)
        return replace(self, matrix=compose_affine(np.hstack([linear, offset[:, None]]), self.matrix))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Cut the region out of a uint8 (H, W, 3) picture of any size: uint8 (size, size, 3)."""
        return RESAMPLING[self.resampling](image, self.matrix, self.size)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map (..., 2) points of the full picture into the crop."""
        return apply_affine(self.matrix, points)


def square_crop(centre: np.ndarray, half_size_px: float, size: int) -> Crop:
    """The axis-parallel square centre ± half_size_px as a crop of `size` pixels (outer pixel edges coincide)."""
    scale = size / (2.0 * max(half_size_px, 1e-6))
    offset = (size - 1) / 2 - scale * centre
    return Crop(np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]]), size)


def weak_perspective(landmarks: np.ndarray, angles: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and translation that best place the mean rigid points, rotated by known angles, on the landmarks.

    Least squares of x = s·(R X)_x + t_x, y = −s·(R X)_y + t_y over nose and eye corners.

    Args:
        landmarks: (68, 2) pixels.
        angles: (3,) yaw, pitch, roll in radians.

    Returns:
        s in pixels per centimetre and t = (t_x, t_y), the picture point of the head origin.
    """
    rotation = rotation_from_angles(torch.as_tensor(angles, dtype=torch.float64)).numpy()
    model = (RIGID_POINTS_CM @ rotation.T)[:, :2] * (1.0, -1.0)
    image = np.asarray(landmarks, np.float64)[list(RIGID_LANDMARKS)]
    model_mean, image_mean = model.mean(0), image.mean(0)
    spread = model - model_mean
    scale = float((spread * (image - image_mean)).sum() / (spread**2).sum())
    return scale, image_mean - scale * model_mean


def head_crop(landmarks: np.ndarray, angles: np.ndarray, size: int) -> Crop:
    """The `head` crop: a square of 29 cm around a fixed point of the skull.

    Args:
        landmarks: (68, 2) pixels of the full picture.
        angles: (3,) yaw, pitch, roll in radians.
        size: side of the result in pixels.
    """
    scale, translation = weak_perspective(landmarks, angles)
    rotation = rotation_from_angles(torch.as_tensor(angles, dtype=torch.float64)).numpy()
    centre = (rotation @ HEAD_CENTRE_CM)[:2] * (1.0, -1.0) * scale + translation
    return square_crop(centre, abs(scale) * HEAD_HALF_SIZE_CM, size)


def voxceleb_crop(landmarks: np.ndarray, angles: np.ndarray, size: int) -> Crop:
    """The published VoxCeleb crop: the integer box centre ± int(max(w, h)) of the 68 points, raised by a sixth of that.

    Args:
        landmarks: (68, 2) pixels.
        angles: ignored; part of the common signature.
        size: side of the result in pixels.
    """
    del angles
    low, high = landmarks.min(0), landmarks.max(0)
    half = max(int(max(high - low)), 1)
    centre = np.rint((low + high) / 2) - (0, half // 6)
    placed = square_crop(centre - 0.5, half, size)  # the box is end exclusive: its edges lie between pixels
    return Crop(placed.matrix, size, "boxed")


def ffhq_crop(landmarks: np.ndarray, angles: np.ndarray, size: int) -> Crop:
    """The aligned crop of FFHQ: upright eyes and mouth, half side max(2·|eyes|, 1.8·|eyes to mouth|).

    With e the middle of both eyes, v_e from the left eye to the right one in the picture and v_m from e to the middle
    of the mouth's corners: centre e + 0.1·v_m, direction of the rows v_e + (v_m.y, −v_m.x) (METHODS section 5).

    Args:
        landmarks: (68, 2) pixels.
        angles: ignored; part of the common signature.
        size: side of the result in pixels.
    """
    del angles
    points = np.asarray(landmarks, np.float64)
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    eyes, across = (left + right) / 2, right - left
    down = (points[48] + points[54]) / 2 - eyes
    row = across + (down[1], -down[0])
    half = max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down), 0.5)
    row = row / np.hypot(*row) if np.any(row) else np.array([1.0, 0.0])
    linear = np.array([row, (-row[1], row[0])]) * (size / (2.0 * half))
    offset = (size - 1) / 2 - linear @ (eyes + 0.1 * down)
    return Crop(np.hstack([linear, offset[:, None]]), size, "aligned")


def deca_crop(landmarks: np.ndarray, size: int = DECA_SIZE_PX) -> Crop:
    """The crop DECA sees: the square around the box of the 68 points, side 1.25·1.1·(w + h)/2.

    The centres of its outermost pixels lie on the square's edge.

    Args:
        landmarks: (68, 2) pixels.
        size: side of the result in pixels.
    """
    points = np.asarray(landmarks, np.float64)
    low, high = points.min(0), points.max(0)
    side = max(int(DECA_SIDE * (high - low).sum() / 2), 1)
    scale = (size - 1) / side
    offset = (size - 1) / 2 - scale * (low + high) / 2
    return Crop(np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]]), size)


CROPS: Mapping[str, Callable[[np.ndarray, np.ndarray, int], Crop]] = {
    "head": head_crop,
    "voxceleb": voxceleb_crop,
    "ffhq": ffhq_crop,
}
"""Crop kinds by the name a bundle stores."""
