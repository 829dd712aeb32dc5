"""The angles of DECA-based weights, and their exact conversions to and from the house's angles (METHODS section 1).

FLAME's axes are the house's head axes. DECA reads a rotation R = Rz(c)·Ry(b)·Rx(a) as yaw = asin R20 = −b,
pitch = atan2(R21, R22) = a, roll = atan2(R10, R00) = c: positive yaw turns the face to the image's left, positive pitch
looks down, positive roll tilts anticlockwise. To first order all three are the negated angles of `mien.geometry`.
"""

from __future__ import annotations

import torch

from mien.geometry import angles_from_rotation, axis_angle_from_quaternion, rotation_from_angles


def deca_from_rotation(rotation: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) → DECA's yaw, pitch, roll (..., 3) in radians, |yaw| < 90 degrees."""
    yaw = torch.asin(rotation[..., 2, 0].clamp(-1, 1))
    pitch = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return torch.stack([yaw, pitch, roll], -1)


def rotation_from_deca(angles: torch.Tensor) -> torch.Tensor:
    """Exact inverse of `deca_from_rotation`: R = Rz(roll)·Ry(−yaw)·Rx(pitch).

    Args:
        angles: (..., 3) DECA's yaw, pitch, roll in radians.

    Returns:
        (..., 3, 3) rotation matrices acting on column vectors in head axes.
    """
    yaw, pitch, roll = angles.unbind(-1)
    ca, sa = pitch.cos(), pitch.sin()
    cb, sb = yaw.cos(), -yaw.sin()
    cc, sc = roll.cos(), roll.sin()
    rows = [
        [cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa],
        [sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa],
        [-sb, cb * sa, cb * ca],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def house_from_deca(angles: torch.Tensor) -> torch.Tensor:
    """DECA's yaw, pitch, roll (..., 3) → the house's yaw, pitch, roll (..., 3), radians, the same rotation."""
    return angles_from_rotation(rotation_from_deca(angles))


def deca_from_house(angles: torch.Tensor) -> torch.Tensor:
    """The house's yaw, pitch, roll (..., 3) → DECA's yaw, pitch, roll (..., 3), radians, the same rotation."""
    return deca_from_rotation(rotation_from_angles(angles))


def quaternion_from_xyz(angles: torch.Tensor) -> torch.Tensor:
    """Unit quaternions (w, x, y, z) of Rx(a)·Ry(b)·Rz(c): (..., 3) radians → (..., 4)."""
    cosines, sines = (angles / 2).cos(), (angles / 2).sin()
    (ca, cb, cc), (sa, sb, sc) = cosines.unbind(-1), sines.unbind(-1)
    parts = [
        ca * cb * cc - sa * sb * sc,
        sa * cb * cc + ca * sb * sc,
        ca * sb * cc - sa * cb * sc,
        ca * cb * sc + sa * sb * cc,
    ]
    return torch.stack(parts, -1)


def head_pose_as_released(angles: torch.Tensor) -> torch.Tensor:
    """The axis-angle pose that the released training code makes of DECA angles. Not an inverse: for comparison only.

    It takes yaw, pitch, roll as the x, y, z of another Euler convention, converts them to an axis-angle r and uses
    (r_y, −r_x, r_z). Reading the angles back gives others, off by 1.7/3.6/0.8 degrees on average over ±60/40/40.
    Nothing in mien calls it; `axis_angle_from_rotation(rotation_from_deca(angles))` is the pose that was meant.

    Args:
        angles: (..., 3) DECA's yaw, pitch, roll in radians.

    Returns:
        (..., 3) axis times angle in radians.
    """
    x, y, z = axis_angle_from_quaternion(quaternion_from_xyz(angles)).unbind(-1)
    return torch.stack([y, -x, z], -1)
