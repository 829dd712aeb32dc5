"""Rotations of the head and affine maps of the picture plane.

Head axes: +x = image right, +y up, +z towards the camera. Angles are (yaw, pitch, roll) in radians: positive yaw
turns the face to the image's right, positive pitch looks up, positive roll tilts clockwise as seen by the viewer.
"""

from __future__ import annotations

import math

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


def turned_angles(angles: torch.Tensor, tilt: torch.Tensor) -> torch.Tensor:
    """Head angles after the picture was turned clockwise by `tilt`.

    Args:
        angles: (B, 3) radians.
        tilt: (B,) radians.
    """
    turn = rotation_from_angles(torch.stack([torch.zeros_like(tilt), torch.zeros_like(tilt), tilt], -1))
    return angles_from_rotation(turn @ rotation_from_angles(angles))


def lean_of(angles: torch.Tensor) -> torch.Tensor:
    """How far heads lean in the picture plane: t of R = Rz(−t)·S, where S does not turn about the line of sight.

    With the quaternion (w, x, y, z) of R, −t/2 is the angle of (w, z) (swing–twist decomposition).

    Args:
        angles: (..., 3) radians.

    Returns:
        (...) radians, clockwise > 0; the roll, where a head neither turns nor nods.
    """
    rotation = rotation_from_angles(angles)
    sine, cosine = rotation[..., 1, 0] - rotation[..., 0, 1], rotation[..., 0, 0] + rotation[..., 1, 1]
    return -torch.atan2(sine, cosine)


def rotation_from_axis_angle(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula, R = I + sin t/t · K + (1 − cos t)/t² · K², exact and differentiable at rest.

    Args:
        axis_angle: (..., 3) axis times angle t in radians.

    Returns:
        (..., 3, 3) rotation matrices; K is the cross-product matrix of the vector.
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=-1)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    none = torch.zeros_like(x)
    rows = [[none, -z, y], [z, none, -x], [-y, x, none]]
    cross = torch.stack([torch.stack(row, -1) for row in rows], -2)
    slope, bend = torch.sinc(angle / math.pi), torch.sinc(angle / (2 * math.pi)).square() / 2
    return torch.eye(3, dtype=cross.dtype, device=cross.device) + slope * cross + bend * (cross @ cross)


def quaternion_from_rotation(rotation: torch.Tensor) -> torch.Tensor:
    """Unit quaternion (w, x, y, z), w ≥ 0, of a rotation matrix; accurate for every angle (Shepperd 1978).

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 4).
    """
    r = rotation
    d0, d1, d2 = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    squares = torch.stack([1 + d0 + d1 + d2, 1 + d0 - d1 - d2, 1 - d0 + d1 - d2, 1 - d0 - d1 + d2], -1)
    w_x, w_y, w_z = (r[..., b, a] - r[..., a, b] for a, b in ((1, 2), (2, 0), (0, 1)))
    x_y, x_z, y_z = (r[..., a, b] + r[..., b, a] for a, b in ((0, 1), (0, 2), (1, 2)))
    products = torch.stack(
        [
            torch.stack([squares[..., 0], w_x, w_y, w_z], -1),
            torch.stack([w_x, squares[..., 1], x_y, x_z], -1),
            torch.stack([w_y, x_y, squares[..., 2], y_z], -1),
            torch.stack([w_z, x_z, y_z, squares[..., 3]], -1),
        ],
        -2,
    )
    largest = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quaternion = torch.nn.functional.normalize(products.gather(-2, largest)[..., 0, :], dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def axis_angle_from_quaternion(quaternion: torch.Tensor) -> torch.Tensor:
    """Axis times angle (..., 3) in radians, angle in [0, π], of unit quaternions (..., 4) in the order w, x, y, z."""
    signed = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, vector = signed[..., :1], signed[..., 1:]
    length = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    is_small = length < 1e-6
    factor = 2 * torch.atan2(length, w) / torch.where(is_small, torch.ones_like(length), length)
    return vector * torch.where(is_small, torch.full_like(length, 2.0), factor)


def axis_angle_from_rotation(rotation: torch.Tensor) -> torch.Tensor:
    """Exact inverse of `rotation_from_axis_angle` for angles below π: (..., 3, 3) → (..., 3)."""
    return axis_angle_from_quaternion(quaternion_from_rotation(rotation))


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
