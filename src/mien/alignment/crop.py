"""Square crops around a face.

`head` (default bundle) is framed by the skull: it depends on rigid points and the head angles only, so it does not pump
when the mouth opens. `voxceleb` is the crop of the published VoxCeleb weights (METHODS section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from mien.geometry import apply_affine, invert_affine, rotation_from_angles

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


@dataclass(frozen=True)
class Crop:
    """A square region of a picture, resampled to `size` pixels.

    Attributes:
        matrix: (2, 3) affine map from pixels of the full picture to pixels of the crop.
        size: side of the crop in pixels.
    """

    matrix: np.ndarray
    size: int

    @property
    def inverse(self) -> np.ndarray:
        """(2, 3) affine map from pixels of the crop to pixels of the full picture."""
        return invert_affine(self.matrix)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Cut the region out of a uint8 (H, W, 3) picture; minified with proper filtering, edges reflected."""
        shrink = 1.0 / np.sqrt(abs(np.linalg.det(self.matrix[:, :2])))
        if shrink <= 1.0:
            return self._warp(image, self.matrix, self.size)
        factor = int(np.ceil(shrink))
        lift = np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2]])
        oversampled = lift[:, :2] @ self.matrix + np.hstack([np.zeros((2, 2)), lift[:, 2:]])
        large = self._warp(image, oversampled, self.size * factor)
        return cv2.resize(large, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map (..., 2) points of the full picture into the crop."""
        return apply_affine(self.matrix, points)

    @staticmethod
    def _warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


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
    """The square of the published VoxCeleb crop: box of the 68 points, side 2·max(w, h), raised by a sixth of it.

    Args:
        landmarks: (68, 2) pixels.
        angles: ignored; part of the common signature.
        size: side of the result in pixels.
    """
    del angles
    low, high = landmarks.min(0), landmarks.max(0)
    half = int(max(high - low))
    centre = np.rint((low + high) / 2)
    return square_crop(centre - (0, half // 6), half, size)


CROPS: Mapping[str, Callable[[np.ndarray, np.ndarray, int], Crop]] = {"head": head_crop, "voxceleb": voxceleb_crop}
"""Crop kinds by the name a bundle stores."""
