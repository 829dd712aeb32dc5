"""Rotations of the head and affine maps of the picture plane.

Head axes: +x = image right, +y up, +z towards the camera. Angles are (yaw, pitch, roll) in radians: positive yaw
turns the face to the image's right, positive pitch looks up, positive roll tilts clockwise as seen by the viewer.
"""

from __future__ import annotations

import numpy as np
import torch


def rotation_from_angles(angles: torch.Tensor) -> torch.Tensor:
    """R = Ry(yaw) · Rx(−pitch) · Rz(−roll).

    Args:
        angles: (..., 3) yaw, pitch, roll in radians.

    Returns:
        (..., 3, 3) rotation matrices acting on column vectors in head axes.
    """
    yaw, pitch, roll = angles.unbind(-1)
    cy, sy = yaw.cos(), yaw.sin()
    cp, sp = pitch.cos(), -pitch.sin()
    cr, sr = roll.cos(), -roll.sin()
    rows = [
        [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
        [cp * sr, cp * cr, -sp],
        [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def angles_from_rotation(rotation: torch.Tensor) -> torch.Tensor:
    """Exact inverse of `rotation_from_angles` for |pitch| < 90 degrees.

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 3) yaw, pitch, roll in radians.
    """
    yaw = torch.atan2(rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = torch.asin(rotation[..., 1, 2].clamp(-1, 1))
    roll = -torch.atan2(rotation[..., 1, 0], rotation[..., 1, 1])
    return torch.stack([yaw, pitch, roll], -1)


def compose_affine(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The (2, 3) map that applies `inner` first and `outer` second."""
    lifted = np.vstack([inner, [0.0, 0.0, 1.0]])
    return outer @ lifted


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a (2, 3) affine map of the plane."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -linear @ matrix[:, 2:]])


def apply_affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map (..., 2) points (x, y) by a (2, 3) affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]
